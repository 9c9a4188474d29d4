//go:build !js

package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// The service forgets a session, and is told again what was said in it, once.
func TestANewSessionIsToldWhatWasSaidInTheLostOne(t *testing.T) {
	for name, c := range map[string]struct {
		seed  string
		facts []string
	}{
		"as its history": {"clientContent", []string{"name is Ada", "tea", "milk"}},
		"in one turn":    {"", []string{"name is Ada", "milk"}}, // of which the emulator's model takes in one thing
	} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: &emulator.Server{}, can: live.Capabilities{Seed: c.seed}}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				k.say("remember tea")
				time.Sleep(time.Minute)
				k.fault(`{"kind":"forget-handle"}`)
				k.fault(`{"kind":"drop"}`)
				k.send("remember milk") // into the cut
				time.Sleep(time.Minute)
				for len(k.turns) > 0 {
					<-k.turns
				}
				known := k.say("what do you remember?")
				for _, fact := range c.facts {
					if n := strings.Count(known, fact); n != 1 {
						t.Errorf("it knows %q %d times: %s", fact, n, known)
					}
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				last := k.resumed[len(k.resumed)-1]
				if last.Rung != session.RungRestart || last.Restored != session.RestoredTranscript {
					t.Errorf("the receipt says %+v", last)
				}
			})
		})
	}
}

func TestANewSessionIsToldNothingIfNothingWasSaid(t *testing.T) {
	for name, seed := range map[string]string{"as its history": "clientContent", "in one turn": ""} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: &emulator.Server{}, can: live.Capabilities{Seed: seed}}.hold(t, func(k *talk) {
				time.Sleep(time.Minute)
				k.fault(`{"kind":"drop"}`)
				time.Sleep(time.Minute)
				if said := k.say("my name is Ada"); !strings.Contains(said, "Ada") {
					t.Errorf("the model says %q", said)
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				if last := k.resumed[len(k.resumed)-1]; last.Restored != session.RestoredNone {
					t.Errorf("the receipt says %+v", last)
				}
			})
		})
	}
}
