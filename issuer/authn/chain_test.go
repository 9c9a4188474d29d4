package authn

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/authn/authntest"
)

func TestAChain(t *testing.T) {
	proxy, err := NewProxyHeader("X-User", []string{"192.0.2.1"}) // httptest's peer
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseAPIKeys(strings.NewReader("shop:" + hashOf("sesame")))
	if err != nil {
		t.Fatal(err)
	}
	puzzle := Anonymous{Challenge: func(r *http.Request) error {
		if r.Header.Get("X-Puzzle") != "solved" {
			return ErrForbidden
		}
		return nil
	}}
	key := authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, tokens *JWT) {
		good := authntest.Sign(t, "ES256", key, authntest.KeyID("1"), claims(nil))
		known := Chain{Methods: []Authenticator{tokens, keys, proxy}}
		open := Chain{Methods: known.Methods, Otherwise: puzzle}
		for name, c := range map[string]struct {
			chain  Chain
			header http.Header
			caller string
			err    error
		}{
			"takes a JWT":                        {known, http.Header{"Authorization": {"Bearer " + good}}, "jwt:alice", nil},
			"takes a key":                        {known, http.Header{"Authorization": {"Bearer sesame"}}, "key:shop", nil},
			"takes a header":                     {known, http.Header{"X-User": {"bob"}}, "proxy:bob", nil},
			"takes what is there beside others'": {known, http.Header{"X-User": {"bob"}, "Authorization": {"Basic eA=="}}, "proxy:bob", nil},
			"asks for something":                 {known, nil, "", ErrNoCredential},
			"takes nobody for nobody":            {open, http.Header{"X-Puzzle": {"solved"}}, "", nil},
			"prefers who is known to nobody":     {open, http.Header{"X-User": {"bob"}}, "proxy:bob", nil},
			"asks nobody for a proof":            {open, nil, "", ErrForbidden},
			"does not let a bad key be nobody":   {open, http.Header{"X-Puzzle": {"solved"}, "Authorization": {"Bearer other"}}, "", ErrBadCredential},
			"nor a credential that none knows":   {open, http.Header{"X-Puzzle": {"solved"}, "Authorization": {"Basic eA=="}}, "", ErrNoCredential},
			"refuses a key and a header":         {known, http.Header{"X-User": {"bob"}, "Authorization": {"Bearer sesame"}}, "", ErrBadCredential},
			"refuses a JWT and a header":         {known, http.Header{"X-User": {"bob"}, "Authorization": {"Bearer " + good}}, "", ErrBadCredential},
			"refuses a bad JWT and a header":     {known, http.Header{"X-User": {"bob"}, "Authorization": {"Bearer a.b.c"}}, "", ErrBadCredential},
			"refuses a JWT and a key":            {known, http.Header{"Authorization": {"Bearer " + good, "Bearer sesame"}}, "", ErrBadCredential},
		} {
			r := httptest.NewRequest("POST", "/v1/token", nil)
			r.Header = c.header
			if caller, err := c.chain.Authenticate(r); caller.ID != c.caller || !errors.Is(err, c.err) {
				t.Errorf("it %s: caller %q, error %v", name, caller.ID, err)
			}
		}
	})
}
