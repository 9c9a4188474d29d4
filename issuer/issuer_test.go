package issuer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

func TestMain(m *testing.M) {
	// The SDK links a package that starts a goroutine for good.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// mint is a Minter.
type mint func(context.Context, upstream.Request) (live.Secret, error)

func (m mint) Mint(ctx context.Context, r upstream.Request) (live.Secret, error) { return m(ctx, r) }

// coins mints a new token for each request.
func coins() mint {
	n := 0
	return func(context.Context, upstream.Request) (live.Secret, error) {
		n++
		return live.NewSecret(fmt.Sprintf("auth_tokens/%d", n)), nil
	}
}

// desk is an issuer under test and its log.
type desk struct {
	http.Handler
	log *journal
}

// journal is a log, which may be written at any time.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func open(t *testing.T, change func(*Config)) desk {
	t.Helper()
	guard, err := NewGuard(GuardConfig{Hosts: Loopback(), Origins: []string{"https://app.example", "http://localhost:*"}})
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	c := Config{
		Guard: guard, Authenticator: authn.Anonymous{}, Minter: coins(), Logger: slog.New(slog.NewJSONHandler(log, nil)),
		Profiles: []profile.Profile{made(t, profile.Spec{Limits: plenty})}, Limits: Limits{PerAddress: limit.Rate{Count: 1000, Per: time.Second}},
	}
	if change != nil {
		change(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return desk{h, log}
}

// plenty is for tests that are not about limits.
var plenty = profile.Limits{PerCaller: limit.Rate{Count: 1000, Per: time.Second}, Concurrent: 1000}

// ask sends a POST with a JSON body, if there is one, that change may spoil.
func (d desk) ask(path, body string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result()
}

// grant asks for what must be given.
func (d desk) grant(t *testing.T, path, body string) grantAnswer {
	t.Helper()
	res := d.ask(path, body, nil)
	var a grantAnswer
	dec := json.NewDecoder(res.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); res.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("%s gives %d, %v, %+v", path, res.StatusCode, err, a)
	}
	return a
}

// codeOf reads a problem, and checks that it is a whole one.
func codeOf(t *testing.T, res *http.Response) code {
	t.Helper()
	var p struct {
		Type, Title, Detail, RequestID string
		Status                         int
		Code                           code
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	h := res.Header
	switch {
	case h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff":
		t.Errorf("headers are %v", h)
	case p.Type == "" || p.Title == "" || p.Detail == "" || p.Status != res.StatusCode || statusOf[p.Code] != res.StatusCode:
		t.Errorf("problem is %+v with status %d", p, res.StatusCode)
	case p.RequestID == "" || p.RequestID != h.Get("X-Request-Id"):
		t.Errorf("requestId is %q, header %q", p.RequestID, h.Get("X-Request-Id"))
	case (res.StatusCode == 429 || res.StatusCode == 503) && h.Get("Retry-After") == "":
		t.Error("there is no Retry-After")
	}
	return p.Code
}

func TestATokenComesWithEverythingAPageNeeds(t *testing.T) {
	for _, path := range []string{"/v1/token", "/api/token"} {
		for name, body := range map[string]string{"without a body": "", "with an empty object": "{}", "with all fields": `{"profile":"default","clientReference":"visit-7"}`} {
			t.Run(path+" "+name, func(t *testing.T) {
				now := time.Now().Truncate(time.Second) // by which no second begins meanwhile
				d := open(t, func(c *Config) { c.Now = func() time.Time { return now } })
				a := d.grant(t, path, body)
				if len(a.LeaseID) != 43 || a.Token != "auth_tokens/1" {
					t.Errorf("token %q, lease %q", a.Token, a.LeaseID)
				}
				if until := time.Until(a.ExpireTime); until > 12*time.Minute || until < 12*time.Minute-2*time.Second {
					t.Errorf("expireTime is in %v", until)
				}
				if until := time.Until(a.NewSessionExpire); until > time.Minute || until < time.Minute-2*time.Second {
					t.Errorf("newSessionExpireTime is in %v", until)
				}
				want := grantAnswer{
					Token: a.Token, LeaseID: a.LeaseID, ExpireTime: a.ExpireTime, NewSessionExpire: a.NewSessionExpire, Capabilities: a.Capabilities,
					Profile: "default", Model: "models/gemini-3.8-live", Lock: "masked",
					ExpiresIn: 720, NewSessionExpiresIn: 60, RenewAfter: 540,
					WebSocketURL: "wss://generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
					TokenParam:   "access_token", RenewURL: "/v1/token/renew", ReleaseURL: "/v1/token/release",
					Session: sessionLimits{Compression: true, ConnectionSeconds: 600, MaxSeconds: 3600, IdleSeconds: 300},
				}
				if !reflect.DeepEqual(a, want) {
					t.Errorf("answer is %+v", a)
				}
				if c := fmt.Sprint(*a.Capabilities); c != "{realtimeInput anytime clientContent [AUDIO] nonBlocking}" {
					t.Errorf("capabilities are %s", c)
				}
			})
		}
	}
}

// Pages count from the answer, however long it took the service.
func TestDurationsCountFromTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		after, mint                  time.Duration // since a second began; until the token is there
		expires, newSession, renewAt int64
	}{
		"at once":              {0, 0, 720, 60, 540},
		"in the next second":   {900 * time.Millisecond, 200 * time.Millisecond, 718, 58, 539},
		"within the second":    {100 * time.Millisecond, 0, 719, 59, 540},
		"after a slow mint":    {0, 8 * time.Second, 712, 52, 532},
		"after all there is":   {0, 2 * time.Minute, 600, 1, 420}, // 0 is no time to start a session in
		"when all of it is up": {0, 13 * time.Minute, 1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, func(config *Config) {
					next := config.Minter
					config.Minter = mint(func(ctx context.Context, r upstream.Request) (live.Secret, error) {
						time.Sleep(c.mint)
						return next.Mint(ctx, r)
					})
				})
				time.Sleep(c.after)
				a := d.grant(t, "/v1/token", "")
				if a.ExpiresIn != c.expires || a.NewSessionExpiresIn != c.newSession || a.RenewAfter != c.renewAt {
					t.Errorf("it expires in %d, starts sessions for %d, is renewed after %d", a.ExpiresIn, a.NewSessionExpiresIn, a.RenewAfter)
				}
			})
		})
	}
}

