package authn

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/livevalet/livevalet/issuer/authn/authntest"
)

func TestATokenOfTheProvider(t *testing.T) {
	other := newRSA(2048)
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	shared := jose.JSONWebKey{Key: []byte("CANARY-a-shared-secret-of-32-bytes"), KeyID: "shared"}
	weak := newRSA(1024)
	ec := authntest.NewKey(t)
	published := []any{
		map[string]string{"kty": "OKP", "crv": "Ed448", "kid": "unknown kind", "x": "AA"},
		shared, authntest.Public("weak", weak), jose.JSONWebKey{Key: &ec.PublicKey, KeyID: "cipher", Use: "enc"},
		jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "only RS512", Algorithm: "RS512"},
		authntest.Public("one", rsaKey()), authntest.Public("curve", ec),
	}
	config := JWTConfig{
		Leeway: 30 * time.Second, Algorithms: []string{"RS256", "RS512", "ES256"},
		RequiredClaims: map[string][]any{"groups": {"staff", "voice"}, "verified": {true}},
	}
	ours := func(changes map[string]any) map[string]any {
		all := claims(map[string]any{"groups": []string{"desk", "voice"}, "verified": true, "secret": "CANARY-claim"})
		for name, value := range changes {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	// by signs good claims with changes.
	by := func(changes func() map[string]any) func(*testing.T) string {
		return func(t *testing.T) string {
			return authntest.Sign(t, jose.RS256, rsaKey(), authntest.KeyID("one"), ours(changes()))
		}
	}
	is := func(name string, value any) func(*testing.T) string {
		return by(func() map[string]any { return map[string]any{name: value} })
	}
	signed := func(alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any) func(*testing.T) string {
		return func(t *testing.T) string { return authntest.Sign(t, alg, key, header, ours(nil)) }
	}
	raw := func(header, payload, signature string) string {
		b := base64.RawURLEncoding.EncodeToString
		return b([]byte(header)) + "." + b([]byte(payload)) + "." + signature
	}
	unsigned := func(alg string) func(*testing.T) string {
		return func(t *testing.T) string {
			payload, _ := json.Marshal(ours(nil))
			return raw(`{"alg":"`+alg+`","kid":"one"}`, string(payload), "")
		}
	}
	whole := func(t *testing.T) string {
		return authntest.Sign(t, jose.RS256, rsaKey(), authntest.KeyID("one"), ours(nil))
	}

	for name, c := range map[string]struct {
		token func(*testing.T) string
		err   error // nil: accepted
		why   string
	}{
		"is good":                               {token: whole},
		"of a key on a curve is good":           {token: signed(jose.ES256, ec, authntest.KeyID("curve"))},
		"that names no key is good":             {token: signed(jose.RS256, rsaKey(), nil)},
		"for several audiences is good":         {token: is("aud", []string{"other", "voice"})},
		"expired within the leeway is good":     {token: by(func() map[string]any { return map[string]any{"exp": in(-29 * time.Second)} })},
		"not valid yet within it is good":       {token: by(func() map[string]any { return map[string]any{"nbf": in(29 * time.Second)} })},
		"issued ahead within it is good":        {token: by(func() map[string]any { return map[string]any{"iat": in(29 * time.Second)} })},
		"whose required claim is no list, good": {token: is("groups", "voice")},

		"signed with the public key as a secret": {signed(jose.HS256, inPEM, authntest.KeyID("one")), ErrBadCredential, "algorithm"},
		"signed with its encoding as a secret":   {signed(jose.HS256, der, authntest.KeyID("one")), ErrBadCredential, "algorithm"},
		"signed with a published secret":         {signed(jose.HS256, shared.Key, authntest.KeyID("shared")), ErrBadCredential, "algorithm"},
		"that nobody signed":                     {unsigned("none"), ErrBadCredential, ""},
		"that nobody signed, in capitals":        {unsigned("NONE"), ErrBadCredential, ""},
		"that nobody signed and says otherwise":  {unsigned("RS256"), ErrBadCredential, "signature"},
		"of an algorithm that is not listed":     {signed(jose.PS256, rsaKey(), authntest.KeyID("one")), ErrBadCredential, "algorithm"},
		"of another algorithm than the key's":    {signed(jose.RS256, rsaKey(), authntest.KeyID("only RS512")), ErrBadCredential, "signature"},
		"of another key":                         {signed(jose.RS256, other, authntest.KeyID("one")), ErrBadCredential, "signature"},
		"of another key without a name":          {signed(jose.RS256, other, nil), ErrBadCredential, "signature"},
		"of a key that it brings along":          {signed(jose.RS256, other, map[jose.HeaderKey]any{"jwk": authntest.Public("one", other), "kid": "one"}), ErrBadCredential, "signature"},
		"of a key that it points to":             {signed(jose.RS256, other, map[jose.HeaderKey]any{"jku": "https://evil.example/keys", "kid": "two"}), ErrBadCredential, "signature"},
		"of a key that is too short":             {signed(jose.RS256, weak, authntest.KeyID("weak")), ErrBadCredential, "signature"},
		"of a key that is for encryption":        {signed(jose.ES256, ec, authntest.KeyID("cipher")), ErrBadCredential, "signature"},
		"with another kind of key's name":        {signed(jose.ES256, ec, authntest.KeyID("one")), ErrBadCredential, "signature"},
		"with a demand that nobody knows":        {signed(jose.RS256, rsaKey(), map[jose.HeaderKey]any{"crit": []string{"CANARY"}, "CANARY": 1, "kid": "one"}), ErrBadCredential, ""},
		"of another issuer":                      {is("iss", "https://CANARY.example"), ErrBadCredential, "(iss)"},
		"of the issuer without its slash":        {is("iss", strings.TrimSuffix(issuerURL, "/")), ErrBadCredential, "(iss)"},
		"without an issuer":                      {is("iss", nil), ErrBadCredential, "(iss)"},
		"for another audience":                   {is("aud", "CANARY"), ErrBadCredential, "(aud)"},
		"for an audience that begins like ours":  {is("aud", "voicemail"), ErrBadCredential, "(aud)"},
		"for no audience":                        {is("aud", nil), ErrBadCredential, "(aud)"},
		"for an empty list of audiences":         {is("aud", []string{}), ErrBadCredential, "(aud)"},
		"for an audience that is no text":        {is("aud", 7), ErrBadCredential, "form"},
		"expired":                                {by(func() map[string]any { return map[string]any{"exp": in(-31 * time.Second)} }), ErrBadCredential, "(exp)"},
		"without an end":                         {is("exp", nil), ErrBadCredential, "(exp)"},
		"whose end is null": {func(t *testing.T) string {
			return authntest.SignText(t, jose.RS256, rsaKey(), authntest.KeyID("one"), []byte(`{"iss":"`+issuerURL+`","aud":"voice","sub":"alice","exp":null,"groups":"voice","verified":true}`))
		}, ErrBadCredential, "(exp)"},
		"whose end is a text":                     {is("exp", "CANARY"), ErrBadCredential, "form"},
		"whose end is beyond all time":            {is("exp", 1e300), ErrBadCredential, "form"},
		"not valid yet":                           {by(func() map[string]any { return map[string]any{"nbf": in(31 * time.Second)} }), ErrBadCredential, "(nbf)"},
		"issued in the future":                    {by(func() map[string]any { return map[string]any{"iat": in(31 * time.Second)} }), ErrBadCredential, "(iat)"},
		"without a required claim":                {is("groups", nil), ErrBadCredential, "groups"},
		"whose required claim is another":         {is("groups", "CANARY"), ErrBadCredential, "groups"},
		"whose required claim's list has others":  {is("groups", []string{"CANARY", "voicemail"}), ErrBadCredential, "groups"},
		"whose required claim is of another type": {is("verified", "true"), ErrBadCredential, "verified"},
		"whose required claim is a list of lists": {is("groups", [][]string{{"voice"}}), ErrBadCredential, "groups"},
		"without a subject":                       {is("sub", nil), ErrBadCredential, "sub"},
		"with an empty subject":                   {is("sub", ""), ErrBadCredential, "sub"},
		"whose subject is a number":               {is("sub", 7), ErrBadCredential, "form"},
		"whose subject breaks the log's line":     {is("sub", "CANARY\nalice"), ErrBadCredential, "sub"},
		"whose subject is endless":                {is("sub", strings.Repeat("CANARY", 50)), ErrBadCredential, "sub"},
		"with two subjects": {func(t *testing.T) string {
			return authntest.SignText(t, jose.RS256, rsaKey(), authntest.KeyID("one"), []byte(`{"iss":"`+issuerURL+`","aud":"voice","sub":"mallory","sub":"alice","exp":4102444800,"groups":"voice","verified":true}`))
		}, ErrBadCredential, "form"},
		"whose claims are a list": {func(t *testing.T) string {
			return authntest.SignText(t, jose.RS256, rsaKey(), authntest.KeyID("one"), []byte(`["CANARY"]`))
		}, ErrBadCredential, "form"},
		"whose claims are nothing": {func(t *testing.T) string {
			return authntest.SignText(t, jose.RS256, rsaKey(), authntest.KeyID("one"), nil)
		}, ErrBadCredential, "form"},
		"with a changed claim": {func(t *testing.T) string {
			parts := strings.Split(whole(t), ".")
			payload, _ := json.Marshal(ours(map[string]any{"sub": "CANARY"}))
			return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
		}, ErrBadCredential, "signature"},
		"with its signature cut":   {func(t *testing.T) string { return whole(t)[:len(whole(t))-8] }, ErrBadCredential, "signature"},
		"that is huge":             {is("padding", strings.Repeat("x", maxToken)), ErrBadCredential, "longer"},
		"that is huge and no JWT":  {func(*testing.T) string { return strings.Repeat("x", 1<<20) + "." + "." }, ErrBadCredential, "longer"},
		"that is dots":             {func(*testing.T) string { return ".." }, ErrBadCredential, ""},
		"that is no base64":        {func(*testing.T) string { return "CANARY!.CANARY!.CANARY!" }, ErrBadCredential, "not a JWT"},
		"whose header is no JSON":  {func(*testing.T) string { return raw("CANARY", "{}", "AA") }, ErrBadCredential, "not a JWT"},
		"whose header is deep":     {func(*testing.T) string { return raw(strings.Repeat(`{"a":`, 1500), "{}", "AA") }, ErrBadCredential, "not a JWT"},
		"in the other form of JWS": {func(*testing.T) string { return `{"payload":"CANARY..","signatures":[]}` }, ErrBadCredential, "not a JWT"},
		"encrypted":                {func(*testing.T) string { return "a.b.c.d.e" }, ErrNoCredential, ""},
		"that is an API key":       {func(*testing.T) string { return "CANARY" }, ErrNoCredential, ""},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, config, published, func(t *testing.T, _ *provider, j *JWT) {
				caller, err := j.Authenticate(bearing(t, c.token(t)))
				if !errors.Is(err, c.err) || c.err == nil && (caller.ID != "jwt:alice" || !caller.Holds("secret", "CANARY-claim")) {
					t.Fatalf("caller %+v, error %v", caller, err)
				}
				if err != nil && (caller.ID != "" || caller.Claims != nil) {
					t.Errorf("it is refused, and gives %+v", caller)
				}
				if err != nil && (!strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "CANARY") || len(err.Error()) > 300) {
					t.Errorf("error is %v, want %q in it", err, c.why)
				}
			})
		})
	}
}

