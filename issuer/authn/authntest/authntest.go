// Package authntest makes JWTs for tests, good ones and such as attackers make, and
// publishes the keys to check them with.
package authntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Audience is for whom a Provider's tokens are.
const Audience = "voice"

// Provider is an OpenID Connect provider on this machine. Its URL is its issuer.
type Provider struct {
	*httptest.Server
	Key *ecdsa.PrivateKey // it signs with this one, and calls it "1"
}

// NewProvider starts a provider, which ends with the test. It publishes these keys
// beside its own.
func NewProvider(t testing.TB, others ...jose.JSONWebKey) *Provider {
	t.Helper()
	p := &Provider{Key: NewKey(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: append(others, Public("1", p.Key))})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// Claims are good for an hour, with changes; nil takes one out. One of them, marked
// CANARY, nobody has a reason to repeat.
func (p *Provider) Claims(changes map[string]any) map[string]any {
	all := map[string]any{"iss": p.URL, "aud": Audience, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{"voice"}, "email": "CANARY@mail.example"}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// Token is good, but for the changes to its claims.
func (p *Provider) Token(t testing.TB, changes map[string]any) string {
	t.Helper()
	return Sign(t, jose.ES256, p.Key, KeyID("1"), p.Claims(changes))
}

// NewKey makes a key for ES256.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Public is how a key is published.
func Public(id string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"}
}

// KeyID is the header of a token that names its key.
func KeyID(id string) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"kid": id} }

// Sign makes a token, whatever it says.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return SignText(t, alg, key, header, payload)
}

// SignText is Sign for what may be no claims at all.
func SignText(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
