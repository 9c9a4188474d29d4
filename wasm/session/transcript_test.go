package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// A script for a transcript, a word each 100 ms. Its fragments are single letters.
//
//	a…z     the user is heard      A…Z    the model is heard
//	~A      the model is heard, as the service transcribes it beside its turns
//	"A      the model writes       'a     the application types, "'A" in the model's name
//	speaks  the service notices that the user begins to speak
//	stop    the turn is interrupted       over   the turn is over       h   a handle
//	cut     the connection ends, the next is told again what no handle holds
//	clean   the connection ends, and nothing is told again
//	new     the connection ends, the next begins anew
//	later   eleven seconds pass           close  the conversation ends
//
// What is told is the id and the text, a dot when it is final, and what else is
// known of it.
func TestEachTurnOfASpeakerIsOneUtterance(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"a turn of each":                          {"a b A B over", "1 a, 1 ab, 2 A, 2 AB, 1 ab., 2 AB."},
		"two turns of each":                       {"a A over h b B over", "1 a, 2 A, 1 a., 2 A., 3 b, 4 B, 3 b., 4 B."},
		"words that come late":                    {"a A b B c over", "1 a, 2 A, 1 ab, 2 AB, 1 abc, 1 abc., 2 AB."},
		"all words come late":                     {"A a over", "1 A, 2 a, 2 a., 1 A."},
		"the model writes":                        {`a "A "B over`, "1 a, 2 A, 2 AB, 1 a., 2 AB."},
		"what is written beside speech":           {`A "X B over "Y over`, "1 A, 1 AB, 1 AB."},
		"typed":                                   {"'a A over 'b B over", "1 a. typed, 2 A, 2 A., 3 b. typed, 4 B, 4 B."},
		"typed in both names":                     {"'a 'A 'b", "1 a. typed, 2 A. typed, 3 b. typed"},
		"typed into speech":                       {"a 'x b A over", "1 a, 2 x. typed, 1 ab, 3 A, 1 ab., 3 A."},
		"typed into the answer":                   {"a A 'x stop over B over", "1 a, 2 A, 3 x. typed, 1 a., 2 A. interrupted, 4 B, 4 B."},
		"barge-in":                                {"a A stop over b B over", "1 a, 2 A, 1 a., 2 A. interrupted, 3 b, 4 B, 3 b., 4 B."},
		"barge-in that is heard before the stop":  {"'x A b stop over c B over", "1 x. typed, 2 A, 3 b, 2 A. interrupted, 3 bc, 4 B, 3 bc., 4 B."},
		"barge-in that the service notices":       {"a A speaks b stop over c B over", "1 a, 2 A, 1 a., 3 b, 2 A. interrupted, 3 bc, 4 B, 3 bc., 4 B."},
		"barge-in that stops nothing":             {"a A speaks b over c B over", "1 a, 2 A, 1 a., 3 b, 2 A., 3 bc, 4 B, 3 bc., 4 B."},
		"a noise in the answer":                   {"a A speaks over b B over", "1 a, 2 A, 1 a., 2 A., 3 b, 4 B, 3 b., 4 B."},
		"barge-in whose answer is stopped":        {"'x A b stop over B 'y stop over", "1 x. typed, 2 A, 3 b, 2 A. interrupted, 4 B, 5 y. typed, 3 b., 4 B. interrupted"},
		"words that trail their turn":             {"'a A over ~B 'b C over", "1 a. typed, 2 A, 2 A., 3 B, 4 b. typed, 3 B., 5 C, 5 C."},
		"words that trail and a transcript alone": {"'a A over ~B later ~C over", "1 a. typed, 2 A, 2 A., 3 B, 3 B., 4 C, 4 C."},
		"words ahead of their turn":               {"'a A over h later 'b ~B C over", "1 a. typed, 2 A, 2 A., 3 b. typed, 4 B, 4 BC, 4 BC."},
		"words that trail, then a cut":            {"'a A over ~B cut C over", "1 a. typed, 2 A, 2 A., 3 B, 3 B., 4 C again 2, 4 C. again 2"},
		"pauses in speech":                        {"speaks a speaks b A over", "1 a, 1 ab, 2 A, 1 ab., 2 A."},
		"an answer without words":                 {"a over", "1 a, 1 a."},
		"nobody answers for long":                 {"a later b A over", "1 a, 1 a., 2 b, 3 A, 2 b., 3 A."},

		"a rotation":                       {"a A over h cut b B over", "1 a, 2 A, 1 a., 2 A., 3 b, 4 B, 3 b., 4 B."},
		"a rotation in speech":             {"a b cut a b c A over", "1 a, 1 ab, 1 a, 1 ab, 1 abc, 2 A, 1 abc., 2 A."},
		"two rotations in speech":          {"a cut cut a A over", "1 a, 1 a, 2 A, 1 a., 2 A."},
		"a long gap in speech":             {"a cut later a A over", "1 a, 1 a, 2 A, 1 a., 2 A."},
		"speech of which no sound is left": {"a later cut b A over", "1 a, 1 a., 2 b, 3 A, 2 b., 3 A."},
		"speech that is not sent again":    {"a clean b A over", "1 a, 1 ab, 2 A, 1 ab., 2 A."},
		"typed, then a cut":                {"'a cut A over", "1 a. typed, 2 A, 2 A."},
		"a cut in the answer":              {"'a A cut A B over h", "1 a. typed, 2 A, 2 A. cut, 3 A again 2, 3 AB again 2, 3 AB. again 2"},
		"a cut in the answer to speech":    {"a b A cut a b A over", "1 a, 1 ab, 2 A, 2 A. cut, 1 a, 1 ab, 3 A again 2, 1 ab., 3 A. again 2"},
		"two cuts in the answer":           {"'a A cut B cut C over", "1 a. typed, 2 A, 2 A. cut, 3 B again 2, 3 B. cut again 2, 4 C again 3, 4 C. again 3"},
		"a cut in the answer, then a dial": {"'a A cut cut B over", "1 a. typed, 2 A, 2 A. cut, 3 B again 2, 3 B. again 2"},
		"a cut in an answer to nothing":    {"A clean B over", "1 A, 1 A. cut, 2 B, 2 B."},
		"a new session answers again":      {"'a A new B over", "1 a. typed, 2 A, 2 A. cut, 3 B again 2, 3 B. again 2"},
		"the next answer is none again":    {"'a A cut B over h 'b C over", "1 a. typed, 2 A, 2 A. cut, 3 B again 2, 3 B. again 2, 4 b. typed, 5 C, 5 C."},
		"one without words neither":        {"'a A cut over 'b C over", "1 a. typed, 2 A, 2 A. cut, 3 b. typed, 4 C, 4 C."},

		"a cut before the handle":                        {"a A over cut a A over h", "1 a, 2 A, 1 a., 2 A., 3 a again 1, 4 A again 2, 3 a. again 1, 4 A. again 2"},
		"two cuts before the handle":                     {"a A over cut a cut a A over", "1 a, 2 A, 1 a., 2 A., 3 a again 1, 3 a. cut again 1, 4 a again 3, 5 A again 2, 4 a. again 3, 5 A. again 2"},
		"speech after what was typed, before the handle": {"a A over 'x B over b cut a A over B over b C over", "1 a, 2 A, 1 a., 2 A., 3 x. typed, 4 B, 4 B., 5 b, 5 b. cut, 6 a again 1, 7 A again 2, 6 a. again 1, 7 A. again 2, 8 B again 4, 8 B. again 4, 9 b again 5, 10 C, 9 b. again 5, 10 C."},
		"a new session, before the handle":               {"a A over new b B over", "1 a, 2 A, 1 a., 2 A., 3 b, 4 B, 3 b., 4 B."},
		"two turns before the handle":                    {"'a A over 'b B over cut C over D over", "1 a. typed, 2 A, 2 A., 3 b. typed, 4 B, 4 B., 5 C again 2, 5 C. again 2, 6 D again 4, 6 D. again 4"},
		"a cut after the next was begun":                 {"a A over b cut a A over b B over", "1 a, 2 A, 1 a., 2 A., 3 b, 3 b. cut, 4 a again 1, 5 A again 2, 4 a. again 1, 5 A. again 2, 6 b again 3, 7 B, 6 b. again 3, 7 B."},

		"a cut in what stops the answer":              {"'x A b stop cut A over c B over", "1 x. typed, 2 A, 3 b, 2 A. cut interrupted, 4 A again 2, 4 A. again 2, 3 c, 5 B, 3 c., 5 B."},
		"late words, a cut, a stop":                   {"A a cut a B stop over c C over", "1 A, 2 a, 1 A. cut, 2 a, 3 B again 1, 2 a., 3 B. interrupted again 1, 4 c, 5 C, 4 c., 5 C."},
		"a new session after a cut before the handle": {"'a A over cut new B over", "1 a. typed, 2 A, 2 A., 3 B again 2, 3 B. again 2"},
		"a cut after the service noticed a barge-in":  {"a A speaks b cut a A over b B over", "1 a, 2 A, 1 a., 3 b, 2 A. cut, 3 b. cut, 4 a again 1, 5 A again 2, 4 a. again 1, 5 A. again 2, 6 b again 3, 7 B, 6 b. again 3, 7 B."},
		"the same, before the handle":                 {"a A speaks over cut a A over", "1 a, 2 A, 1 a., 2 A., 3 a again 1, 4 A again 2, 3 a. again 1, 4 A. again 2"},

		"the end":                {"a close", "1 a, 1 a."},
		"the end in the answer":  {"a A close", "1 a, 2 A, 1 a., 2 A. cut"},
		"the end after the turn": {"a A over close", "1 a, 2 A, 1 a., 2 A."},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := write(t, c.script); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.script, got, c.want)
			}
		})
	}
}

