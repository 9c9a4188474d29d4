package issuer_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// members knows callers by the cookie of a server's own sessions. Pages of other
// sites cannot use it: the Guard has refused them by then.
type members map[string]string // user by session

func (m members) Authenticate(r *http.Request) (authn.Caller, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return authn.Caller{}, authn.ErrNoCredential
	}
	user, ok := m[cookie.Value]
	if !ok {
		return authn.Caller{}, authn.ErrBadCredential
	}
	return authn.Caller{ID: user}, nil
}

// A server that has users already gives them tokens beside what else it serves.
func ExampleNew() {
	var google emulator.Server // leave out to use Google's
	defer google.Close()
	service := httptest.NewServer(&google)
	defer service.Close()

	client, err := upstream.New(upstream.Config{
		APIKey:  live.NewSecret("emulator"), // yours
		BaseURL: service.URL,                // leave out to use Google's
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: []string{"shop.example"}})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := issuer.New(issuer.Config{
		Guard:         guard,
		Authenticator: members{"cookie-of-ada": "ada"},
		Minter:        client,
		Now:           client.Now,
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.Handle("/v1/token", tokens)
	mux.Handle("/v1/token/", tokens)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the shop") })

	for _, cookie := range []string{"session=cookie-of-ada", "session=guessed", ""} {
		r := httptest.NewRequest("POST", "https://shop.example/v1/token", nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var answer struct{ Lock, Code string }
		if err := json.NewDecoder(w.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		fmt.Println(w.Code, cmp.Or(answer.Lock, answer.Code))
	}
	// Output:
	// 200 masked
	// 401 unauthenticated
	// 401 unauthenticated
}
