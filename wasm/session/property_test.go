//go:build !js

package session_test

import (
	"flag"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// Whatever happens, the model is told everything once; messages are under way for
// up to 300 ms each way. Where handles come after turns nothing that was typed is
// told twice; where they come at any time, news of turns gets lost, or speech or a
// function's result may be what a turn answers, no more than resumed called
// uncertain. On a slow line, too, or one that stands still, nothing is lost. What
// else must hold, and always, is in world and verdict.
func TestNothingIsLostAndNothingDoubled(t *testing.T) {
	if os.Getenv("LONG_TESTS") == "" {
		for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": "30"} { // the same conversations each time; a soak looks for others
			if f := flag.Lookup(name); f.Value.String() == f.DefValue {
				if err := flag.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, every := range map[string]time.Duration{"handles after turns": 0, "handles every 1.2s": 1200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) { converse(t, r, every) })
		})
	}
}

func longest() int {
	if os.Getenv("LONG_TESTS") != "" {
		return 40
	}
	return 12
}

// converse draws a conversation, and judges it. updates is how often handles come
// between turns.
func converse(t *testing.T, r *rapid.T, updates time.Duration) {
	manual := rapid.Bool().Draw(r, "the application marks speech")
	calm := rapid.Bool().Draw(r, "nobody is in a hurry")
	seed := rapid.SampledFrom([]string{"", "clientContent"}).Draw(r, "how a model is told the past")
	play := scripts(longest(), manual, calm).Draw(r, "script")
	random := rapid.Uint64().Draw(r, "seed of the lags")

	w := &world{service: &emulator.Server{Switches: emulator.Switches{UpdateEvery: updates}}, calls: map[string]session.CallState{}}
	var lines atomic.Uint64
	c := conversation{
		emulator: w.service, can: live.Capabilities{Seed: seed, Turns: "anytime"}, setup: w.setup(manual), manual: manual,
		wall: func() time.Time { return time.Now().Round(0).Add(time.Duration(w.slept.Load())) }, // the service's may go ahead alone
		open: w.open, hears: w.event, wrong: w.fail,
		lag: func(conn net.Conn) net.Conn {
			lags := rand.New(rand.NewPCG(random, lines.Add(1)))
			return lag(conn, func() time.Duration { return time.Duration(lags.Int64N(int64(300 * time.Millisecond))) })
		},
	}
	w.vague, w.calm = updates > 0, calm
	c.hold(t, func(k *talk) {
		w.mu.Lock() // the session runs already
		w.talk, w.began, w.mouth = k, time.Now(), make(chan struct{}, 1)
		w.mu.Unlock()
		w.types("remember %s.", w.fact())
		time.Sleep(5 * time.Second)
		for _, one := range play {
			one.do(w)
			time.Sleep(one.pause)
			w.look()
		}
		w.work.Wait()
		time.Sleep(2 * time.Minute) // until all of it is over
		w.work.Wait()
		for len(k.turns) > 0 {
			<-k.turns
		}
		w.types("are you there?")
		select {
		case <-k.turns:
		case <-time.After(2 * time.Minute):
			w.fail("nobody answers any more")
		}
		w.look()
		w.listens()
	})
	w.verdict()
	for _, wrong := range w.wrong {
		r.Errorf("%s", wrong)
	}
	if r.Failed() {
		r.Logf("what happened:\n%s", strings.Join(w.story, "\n"))
	}
}

// setup declares what the application has.
func (w *world) setup(manual bool) map[string]any {
	return map[string]any{
		"inputAudioTranscription": map[string]any{}, "outputAudioTranscription": map[string]any{},
		"realtimeInputConfig": map[string]any{"automaticActivityDetection": map[string]any{"disabled": manual}},
		"tools": []any{map[string]any{"functionDeclarations": []any{
			map[string]any{"name": "get_time", "behavior": "NON_BLOCKING"},
			map[string]any{"name": "get_weather", "behavior": "BLOCKING"},
		}}},
	}
}
