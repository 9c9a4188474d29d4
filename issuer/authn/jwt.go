package authn

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	maxToken  = 16 << 10 // bytes
	maxLeeway = 5 * time.Minute
)

// asymmetric are the algorithms that can be allowed: of those that sign with a
// shared secret, and of "none", no public key is proof.
var asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// JWTConfig says which tokens are good.
type JWTConfig struct {
	// Issuer is the provider's URL, exactly as it writes it, over TLS unless it is
	// on this machine. Required.
	Issuer string

	// Audience must be among those of the token. Required: without it a token that
	// a user gave to any other service of the same provider would do.
	Audience string

	// Leeway is by how much the provider's clock may be off, at most 5 minutes.
	// Zero is nothing.
	Leeway time.Duration

	// SubjectClaim names the claim that tells callers apart. Empty is "sub", the only
	// one that a provider must never give to another.
	SubjectClaim string

	// RequiredClaims must all be there, each with one of its values, as
	// Caller.Holds has it.
	RequiredClaims map[string][]any

	// Algorithms may sign. Empty is RS256 and ES256.
	Algorithms []string

	// Transport reaches the provider. Nil takes the proxy of the environment
	// and the certificate authorities of the system.
	Transport http.RoundTripper
}

// JWT knows callers by tokens that an OpenID Connect provider signed. It keeps
// the provider's keys for ten minutes, and for an hour if the provider cannot be
// reached; a token of a key that it does not have makes it ask again, at most
// every ten seconds. Its methods may be called from anywhere.
type JWT struct {
	config     JWTConfig
	algorithms []jose.SignatureAlgorithm
	keys       *keySet
}

// NewJWT checks the settings. It does not ask the provider, which may be down.
// Errors are of type *ConfigError.
func NewJWT(c JWTConfig) (*JWT, error) {
	c.SubjectClaim = cmp.Or(c.SubjectClaim, "sub")
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{string(jose.RS256), string(jose.ES256)}
	}
	j := &JWT{config: c}
	if err := checkProviderURL(c.Issuer); err != nil {
		return nil, &ConfigError{"issuer", err.Error()}
	}
	switch {
	case c.Audience == "":
		return nil, &ConfigError{"audience", "say which audience the tokens must be for"}
	case c.Leeway < 0 || c.Leeway > maxLeeway:
		return nil, &ConfigError{"leeway", fmt.Sprintf("write at most %v, and nothing negative", maxLeeway)}
	}
	for _, name := range c.Algorithms {
		alg := jose.SignatureAlgorithm(name)
		if !slices.Contains(asymmetric, alg) {
			return nil, &ConfigError{"algorithms", fmt.Sprintf("there are %v: others prove nothing here", asymmetric)}
		}
		j.algorithms = append(j.algorithms, alg)
	}
	for name, values := range c.RequiredClaims {
		if len(values) == 0 || slices.ContainsFunc(values, func(v any) bool { return scalar(v) == nil }) {
			return nil, &ConfigError{"requiredClaims", name + ": write texts, numbers, true or false, one or a list"}
		}
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true, // the next request is minutes away
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	j.keys = &keySet{issuer: c.Issuer, client: &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // perhaps to no TLS
	}}
	return j, nil
}

// checkProviderURL refuses what anybody on the way could answer.
func checkProviderURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("write a URL such as https://id.example")
	}
	ip := net.ParseIP(u.Hostname())
	if local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return errors.New("write https: keys that come in clear are anybody's")
	}
	return nil
}

// Warm asks for the provider's keys, so that the first caller need not wait, and
// says what is wrong with it.
func (j *JWT) Warm(ctx context.Context) error { return j.keys.fetch(ctx, true) }

// Ready is nil while there are keys to check tokens with, also old ones of a provider
// that is down. Without any it asks for them, as seldom as callers make it do.
func (j *JWT) Ready(ctx context.Context) error { return j.keys.ready(ctx) }

// Authenticate gives the caller the ID "jwt:" and the subject, and all claims of
// the token. While no keys can be had it says ErrUnavailable, of good tokens and
// bad. Its errors name claims and quote none.
func (j *JWT) Authenticate(r *http.Request) (Caller, error) {
	text, err := bearer(r)
	switch {
	case err != nil:
		return Caller{}, err
	case !isJWT(text):
		return Caller{}, ErrNoCredential
	case len(text) > maxToken:
		return Caller{}, fmt.Errorf("%w: it is longer than %d bytes", ErrBadCredential, maxToken)
	}
	token, err := jose.ParseSignedCompact(text, j.algorithms)
	if _, alg := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); alg {
		return Caller{}, fmt.Errorf("%w: its algorithm is not allowed", ErrBadCredential)
	} else if err != nil {
		return Caller{}, fmt.Errorf("%w: it is not a JWT", ErrBadCredential)
	}
	payload, err := j.keys.verify(r.Context(), token)
	if errors.Is(err, errSignature) {
		return Caller{}, fmt.Errorf("%w: %w", ErrBadCredential, err)
	} else if err != nil {
		return Caller{}, err
	}
	caller, err := j.caller(payload, time.Now())
	if err != nil {
		return Caller{}, fmt.Errorf("%w: %w", ErrBadCredential, err)
	}
	return caller, nil
}

// caller checks what a provider signed.
func (j *JWT) caller(payload []byte, now time.Time) (Caller, error) {
	var c jwt.Claims
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	// The first decoder refuses names that stand twice, the second keeps digits.
	if josejson.Unmarshal(payload, &c) != nil || dec.Decode(&all) != nil {
		return Caller{}, errors.New("its claims are not of the form that JWT has")
	}
	if c.Expiry == nil {
		return Caller{}, errors.New("it has no expiry (exp)")
	}
	if err := c.ValidateWithLeeway(jwt.Expected{
		Issuer: j.config.Issuer, AnyAudience: jwt.Audience{j.config.Audience}, Time: now,
	}, j.config.Leeway); err != nil {
		return Caller{}, err
	}
	subject, _ := all[j.config.SubjectClaim].(string)
	if !validID(subject) {
		return Caller{}, fmt.Errorf("the claim %s, by which callers are told apart, is missing, or no text of 1 to %d bytes", j.config.SubjectClaim, maxID)
	}
	caller := Caller{ID: ofJWT + subject, Claims: all}
	for name, values := range j.config.RequiredClaims {
		if !slices.ContainsFunc(values, func(value any) bool { return caller.Holds(name, value) }) {
			return Caller{}, fmt.Errorf("the claim %s is not a required one", name)
		}
	}
	return caller, nil
}