func TestATokenCountsInOneHeaderOnly(t *testing.T) {
	with(t, JWTConfig{}, []any{authntest.Public("one", rsaKey())}, func(t *testing.T, p *provider, j *JWT) {
		token := authntest.Sign(t, jose.RS256, rsaKey(), authntest.KeyID("one"), claims(nil))
		for name, c := range map[string]struct {
			change func(*http.Request)
			err    error
		}{
			"in the query string":       {func(r *http.Request) { r.Header.Del("Authorization") }, ErrNoCredential},
			"in a cookie":               {func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "access_token="+token) }, ErrNoCredential},
			"under another scheme":      {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token) }, ErrNoCredential},
			"under no scheme":           {func(r *http.Request) { r.Header.Set("Authorization", token) }, ErrNoCredential},
			"beside another of its own": {func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+token) }, ErrBadCredential},
			"beside an empty header":    {func(r *http.Request) { r.Header.Add("Authorization", "") }, ErrBadCredential},
		} {
			r := httptest.NewRequest("POST", "/v1/token?access_token="+token, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			c.change(r)
			if caller, err := j.Authenticate(r); !errors.Is(err, c.err) || caller.ID != "" {
				t.Errorf("%s: caller %q, error %v", name, caller.ID, err)
			}
		}
		if p.asked() != 0 {
			t.Errorf("the provider was asked %d times", p.asked())
		}
	})
}

