package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// A script for silence. A number is seconds that pass; what the model does is
//
//	A    a question       *  the user is heard for 0.5 s      -  for 0.1 s      @  the answer to a call
//	say  the model speaks       think  it thinks       call  it calls a function
//	wait it says that it waits for more       stop  it is interrupted       over  its turn is over
//	hear  the service hears the user           cut  the connection ends
//
// What is told comes with the time since the begin.
func TestTheModelOwesAnAnswer(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"nobody asked":                            {"60", ""},
		"an answer":                               {"A 7 say 20 over 60", ""},
		"no answer":                               {"A 60", "stalled after 8s at 8s"},
		"a late answer":                           {"A 10 say over", "stalled after 8s at 8s, goes on after 10s at 10s"},
		"two questions":                           {"A 5 A 60", "stalled after 8s at 8s"},
		"the next wait":                           {"A 10 say over A 10", "stalled after 8s at 8s, goes on after 10s at 10s, stalled after 8s at 18s"},
		"no answer to speech":                     {"* * 60", "stalled after 8s at 9s"},
		"speech that goes on":                     {"* 7 * 7 * 7 say over", ""},
		"an answer to speech":                     {"* 7 say over 60", ""},
		"a noise is no speech":                    {"- - 60", ""},
		"unless the service hears words":          {"- hear 60", "stalled after 8s at 8.1s"},
		"speech into an answer that goes on":      {"A say * 20 over 60", ""},
		"speech that interrupts":                  {"A say * stop over 60", "stalled after 8s at 8.5s"},
		"an answer to speech that is interrupted": {"* say stop over 60", ""},
		"a question into an answer":               {"A say A 20 over 60", "stalled after 8s at 28s"},
		"a question that interrupts":              {"A say 3 A stop over 3 say over 60", ""},
		"a turn that was interrupted when over":   {"A say over stop 5 A say * over 60", ""},
		"a call that is not answered":             {"A call 60", ""},
		"a call that is answered":                 {"A call 10 @ 3 say over 60", ""},
		"nothing after the answer to a call":      {"A call 10 @ 60", "stalled after 8s at 18s"},
		"an answer to a call when nobody waits":   {"A call over @ 60", ""},
		"a question while a call is not answered": {"A call over 3 A 10 @ 60", "stalled after 8s at 21s"},
		"the model wants more":                    {"* 1 wait 60", ""},
		"thoughts are a sign of life":             {"A 7 think 7 say over 60", ""},
		"a cut begins the wait again":             {"A 7 cut A 7 say over", ""},
		"a cut does not tell again":               {"A 9 cut A 9 say over", "stalled after 8s at 8s, goes on after 18s at 18s"},

		"an empty turn":                        {"A 1 over 60", "empty turn at 1s"},
		"an empty turn after a long wait":      {"A 9 over", "stalled after 8s at 8s, goes on after 9s at 9s, empty turn at 9s"},
		"a turn of thoughts":                   {"A think over", "empty turn at 0s"},
		"a turn of calls":                      {"A call @ over", ""},
		"a turn that is interrupted at once":   {"A stop over say over", ""},
		"a turn in which the model wants more": {"A wait over", ""},
		"two empty turns":                      {"over say over over", "empty turn at 0s, empty turn at 0s"},
		"an empty turn after a cut":            {"say cut over", "empty turn at 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := listen(c.script); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.script, got, c.want)
			}
		})
	}
}

// listen runs a script and tells what was told.
func listen(script string) string {
	var told []string
	began := time.Unix(1000, 0)
	now, owed := began, false
	s := silence{tell: func(e Event) {
		switch e := e.(type) {
		case Stalled:
			what := "stalled"
			if e.Ended {
				what = "goes on"
			}
			told = append(told, fmt.Sprintf("%s after %v at %v", what, e.For, now.Sub(began)))
		case EmptyTurn:
			told = append(told, fmt.Sprintf("empty turn at %v", now.Sub(began)))
		}
	}}
	pass := func(d time.Duration) {
		for end := now.Add(d); ; {
			_, again := s.watch(owed, now)
			if again.IsZero() || again.After(end) {
				now = end
				return
			}
			now = again
		}
	}
	for word := range strings.FieldsSeq(script) {
		var m live.Message
		switch word {
		case "A":
			s.sent(live.Input{Asks: true}, false, now)
		case "*", "-":
			length := map[string]time.Duration{"*": 500 * time.Millisecond, "-": 100 * time.Millisecond}[word]
			pass(length)
			s.sent(live.Input{Stream: true, Audio: length}, false, now)
		case "@":
			owed = false
			s.sent(live.Input{Answers: []live.Answer{{}}}, false, now)
		case "say":
			m.Content, m.Output = true, true
		case "think":
			m.Content = true
		case "call":
			owed, m.Calls = true, []live.Call{{}}
		case "wait":
			m.Waits = true
		case "stop":
			m.Interrupted = true
		case "over":
			m.TurnComplete = true
		case "hear":
			m.Heard = "words"
		case "cut":
			s.cut()
		default:
			var seconds int
			if _, err := fmt.Sscan(word, &seconds); err != nil {
				panic(word)
			}
			pass(time.Duration(seconds) * time.Second)
		}
		s.received(m, false, now)
	}
	pass(0)
	return strings.Join(told, ", ")
}

func TestSpeechThatTheApplicationMarksAsksNothingByItself(t *testing.T) {
	now := time.Unix(1000, 0)
	s := silence{tell: func(e Event) { t.Errorf("told %v", e) }}
	s.sent(live.Input{Stream: true, Audio: 5 * time.Second}, true, now)
	s.received(live.Message{Heard: "words"}, true, now)
	s.watch(false, now.Add(time.Minute))
}

// A script for a session's cap: numbers are minutes that pass, * is sound, # a
// picture.
func TestTheEndOfASessionWithoutCompressionIsForeseen(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"nothing is streamed":              {"60", ""},
		"sound":                            {"* 60", "1m0s left at 14m0s"},
		"sound later":                      {"10 * 60", "1m0s left at 24m0s"},
		"pictures":                         {"* # 60", "1m0s left at 1m0s"},
		"pictures later":                   {"* 1 # 60", "1m0s left at 1m0s"},
		"pictures too late":                {"* 10 # 60", "0s left at 10m0s"},
		"pictures after the warning":       {"* 14 # 60", "1m0s left at 14m0s, 0s left at 14m0s"},
		"a gap does not count":             {"* 10 cut 5 * 60", "1m0s left at 19m0s"},
		"nothing streamed after a gap":     {"* 10 cut 60", ""},
		"a gap after the warning is quiet": {"* 14 cut * 60", "1m0s left at 14m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			var s sessionCap
			began := time.Unix(1000, 0)
			now := began
			look := func() {
				if left, due, _ := s.watch(now); due {
					told = append(told, fmt.Sprintf("%v left at %v", left, now.Sub(began)))
				}
			}
			for word := range strings.FieldsSeq(c.script) {
				switch word {
				case "*":
					s.sent(live.Input{Stream: true, Audio: time.Second}, now)
				case "#":
					s.sent(live.Input{Stream: true}, now)
				case "cut":
					s.cut(now)
				default:
					var minutes int
					if _, err := fmt.Sscan(word, &minutes); err != nil {
						t.Fatal(err)
					}
					for range minutes {
						look()
						now = now.Add(time.Minute)
					}
				}
				look()
			}
			if got := strings.Join(told, ", "); got != c.want {
				t.Errorf("%s: told %q, want %q", c.script, got, c.want)
			}
		})
	}
}
