package issuer

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/authn/authntest"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// Secrets that must turn up nowhere. Those of the attackers are among them: who
// is refused may have sent a good credential to the wrong place.
const (
	sessionCookie = "CANARY-cookie-of-ada"
	serverKey     = "CANARY-key-of-a-server"
	theAPIKey     = "emulator-CANARY-api-key"
	instruction   = "CANARY-instruction"
)

// town is a whole issuer with all kinds of callers, the emulator behind it, and
// two of its users: ada, who is in a conversation, and mallory, who has an account
// like any other.
type town struct {
	desk
	service *emulator.Server
	id      *identities
	ada     grantAnswer
	mallory grantAnswer
	heard   bytes.Buffer // all that attackers were answered
}

func settle(t *testing.T, change func(*Config)) *town {
	t.Helper()
	w := &town{service: &emulator.Server{}, id: newIdentities(t)}
	t.Cleanup(func() { w.service.Close() })
	ts := httptest.NewServer(w.service)
	t.Cleanup(ts.Close)
	client, err := upstream.New(upstream.Config{APIKey: live.NewSecret(theAPIKey), BaseURL: ts.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	jwts, err := authn.NewJWT(authn.JWTConfig{Issuer: w.id.URL, Audience: "voice", Algorithms: []string{"ES256"}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := authn.ParseAPIKeys(strings.NewReader(fmt.Sprintf("shop:%x", sha256.Sum256([]byte(serverKey)))))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := authn.NewProxyHeader("X-Forwarded-User", []string{"10.1.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := NewGuard(GuardConfig{Hosts: []string{"voice.example"}, Origins: []string{"https://app.example"}, Proxied: true})
	if err != nil {
		t.Fatal(err)
	}
	w.desk = open(t, func(c *Config) {
		c.Guard, c.Minter, c.Now = guard, client, w.service.Now
		c.Authenticator = authn.Chain{Methods: []authn.Authenticator{jwts, keys, proxy, sessions{}}}
		c.Profiles = []profile.Profile{made(t, profile.Spec{Setup: map[string]any{
			"systemInstruction": map[string]any{"parts": []any{map[string]any{"text": instruction}}},
		}})}
		c.Limits = Limits{} // the defaults
		if change != nil {
			change(c)
		}
	})
	w.ada = w.read(t, w.send(attack{change: fields("Cookie", "session="+sessionCookie, "Origin", "https://voice.example", "Sec-Fetch-Site", "same-origin")}))
	w.mallory = w.read(t, w.send(attack{change: w.id.bearer(t, nil)}))
	return w
}

// sessions are those of a server that embeds the issuer.
type sessions struct{}

func (sessions) Authenticate(r *http.Request) (authn.Caller, error) {
	switch cookie, err := r.Cookie("session"); {
	case err != nil:
		return authn.Caller{}, authn.ErrNoCredential
	case cookie.Value != sessionCookie:
		return authn.Caller{}, authn.ErrBadCredential
	}
	return authn.Caller{ID: "ada"}, nil
}

// attack is one request. What it leaves out is as it should be, and there is no
// credential.
type attack struct {
	method, path, body string
	stream             io.Reader // of no known length, in place of body
	change             func(*http.Request)
	want               code
}

func (w *town) send(a attack) *http.Response {
	if a.path == "" {
		a.path = "/v1/token"
	}
	return w.ask(a.path, a.body, func(r *http.Request) {
		r.Host, r.RemoteAddr = "voice.example", "203.0.113.9:4711"
		if a.method != "" {
			r.Method = a.method
		}
		if a.stream != nil {
			r.Body, r.ContentLength = io.NopCloser(a.stream), -1
			r.Header.Set("Content-Type", "application/json")
		}
		if a.change != nil {
			a.change(r)
		}
	})
}

// minted is how many tokens the service made.
func (w *town) minted(t *testing.T) int {
	t.Helper()
	var tokens struct{ Count int }
	rec := httptest.NewRecorder()
	w.service.ServeHTTP(rec, httptest.NewRequest("GET", "/__emulator/tokens", nil))
	if err := json.Unmarshal(rec.Body.Bytes(), &tokens); err != nil {
		t.Fatal(err)
	}
	return tokens.Count
}

// refuse sends what must be refused, and listens.
func (w *town) refuse(t *testing.T, a attack) {
	t.Helper()
	res := w.send(a)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&w.heard, res.Header, string(text))
	res.Body = readCloser{bytes.NewReader(text)}
	if a.want == "" { // the one refusal that has a status of its own
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("status is %d", res.StatusCode)
		}
	} else if got := codeOf(t, res); got != a.want {
		t.Errorf("it gets %s, want %s", got, a.want)
	}
}

func TestAnAttackIsRefusedAndCostsNothing(t *testing.T) {
	w := settle(t, nil)
	before := w.minted(t)
	if before != 2 {
		t.Fatalf("ada and mallory have %d tokens", before)
	}
	cookie := []string{"Cookie", "session=" + sessionCookie}
	with := fields
	withCookie := func(pairs ...string) func(*http.Request) { return fields(append(pairs, cookie...)...) }
	mallory := func(changes map[string]any) func(*http.Request) { return w.id.bearer(t, changes) }
	both := func(a, b func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) { a(r); b(r) }
	}
	from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	adas, guess := fmt.Sprintf(`{"leaseId":%q}`, w.ada.LeaseID), fmt.Sprintf(`{"leaseId":%q}`, newLeaseID().Reveal())

	for name, a := range map[string]attack{
		// A page that a logged-in user was lured to: the browser adds the cookie.
		"a form with the user's cookie":       {body: "profile=default", change: both(withCookie("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), typed("application/x-www-form-urlencoded")), want: originNotAllowed},
		"a fetch with the user's cookie":      {body: "{}", change: withCookie("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), want: originNotAllowed},
		"a sandboxed frame with the cookie":   {change: withCookie("Origin", "null", "Sec-Fetch-Site", "cross-site"), want: originNotAllowed},
		"an old browser with the cookie":      {change: withCookie("Origin", "https://evil.example"), want: originNotAllowed},
		"a beacon that ends her conversation": {path: "/v1/token/release", body: adas, change: withCookie("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), want: originNotAllowed},
		"a link with the cookie":              {method: "GET", change: withCookie("Sec-Fetch-Site", "cross-site"), want: methodNotAllowed},
		"an image with the cookie":            {method: "GET", path: "/v1/token/renew", change: withCookie("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "image"), want: methodNotAllowed},
		"a rebound name with the cookie":      {change: withCookie("Host", "evil.example", "Sec-Fetch-Site", "same-origin"), want: hostNotAllowed},
		"a rebound name that says otherwise":  {change: withCookie("Host", "evil.example", "X-Forwarded-Host", "voice.example", "Sec-Fetch-Site", "same-origin"), want: hostNotAllowed},

		// Somebody without an account who types headers.
		"nobody":                            {want: unauthenticated},
		"a guessed cookie":                  {change: with("Cookie", "session=CANARY-guess"), want: unauthenticated},
		"a guessed key":                     {change: with("Authorization", "Bearer CANARY-guess"), want: unauthenticated},
		"a user's name from no proxy":       {change: with("X-Forwarded-User", "ada"), want: forbidden},
		"an address that is the proxy's":    {change: with("X-Forwarded-For", "10.1.0.1"), want: unauthenticated},
		"both of them":                      {change: with("X-Forwarded-User", "ada", "X-Forwarded-For", "10.1.0.1", "X-Real-Ip", "10.1.0.1", "Forwarded", "for=10.1.0.1"), want: forbidden},
		"two names through the proxy":       {change: both(with("X-Forwarded-User", "mallory", "X-Forwarded-User", "ada"), from("10.1.0.1:1")), want: unauthenticated},
		"two names in one":                  {change: both(with("X-Forwarded-User", "mallory,ada"), from("10.1.0.1:1")), want: unauthenticated},
		"a good key beside another's name":  {change: both(with("Authorization", "Bearer "+serverKey, "X-Forwarded-User", "ada"), from("10.1.0.1:1")), want: unauthenticated},
		"two good keys":                     {change: with("Authorization", "Bearer "+serverKey, "Authorization", "Bearer "+serverKey), want: unauthenticated},
		"a good key in the address":         {path: "/v1/token?key=" + serverKey + "&access_token=" + serverKey, want: unauthenticated},
		"another method in a field":         {method: "GET", change: with("X-HTTP-Method-Override", "POST", "X-Method-Override", "POST", "Authorization", "Bearer "+serverKey), want: methodNotAllowed},
		"another method in the address":     {method: "GET", path: "/v1/token?_method=POST", change: with("Authorization", "Bearer "+serverKey), want: methodNotAllowed},
		"another path in a field":           {path: "/healthz", change: with("X-Original-URL", "/v1/token", "X-Rewrite-URL", "/v1/token", "Authorization", "Bearer "+serverKey)},
		"a path that goes up":               {path: "/v1/token/renew/%2e%2e", change: with("Authorization", "Bearer "+serverKey)},
		"a method that nobody knows":        {method: "BREW", change: with("Authorization", "Bearer "+serverKey), want: methodNotAllowed},
		"a host that breaks out of the log": {change: with("Host", "voice.example\r\nX-Evil: 1"), want: hostNotAllowed},

		// Somebody who makes JWTs.
		"a JWT that nobody signed":        {change: w.id.forged(t, "none", nil), want: unauthenticated},
		"the public key as a secret":      {change: w.id.forged(t, "HS256", w.id.public(t)), want: unauthenticated},
		"an algorithm that is not listed": {change: w.id.unlisted(t), want: unauthenticated},
		"a key that it brings along":      {change: w.id.selfSigned(t), want: unauthenticated},
		"mallory's JWT with ada's name":   {change: w.id.renamed(t), want: unauthenticated},
		"a JWT without its signature":     {change: w.id.cut(t), want: unauthenticated},
		"an expired JWT":                  {change: mallory(map[string]any{"exp": ago(time.Second)}), want: unauthenticated},
		"a JWT that is not valid yet":     {change: mallory(map[string]any{"nbf": ago(-time.Minute)}), want: unauthenticated},
		"a JWT of tomorrow":               {change: mallory(map[string]any{"iat": ago(-24 * time.Hour)}), want: unauthenticated},
		"a JWT without an end":            {change: mallory(map[string]any{"exp": nil}), want: unauthenticated},
		"a JWT for another service":       {change: mallory(map[string]any{"aud": "CANARY-mail"}), want: unauthenticated},
		"a JWT of another provider":       {change: mallory(map[string]any{"iss": "https://CANARY.example"}), want: unauthenticated},
		"a JWT whose name breaks the log": {change: mallory(map[string]any{"sub": "mallory\n{\"caller\":\"ada\"}"}), want: unauthenticated},

		// Somebody with an account who wants more than theirs.
		"ada's lease, renewed":              {path: "/v1/token/renew", body: adas, change: mallory(nil), want: leaseNotFound},
		"ada's lease, said to be refused":   {path: "/v1/token/renew", body: renewing(w.ada, "refused"), change: mallory(nil), want: leaseNotFound},
		"ada's lease, released":             {path: "/v1/token/release", body: adas, change: mallory(nil), want: leaseNotFound},
		"ada's lease, by nobody":            {path: "/v1/token/renew", body: adas, want: unauthenticated},
		"ada's lease, by a server":          {path: "/v1/token/renew", body: adas, change: with("Authorization", "Bearer "+serverKey), want: leaseNotFound},
		"a guessed lease":                   {path: "/v1/token/renew", body: guess, change: mallory(nil), want: leaseNotFound},
		"a token for a lease":               {path: "/v1/token/renew", body: fmt.Sprintf(`{"leaseId":%q}`, w.ada.Token), change: mallory(nil), want: leaseNotFound},
		"a lease for a field":               {path: "/v1/token/renew", body: fmt.Sprintf(`{%q:1}`, w.ada.LeaseID), change: mallory(nil), want: invalidRequest},
		"a profile that is somebody's file": {body: `{"profile":"../../etc/passwd"}`, change: mallory(nil), want: unknownProfile},
		"another model":                     {body: `{"model":"gemini-3.8-pro"}`, change: mallory(nil), want: invalidRequest},
		"another instruction":               {body: `{"overrides":{"systemInstruction":{"parts":[{"text":"obey"}]}}}`, change: mallory(nil), want: invalidRequest},
		"a longer life":                     {body: `{"expireTime":"2036-01-01T00:00:00Z","uses":0}`, change: mallory(nil), want: invalidRequest},
		"a renewal before its time":         {path: "/v1/token/renew", body: renewing(w.mallory, "renew"), change: mallory(nil), want: tooEarly},
		"a handle where none belongs":       {path: "/v1/token/renew", body: resuming(w.mallory, "CANARY-handle"), change: mallory(nil), want: invalidRequest},

		// Somebody who wants to tie the server up.
		"a body of ten megabytes":     {body: strings.Repeat(" ", 10<<20), change: mallory(nil), want: bodyTooLarge},
		"a body without an end":       {stream: endless{}, change: mallory(nil), want: bodyTooLarge},
		"a body that stops coming":    {stream: io.MultiReader(strings.NewReader(`{"prof`), late{}), change: mallory(nil), want: invalidRequest},
		"an endless body from nobody": {stream: endless{}, want: unauthenticated},
		"a body of 30,000 brackets":   {body: `{"overrides":` + strings.Repeat("[", 30_000), change: mallory(nil), want: invalidRequest},
		"a body of another type":      {body: "<xml/>", change: both(mallory(nil), typed("application/xml")), want: unsupportedMediaType},
		"a compressed body":           {body: "\x1f\x8b\x08", change: both(mallory(nil), with("Content-Encoding", "gzip")), want: invalidRequest},
		"two bodies in one":           {body: `{}{"profile":"default"}`, change: mallory(nil), want: invalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w.refuse(t, a)
			if now := w.minted(t); now != before {
				t.Errorf("the service made %d tokens, where %d were", now, before)
				before = now // one row, one failure
			}
		})
	}

	t.Run("a lease that is over", func(t *testing.T) {
		mine := fmt.Sprintf(`{"leaseId":%q}`, w.mallory.LeaseID)
		if res := w.send(attack{path: "/v1/token/release", body: mine, change: mallory(nil)}); res.StatusCode != http.StatusNoContent {
			t.Fatalf("its release gives %d", res.StatusCode)
		}
		for _, reason := range []string{"renew", "refused"} {
			w.refuse(t, attack{path: "/v1/token/renew", body: renewing(w.mallory, reason), change: mallory(nil), want: leaseEnded})
		}
	})
	t.Run("the answer to a renewal, asked for again", func(t *testing.T) {
		again := attack{path: "/v1/token/renew", body: renewing(w.ada, "refused"), change: withCookie(), want: tooEarly}
		for range profile.EarlyRenewals {
			w.read(t, w.send(again))
		}
		w.refuse(t, again)
		w.refuse(t, again)
		if now := w.minted(t); now != before+profile.EarlyRenewals {
			t.Errorf("the service made %d tokens, where %d were", now, before)
		}
	})
	w.keptQuiet(t)
}

// A thousand machines that need no account, each as modest as a single user, and one
// that says to be a thousand. Who is in a conversation goes on with it.
func TestAFarmOfBotsGetsWhatAllMayHaveAndNoMore(t *testing.T) {
	const most, spare, bots = 100, 20, 1000
	w := settle(t, func(c *Config) {
		known := c.Authenticator.(authn.Chain)
		known.Otherwise = authn.Anonymous{}
		c.Authenticator, c.Limits.Global = known, limit.Rate{Count: most, Per: 24 * time.Hour}
	})
	granted := w.minted(t)
	for name, bot := range map[string]func(n int) func(*http.Request){
		"one machine that forges addresses": func(n int) func(*http.Request) {
			said := fmt.Sprintf("198.51.%d.%d", n/250, n%250)
			return fields("X-Forwarded-For", said, "X-Real-Ip", said, "Forwarded", "for="+said, "True-Client-Ip", said)
		},
		"a network of IPv6": func(n int) func(*http.Request) { return at(fmt.Sprintf("[2001:db8::%x]:1", n)) },
	} {
		before := w.minted(t)
		for n := range bots {
			if res := w.send(attack{change: bot(n)}); res.StatusCode != http.StatusOK && codeOf(t, res) == "" {
				t.Error("it is refused without a code")
			}
		}
		// The profile's bound for one caller: anonymous, an address is one.
		if got := w.minted(t) - before; got != 3 {
			t.Errorf("%s gets %d tokens", name, got)
		}
		granted += 3
	}
	for n := range bots {
		a := attack{change: at(fmt.Sprintf("10.9.%d.%d:1", n/250, n%250)), want: rateLimited}
		if granted < most-spare {
			w.read(t, w.send(a))
			granted++
		} else {
			w.refuse(t, a)
		}
	}
	if got := w.minted(t); got != most-spare {
		t.Errorf("the service made %d tokens", got)
	}
	w.read(t, w.send(attack{path: "/v1/token/renew", body: renewing(w.ada, "refused"), change: fields("Cookie", "session="+sessionCookie, "Origin", "https://voice.example", "Sec-Fetch-Site", "same-origin")}))
	w.keptQuiet(t)
}

// One machine that needs no account and does nothing but knock, as fast as it can.
func TestAFloodOfRefusalsLeavesNeitherLinesNorOthersOutside(t *testing.T) {
	var evidence disk
	untraced := 0
	w := settle(t, func(c *Config) {
		c.Record = Record{TokenKey: tokenKey, Audit: audit.New(&evidence), Required: true, Untraced: func() { untraced++ }}
	})
	before, granted := w.minted(t), len(evidence.lines(t))
	const all = 10_000
	for n := range all {
		credential := []string{"Authorization", fmt.Sprintf("Bearer CANARY-guess-%d", n)}
		if n%2 == 0 {
			credential = []string{"Cookie", fmt.Sprintf("session=CANARY-guess-%d", n)}
		}
		if res := w.send(attack{change: fields(credential...)}); res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("it gets %d", res.StatusCode)
		}
	}
	refusals := len(evidence.lines(t)) - granted
	if most := all / 10; refusals < 120 || refusals > most || refusals+untraced != all {
		t.Errorf("%d refusals are on record, %d are not", refusals, untraced)
	}
	if lines := strings.Count(w.log.String(), "\n"); lines > refusals+granted {
		t.Errorf("%d lines are in the log", lines)
	}
	elsewhere := func(r *http.Request) { at("198.51.100.7:1")(r); w.id.bearer(t, nil)(r) }
	w.read(t, w.send(attack{change: elsewhere}))
	if got := w.minted(t) - before; got != 1 {
		t.Errorf("the service made %d tokens", got)
	}
	w.keptQuiet(t)
}

// keptQuiet looks for what nobody may learn in all that was answered and logged.
func (w *town) keptQuiet(t *testing.T) {
	t.Helper()
	secrets := []string{"CANARY", w.ada.Token, w.ada.LeaseID, w.mallory.Token, w.mallory.LeaseID}
	for _, sent := range w.id.sent {
		_, claims, _ := strings.Cut(sent, ".") // and the signature; the header is no secret
		secrets = append(secrets, claims[:40])
	}
	for name, text := range map[string]string{"answers": w.heard.String(), "log": w.log.String()} {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("the %s: it holds a secret: …%s…", name, text[max(0, at-80):min(len(text), at+80)])
			}
		}
	}
	for line := range strings.Lines(w.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("somebody wrote into the log: %s", line)
		}
	}
}

// typed says another type of body.
func typed(media string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", media) }
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// late is what a body becomes when a server's time for reading is over.
type late struct{}

func (late) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// identities is an OpenID Connect provider.
type identities struct {
	*authntest.Provider
	sent []string // credentials that were made
}

// other is a key of the provider's for an algorithm that the issuer does not list.
var other = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIdentities(t *testing.T) *identities {
	t.Helper()
	return &identities{Provider: authntest.NewProvider(t, authntest.Public("2", other()))}
}

// claims are mallory's, with changes; nil takes one out.
func (p *identities) claims(changes map[string]any) map[string]any {
	all := map[string]any{"sub": "mallory"}
	maps.Copy(all, changes)
	return p.Claims(all)
}

// show puts a JWT where credentials are.
func (p *identities) show(token string) func(*http.Request) {
	p.sent = append(p.sent, token)
	return fields("Authorization", "Bearer "+token)
}

// bearer shows mallory's JWT with changes.
func (p *identities) bearer(t *testing.T, changes map[string]any) func(*http.Request) {
	t.Helper()
	return p.show(authntest.Sign(t, jose.ES256, p.Key, authntest.KeyID("1"), p.claims(changes)))
}

// public is what everybody can fetch of the provider's key.
func (p *identities) public(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(p.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// forged says to be ada, by an algorithm that proves nothing here.
func (p *identities) forged(t *testing.T, alg string, secret []byte) func(*http.Request) {
	t.Helper()
	ada := p.claims(map[string]any{"sub": "ada"})
	if alg != "none" {
		return p.show(authntest.Sign(t, jose.SignatureAlgorithm(alg), secret, authntest.KeyID("1"), ada))
	}
	payload, err := json.Marshal(ada)
	if err != nil {
		t.Fatal(err)
	}
	b := base64.RawURLEncoding.EncodeToString
	return p.show(b([]byte(`{"alg":"none","kid":"1"}`)) + "." + b(payload) + ".")
}

// selfSigned says to be ada, by a key of its own that it brings along.
func (p *identities) selfSigned(t *testing.T) func(*http.Request) {
	t.Helper()
	key := authntest.NewKey(t)
	header := map[jose.HeaderKey]any{"kid": "1", "jwk": authntest.Public("1", key), "jku": "https://evil.example/keys"}
	return p.show(authntest.Sign(t, jose.ES256, key, header, p.claims(map[string]any{"sub": "ada"})))
}

// unlisted is mallory's JWT, well signed in a way that the issuer was not told of.
func (p *identities) unlisted(t *testing.T) func(*http.Request) {
	t.Helper()
	return p.show(authntest.Sign(t, jose.RS256, other(), authntest.KeyID("2"), p.claims(nil)))
}

// renamed is mallory's JWT with another name under the same signature.
func (p *identities) renamed(t *testing.T) func(*http.Request) {
	t.Helper()
	parts := strings.Split(authntest.Sign(t, jose.ES256, p.Key, authntest.KeyID("1"), p.claims(nil)), ".")
	payload, err := json.Marshal(p.claims(map[string]any{"sub": "ada"}))
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString(payload)
	return p.show(strings.Join(parts, "."))
}

func (p *identities) cut(t *testing.T) func(*http.Request) {
	t.Helper()
	token := authntest.Sign(t, jose.ES256, p.Key, authntest.KeyID("1"), p.claims(nil))
	return p.show(token[:strings.LastIndex(token, ".")+1])
}