func TestAnotherClaimCanTellCallersApart(t *testing.T) {
	with(t, JWTConfig{SubjectClaim: "email"}, []any{authntest.Public("one", rsaKey())}, func(t *testing.T, _ *provider, j *JWT) {
		token := authntest.Sign(t, jose.RS256, rsaKey(), authntest.KeyID("one"), claims(map[string]any{"email": "a@id.example"}))
		if caller, err := j.Authenticate(bearing(t, token)); caller.ID != "jwt:a@id.example" || err != nil {
			t.Errorf("caller %q, error %v", caller.ID, err)
		}
	})
}

func TestKeysMayBeChanged(t *testing.T) {
	first, second := authntest.NewKey(t), authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", first)}, func(t *testing.T, p *provider, j *JWT) {
		old := authntest.Sign(t, jose.ES256, first, authntest.KeyID("1"), claims(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()}))
		young := authntest.Sign(t, jose.ES256, second, authntest.KeyID("2"), claims(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()}))
		check := func(when, token string, want error, asked int) {
			t.Helper()
			if _, err := j.Authenticate(bearing(t, token)); !errors.Is(err, want) || p.asked() != asked {
				t.Errorf("%s: error %v; the provider was asked %d times, want %d", when, err, p.asked(), asked)
			}
		}
		check("the first token", old, nil, 1)
		check("the second", old, nil, 1)
		check("a key that is to come", young, ErrBadCredential, 1)
		p.change(func() { p.keys = []any{authntest.Public("2", second)} })
		time.Sleep(fetchInterval - time.Second)
		check("a new key, too soon", young, ErrBadCredential, 1)
		time.Sleep(time.Second)
		check("the key that went, before anybody noticed", old, nil, 1)
		check("a new key", young, nil, 2)
		check("the key that went", old, ErrBadCredential, 2)
		p.change(func() { p.keys = []any{authntest.Public("1", first)} })
		time.Sleep(refreshAfter)
		check("a key that was withdrawn meanwhile", young, ErrBadCredential, 3)
	})
}

