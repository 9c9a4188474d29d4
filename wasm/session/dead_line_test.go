//go:build !js

package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/session"
)

// Nobody tells that a line is dead: what is typed is not answered. The service
// holds the old socket for a while and refuses to resume meanwhile.
func TestADeadLineIsReplacedAndTheQuestionAnswered(t *testing.T) {
	for _, fault := range []string{
		`{"kind":"stall"}`,
		`{"kind":"half-open","holds":"5s"}`,
		`{"kind":"half-open","holds":"20s"}`,
		`{"kind":"half-open","holds":"55s"}`,
	} {
		t.Run(fault, func(t *testing.T) {
			conversation{emulator: &emulator.Server{}}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				time.Sleep(5 * time.Second)
				k.fault(fault)
				if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
					t.Errorf("the model says %q", words)
				}
				time.Sleep(10 * time.Second)
				k.mu.Lock()
				defer k.mu.Unlock()
				if len(k.resumed) != 1 || k.resumed[0].Rung != session.RungHandle || k.resumed[0].Replayed != 1 {
					t.Errorf("resumed %+v, want once, by the handle, with the question", k.resumed)
				}
				if len(k.turns) > 0 {
					t.Errorf("the question was answered again: %q", <-k.turns)
				}
			})
		})
	}
}