func TestTheAnswerHasTheDocumentedNames(t *testing.T) {
	var a map[string]any
	if err := json.NewDecoder(open(t, nil).ask("/v1/token", "", nil).Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "leaseId", "profile", "model", "lock", "expiresIn", "newSessionExpiresIn", "renewAfter", "expireTime",
		"newSessionExpireTime", "websocketUrl", "tokenParam", "renewUrl", "releaseUrl", "capabilities", "session"} {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if text, _ := a["expireTime"].(string); !strings.HasSuffix(text, "Z") || strings.Contains(text, ".") {
		t.Errorf("expireTime is %v", a["expireTime"])
	}
}

func TestTheSocketFollowsTheRequestWhereTheServerHasIt(t *testing.T) {
	d := open(t, func(c *Config) { c.Live = LiveHere })
	for target, want := range map[string]string{"http://localhost:18080": "ws://localhost:18080/ws/", "http://[::1]:1": "ws://[::1]:1/ws/", "https://127.0.0.1": "wss://127.0.0.1/ws/"} {
		r := httptest.NewRequest(http.MethodPost, target+"/v1/token", nil)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"websocketUrl":"`+want) {
			t.Errorf("%s gives %s", target, w.Body)
		}
	}
}

func TestAnUnknownModelComesWithoutCapabilities(t *testing.T) {
	p, err := profile.New("default", profile.Spec{Model: "gemini-9-live"})
	if err != nil {
		t.Fatal(err)
	}
	if a := open(t, func(c *Config) { c.Profiles = []profile.Profile{p} }).grant(t, "/v1/token", ""); a.Capabilities != nil {
		t.Errorf("capabilities are %+v", a.Capabilities)
	}
}

