package profile

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/wasm/live"
)

const (
	wholeMask = "model,generationConfig,systemInstruction,tools,realtimeInputConfig,contextWindowCompression,inputAudioTranscription,outputAudioTranscription,proactivity,avatarConfig,safetySettings,labels"
	children  = "generationConfig.responseModalities,generationConfig.temperature,generationConfig.topP,generationConfig.topK,generationConfig.maxOutputTokens,generationConfig.candidateCount,generationConfig.presencePenalty,generationConfig.frequencyPenalty,generationConfig.seed,generationConfig.mediaResolution,generationConfig.speechConfig,generationConfig.thinkingConfig,generationConfig.enableAffectiveDialog,generationConfig.translationConfig"
)

func TestALock(t *testing.T) {
	for name, c := range map[string]struct {
		spec              Spec
		lock, mask, setup string
		allow             []string
	}{
		"that is masked names all but what pages need": {Spec{}, Masked, wholeMask,
			`{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`, nil},
		"that allows a field leaves it out": {Spec{Allow: []Allowance{{Path: "tools"}}}, Masked, strings.Replace(wholeMask, "tools,", "", 1),
			`{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`, []string{"tools"}},
		"that allows a child names its sisters": {Spec{Allow: []Allowance{{Path: "generationConfig.temperature"}}}, Masked,
			strings.Replace(wholeMask, "generationConfig", strings.Replace(children, "generationConfig.temperature,", "", 1), 1),
			`{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`, []string{"generationConfig.temperature"}},
		"that allows the modality sets none": {Spec{Allow: []Allowance{{Path: "generationConfig.responseModalities"}}}, Masked,
			strings.Replace(wholeMask, "generationConfig", strings.Replace(children, "generationConfig.responseModalities,", "", 1), 1),
			`{"contextWindowCompression":{"slidingWindow":{}},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`, []string{"generationConfig.responseModalities"}},
		"with bounds is whole": {Spec{Allow: []Allowance{{Path: "generationConfig.temperature", Max: new(1.0)}}}, Masked, wholeMask,
			`{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`, nil},
		"that is full has no mask, and resumption": {Spec{Lock: Full}, Full, "",
			`{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{},"sessionResumption":{}}`, nil},
		"that is none has nothing": {Spec{Lock: None}, None, "", `null`, nil},
		"of a list names it in the order of the table": {Spec{Lock: Listed, Locked: []string{"tools", "model", "generationConfig.responseModalities"}}, Masked, "model,generationConfig.responseModalities,tools",
			`{"generationConfig":{"responseModalities":["AUDIO"]},"model":"models/gemini-3.8-live"}`,
			[]string{
				"generationConfig.temperature", "generationConfig.topP", "generationConfig.topK", "generationConfig.maxOutputTokens", "generationConfig.candidateCount", "generationConfig.presencePenalty", "generationConfig.frequencyPenalty", "generationConfig.seed", "generationConfig.mediaResolution", "generationConfig.speechConfig", "generationConfig.thinkingConfig", "generationConfig.enableAffectiveDialog", "generationConfig.translationConfig",
				"systemInstruction", "realtimeInputConfig", "contextWindowCompression", "inputAudioTranscription", "outputAudioTranscription", "proactivity", "avatarConfig", "safetySettings", "labels",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New("p", c.spec)
			if err != nil {
				t.Fatal(err)
			}
			if setup := text(p.Setup(live.Secret{})); p.Lock() != c.lock || p.FieldMask() != c.mask || setup != c.setup || !slices.Equal(p.Allow(), c.allow) {
				t.Errorf("lock %s\nmask %s\nsetup %s\nallow %q", p.Lock(), p.FieldMask(), setup, p.Allow())
			}
		})
	}
}

func TestAHandleIsMintedIntoAFullLockOnly(t *testing.T) {
	handle := live.NewSecret("h1")
	if full, err := New("p", Spec{Lock: Full}); err != nil || !strings.Contains(text(full.Setup(handle)), `"sessionResumption":{"handle":"h1"}`) {
		t.Errorf("%s, %v", text(full.Setup(handle)), err)
	}
	if strings.Contains(text(Default().Setup(handle)), "h1") {
		t.Error("a masked token has a handle inside")
	}
}

