package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/wasm/live"
)

// standardLog is what package log got since the process began: the SDK gives its
// notice only once. log.Logger guards it while it is written.
var standardLog bytes.Buffer

func init() { log.SetOutput(&standardLog) }

func TestMain(m *testing.M) {
	// The SDK links a package that starts a goroutine for good.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const canary = "AIzaCANARY-key"

var at = time.Date(2026, 11, 21, 12, 0, 0, 999_000_000, time.FixedZone("", 3600))

func request() Request {
	return Request{
		Setup:            map[string]any{"model": "models/m", "systemInstruction": map[string]any{"parts": []any{map[string]any{"text": "a < b & c"}}}},
		FieldMask:        "model,systemInstruction",
		Uses:             1,
		Expire:           at.Add(12 * time.Minute),
		NewSessionExpire: at.Add(time.Minute),
	}
}

// service is a token service that answers the same to everyone.
func service(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	ts := httptest.NewServer(handler)
	t.Cleanup(ts.Close)
	return ts
}

func client(t testing.TB, c Config) *Client {
	t.Helper()
	if c.APIKey.IsZero() {
		c.APIKey = live.NewSecret("emulator-test")
	}
	u, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

func TestTheRequestIsOursByteForByte(t *testing.T) {
	// What the environment says must not matter.
	for name, value := range map[string]string{
		"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1", "GOOGLE_API_KEY": "other", "GOOGLE_CLOUD_PROJECT": "p",
	} {
		t.Setenv(name, value)
	}
	var got struct {
		path, key, media string
		body             []byte
	}
	ts := service(t, func(w http.ResponseWriter, r *http.Request) {
		got.path, got.key, got.media = r.Method+" "+r.RequestURI, r.Header.Get("X-Goog-Api-Key"), r.Header.Get("Content-Type")
		got.body, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, `{"name":"auth_tokens/x","new":"field"}`)
	})
	token, err := client(t, Config{BaseURL: ts.URL}).Mint(t.Context(), request())
	if err != nil || token.Reveal() != "auth_tokens/x" {
		t.Fatalf("token %q, error %v", token.Reveal(), err)
	}
	want, err := os.ReadFile("testdata/request.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.body, want) {
		t.Errorf("body is %s", got.body)
	}
	if got.path != "POST /v1alpha/auth_tokens" || got.key != "emulator-test" || got.media != "application/json" {
		t.Errorf("request is %+v", got)
	}
}

func TestARefusalOfTheService(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		kind   error
		want   string
		wait   time.Duration
	}{
		"of the body is final":                      {status(400, `{"error":{"code":400,"message":"bad `+canary+`","status":"INVALID_ARGUMENT"}}`), ErrRefused, "http 400 INVALID_ARGUMENT", 0},
		"of the key is final":                       {status(403, `{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}`), ErrRefused, "http 403 PERMISSION_DENIED", 0},
		"with a code of its own goes by the status": {status(503, `{"error":{"code":400,"message":"","status":"`+canary+`"}}`), ErrUnavailable, "http 503", 0},
		"in HTML is not quoted":                     {status(502, `<p>`+canary), ErrUnavailable, "http 502", 0},
		"for quota may pass":                        {status(429, `{"error":{"code":429,"message":"","status":"RESOURCE_EXHAUSTED"}}`, "Retry-After", "7"), ErrUnavailable, "http 429 RESOURCE_EXHAUSTED", 7 * time.Second},
		"for a while may pass":                      {status(503, ``), ErrUnavailable, "http 503", 0},
		"that is no JSON may pass":                  {status(200, canary), ErrUnavailable, "not JSON", 0},
		"that names no token may pass":              {status(200, `{}`), ErrUnavailable, "names no token", 0},
		"that leads elsewhere is final":             {status(307, ``, "Location", "http://127.0.0.1:1/"+canary), ErrRefused, "http 307", 0},
		"that hangs up may pass":                    {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, ErrUnavailable, "no connection", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				s.before = func(w http.ResponseWriter, _ *http.Request) { c.answer(w); panic(answered{}) }
				_, err := u.Mint(t.Context(), request())
				e, ok := errors.AsType[*Error](err)
				if !ok || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || e.RetryAfter != c.wait {
					t.Errorf("error is %v, %+v", err, e)
				}
				if all := fmt.Sprintf("%v %+v %#v", err, e, e); strings.Contains(all, "CANARY") {
					t.Errorf("the service's text is in the error: %s", all)
				}
			})
		})
	}
}

