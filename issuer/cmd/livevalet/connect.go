package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/profile"
)

// connectLimit bounds how long a Live socket may take to be ready.
const connectLimit = 15 * time.Second

// converses opens a session with a token of the profile, and says nothing in it.
// Errors hold neither the token nor the service's words.
func (s service) converses(ctx context.Context, p profile.Profile) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	token, _, err := issuer.Single(ctx, s.client, p, s.client.Now)
	if err != nil {
		return err
	}
	conn, res, err := websocket.Dial(ctx, issuer.ConnectURL(s.live(nil), token).Reveal(), &websocket.DialOptions{
		HTTPClient: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, // as browsers do
	})
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("the Live socket cannot be reached: %w", e.Err) // without the URL, which has the token in it
	} else if err != nil && res != nil {
		return fmt.Errorf("the Live socket does not open: http %d", res.StatusCode)
	} else if err != nil {
		return errors.New("the Live socket does not open")
	}
	defer conn.CloseNow()
	// What the token fixes it fixes, whatever is said here; the rest has to be said.
	setup, err := json.Marshal(map[string]any{"setup": map[string]any{
		"model": p.Model(), "generationConfig": map[string]any{"responseModalities": []string{"AUDIO"}},
	}})
	if err != nil {
		return err
	}
	err = conn.Write(ctx, websocket.MessageText, setup)
	var answer struct{ SetupComplete *struct{} }
	if err == nil {
		var text []byte
		if _, text, err = conn.Read(ctx); err == nil {
			err = json.Unmarshal(text, &answer)
		}
	}
	switch code := websocket.CloseStatus(err); {
	case code != -1:
		return fmt.Errorf("the Live socket refuses the token with %d: see docs/close-codes.md", code)
	case err != nil || answer.SetupComplete == nil:
		return errors.New("the Live socket does not become ready")
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}