func TestAProfileThatFallsBackToAFullLockStillSpeaks(t *testing.T) {
	p, err := New("p", Spec{Allow: []Allowance{{Path: "generationConfig"}}})
	if err != nil {
		t.Fatal(err)
	}
	full := p.AsFull()
	if full.Lock() != Full || full.FieldMask() != "" || full.Allow() != nil || len(full.Modalities()) != 1 || len(p.Modalities()) != 0 {
		t.Errorf("lock %s, setup %s", full.Lock(), text(full.Setup(live.Secret{})))
	}
}

// Whatever is allowed, a path is either in the mask, by itself or with its
// parent, or the report says that the page has it.
func TestEveryPathIsLockedOrReported(t *testing.T) {
	var all []string
	for _, f := range fields {
		all = append(append(all, f.name), childrenOf(f.name)...)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{Lock: rapid.SampledFrom([]string{Masked, Full, Listed}).Draw(t, "lock")}
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 5, rapid.ID[string]).Draw(t, "paths")
		if s.Lock == Listed {
			s.Locked = chosen
		} else if s.Lock == Masked {
			for _, path := range chosen {
				s.Allow = append(s.Allow, Allowance{Path: path})
			}
		}
		p, err := New("p", s)
		if err != nil {
			t.Skip(err)
		}
		reported := map[string]bool{}
		for _, f := range p.Freedoms() {
			reported[f.What] = true
		}
		for _, path := range all {
			parent, _, _ := strings.Cut(path, ".")
			locked := s.Lock == Full || slices.Contains(p.MaskPaths(), path) || slices.Contains(p.MaskPaths(), parent)
			if path == "generationConfig" {
				continue // its children tell
			}
			if said := reported[path] || reported[parent]; locked == said && path != "sessionResumption" {
				t.Fatalf("%s: locked %v, reported %v by %v", path, locked, said, p.Freedoms())
			}
		}
	})
}

func TestWhatACallerChooses(t *testing.T) {
	p, err := New("p", Spec{
		Setup: setup(`{"generationConfig":{"temperature":0.2,"seed":7}}`),
		Allow: []Allowance{
			{Path: "generationConfig.temperature", Min: new(0.1), Max: new(0.9)},
			{Path: "generationConfig.maxOutputTokens", Max: new(2048.0)},
			{Path: "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName", Values: []string{"Kore", "Puck"}},
			{Path: "labels"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	const voice = "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName"
	for name, c := range map[string]struct{ choices, want, wrong string }{
		"within the bounds":      {`{"generationConfig.temperature":0.9,"` + voice + `":"Puck"}`, `{"responseModalities":["AUDIO"],"seed":7,"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Puck"}}},"temperature":0.9}`, ""},
		"nothing":                {`{}`, `{"responseModalities":["AUDIO"],"seed":7,"temperature":0.2}`, ""},
		"a whole number":         {`{"generationConfig.maxOutputTokens":2048}`, `{"maxOutputTokens":2048,"responseModalities":["AUDIO"],"seed":7,"temperature":0.2}`, ""},
		"too much":               {`{"generationConfig.temperature":0.91}`, "", "generationConfig.temperature must be a number from 0.1 to 0.9"},
		"too little":             {`{"generationConfig.temperature":0}`, "", "from 0.1 to 0.9"},
		"half a token":           {`{"generationConfig.maxOutputTokens":1.5}`, "", "a whole number from 0 to 2048"},
		"a number as a text":     {`{"generationConfig.temperature":"0.5"}`, "", "a number from"},
		"another voice":          {`{"` + voice + `":"CANARY"}`, "", "one of Kore, Puck"},
		"a list of voices":       {`{"` + voice + `":["Kore"]}`, "", "one of Kore, Puck"},
		"what the page may have": {`{"labels":{"a":"b"}}`, "", "overrides can name generationConfig.temperature, "},
		"what is locked":         {`{"systemInstruction":{"parts":[{"text":"CANARY"}]}}`, "", "overrides can name"},
		"what is not there":      {`{"CANARY":1}`, "", "overrides can name"},
		"nothing of it":          {`{"generationConfig.temperature":null}`, "", "a number from"},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := p.With(setup(c.choices))
			switch {
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "CANARY")):
				t.Errorf("it says %v", err)
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong == "" && text(chosen.Setup(live.Secret{})["generationConfig"]) != c.want:
				t.Errorf("it becomes %s", text(chosen.Setup(live.Secret{})["generationConfig"]))
			}
		})
	}
	if got := text(p.Setup(live.Secret{})["generationConfig"]); got != `{"responseModalities":["AUDIO"],"seed":7,"temperature":0.2}` {
		t.Errorf("the profile was changed: %s", got)
	}
}