func status(code int, body string, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func TestMissingTermsNeverMeanMore(t *testing.T) {
	ts := service(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	u := client(t, Config{BaseURL: ts.URL})
	for name, spoil := range map[string]func(*Request){
		"uses":             func(r *Request) { r.Uses = 0 },
		"expiry":           func(r *Request) { r.Expire = time.Time{} },
		"start of session": func(r *Request) { r.NewSessionExpire = time.Time{} },
	} {
		r := request()
		spoil(&r)
		if _, err := u.Mint(t.Context(), r); !errors.Is(err, ErrRefused) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestMintsAtOnceShareNothing(t *testing.T) {
	ts := service(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Uses int }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"name":"auth_tokens/%d"}`, body.Uses)
	})
	u, r := client(t, Config{BaseURL: ts.URL}), request()
	var all sync.WaitGroup
	for n := range 30 {
		all.Go(func() {
			r := r // the setup is shared
			r.Uses = n + 1
			token, err := u.Mint(t.Context(), r)
			if want := fmt.Sprintf("auth_tokens/%d", n+1); err != nil || token.Reveal() != want {
				t.Errorf("token %q, error %v, want %s", token.Reveal(), err, want)
			}
		})
	}
	all.Wait()
}

func TestARealKey(t *testing.T) {
	for name, c := range map[string]struct {
		base, sendTo string
		allowed      bool
	}{
		"goes to Google":                                {"", "", true},
		"goes to Google by its address":                 {"https://generativelanguage.googleapis.com/", "", true},
		"goes to Google's port":                         {"https://generativelanguage.googleapis.com:443", "", true},
		"does not go there in clear":                    {"http://generativelanguage.googleapis.com", "", false},
		"does not go to another port":                   {"https://generativelanguage.googleapis.com:8443", "", false},
		"does not go to a look-alike":                   {"https://generativelanguage.googleapis.com.example", "", false},
		"does not go to this machine":                   {"http://127.0.0.1:8089", "", false},
		"does not go to Google in clear, even if named": {"http://generativelanguage.googleapis.com", "generativelanguage.googleapis.com", false},
		"does not go in clear to a host that was named": {"http://example.org", "example.org", false},
		"goes to a host that was named over TLS":        {"https://example.org", "example.org", true},
		"goes to a host that was named":                 {"http://127.0.0.1:8089", "127.0.0.1", true},
		"goes to a host and port that were named":       {"http://127.0.0.1:8089", "127.0.0.1:8089", true},
		"does not go to another port than was named":    {"http://127.0.0.1:8090", "127.0.0.1:8089", false},
		"does not go to another host than was named":    {"https://example.org", "example.com", false},
		"does not go to where a name is the user part":  {"https://generativelanguage.googleapis.com@example.org", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := New(Config{APIKey: live.NewSecret(canary), BaseURL: c.base, SendKeyTo: c.sendTo})
			if (err == nil) != c.allowed {
				t.Fatalf("New says %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the key is in %v", err)
			}
			if u != nil {
				u.Close()
			}
		})
	}
}

func TestTheTransportHoldsBackARealKeyByItself(t *testing.T) {
	ts := service(t, func(http.ResponseWriter, *http.Request) { t.Error("the key was sent") })
	for name, rule := range map[string]keyRule{
		"under another base URL": {real: true},
		"under another host":     {real: true, sendTo: "example.org"},
	} {
		u := client(t, Config{BaseURL: ts.URL})
		c := newHTTPClient(rule, u.config.next, u.clock)
		u.keyed.Store(&keyed{key: live.NewSecret(canary), http: c})
		if _, err := u.Mint(t.Context(), request()); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARealKeyFollowsNoRedirect(t *testing.T) {
	away := service(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	ts := service(t, redirectTo(away.URL))
	u := client(t, Config{APIKey: live.NewSecret(canary), BaseURL: ts.URL, SendKeyTo: "127.0.0.1"})
	if _, err := u.Mint(t.Context(), request()); !errors.Is(err, ErrRefused) {
		t.Errorf("error is %v", err)
	}
}

func TestTheHTTPClientOpensSockets(t *testing.T) {
	echo := service(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		_ = conn.Write(r.Context(), kind, message)
	})
	client, err := NewHTTPClient(Config{APIKey: live.NewSecret("emulator-test"), BaseURL: echo.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	conn, _, err := websocket.Dial(t.Context(), echo.URL, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "hello" {
		t.Errorf("it says %q, %v", message, err)
	}
}

func TestTheHTTPClientHoldsBackARealKey(t *testing.T) {
	var asked atomic.Int32
	elsewhere := service(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	if _, err := NewHTTPClient(Config{APIKey: live.NewSecret(canary), BaseURL: elsewhere.URL}); !errors.Is(err, errKeyTarget) {
		t.Errorf("another host's client: %v", err)
	}
	client, err := NewHTTPClient(Config{APIKey: live.NewSecret(canary)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := websocket.Dial(t.Context(), elsewhere.URL, &websocket.DialOptions{HTTPClient: client}); !errors.Is(err, errKeyTarget) {
		t.Errorf("a socket to another host: %v", err)
	}
	if asked.Load() > 0 {
		t.Error("the other host was asked")
	}
}

func redirectTo(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		status(http.StatusTemporaryRedirect, "", "Location", location)(w)
	}
}

// Package log is the program's, which may be in the middle of a line.
func TestANewKeyLeavesThePackageLogAlone(t *testing.T) {
	u := client(t, Config{BaseURL: "http://localhost"})
	var got bytes.Buffer
	log.SetOutput(&got)
	const lines = 20_000
	said := make(chan struct{})
	go func() {
		defer close(said)
		for range lines {
			log.Print("a line of the program's")
		}
	}()
	for going := true; going; {
		select {
		case <-said:
			going = false
		default:
			if err := u.SetKey(live.NewSecret("emulator-new")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if there := strings.Count(got.String(), "\n"); there != lines || log.Writer() != &got {
		t.Errorf("of %d lines %d are there", lines, there)
	}
	log.SetOutput(&standardLog)
}

func TestABadConfigurationIsRefusedWithoutTheKey(t *testing.T) {
	for name, c := range map[string]Config{
		"no key":                   {},
		"a base URL without host":  {APIKey: live.NewSecret("emulator"), BaseURL: "localhost:8089"},
		"a base URL with a user":   {APIKey: live.NewSecret("emulator"), BaseURL: "http://" + canary + "@localhost"},
		"a base URL of a socket":   {APIKey: live.NewSecret("emulator"), BaseURL: "wss://localhost"},
		"a base URL with a query":  {APIKey: live.NewSecret("emulator"), BaseURL: "http://localhost?key=" + canary},
		"a time-out that is under": {APIKey: live.NewSecret("emulator"), Timeout: -1},
		"fewer mints than none":    {APIKey: live.NewSecret("emulator"), Concurrent: -1},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