// write runs a script and tells what was told.
func write(t *testing.T, script string) (told string, tr *transcript) {
	var events []string
	final := map[string]bool{}
	tr = &transcript{tell: func(u Utterance) {
		event := shown(u)
		if final[u.ID] {
			t.Errorf("%s is told after it was final", event)
		}
		final[u.ID] = u.Final
		if upper := u.Text == strings.ToUpper(u.Text); upper != (u.Who == SpeakerModel) {
			t.Errorf("%s is said by the %s", event, u.Who)
		}
		events = append(events, event)
	}}
	now := time.Unix(1000, 0)
	for word := range strings.FieldsSeq(script) {
		now = now.Add(100 * time.Millisecond)
		var m live.Message
		switch word {
		case "speaks":
			m.UserSpeaks = true
		case "stop":
			m.Interrupted = true
		case "over":
			m.TurnComplete = true
		case "h":
			m.Handle = live.NewSecret("h")
		case "cut", "clean", "new":
			tr.cut(now)
			tr.resumed(word != "clean", word == "new")
		case "later":
			now = now.Add(11 * time.Second)
		case "close":
			tr.close()
		default:
			letter := word[len(word)-1:]
			model := letter == strings.ToUpper(letter)
			switch {
			case word[0] == '\'':
				tr.typed([]live.Line{{}, {Model: model, Text: letter}})
			case word[0] == '"':
				m.Content, m.Written = true, letter
			case word[0] == '~':
				m.Said = letter
			case model:
				m.Content, m.Said = true, letter
			default:
				m.Heard = letter
			}
		}
		tr.received(m, now)
	}
	return strings.Join(events, ", "), tr
}