func TestAProblemHasItsCode(t *testing.T) {
	refusing := func(err error) func(*Config) {
		return func(c *Config) {
			c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) { return live.Secret{}, err })
		}
	}
	keys, err := authn.ParseAPIKeys(strings.NewReader("shop:" + strings.Repeat("ab", 32)))
	if err != nil {
		t.Fatal(err)
	}
	known := func(c *Config) { c.Authenticator = keys }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }

	for name, c := range map[string]struct {
		config func(*Config)
		path   string
		body   string
		change func(*http.Request)
		want   code
		detail string
	}{
		"GET is not answered":    {path: "/v1/token", change: method("GET"), want: methodNotAllowed},
		"HEAD is not answered":   {path: "/v1/token/renew", change: method("HEAD"), want: methodNotAllowed},
		"DELETE is not answered": {path: "/v1/token/release", change: method("DELETE"), want: methodNotAllowed},
		"broken JSON":            {path: "/v1/token", body: `{"profile":`, want: invalidRequest},
		"a list":                 {path: "/v1/token", body: `[]`, want: invalidRequest, detail: "JSON object"},
		"two objects":            {path: "/v1/token", body: `{}{}`, want: invalidRequest, detail: "one JSON object"},
		"an unknown field that may be a secret is not named": {path: "/v1/token", body: `{"N6M5Wj6Q_uzHLGt2ePoMFOtCG8eK7amB2zWPjF-OzSU":1}`, want: invalidRequest, detail: "a field that does not belong here"},
		"an unknown field is named":                          {path: "/v1/token", body: `{"ttl":"60s"}`, want: invalidRequest, detail: `"ttl"`},
		"a field of the wrong kind is named":                 {path: "/v1/token", body: `{"profile":7}`, want: invalidRequest, detail: "profile must be a string"},
		"an endless reference":                               {path: "/v1/token", body: `{"clientReference":"` + strings.Repeat("x", 129) + `"}`, want: invalidRequest, detail: "clientReference"},
		"a form":                                             {path: "/v1/token", body: "profile=default", change: header("Content-Type", "application/x-www-form-urlencoded"), want: unsupportedMediaType},
		"text, which pages may send unasked":                 {path: "/v1/token", body: "{}", change: header("Content-Type", "text/plain"), want: unsupportedMediaType},
		"a body without type":                                {path: "/v1/token", body: "{}", change: header("Content-Type", ""), want: unsupportedMediaType},
		"a body of a megabyte":                               {path: "/v1/token", body: strings.Repeat(" ", 1<<20), want: bodyTooLarge},
		"a body of a megabyte of no known length":            {path: "/v1/token", body: strings.Repeat(" ", 1<<20), change: func(r *http.Request) { r.ContentLength = -1 }, want: bodyTooLarge},
		"a profile that is not there":                        {path: "/v1/token", body: `{"profile":"other"}`, want: unknownProfile},
		"no profile by that name":                            {path: "/v1/token", body: `{"profile":""}`, want: unknownProfile},
		"nobody where callers are known":                     {config: known, path: "/v1/token", want: unauthenticated},
		"a wrong key where callers are known":                {config: known, path: "/v1/token", change: header("Authorization", "Bearer x"), want: unauthenticated},
		"nobody who renews":                                  {config: known, path: "/v1/token/renew", body: `{"leaseId":"x"}`, want: unauthenticated},
		"nobody who releases":                                {config: known, path: "/v1/token/release", body: `{"leaseId":"x"}`, want: unauthenticated},
		"a caller who may have no tokens":                    {config: func(c *Config) { c.Authenticator = says{authn.ErrForbidden} }, path: "/v1/token", want: forbidden},
		"an authenticator that cannot tell":                  {config: func(c *Config) { c.Authenticator = says{authn.ErrUnavailable} }, path: "/v1/token", want: authnUnavailable},
		"an authenticator that fails":                        {config: func(c *Config) { c.Authenticator = says{errors.New("out of order")} }, path: "/v1/token", want: internalError},
		"a renewal without a lease":                          {path: "/v1/token/renew", want: invalidRequest, detail: "leaseId"},
		"a renewal of an unknown lease":                      {path: "/v1/token/renew", body: `{"leaseId":"x"}`, want: leaseNotFound},
		"a renewal for no known reason":                      {path: "/v1/token/renew", body: `{"leaseId":"x","reason":"why not"}`, want: invalidRequest, detail: "reason"},
		"a release of an unknown lease":                      {path: "/v1/token/release", body: `{"leaseId":"x"}`, want: leaseNotFound},
		"a service that refuses":                             {config: refusing(&upstream.Error{Kind: upstream.ErrRefused, HTTP: 400}), path: "/v1/token", want: upstreamRefused},
		"a service that is not there":                        {config: refusing(&upstream.Error{Kind: upstream.ErrUnavailable}), path: "/v1/token", want: upstreamUnavailable},
		"a minter that fails":                                {config: refusing(errors.New("out of order")), path: "/v1/token", want: internalError},
		"a minter that panics":                               {config: func(c *Config) { c.Minter = mint(nil) }, path: "/v1/token", want: internalError},
		"a full store":                                       {config: func(c *Config) { c.Store = lost{store.ErrFull} }, path: "/v1/token", want: storeUnavailable},
		"a store that is not there":                          {config: func(c *Config) { c.Store = lost{errors.New("no route")} }, path: "/v1/token", want: storeUnavailable},
		"a renewal without the store":                        {config: func(c *Config) { c.Store = lost{errors.New("no route")} }, path: "/v1/token/renew", body: `{"leaseId":"x"}`, want: storeUnavailable},

		"a rebound name":               {path: "/v1/token", change: func(r *http.Request) { r.Host = "evil.example:8080" }, want: hostNotAllowed},
		"a name that begins like ours": {path: "/v1/token", change: func(r *http.Request) { r.Host = "localhost.evil.example" }, want: hostNotAllowed},
		"a name in another place":      {path: "/v1/token", change: func(r *http.Request) { r.Host = "evil.example:localhost" }, want: hostNotAllowed},
		"no name":                      {path: "/v1/token", change: func(r *http.Request) { r.Host = "" }, want: hostNotAllowed},
		"a name that breaks out":       {path: "/v1/token", change: func(r *http.Request) { r.Host = "localhost:80; script-src *" }, want: hostNotAllowed},
		"a rebound name with its preflight": {path: "/v1/token", change: func(r *http.Request) {
			r.Method, r.Host = "OPTIONS", "evil.example"
			r.Header.Set("Access-Control-Request-Method", "POST")
		}, want: hostNotAllowed},
		"a page elsewhere":                 {path: "/v1/token", change: header("Origin", "https://evil.example"), want: originNotAllowed},
		"a page elsewhere, by its site":    {path: "/v1/token", change: header("Sec-Fetch-Site", "cross-site"), want: originNotAllowed},
		"a page without an origin":         {path: "/v1/token", change: header("Origin", "null"), want: originNotAllowed},
		"a page of a listed name in clear": {path: "/v1/token", change: header("Origin", "http://app.example"), want: originNotAllowed},
		"a page of a name like a listed":   {path: "/v1/token", change: header("Origin", "https://app.example.evil.example"), want: originNotAllowed},
		"a page of a listed name's port":   {path: "/v1/token", change: header("Origin", "https://app.example:8443"), want: originNotAllowed},
		"a tunnel":                         {path: "/v1/token", change: header("X-Forwarded-For", "203.0.113.7"), want: proxiedAnonymous},
		"a proxy":                          {path: "/v1/token", change: header("Via", "1.1 x"), want: proxiedAnonymous},
		"a proxy of the new kind":          {path: "/v1/token/renew", change: header("Forwarded", "for=x"), want: proxiedAnonymous},
		"a proxy that tells the address":   {path: "/v1/token", change: header("X-Real-IP", "203.0.113.7"), want: proxiedAnonymous},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, c.config)
			res := d.ask(c.path, c.body, c.change)
			text := &bytes.Buffer{}
			text.ReadFrom(res.Body)
			res.Body = readCloser{bytes.NewReader(text.Bytes())}
			if got := codeOf(t, res); got != c.want {
				t.Errorf("code is %s", got)
			}
			if !strings.Contains(strings.ReplaceAll(text.String(), `\"`, `"`), c.detail) {
				t.Errorf("answer is %s, want it to say %s", text, c.detail)
			}
			if lines := strings.Count(d.log.String(), "\n"); lines != 1 || !strings.Contains(d.log.String(), `"code":"`+string(c.want)+`"`) {
				t.Errorf("log is %s", d.log)
			}
		})
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// says is an Authenticator with one answer.
type says struct{ err error }