func TestAKeyWithoutANameMayBeChanged(t *testing.T) {
	first, second := authntest.NewKey(t), authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("", first)}, func(t *testing.T, p *provider, j *JWT) {
		if _, err := j.Authenticate(bearing(t, authntest.Sign(t, jose.ES256, first, nil, claims(nil)))); err != nil {
			t.Error(err)
		}
		p.change(func() { p.keys = []any{authntest.Public("", second)} })
		time.Sleep(fetchInterval)
		if _, err := j.Authenticate(bearing(t, authntest.Sign(t, jose.ES256, second, nil, claims(nil)))); err != nil {
			t.Error(err)
		}
	})
}

func TestForgersCannotMakeUsAskTheProvider(t *testing.T) {
	ours, theirs := authntest.NewKey(t), authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", ours)}, func(t *testing.T, p *provider, j *JWT) {
		good := authntest.Sign(t, jose.ES256, ours, authntest.KeyID("1"), claims(map[string]any{"exp": time.Now().Add(time.Hour).Unix()}))
		if err := j.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		forged := authntest.Sign(t, jose.ES256, theirs, authntest.KeyID("1"), claims(nil))
		for range 100 {
			time.Sleep(time.Second)
			if _, err := j.Authenticate(bearing(t, forged)); !errors.Is(err, ErrBadCredential) {
				t.Fatal(err)
			}
		}
		if p.asked() != 1 {
			t.Errorf("a known key's name made us ask %d times", p.asked())
		}
		// 100 s of a flood of unknown names: 1 before and one each 10 s.
		for i := range 1000 {
			time.Sleep(100 * time.Millisecond)
			token := authntest.Sign(t, jose.ES256, theirs, authntest.KeyID(strings.Repeat("x", i)), claims(nil))
			if _, err := j.Authenticate(bearing(t, token)); !errors.Is(err, ErrBadCredential) {
				t.Fatal(err)
			}
			if _, err := j.Authenticate(bearing(t, good)); err != nil {
				t.Fatalf("a good token in the flood: %v", err)
			}
		}
		if p.asked() < 10 || p.asked() > 12 {
			t.Errorf("unknown names made us ask %d times", p.asked())
		}
	})
}

