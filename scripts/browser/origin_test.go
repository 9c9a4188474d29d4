//go:build bundle

package browser_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/scripts/browser"
	"github.com/livevalet/livevalet/wasm/live"
)

// users are those of a server that embeds the issuer: they show a session cookie or a
// bearer, by which they are called.
type users struct{}

func (users) Authenticate(r *http.Request) (authn.Caller, error) {
	name := ""
	if cookie, err := r.Cookie("session"); err == nil {
		name = cookie.Value
	}
	if bearer := r.Header.Get("Authorization"); bearer != "" {
		name = bearer[len("Bearer "):]
	}
	switch name {
	case "":
		return authn.Caller{}, authn.ErrNoCredential
	case "broken":
		return authn.Caller{}, errors.New("out of order")
	case "lost":
		return authn.Caller{}, authn.ErrUnavailable
	}
	return authn.Caller{ID: name}, nil
}

// reading is what a page could read of an answer; Error if nothing.
type reading struct {
	Status                      int
	Type, Code, Retry, ID, Left string
	Error                       string
}

// TestAPageOfAnotherOriginReadsWhatItMay asks an issuer from pages of a listed origin
// and of one that is not, as only a browser can: it sends the cookie to both.
func TestAPageOfAnotherOriginReadsWhatItMay(t *testing.T) {
	t.Parallel()
	page := func(http.ResponseWriter, *http.Request) {}
	listed, other := serveAs(t, "localhost", http.HandlerFunc(page)), serveAs(t, "localhost", http.HandlerFunc(page))
	minted := 0
	server := embed(t, listed, &minted)
	chromium := browser.Launch(t)

	ask := func(p *browser.Page, with string) reading {
		return browser.Eval[reading](p, fmt.Sprintf(`fetch("%s/v1/token", { method: "POST", %s }).then(async (answer) => {
			const { code } = answer.type === "opaque" ? {} : await answer.json();
			const field = (name) => answer.headers.get(name) ?? "";
			return { Status: answer.status, Type: answer.type, Code: code ?? "", Retry: field("retry-after"), ID: field("x-request-id"), Left: field("ratelimit") };
		}).catch((error) => ({ Error: error.name }))`, server, with))
	}
	const (
		cookie = `credentials: "include"`
		json   = `, headers: { "content-type": "application/json" }, body: "{}"`
	)
	bearer := func(who string) string { return fmt.Sprintf(`headers: { authorization: "Bearer %s" }`, who) }

	chromium.Open(server + "/login") // which gives a cookie
	p := chromium.Open(listed).With(t)
	for _, c := range []struct {
		name, with   string
		status       int
		code         string
		retry, limit bool // their fields can be read
	}{
		{"with the cookie", cookie, 200, "", false, true},
		{"with the cookie and JSON, after a preflight", cookie + json, 200, "", false, true},
		{"with a bearer", bearer("bob"), 200, "", false, true},
		{"without the cookie", `credentials: "omit"`, 401, "unauthenticated", false, false},
		{"of whom access was taken", bearer("eve"), 403, "revoked", false, false},
		{"beyond a limit", cookie, 429, "rate_limited", true, true},
		{"who breaks the server", bearer("broken"), 500, "internal", false, false},
		{"whose provider is down", bearer("lost"), 503, "authenticator_unavailable", true, false},
	} {
		got := ask(p, c.with)
		if got.Status != c.status || got.Code != c.code || got.Type != "cors" || (got.Retry != "") != c.retry || (got.Left != "") != c.limit || got.ID == "" {
			t.Errorf("a listed page %s reads %+v", c.name, got)
		}
	}

	before := minted
	p = chromium.Open(other).With(t)
	for name, with := range map[string]string{
		"with the cookie":          cookie,
		"with the cookie and JSON": cookie + json,
		"with a bearer":            bearer("bob"),
		"without any":              `credentials: "omit"`,
		"who breaks the server":    bearer("broken"),
	} {
		if got := ask(p, with); got != (reading{Error: "TypeError"}) {
			t.Errorf("another page %s reads %+v", name, got)
		}
	}
	if got := ask(p, cookie+`, mode: "no-cors"`); got != (reading{Type: "opaque"}) {
		t.Errorf("another page that asks blindly reads %+v", got)
	}
	if minted != before {
		t.Errorf("another page had %d tokens made", minted-before)
	}
}

// embed serves an issuer beside a page that signs ada in.
func embed(t *testing.T, origin string, minted *int) string {
	var service emulator.Server
	t.Cleanup(func() { _ = service.Close() })
	upstreamURL := serveAs(t, "127.0.0.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*minted++ // one at a time: pages wait for their answers
		service.ServeHTTP(w, r)
	}))
	client, err := upstream.New(upstream.Config{APIKey: live.NewSecret("emulator"), BaseURL: upstreamURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback(), Origins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := profile.New(profile.DefaultName, profile.Spec{Limits: profile.Limits{PerCaller: limit.Rate{Count: 2, Per: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	var held store.Memory
	if err := held.Revoke(t.Context(), "eve"); err != nil {
		t.Fatal(err)
	}
	tokens, err := issuer.New(issuer.Config{
		Guard: guard, Authenticator: users{}, Minter: client, Now: service.Now, Store: &held, Profiles: []profile.Profile{two},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", tokens)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "ada", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	})
	return serveAs(t, "localhost", mux)
}

// serveAs serves on a port of its own, under that name. Ports of one name are origins
// of one site, to each of which a browser sends the name's cookies.
func serveAs(t *testing.T, name string, handler http.Handler) string {
	t.Helper()
	ts := httptest.NewServer(handler)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
	})
	u, err := url.Parse(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + name + ":" + u.Port()
}
