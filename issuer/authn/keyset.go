package authn

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	refreshAfter  = 10 * time.Minute // age at which keys are asked for again
	keysLast      = time.Hour        // age at which they are good no more: a withdrawn key ends then
	fetchInterval = 10 * time.Second // from the end of a fetch to the next, whatever tokens come
	fetchLimit    = 5 * time.Second
	maxDocument   = 256 << 10 // bytes
	maxWaiting    = 256       // requests that wait for a fetch
	minRSA        = 2048      // bits
)

var errSignature = errors.New("no key of the provider made the signature")

// keySet holds the keys of a provider. It has no goroutine: a request that misses
// a key fetches, and others go on with the keys that there are, or wait for it.
type keySet struct {
	issuer string
	client *http.Client

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	got      time.Time     // when keys came
	tried    time.Time     // when the last fetch ended, well or not
	err      error         // how it ended
	fetching chan struct{} // closed when the present one ends; nil if there is none
	waiting  int
}

// verify gives what a token says, if the provider signed it. Its errors are
// errSignature, those of ctx, and ErrUnavailable.
func (s *keySet) verify(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	header := token.Signatures[0].Header
	keys, age := s.held()
	if age >= refreshAfter {
		err := s.fetch(ctx, age >= keysLast)
		if keys, age = s.held(); age >= keysLast {
			return nil, err
		}
	}
	payload, known := try(keys, token, header)
	if payload == nil && !known {
		if err := s.fetch(ctx, true); err != nil {
			return nil, err
		}
		keys, _ = s.held()
		payload, _ = try(keys, token, header)
	}
	if payload == nil {
		return nil, errSignature
	}
	return payload, nil
}

// try verifies a token with those keys that may have signed it. Known is whether
// one of them is the one that it names; fetching others then helps nobody but a
// forger who wants the provider to be asked.
func try(keys []jose.JSONWebKey, token *jose.JSONWebSignature, header jose.Header) (payload []byte, known bool) {
	for _, key := range keys {
		if header.KeyID != "" && header.KeyID != key.KeyID {
			continue
		}
		known = header.KeyID != ""
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, known
}

// held gives the keys and their age, a very old one if there are none.
func (s *keySet) held() ([]jose.JSONWebKey, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, time.Since(s.got)
}

// ready is nil if there are keys that are still good. If not, it asks for them, because
// a server that is not ready is sent no callers who would.
func (s *keySet) ready(ctx context.Context) error {
	if _, age := s.held(); age < keysLast {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.fetch(ctx, true) }() // for at most fetchLimit, for others too
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// fetch asks the provider for its keys, unless somebody does or just did. Then
// it gives that one's error; with wait it first waits for the end.
func (s *keySet) fetch(ctx context.Context, wait bool) error {
	mine, err := s.join(ctx, wait)
	if !mine {
		return err
	}
	var keys []jose.JSONWebKey
	err = fmt.Errorf("%w: the provider's keys were not read to the end", ErrUnavailable)
	defer func() { s.settle(keys, err) }() // also when load panics, or nobody would ever fetch again
	// Whoever asks and hangs up must not keep others from the keys.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
	defer cancel()
	if keys, err = s.load(bounded); err != nil {
		err = fmt.Errorf("%w: the provider's keys: %w", ErrUnavailable, err)
	}
	return err
}

// join says whether the caller is to fetch, and must then settle. If not, it
// gives the error of the fetch that stands for the caller's.
func (s *keySet) join(ctx context.Context, wait bool) (mine bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.fetching
	switch {
	case done == nil && (s.tried.IsZero() || time.Since(s.tried) >= fetchInterval):
		s.fetching = make(chan struct{})
		return true, nil
	case done == nil:
		return false, s.err
	case !wait:
		return false, nil
	case s.waiting >= maxWaiting:
		return false, fmt.Errorf("%w: too many requests wait for the provider's keys", ErrUnavailable)
	}
	s.waiting++
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.waiting--
	if ctx.Err() != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	return false, s.err
}

// settle ends a fetch.
func (s *keySet) settle(keys []jose.JSONWebKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.err = time.Now(), err
	if err == nil {
		s.keys, s.got = keys, s.tried
	}
	close(s.fetching)
	s.fetching = nil
}

// load follows OpenID Connect Discovery from the issuer to its keys.
func (s *keySet) load(ctx context.Context) ([]jose.JSONWebKey, error) {
	var provider struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration", &provider); err != nil {
		return nil, err
	}
	if provider.Issuer != s.issuer {
		return nil, errors.New("the discovery document is of another issuer: write the issuer as the provider does, to the last slash")
	}
	if err := checkProviderURL(provider.JWKSURI); err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, provider.JWKSURI, &set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && usable(key) { // others may be for others
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key for signatures among them")
	}
	return keys, nil
}

// usable reports whether a key is a public one that may sign. A symmetric key in
// a public document is anybody's.
func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

func (s *keySet) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers with status %d", url, res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", url, err)
	case len(text) > maxDocument:
		return fmt.Errorf("%s is longer than %d bytes", url, maxDocument)
	case json.Unmarshal(text, into) != nil:
		return fmt.Errorf("%s is not JSON of the form that OpenID Connect has", url)
	}
	return nil
}