func TestKeysThatAreGoodAreEnoughToBeReady(t *testing.T) {
	with(t, JWTConfig{}, []any{authntest.Public("1", authntest.NewKey(t))}, func(t *testing.T, p *provider, j *JWT) {
		ready := func(when string, want error, took time.Duration) {
			t.Helper()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := j.Ready(ctx); !errors.Is(err, want) {
				t.Errorf("%s: %v", when, err)
			}
			if got := time.Since(began); got != took {
				t.Errorf("%s: it takes %v", when, got)
			}
		}
		p.change(func() { p.frozen = true })
		ready("frozen at start", ErrUnavailable, 2*time.Second)
		time.Sleep(fetchLimit)
		p.change(func() { p.frozen, p.down = false, true })
		for range 20 {
			ready("down", ErrUnavailable, 0)
			time.Sleep(time.Second)
		}
		p.change(func() { p.down = false })
		time.Sleep(fetchInterval)
		ready("back, without a caller", nil, 0)
		if n := p.asked(); n != 1 {
			t.Errorf("its keys were asked for %d times", n)
		}
		p.change(func() { p.down = true })
		time.Sleep(keysLast - time.Second)
		ready("down, with keys", nil, 0)
		time.Sleep(time.Second)
		ready("down for too long", ErrUnavailable, 0)
	})
}

func TestWithoutTheProviderNobodyIsKnown(t *testing.T) {
	key := authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, j *JWT) {
		day := claims(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()})
		good, unknown := authntest.Sign(t, jose.ES256, key, authntest.KeyID("1"), day), authntest.Sign(t, jose.ES256, authntest.NewKey(t), authntest.KeyID("2"), day)
		check := func(when, token string, want error) {
			t.Helper()
			_, err := j.Authenticate(bearing(t, token))
			if !errors.Is(err, want) || errors.Is(err, ErrBadCredential) != (want == ErrBadCredential) {
				t.Errorf("%s: error %v, want %v", when, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s: the error quotes the provider: %v", when, err)
			}
		}
		p.change(func() { p.down = true })
		if err := j.Warm(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("warming gives %v", err)
		}
		check("down at start", good, ErrUnavailable)
		p.change(func() { p.down = false })
		check("back, a moment ago", good, ErrUnavailable)
		time.Sleep(fetchInterval)
		check("back", good, nil)

		p.change(func() { p.frozen = true })
		time.Sleep(refreshAfter)
		began := time.Now()
		check("frozen, with keys of ten minutes", good, nil)
		if took := time.Since(began); took != fetchLimit {
			t.Errorf("the one who asks waits for %v", took)
		}
		check("a key that may be a new one", unknown, ErrUnavailable)
		time.Sleep(fetchInterval)
		check("a key that may be a new one, asked for", unknown, ErrUnavailable)
		time.Sleep(keysLast - refreshAfter)
		check("with keys of an hour", good, ErrUnavailable)
		p.change(func() { p.frozen = false })
		time.Sleep(fetchInterval)
		check("back again", good, nil)
		check("a key that is none", unknown, ErrBadCredential)
	})
}

func TestAProviderThatCannotBeTrustedIsAsGoodAsDown(t *testing.T) {
	key := authntest.NewKey(t)
	private := jose.JSONWebKey{Key: []byte("secret"), KeyID: "1"}
	for name, c := range map[string]struct {
		spoil func(*provider)
		why   string
	}{
		"another issuer":          {func(p *provider) { p.as = "https://CANARY.example" }, "another issuer"},
		"keys in clear":           {func(p *provider) { p.keysAt = "http://id.example/realm/keys" }, "https"},
		"keys nowhere":            {func(p *provider) { p.keysAt = "" }, "jwks_uri"},
		"keys behind a redirect":  {func(p *provider) { p.keysAt = issuerURL + "moved" }, "status 302"},
		"no keys":                 {func(p *provider) { p.keys = nil }, "no public key"},
		"shared secrets only":     {func(p *provider) { p.keys = []any{private} }, "no public key"},
		"no end of the document":  {func(p *provider) { p.pad = 100 * maxDocument }, "longer than"},
		"something behind it":     {func(p *provider) { p.pad = 1 }, "not JSON"},
		"no answer at all, but 5": {func(p *provider) { p.down = true }, "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, j *JWT) {
				p.change(func() { c.spoil(p) })
				_, err := j.Authenticate(bearing(t, authntest.Sign(t, jose.ES256, key, authntest.KeyID("1"), claims(nil))))
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "CANARY") {
					t.Errorf("error is %v, want %q in it", err, c.why)
				}
				synctest.Wait()
				p.change(func() {
					if p.padded > 2*maxDocument {
						t.Errorf("%d bytes were taken", p.padded)
					}
				})
			})
		})
	}
}

