//go:build !js

package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/session"
)

// clock is a function that the model waits for.
var clock = []any{map[string]any{"functionDeclarations": []any{map[string]any{"name": "clock", "behavior": "BLOCKING"}}}}

// respond answers a call of the clock.
func (k *talk) respond(id, output string, rerun bool) {
	k.t.Helper()
	in, err := edge.NewInput(map[string]any{"toolResponse": map[string]any{"functionResponses": []any{
		map[string]any{"id": id, "name": "clock", "response": map[string]any{"output": output}},
	}}})
	if err != nil {
		k.t.Fatal(err)
	}
	in.Rerun = rerun
	if err := k.session.Send(in, func(error) {}); err != nil {
		k.t.Fatal(err)
	}
}

// The line is cut in the middle of a call. The model calls again, and what it then
// says must be what the application answered, as often as it wants to be asked.
func TestACutInACallIsNotNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		before bool // the cut comes before the first answer
		rerun  bool
		calls  int // that the application sees
	}{
		"after the answer":                         {calls: 1},
		"after the answer, which is for one call":  {rerun: true, calls: 2},
		"before the answer":                        {before: true, calls: 1},
		"before the answer, which is for one call": {before: true, rerun: true, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: &emulator.Server{}, tools: clock}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				k.send("call clock")
				cut := func() { k.fault(`{"kind":"drop"}`) }
				seen, timeout := 0, time.After(time.Minute)
				for words := ""; !strings.Contains(words, fmt.Sprint("clock says answer ", c.calls)); {
					select {
					case id := <-k.calls:
						seen++
						answer := fmt.Sprint("answer ", seen)
						if seen == 1 && c.before {
							cut()
							time.Sleep(5 * time.Second) // the call is made again meanwhile
						}
						k.respond(id, answer, c.rerun)
						if seen == 1 && !c.before {
							time.Sleep(100 * time.Millisecond)
							cut()
						}
					case words = <-k.turns:
					case <-timeout:
						t.Fatalf("the model does not say answer %d", c.calls)
					}
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				if seen != c.calls || len(k.resumed) != 1 {
					t.Errorf("%d calls were seen and %d cuts, want %d and one", seen, len(k.resumed), c.calls)
				}
				if len(k.ends) != c.calls {
					t.Errorf("the calls end as %v", k.ends)
				}
				for _, end := range k.ends {
					if end.State != session.CallAnswered {
						t.Errorf("a call ends as %v", end)
					}
				}
			})
		})
	}
}
