//go:build !js

package session_test

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// withoutHandles locks resumption away, so that the service gives no handle.
func withoutHandles(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/auth_tokens") {
			body, _ := io.ReadAll(r.Body)
			body = bytes.Replace(body, []byte(`"model,generationConfig"`), []byte(`"model,generationConfig,sessionResumption"`), 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		next.ServeHTTP(w, r)
	})
}

// After a cut the model knows what it was told, and is told it again only if the
// service has forgotten it: then once.
func TestAfterACutTheModelIsToldOnlyWhatItForgot(t *testing.T) {
	for name, c := range map[string]struct {
		front  func(http.Handler) http.Handler
		faults []string
		told   [][]string // on the connections after the first
		rung   session.Rung
		memory session.Restored
	}{
		"before any handle came": {
			front: withoutHandles, faults: []string{`{"kind":"drop"}`},
			told: [][]string{{"setup", "clientContent"}}, rung: session.RungRestart, memory: session.RestoredTranscript,
		},
		"with a handle": {
			faults: []string{`{"kind":"drop"}`},
			told:   [][]string{{"resume"}}, rung: session.RungHandle, memory: session.RestoredFull,
		},
		"with a handle that is refused": {
			faults: []string{`{"kind":"forget-handle"}`, `{"kind":"drop"}`},
			told:   [][]string{{"resume"}, {"setup", "clientContent"}}, rung: session.RungRestart, memory: session.RestoredTranscript,
		},
	} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: &emulator.Server{}, front: c.front, can: live.Capabilities{Seed: "clientContent"}}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				k.say("remember tea")
				time.Sleep(time.Second)
				for _, fault := range c.faults {
					k.fault(fault)
				}
				time.Sleep(10 * time.Second)
				if got := k.heard()[1:]; !reflect.DeepEqual(got, c.told) {
					t.Errorf("the service was told %v, want %v", got, c.told)
				}
				if len(k.turns) > 0 {
					t.Errorf("the model answers %q, which nobody asked", <-k.turns)
				}
				if words := k.say("what do you remember?"); strings.Count(words, "Ada") != 1 || strings.Count(words, "tea") != 1 {
					t.Errorf("the model says %q", words)
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				if len(k.resumed) != 1 || k.resumed[0].Rung != c.rung || k.resumed[0].Restored != c.memory || k.resumed[0].Replayed != 0 {
					t.Errorf("the receipts say %+v", k.resumed)
				}
			})
		})
	}
}
