//go:build !js

package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/session"
)

// update changes the setup and tells what became of it.
func (k *talk) update(setup map[string]any) error {
	k.t.Helper()
	change, err := edge.NewUpdate(setup)
	if err != nil {
		k.t.Fatal(err)
	}
	settled := make(chan error, 1)
	if err := k.session.Update(change, func(err error) { settled <- err }); err != nil {
		k.t.Fatal(err)
	}
	return <-settled
}

// functions declares functions of these names.
func functions(names ...string) []any {
	var declared []any
	for _, name := range names {
		declared = append(declared, map[string]any{"name": name})
	}
	return []any{map[string]any{"functionDeclarations": declared}}
}

func TestTheModelCallsWhatAnUpdateBrought(t *testing.T) {
	conversation{emulator: &emulator.Server{}, allow: []string{"tools"}}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		k.say("call get_time")
		if len(k.calls) > 0 {
			t.Fatal("the model calls a function that nobody declared")
		}
		if err := k.update(map[string]any{"tools": functions("get_time")}); err != nil {
			t.Fatalf("the update is settled with %v", err)
		}
		if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
			t.Errorf("after the update the model says %q", words)
		}
		if err := k.update(map[string]any{"systemInstruction": map[string]any{}}); !errors.Is(err, session.ErrLocked) {
			t.Errorf("an update of what is locked is settled with %v", err)
		}
		k.send("call get_time")
		select {
		case <-k.calls:
		case <-time.After(time.Minute):
			t.Error("after the update the model calls nothing")
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.resumed) != 1 || k.resumed[0].Rung != session.RungHandle || k.resumed[0].Cause != session.CauseUpdate {
			t.Errorf("resumed %+v", k.resumed)
		}
	})
}

func TestToolsThatTheServiceRefusesLeaveTheConversationAsItWas(t *testing.T) {
	conversation{emulator: &emulator.Server{}, allow: []string{"tools"}}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		for _, bad := range []any{[]any{map[string]any{"noSuchTool": map[string]any{}}}, "tools"} {
			refused, ok := errors.AsType[*session.Error](k.update(map[string]any{"tools": bad}))
			if !ok || refused.Code != session.CodeConfig {
				t.Errorf("with %v the update is settled with %v", bad, refused)
			}
			if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
				t.Errorf("with %v the model says %q", bad, words)
			}
		}
	})
}
