package edge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestCloseSaysThatTheEndIsANormalOne(t *testing.T) {
	s := mustDial(t, "wait")
	s.Close(t.Context())
	if code := nodeOf(receive(t, mustDial(t, "said")).Body).get("code").number(); code != live.CloseNormal {
		t.Errorf("the server was told %v", code)
	}
}

// What a service that does not hear a close goes on to say, nobody is told.
func TestAfterCloseAStubbornServerIsNotHeard(t *testing.T) {
	for name, use := range map[string]func(*testing.T, *Socket){
		"that was heard before":         func(t *testing.T, s *Socket) { receive(t, s) },
		"that was not":                  func(*testing.T, *Socket) { time.Sleep(20 * time.Millisecond) }, // some has arrived by now
		"that has not taken everything": sendMuch,
	} {
		t.Run(name, func(t *testing.T) {
			s := mustDial(t, "stubborn")
			use(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			s.Close(ctx)
			for range 10 {
				time.Sleep(2 * time.Millisecond) // more would arrive
				m, err := s.Receive(t.Context())
				if closed, ok := errors.AsType[*live.CloseError](err); !ok || closed.Code != live.CloseAbnormal {
					t.Fatalf("after Close arrives %v, error %v", m.Body, err)
				}
			}
		})
	}
}

// sendMuch sends more than the line takes of a server that does not read.
func sendMuch(t *testing.T, s *Socket) {
	in, err := newInput(t, `{"realtimeInput":{"text":"`+strings.Repeat("a", 1<<20)+`"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 16 {
		if err := s.Send(in); err != nil {
			t.Fatal(err)
		}
	}
}