// shown is what is known of an utterance.
func shown(u Utterance) string {
	text := u.ID + " " + u.Text
	for _, more := range []struct {
		is   bool
		word string
	}{{u.Final, "."}, {u.Typed, " typed"}, {u.Cut, " cut"}, {u.Interrupted, " interrupted"}, {u.Regenerates != "", " again " + u.Regenerates}} {
		if more.is {
			text += more.word
		}
	}
	return text
}

func TestOneMessageMayCarryBothSidesAndTheEnd(t *testing.T) {
	var told []string
	tr := transcript{tell: func(u Utterance) { told = append(told, fmt.Sprint(u.ID, u.Text, u.Final)) }}
	tr.received(live.Message{Content: true, Heard: "a", Said: "A", TurnComplete: true}, time.Now())
	if got, want := strings.Join(told, " "), "1afalse 2Afalse 1atrue 2Atrue"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

func TestHistoryIsWhatANewSessionMustKnow(t *testing.T) {
	for name, c := range map[string]struct {
		script     string
		unanswered int
		want       string
	}{
		"all of it":                       {"a A over 'b B over", 0, "a A b B"},
		"not what grows":                  {"a A over h b B", 0, "a A"},
		"not an answer that was cut":      {"'a A cut B over", 0, "a B"},
		"nor one that is not given again": {"A clean 'b B over", 0, "b B"},
		"what was interrupted":            {"'a A 'b stop over B over", 0, "a b A B"},
		"once what was said again":        {"a A over cut a B over", 0, "a B"},
		"not what is typed again":         {"'a A over 'b 'c", 2, "a A"},
		"typed again after speech":        {"'a A over 'b c C over", 1, "a A c C"},
	} {
		t.Run(name, func(t *testing.T) {
			_, tr := write(t, c.script)
			var got []string
			for _, line := range tr.history(c.unanswered) {
				if line.Model != (line.Text == strings.ToUpper(line.Text)) {
					t.Errorf("%q is said by the wrong side", line.Text)
				}
				got = append(got, line.Text)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: history %v, want %s", c.script, got, c.want)
			}
		})
	}
}

func TestATranscriptIsBounded(t *testing.T) {
	longest := 0
	tr := transcript{tell: func(u Utterance) { longest = max(longest, len(u.Text)) }}
	now := time.Now()
	for range 1000 { // no turn ends, no handle comes
		tr.received(live.Message{Content: true, Said: strings.Repeat("A", 1<<10), Heard: strings.Repeat("a", 1<<10)}, now)
	}
	if longest > maxUtterance+2<<10 {
		t.Errorf("an utterance grew to %d bytes", longest)
	}
	tr.typed([]live.Line{{Text: strings.Repeat("ä", 1<<20)}})
	if got := tr.history(0); len(got) != 1 || len(got[0].Text) > maxPast || strings.Trim(got[0].Text, "ä") != "" {
		t.Errorf("of a long text %d lines are kept", len(got))
	}
	for i := range 10_000 {
		tr.typed([]live.Line{{Text: fmt.Sprint(i)}})
		tr.received(live.Message{TurnComplete: true}, now)
	}
	lines := tr.history(0)
	if len(lines) != maxPastLines || lines[len(lines)-1].Text != "9999" {
		t.Errorf("%d lines are kept, want the newest %d", len(lines), maxPastLines)
	}
	for range 1000 {
		tr.cut(now)
		tr.resumed(true, false)
		tr.received(live.Message{Content: true, Said: "A", Heard: "a", TurnComplete: true}, now)
		tr.received(live.Message{Content: true, Said: "A", Heard: "a"}, now)
	}
	if len(tr.redone) > maxUnkept+1 {
		t.Errorf("%d exchanges are to come again", len(tr.redone))
	}
	if len(tr.unkept) > maxUnkept || slices.ContainsFunc(tr.unkept, func(e exchange) bool { return !e.over }) {
		t.Errorf("%d exchanges are kept", len(tr.unkept))
	}
}
