package conformance

import (
	"maps"
	"slices"
)

// Question is something that nobody knows of the service. The emulator has to
// behave somehow: Default is what it does, and a switch changes it.
type Question struct {
	ID      string // U1 to U17
	Text    string
	Default string
	Facts   []int // whose checks can tell
}

// Questions lists all, in order.
func Questions() []Question {
	return []Question{
		{"U1", "does newSessionExpireTime gate resuming with an unlocked handle?", "no", []int{46}},
		{"U2", "what becomes of the client's handle under a full lock?", "ignored", []int{37}},
		{"U3", "which mask paths are accepted?", "standard FieldMask rules", []int{11}},
		{"U4", "does a bare parent in a mask lock all its children?", "yes, replaces the subtree", []int{38}},
		{"U5", "what closes a socket with an unknown token?", `1011 "Token not found"`, []int{24}},
		{"U6", "when is the credential checked?", "on setup", []int{24}},
		{"U7", "when is a use consumed?", "on accepted setup", []int{49}},
		{"U8", "does the answer to a mint echo other fields?", "no", []int{1}},
		{"U9", "do resumption updates come without being asked for, and how often?", "no; after each turn", []int{65}},
		{"U10", "how long before the end does goAway come, and how does it end?", `50s; close 1011 "Deadline expired before operation could complete."`, []int{74}},
		{"U11", "an API key on the constrained method?", "refused 1008", []int{23}},
		{"U12", "contextUpdate of a locked field?", "refused 1007", []int{38}},
		{"U13", "the modality where none is asked for?", "AUDIO on audio-only models", []int{34}},
		{"U14", "how long does a handle live?", "2 h", []int{69}},
		{"U15", "times in the past at the mint?", "400", []int{6}},
		{"U16", "can historyConfig be locked?", "yes", []int{36}},
		{"U17", "which handles are invalid, which not found?", "uuid form: not found; else invalid", []int{70}},
	}
}

// Answer is what the checks learned about a question.
type Answer struct {
	Question
	Answer string // "": the checks could not tell
}

// Differs reports whether the emulator's switch must be moved to agree.
func (a Answer) Differs() bool { return a.Answer != "" && a.Answer != a.Default }

// Answers puts together what the checks learned about each question.
func Answers(results []Result) []Answer {
	learned := map[string]string{}
	for _, r := range results {
		maps.Copy(learned, r.Answers)
	}
	var out []Answer
	for _, q := range Questions() {
		out = append(out, Answer{q, learned[q.ID]})
	}
	return slices.Clip(out)
}