func TestAllMistakesAreTold(t *testing.T) {
	const voice = "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName"
	for name, c := range map[string]struct {
		spec Spec
		want []string // all that is said
	}{
		"of many kinds": {Spec{Model: "x?", Uses: 11, Leash: time21h, Lock: "half", Setup: setup(`{"a":1,"labels":{},"tools":{}}`), Limits: Limits{Concurrent: -1}},
			[]string{"model: ", "uses: ", "leash: ", "lock: write masked", "limits.concurrent: ", "setup.a: ", "setup.tools: "}},
		"in a list": {Spec{Lock: Listed, Locked: []string{"tools", "tools", "tools.0", "sessionResumption", "generationConfig", "generationConfig.topK", "config"}},
			[]string{"lock: tools is there twice", "lock: entry 3: ", "lock: leave sessionResumption out", "lock: generationConfig.topK is locked with generationConfig", "lock: entry 7: "}},
		"in an empty list": {Spec{Lock: Listed}, []string{"lock: list at least one path"}},
		"of a lost list":   {Spec{Locked: []string{"tools"}}, []string{"lock: paths are for"}},
		"in what is allowed": {Spec{Allow: []Allowance{
			{Path: "tool"}, {Path: "model"}, {Path: "historyConfig"}, {Path: "labels"}, {Path: "labels"}, {Path: "tools", Max: new(1.0)},
			{Path: "generationConfig.temperature", Min: new(1.0)}, {Path: "generationConfig.topP", Min: new(0.9), Max: new(0.8)},
			{Path: voice, Max: new(1.0)}, {Path: "generationConfig.topK", Values: []string{"1"}},
		}}, []string{"allow.0: name a field", "allow.1: model", "allow.2: historyConfig is open", "allow.4: labels is allowed twice", "allow.5: bounds are for", "allow.6: write the largest", "allow.7: write the largest", "allow.8: write the words", "allow.9: write the largest"}},
		"in bounds on what the page has": {Spec{Allow: []Allowance{{Path: "generationConfig.speechConfig"}, {Path: voice, Values: []string{"Kore"}}}}, []string{"allow.1: bounds on " + voice + " would have no effect"}},
		"in bounds on what no list has":  {Spec{Lock: Listed, Locked: []string{"tools"}, Allow: []Allowance{{Path: "generationConfig.topP", Max: new(1.0)}}}, []string{"allow.0: bounds on"}},
		"of leaving under a full lock":   {Spec{Lock: Full, Allow: []Allowance{{Path: "tools"}}}, []string{"allow.0: only the lock masked"}},
		"of allowing without a lock":     {Spec{Lock: None, Allow: []Allowance{{Path: "tools"}}}, []string{"allow.0: without a lock"}},
		"of a setup without a lock":      {Spec{Lock: None, Setup: setup(`{"tools":[]}`)}, []string{"setup.tools: this would have no effect"}},
		"of a setup that is allowed":     {Spec{Allow: []Allowance{{Path: "generationConfig.topK"}}, Setup: setup(`{"generationConfig":{"topK":1,"topP":1}}`)}, []string{"setup.generationConfig: this would have no effect"}},
		"of a setup that no list has":    {Spec{Lock: Listed, Locked: []string{"model"}, Setup: setup(`{"systemInstruction":{}}`)}, []string{"setup.systemInstruction: this would have no effect"}},
		"in claims":                      {Spec{Who: map[string][]any{"a": nil, "b": {map[string]any{}}, "c": {"x", 1, true}}}, []string{"who.a: ", "who.b: "}},
		"in limits":                      {Spec{Limits: Limits{PerCaller: limit.Rate{Count: -1, Per: 1}, MinutesPerDay: -1}}, []string{"limits.perCaller: ", "limits.minutesPerDay: "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New("p", c.spec)
			all, _ := err.(Mistakes)
			if len(all) != len(c.want) {
				t.Fatalf("it says\n%v", err)
			}
			for i, m := range all {
				if !strings.HasPrefix(m.Error(), `profile "p": `+c.want[i]) {
					t.Errorf("mistake %d is %v, want %s", i, m, c.want[i])
				}
			}
		})
	}
}

