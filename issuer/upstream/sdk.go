package upstream

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"

	"google.golang.org/genai"
)

// sdk is the SDK's client, one for the process. It has no key, since its errors
// print what it was given, and sends through the transport of the Client that asks.
//
// It is made before main runs. When it is made, and at its first mint, the SDK tells
// through package log, past any logger of ours, which variables of the environment
// it sees and that it is experimental. Nobody else uses package log that early, so
// there it can be silenced, and no line of the program's is lost.
var sdk = newSDK()

func newSDK() *genai.Tokens {
	out := log.Writer()
	log.SetOutput(io.Discard)
	defer log.SetOutput(out)
	c, err := genai.NewClient(context.Background(), &genai.ClientConfig{
		Backend:     genai.BackendGeminiAPI, // else environment variables choose
		APIKey:      "of each client",
		HTTPClient:  &http.Client{Transport: sender{}, CheckRedirect: noRedirect},
		HTTPOptions: genai.HTTPOptions{BaseURL: Google, APIVersion: APIVersion}, // else they may, too
	})
	if err != nil {
		panic("upstream: the SDK takes no configuration that is always the same")
	}
	_, _ = c.AuthTokens.Create(context.Background(), nil) // which reaches nobody
	return c.AuthTokens
}

// sender sends what the SDK asks for with the key that the context holds.
type sender struct{}

type keyedKey struct{}

// RoundTrip implements http.RoundTripper.
func (sender) RoundTrip(r *http.Request) (*http.Response, error) {
	k, ok := r.Context().Value(keyedKey{}).(*keyed)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	r = r.Clone(r.Context())
	r.Header.Set("X-Goog-Api-Key", k.key.Reveal())
	return k.http.Transport.RoundTrip(r)
}
