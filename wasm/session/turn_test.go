package session

import (
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// What interrupts an answer may come before the answer's first word.
func TestATurnIsInterrupted(t *testing.T) {
	interrupted, complete, word := live.Message{Interrupted: true}, live.Message{TurnComplete: true}, live.Message{Content: true}
	for name, c := range map[string]struct {
		messages []live.Message
		want     []bool
	}{
		"not at all":                     {[]live.Message{word, complete}, []bool{false}},
		"in its midst":                   {[]live.Message{word, interrupted, complete}, []bool{true}},
		"before its first word":          {[]live.Message{interrupted, complete}, []bool{true}},
		"in one message with its end":    {[]live.Message{{Interrupted: true, TurnComplete: true}}, []bool{true}},
		"but not the one after it":       {[]live.Message{interrupted, complete, complete, word, complete}, []bool{true, false, false}},
		"not by what nobody interrupted": {[]live.Message{interrupted, word, complete}, []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			var tu turn
			var got []bool
			for _, m := range c.messages {
				if over, ok := tu.received(m, time.Now()); ok {
					got = append(got, over.interrupted)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d turns, want %d", len(got), len(c.want))
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("turn %d: interrupted is %v", i+1, got[i])
				}
			}
		})
	}
}