const time21h = 21 * 3600e9

func TestWhoMayUseAProfile(t *testing.T) {
	p, err := New("p", Spec{Who: map[string][]any{"groups": {"voice", "admin"}, "verified": {true}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claims map[string]any
		may    bool
	}{
		"one of the values of each": {map[string]any{"groups": "admin", "verified": true}, true},
		"another value of one":      {map[string]any{"groups": "users", "verified": true}, false},
		"nothing of one":            {map[string]any{"groups": "voice"}, false},
		"nothing":                   {nil, false},
	} {
		holds := func(claim string, value any) bool { return c.claims[claim] == value }
		if p.Allows(holds) != c.may || !Default().Allows(holds) {
			t.Errorf("who has %s may use this profile: %v, and the default: %v", name, p.Allows(holds), Default().Allows(holds))
		}
	}
}

func TestTheBoundAndTheWarnings(t *testing.T) {
	if b := Default().Bound(); b != (Bound{Starts: 30, Leash: defaultLeash, Rate: limit.Rate{Count: 6, Per: 60e9}}) {
		t.Errorf("the default's bound is %+v", b)
	}
	for want, s := range map[int]Spec{
		45: {NewSession: defaultLeash},
		90: {Uses: 3},
		15: {Leash: 10e9, Limits: Limits{Concurrent: 1, PerCaller: limit.Rate{Count: 100, Per: 1e9}}},
		4:  {Uses: 2, Limits: Limits{PerCaller: limit.Rate{Count: 2, Per: 3600e9}}}, // as many as it can ask for
	} {
		if p, err := New("p", s); err != nil || p.Bound().Starts != want {
			t.Errorf("%+v: %v, want %d", p.Bound(), err, want)
		}
	}
	if w := Default().Warnings(600e9); len(w) != 1 || !strings.Contains(w[0], "minutesPerDay") {
		t.Errorf("the default's warnings are %q", w)
	}
	p, err := New("p", Spec{
		Model: "gemini-9", Leash: 300e9, Uses: 2, Limits: Limits{Concurrent: 2, MinutesPerDay: 60},
		Setup: setup(`{"contextWindowCompression":null,"outputAudioTranscription":null}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if b := p.Bound(); b.Starts != 40 || b.Minutes != 60 {
		t.Errorf("the bound is %+v", b)
	}
	warnings := p.Warnings(600e9)
	for i, want := range []string{"leash 5m", "uses 2", "no contextWindowCompression", "no outputAudioTranscription", "does not know the model", "limits.minutesPerDay 60: a page can be loaded 12 times a day, because each token takes the leash, 5m"} {
		if len(warnings) != 6 || !strings.Contains(warnings[i], want) {
			t.Fatalf("the warnings are %q", warnings)
		}
	}
}

func TestABudgetBelowALeashIsNoticed(t *testing.T) {
	p, err := New("p", Spec{Limits: Limits{MinutesPerDay: 11}})
	if err != nil || !strings.Contains(strings.Join(p.Warnings(0), ""), "minutesPerDay 11: nobody gets a token") {
		t.Errorf("%q, %v", p.Warnings(0), err)
	}
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