func (s says) Authenticate(*http.Request) (authn.Caller, error) { return authn.Caller{}, s.err }

// lost is a store that only fails.
type lost struct{ err error }

func (l lost) Grant(context.Context, store.Ask) (store.Standing, error) {
	return store.Standing{}, l.err
}
func (l lost) Undo(context.Context, store.Ask) error                { return l.err }
func (l lost) Load(context.Context, store.Key) (store.Lease, error) { return store.Lease{}, l.err }
func (l lost) Release(context.Context, store.Key) error             { return l.err }

func TestWhoMayAskGetsAToken(t *testing.T) {
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	for name, change := range map[string]func(*http.Request){
		"a program":                        nil,
		"our own page":                     header("Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"),
		"our own page in an old browser":   header("Origin", "http://localhost:8080"),
		"a listed origin":                  header("Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"),
		"a listed origin with its port":    header("Origin", "https://app.example:443", "Sec-Fetch-Site", "cross-site"),
		"any port of a host listed so":     header("Origin", "http://localhost:39999", "Sec-Fetch-Site", "same-site"),
		"a request for an address":         func(r *http.Request) { r.Host = "[::1]:8080" },
		"a request for a name in capitals": func(r *http.Request) { r.Host = "LOCALHOST.:8080" },
		"JSON with a character set":        header("Content-Type", "application/json; charset=utf-8"),
		"a request with an id of its own":  header("X-Request-Id", "mine"),
	} {
		t.Run(name, func(t *testing.T) {
			res := open(t, nil).ask("/v1/token", "", change)
			if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
			if id := res.Header.Get("X-Request-Id"); id == "" || id == "mine" {
				t.Errorf("X-Request-Id is %q", id)
			}
		})
	}
}

