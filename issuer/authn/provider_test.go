package authn

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuerURL = "https://id.example/realm/"

// rsaKey is one for all tests: making it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// provider is an OpenID Connect provider that serves over pipes.
type provider struct {
	conns chan net.Conn

	mu      sync.Mutex
	keys    []any  // as the key document lists them
	fetches int    // of the key document
	down    bool   // answers 500
	frozen  bool   // does not answer while the client waits
	as      string // whom it says to be
	keysAt  string
	pad     int // bytes behind the key document
	padded  int // of which were taken
}

// with runs f in virtual time, with a provider that publishes those keys, and a
// JWT that trusts it.
func with(t *testing.T, c JWTConfig, keys []any, f func(t *testing.T, p *provider, j *JWT)) {
	t.Helper()
	rsaKey()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{conns: make(chan net.Conn), keys: keys, as: issuerURL, keysAt: issuerURL + "keys"}
		server := &http.Server{Handler: p}
		go server.Serve(p)
		t.Cleanup(func() { server.Close(); time.Sleep(time.Second) })
		transport := &http.Transport{DisableKeepAlives: true, DialTLSContext: p.dial, DialContext: p.dial}
		c.Issuer, c.Audience, c.Transport = issuerURL, "voice", transport
		j, err := NewJWT(c)
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, j)
	})
}

func (p *provider) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p *provider) Close() error   { close(p.conns); return nil }
func (p *provider) Addr() net.Addr { return &net.UnixAddr{} }

func (p *provider) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/keys") {
		p.fetches++
	}
	switch {
	case p.frozen:
		p.mu.Unlock()
		<-r.Context().Done()
		p.mu.Lock()
	case p.down:
		http.Error(w, "CANARY-body", http.StatusInternalServerError)
	case r.URL.Path == "/realm/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]any{"issuer": p.as, "jwks_uri": p.keysAt, "id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256"}})
	case r.URL.Path == "/realm/keys":
		json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
		for chunk := make([]byte, 4<<10); p.padded < p.pad; p.padded += len(chunk) {
			if _, err := w.Write(chunk[:min(len(chunk), p.pad-p.padded)]); err != nil {
				break
			}
		}
	default:
		http.Redirect(w, r, "/realm/keys", http.StatusFound)
	}
}

// change does something to the provider that its requests must not see by half.
func (p *provider) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

// claims are good ones, with changes; nil takes one out.
func claims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": issuerURL, "aud": "voice", "sub": "alice", "iat": now, "exp": now + 300}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// bearing is a request with a bearer token.
func bearing(t *testing.T, token string) *http.Request {
	r := httptest.NewRequest("POST", "/v1/token", nil).WithContext(t.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}
