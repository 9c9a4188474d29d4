//go:build !js

package session_test

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// sink is a connection that takes everything and says nothing.
type sink struct{ started, taken, closed chan struct{} }

func (sink) Setup(live.Setup) error { return nil }
func (s sink) Send(live.Input) error {
	s.taken <- struct{}{}
	return nil
}
func (sink) Buffered() int           { return 0 }
func (s sink) Close(context.Context) { close(s.closed) }
func (s sink) Receive(ctx context.Context) (live.Message, error) {
	select {
	case s.started <- struct{}{}:
		return live.Message{SetupComplete: true}, nil
	case <-s.closed:
		return live.Message{}, &live.CloseError{Code: live.CloseNormal}
	case <-ctx.Done():
		return live.Message{}, context.Cause(ctx)
	}
}

// A microphone gives 50 frames a second, for hours. From the page's message to the
// socket one of 20 ms was measured to take 5 allocations with a full ring (Go 1.26);
// the bound leaves room for another Go.
func TestAFrameOfSoundTakesFewAllocations(t *testing.T) {
	const bound = 16
	taken := make(chan struct{})
	started := make(chan struct{})
	s := session.New(session.Config{
		Editor: edge.Editor{},
		Source: func(context.Context, live.Need) (live.Token, error) {
			return live.Token{Secret: live.NewSecret("auth_tokens/1"), URL: "wss://service", Param: "access_token", ExpiresIn: time.Hour, NewSessionExpiresIn: time.Minute}, nil
		},
		Dial: func(context.Context, live.Token) (session.Conn, error) {
			return sink{started, taken, make(chan struct{})}, nil
		},
		Emit: func(session.Event) {},
	})
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	body := map[string]any{"realtimeInput": map[string]any{
		"audio": map[string]any{"mimeType": "audio/pcm;rate=16000", "data": base64.StdEncoding.EncodeToString(make([]byte, 640))},
	}}
	frame := func() {
		in, err := edge.NewInput(body)
		if err == nil {
			err = s.Send(in, func(error) {})
		}
		if err != nil {
			t.Fatal(err)
		}
		<-taken
	}
	<-started
	for range 1000 { // until the ring is full
		frame()
	}
	if n := testing.AllocsPerRun(2000, frame); n > bound {
		t.Errorf("a frame takes %v allocations, want at most %d", n, bound)
	} else {
		t.Logf("a frame takes %v allocations", n)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
