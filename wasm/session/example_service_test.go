//go:build !js

package session_test

import (
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// exampleService is an issuer and the emulator behind one address, as livevalet dev
// is.
type exampleService struct {
	url   string
	close func()
}

// hasten is how many times as fast as ours the emulator's time passes: it speaks at
// the pace of speech.
const hasten = 5

func newExampleService() exampleService {
	emulated := new(emulator.Server)
	mux := http.NewServeMux()
	mux.Handle("/", emulated)
	server := httptest.NewServer(mux)

	key := live.NewSecret("emulator-example")
	mint, err := upstream.New(upstream.Config{APIKey: key, BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback()})
	if err != nil {
		log.Fatal(err)
	}
	clock, err := profile.New("clock", profile.Spec{Setup: map[string]any{
		"tools": []any{map[string]any{"functionDeclarations": []any{map[string]any{"name": "get_time", "behavior": "BLOCKING"}}}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := issuer.New(issuer.Config{
		Guard: guard, Authenticator: authn.Anonymous{}, Minter: mint, Live: issuer.LiveHere, Now: emulated.Now,
		Profiles: []profile.Profile{profile.Default(), clock},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/v1/", tokens)

	stop := make(chan struct{})
	var hastening sync.WaitGroup
	hastening.Go(func() {
		const step = 10 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := emulated.Advance((hasten - 1) * step); err != nil {
					log.Print(err)
				}
			case <-stop:
				return
			}
		}
	})
	return exampleService{server.URL, func() {
		close(stop)
		hastening.Wait()
		mint.Close()
		_ = emulated.Close()
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	}}
}

// fault makes trouble on all connections.
func (s exampleService) fault(order string) {
	answer, err := http.Post(s.url+"/__emulator/fault", "application/json", strings.NewReader(order))
	if err != nil {
		log.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("fault: status %d", answer.StatusCode)
	}
}