func TestOnlyWhoeverAsksWaitsForNewerKeys(t *testing.T) {
	key := authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, j *JWT) {
		if err := j.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(refreshAfter)
		p.change(func() { p.frozen = true })
		token := authntest.Sign(t, jose.ES256, key, authntest.KeyID("1"), claims(nil))
		var one sync.WaitGroup
		one.Go(func() {
			if _, err := j.Authenticate(bearing(t, token)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if _, err := j.Authenticate(bearing(t, token)); err != nil || time.Since(began) != 0 {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		one.Wait()
	})
}

func TestAllWhoWaitShareOneFetch(t *testing.T) {
	key := authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, j *JWT) {
		p.change(func() { p.frozen = true })
		token := authntest.Sign(t, jose.ES256, key, authntest.KeyID("1"), claims(nil))

		// The first hangs up, which must not end the fetch for the others.
		ctx, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { j.Authenticate(bearing(t, token).WithContext(ctx)) })
		synctest.Wait()
		hangUp()
		began := time.Now()
		var atOnce, later atomic.Int32
		for range maxWaiting + 20 {
			all.Go(func() {
				if _, err := j.Authenticate(bearing(t, token)); !errors.Is(err, ErrUnavailable) {
					t.Errorf("error is %v", err)
				}
				if time.Since(began) == 0 {
					atOnce.Add(1)
				} else {
					later.Add(1)
				}
			})
		}
		all.Wait()
		if atOnce.Load() != 20 || later.Load() != maxWaiting || time.Since(began) != fetchLimit {
			t.Errorf("%d were refused at once and %d later, after %v", atOnce.Load(), later.Load(), time.Since(began))
		}

		p.change(func() { p.frozen = false })
		time.Sleep(fetchInterval)
		for range maxWaiting {
			all.Go(func() {
				if _, err := j.Authenticate(bearing(t, token)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if p.asked() != 1 {
			t.Errorf("the keys were asked for %d times", p.asked())
		}
	})
}

func TestWhoeverHangsUpWaitsNoLonger(t *testing.T) {
	key := authntest.NewKey(t)
	with(t, JWTConfig{}, []any{authntest.Public("1", key)}, func(t *testing.T, p *provider, j *JWT) {
		p.change(func() { p.frozen = true })
		token := authntest.Sign(t, jose.ES256, key, authntest.KeyID("1"), claims(nil))
		var all sync.WaitGroup
		all.Go(func() { j.Warm(t.Context()) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := j.Authenticate(bearing(t, token).WithContext(ctx))
		if !errors.Is(err, ErrUnavailable) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		all.Wait()
	})
}

func TestABadSettingIsNamed(t *testing.T) {
	for want, spoil := range map[string]func(*JWTConfig){
		"issuer: write a URL":      func(c *JWTConfig) { c.Issuer = "" },
		"issuer: write https":      func(c *JWTConfig) { c.Issuer = "http://id.example" },
		"audience: say":            func(c *JWTConfig) { c.Audience = "" },
		"leeway: write at most":    func(c *JWTConfig) { c.Leeway = maxLeeway + 1 },
		"leeway: write at most 5m": func(c *JWTConfig) { c.Leeway = -1 },
		"algorithms: there are":    func(c *JWTConfig) { c.Algorithms = []string{"RS256", "HS256"} },
		"algorithms: there are [R": func(c *JWTConfig) { c.Algorithms = []string{"none"} },
		"requiredClaims: groups":   func(c *JWTConfig) { c.RequiredClaims = map[string][]any{"groups": {[]any{"a"}}} },
		"requiredClaims: staff":    func(c *JWTConfig) { c.RequiredClaims = map[string][]any{"staff": nil} },
	} {
		c := JWTConfig{Issuer: issuerURL, Audience: "voice"}
		spoil(&c)
		_, err := NewJWT(c)
		named, ok := errors.AsType[*ConfigError](err)
		if !ok || !strings.HasPrefix(err.Error(), want) || !strings.HasPrefix(want, named.Setting+":") {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	for _, issuer := range []string{"http://localhost:8081", "http://127.0.0.1:8081", "http://[::1]:8081/realm", issuerURL} {
		if _, err := NewJWT(JWTConfig{Issuer: issuer, Audience: "voice"}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
