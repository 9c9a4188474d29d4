package profile

// Dialect is how a model wants to be spoken to.
type Dialect struct {
	Text  string // carrier of typed text: "realtimeInput" or "clientContent"
	Turns string // when clientContent is taken: "anytime"; "": while a session is seeded
	Seed  string // carrier of a history told at the start; "": one turn that sums it up
	Tools string // "nonBlocking": the model talks on while a function runs
}

// dialects of the models whose behaviour is known (documented and observed,
// 2026-10). That those of 2.5 take a history by historyConfig is not documented.
var dialects = map[string]Dialect{
	"models/gemini-3.8-live":                               {Text: "realtimeInput", Turns: "anytime", Seed: "clientContent", Tools: "nonBlocking"},
	"models/gemini-3.8-live-extended-thinking":             {Text: "realtimeInput", Turns: "anytime", Seed: "clientContent", Tools: "nonBlocking"},
	"models/gemini-3.1-flash-live-preview":                 {Text: "realtimeInput", Seed: "clientContent", Tools: "blocking"},
	"models/gemini-2.5-flash-native-audio-preview-12-2025": native25,
	"models/gemini-2.5-flash-native-audio-preview-09-2025": native25,
	"models/gemini-2.5-flash-native-audio-latest":          native25,
}

var native25 = Dialect{Text: "realtimeInput", Turns: "anytime", Tools: "blocking"}

// Dialect is what is known about the profile's model; ok is false if nothing
// is, and the page then takes the most careful way.
func (p Profile) Dialect() (d Dialect, ok bool) {
	d, ok = dialects[p.model]
	return d, ok
}
