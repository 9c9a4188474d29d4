package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// maxGap is the target for the 95th percentile of the gap.
const maxGap = 150 * time.Millisecond

// gap is conversations, one after the other, that change their connection once
// each: the emulator announces its end after a turn, and the engine resumes. It
// is the native build of the engine. The gap is as the engine tells it, from when
// the old socket was closed to setupComplete on the new one. There is no latency
// but that of two programs on one machine.
type gap struct{ rotations int }

func (g gap) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("%d rotations of the engine", g.rotations)}
	if g.rotations == 0 {
		return t, nil
	}
	var gaps lateness
	for range g.rotations {
		d, err := rotate(ctx, s)
		if err != nil {
			return t, err
		}
		gaps = append(gaps, d)
	}
	p95 := gaps.quantile(0.95)
	t.rows = []row{
		{"gap from the old socket to setupComplete, p95", milliseconds(p95), fmt.Sprintf("<= %v", maxGap), p95 > maxGap},
		{"the same", gaps.String(), "", false},
	}
	return t, nil
}

// rotate gives the gap of one conversation.
func rotate(ctx context.Context, s *service) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	turn, resumed := make(chan struct{}, 1), make(chan session.Resumed, 1)
	conversation := session.New(session.Config{
		Setup:  map[string]any{"generationConfig": map[string]any{"responseModalities": []any{"AUDIO"}}},
		Editor: edge.Editor{},
		Source: s.token,
		Dial:   session.Dialing(edge.Dialer{Client: s.client}.Dial),
		Emit: func(e session.Event) {
			switch e := e.(type) {
			case session.EmptyTurn:
				turn <- struct{}{}
			case session.Resumed:
				resumed <- e
			}
		},
	})
	ended := make(chan error, 1)
	go func() { ended <- conversation.Run(ctx) }()
	d, err := func() (time.Duration, error) {
		in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{"text": "empty turn"}})
		if err == nil {
			err = conversation.Send(in, func(error) {})
		}
		if err != nil {
			return 0, err
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return 0, errors.New("no turn ended")
		}
		if err := s.fault(ctx, `{"kind":"goaway","session":"*","timeLeft":"20s"}`); err != nil {
			return 0, err
		}
		select {
		case r := <-resumed:
			if r.Rung != session.RungHandle || r.Cause != session.CauseGoAway {
				return 0, fmt.Errorf("resumed by %s after %s", r.Rung, r.Cause)
			}
			return r.Gap, nil
		case <-ctx.Done():
			return 0, errors.New("the engine did not resume")
		}
	}()
	conversation.Close()
	return d, errors.Join(err, <-ended)
}

// token is a session's token source.
func (s *service) token(ctx context.Context, _ live.Need) (live.Token, error) {
	name, err := s.mint(ctx)
	if err != nil {
		return live.Token{}, err
	}
	return live.Token{
		Secret: live.NewSecret(name), Model: "models/gemini-3.8-live", Lock: "none",
		ExpiresIn: 30 * time.Minute, NewSessionExpiresIn: time.Minute,
		URL: "ws" + strings.TrimPrefix(s.url, "http") + socketPath, Param: tokenParam,
		Capabilities: live.Capabilities{Text: "realtimeInput"},
	}, nil
}

func (s *service) fault(ctx context.Context, order string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/__emulator/fault", bytes.NewBufferString(order))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("make trouble: %w", err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("make trouble: status %d", answer.StatusCode)
	}
	return nil
}