func TestAListedOriginCanReadAnswers(t *testing.T) {
	listed := func(r *http.Request) { r.Header.Set("Origin", "https://app.example") }
	for name, res := range map[string]*http.Response{
		"a token":   open(t, nil).ask("/v1/token", "", listed),
		"a problem": open(t, nil).ask("/v1/token", `{"profile":"x"}`, listed),
	} {
		if h := res.Header; h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Credentials") != "true" ||
			!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Retry-After") || !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("%s has headers %v", name, h)
		}
	}
	preflight := func(origin string) *http.Response {
		return open(t, nil).ask("/v1/token", "", func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		})
	}
	if h := preflight("https://app.example").Header; h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("the preflight of a listed origin has headers %v", h)
	}
	if h := preflight("https://evil.example").Header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the preflight of another origin has headers %v", h)
	}
}

func TestOptionsTellsTheMethod(t *testing.T) {
	res := open(t, nil).ask("/v1/token", "", func(r *http.Request) { r.Method = http.MethodOptions })
	if res.StatusCode != http.StatusNoContent || res.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

func TestRetryAfterIsTheServicesAdvice(t *testing.T) {
	d := open(t, func(c *Config) {
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			return live.Secret{}, &upstream.Error{Kind: upstream.ErrUnavailable, HTTP: 429, RetryAfter: 41 * time.Second}
		})
	})
	if got := d.ask("/v1/token", "", nil).Header.Get("Retry-After"); got != "41" {
		t.Errorf("Retry-After is %q", got)
	}
}

func TestABadGuardIsRefused(t *testing.T) {
	for name, c := range map[string]GuardConfig{
		"without hosts":              {},
		"with a host and its port":   {Hosts: []string{"voice.example:8080"}},
		"with a URL for a host":      {Hosts: []string{"https://voice.example"}},
		"with a star for a host":     {Hosts: []string{"*"}},
		"with a star for an origin":  {Hosts: Loopback(), Origins: []string{"*"}},
		"with a star in an origin":   {Hosts: Loopback(), Origins: []string{"https://*.example"}},
		"with an origin and a path":  {Hosts: Loopback(), Origins: []string{"https://app.example/"}},
		"with an origin of a file":   {Hosts: Loopback(), Origins: []string{"file://"}},
		"with an origin of nowhere":  {Hosts: Loopback(), Origins: []string{"null"}},
		"with a host for an origin":  {Hosts: Loopback(), Origins: []string{"app.example"}},
		"with two ports of one name": {Hosts: Loopback(), Origins: []string{"http://localhost:80:*"}},
		"with a star for a header":   {Hosts: Loopback(), Headers: []string{"*"}},
		"with two headers in one":    {Hosts: Loopback(), Headers: []string{"X-A, X-B"}},
		"with a header of no name":   {Hosts: Loopback(), Headers: []string{""}},
	} {
		if _, err := NewGuard(c); err == nil {
			t.Errorf("a guard %s is accepted", name)
		}
	}
}

func TestAnIncompleteConfigurationIsRefused(t *testing.T) {
	guard, err := NewGuard(GuardConfig{Hosts: Loopback()})
	if err != nil {
		t.Fatal(err)
	}
	whole := Config{Guard: guard, Authenticator: authn.Anonymous{}, Minter: coins()}
	for name, spoil := range map[string]func(*Config){
		"Guard":         func(c *Config) { c.Guard = nil },
		"Authenticator": func(c *Config) { c.Authenticator = nil },
		"Minter":        func(c *Config) { c.Minter = nil },
		"two profiles":  func(c *Config) { c.Profiles = []profile.Profile{profile.Default(), profile.Default()} },
	} {
		c := whole
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
