// Package upstream mints ephemeral tokens through Google's Go SDK.
//
// Invariants:
//
//   - A key that does not begin with "emulator" goes to Google's host over TLS,
//     or to the one host that the operator named. The configuration is checked,
//     and the transport checks each request again.
//   - The body is ours: setup and mask are written out, and nothing that the SDK
//     generates (its masks have random order) gets into it.
//   - No environment variable chooses where a request goes.
//   - Errors hold no text of the service or the SDK, but for names of fields that
//     we know.
//   - At most Config.Concurrent mints go on at once, each within Config.Timeout.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"google.golang.org/genai"

	"github.com/livevalet/livevalet/wasm/live"
)

// Google is the base URL of the Gemini API.
const Google = "https://" + googleHost

// APIVersion is the version of the Gemini API in which tokens are minted and good:
// the one whose tokens every client takes (Google's Go client refuses others).
const APIVersion = "v1alpha"

const (
	defaultTimeout    = 10 * time.Second
	defaultAttempt    = 4 * time.Second
	defaultConcurrent = 128
	defaultWaiting    = 512

	keyDoubt = 30 * time.Second // after a refused key
)

// Config says where tokens come from.
type Config struct {
	// APIKey is required. See [Client.SetKey].
	APIKey live.Secret

	// BaseURL is the service's address. Empty is [Google].
	BaseURL string

	// SendKeyTo is a host, with or without a port, that may get a real key
	// beside Google's. Empty is none.
	SendKeyTo string

	// Timeout bounds one mint: waiting, attempts and the pauses between them.
	// Zero is 10 seconds.
	Timeout time.Duration

	// AttemptTimeout bounds one attempt of a mint. Zero is 4 seconds.
	AttemptTimeout time.Duration

	// Concurrent is how many mints go on at once. Zero is 128.
	Concurrent int

	// Waiting is how many more wait for one of those to end. All others fail at
	// once and ask nothing of the service. Zero is 512.
	Waiting int

	// Logger is told when this machine's clock and the service's differ. Nil
	// discards that, as befits an emulator, whose clock is moved on purpose.
	Logger *slog.Logger

	next http.RoundTripper // nil: the network
}

// Request is one token to mint. No field has a default.
type Request struct {
	Setup            map[string]any // value of bidiGenerateContentSetup; nil locks nothing; not changed
	FieldMask        string         // empty locks all of Setup and nothing else
	Uses             int            // session starts, at least 1
	Expire           time.Time
	NewSessionExpire time.Time
}

// Client mints tokens. Its methods may be called from anywhere.
type Client struct {
	config Config // the defaults filled in, the key left out
	clock  *serviceClock
	gate   gate
	keyed  atomic.Pointer[keyed]
}

// keyed is what holds the key or goes by it.
type keyed struct {
	key     live.Secret
	http    *http.Client
	refused atomic.Int64 // when the service last refused the key, in nanoseconds since 1970; 0: it does not
}

// New checks the configuration, the rule for keys above all. It sends nothing.
func New(c Config) (*Client, error) {
	if c.Timeout < 0 || c.AttemptTimeout < 0 || c.Concurrent < 0 || c.Waiting < 0 {
		return nil, errors.New("a time-out or a number of mints is negative: use 0 for the default")
	}
	key := c.APIKey
	c.APIKey = live.Secret{}
	c.BaseURL = cmp.Or(c.BaseURL, Google)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.AttemptTimeout = cmp.Or(c.AttemptTimeout, defaultAttempt)
	c.Concurrent = cmp.Or(c.Concurrent, defaultConcurrent)
	c.Waiting = cmp.Or(c.Waiting, defaultWaiting)
	if c.next == nil {
		c.next = newTransport(c.Concurrent)
	}
	u := &Client{config: c, clock: newServiceClock(c.Logger), gate: newGate(c.Concurrent, c.Waiting)}
	if err := u.SetKey(key); err != nil {
		return nil, err
	}
	return u, nil
}

// SetKey replaces the key for the mints that begin from now on; those that have
// begun end with the old one. A key that may not go where this client sends it
// is refused, and the old one stays.
func (c *Client) SetKey(key live.Secret) error {
	config := c.config
	config.APIKey = key
	rule, err := config.rule()
	if err != nil {
		return err
	}
	c.keyed.Store(&keyed{key: key, http: newHTTPClient(rule, c.config.next, c.clock)})
	return nil
}

// NewHTTPClient checks the configuration as [New] does and gives a client, for
// HTTP and for WebSockets, that reaches only where the key may go and follows no
// redirect. Its requests have no time-out of their own.
func NewHTTPClient(c Config) (*http.Client, error) {
	c.BaseURL = cmp.Or(c.BaseURL, Google)
	rule, err := c.rule()
	if err != nil {
		return nil, err
	}
	return newHTTPClient(rule, newTransport(defaultConcurrent), newServiceClock(nil)), nil
}

// rule judges the configuration and says where its key may go.
func (c Config) rule() (keyRule, error) {
	base, err := url.Parse(c.BaseURL)
	rule := keyRule{Real(c.APIKey), strings.ToLower(c.SendKeyTo)}
	switch {
	case c.APIKey.IsZero():
		return rule, errors.New("there is no API key: set GEMINI_API_KEY")
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "":
		return rule, errors.New("the base URL must look like " + Google)
	case strings.ContainsFunc(c.APIKey.Reveal(), unicode.IsControl):
		return rule, errors.New("the API key holds a line break or another control character: set it anew")
	case !rule.real && base.Hostname() == googleHost:
		return rule, errors.New("a key that begins with \"" + emulatorPrefix + "\" is for the emulator: name its address with --base-url, or set a real key")
	case !rule.allows(base):
		return rule, fmt.Errorf("%w, and the base URL names %s", errKeyTarget, base.Host)
	}
	return rule, nil
}

// Mint asks for one token. Where the service does not answer, or says that it
// may do so later, it is asked again, three times at most and within the
// Timeout. An attempt that seems to fail may have made a token all the same:
// nobody learns its name, so nothing is lost but that. After an error that wraps
// [ErrMisdated] the caller may try again with new times. Errors are *Error, or
// ctx's own when it ended.
func (c *Client) Mint(ctx context.Context, r Request) (live.Secret, error) {
	if r.Uses < 1 || r.Expire.IsZero() || r.NewSessionExpire.IsZero() {
		// The service takes 0 uses for "no limit" and absent times for long ones.
		return live.Secret{}, &Error{Kind: ErrRefused, Reason: "uses and both times must be set"}
	}
	bounded, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	token, err := c.persist(bounded, r)
	if ctx.Err() != nil {
		return live.Secret{}, context.Cause(ctx)
	}
	return token, err
}

// persist makes the attempts. It keeps its place meanwhile, in the pauses too:
// a service in trouble gets fewer mints, not more.
func (c *Client) persist(ctx context.Context, r Request) (live.Secret, error) {
	dated := c.clock.ahead()
	if err := c.gate.enter(ctx); err != nil {
		return live.Secret{}, err
	}
	defer c.gate.leave()
	deadline, _ := ctx.Deadline()
	k := c.keyed.Load()
	for n := 1; ; n++ {
		token, e := c.attempt(ctx, k, r)
		if e == nil {
			k.refused.Store(0)
			return token, nil
		}
		if e.Key {
			k.refused.Store(time.Now().UnixNano())
		}
		if e.HTTP == http.StatusBadRequest && c.clock.ahead() != dated {
			e.Kind = ErrMisdated
		}
		wait, again := pause(n, e, time.Until(deadline), rand.Float64())
		if !again || !sleep(ctx, wait) {
			return live.Secret{}, e
		}
	}
}

// attempt asks once.
func (c *Client) attempt(ctx context.Context, k *keyed, r Request) (live.Secret, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.AttemptTimeout)
	defer cancel()
	var n note
	ctx = context.WithValue(context.WithValue(ctx, noteKey{}, &n), keyedKey{}, k)
	token, err := sdk.Create(ctx, c.request(r))
	switch {
	case err != nil:
		return live.Secret{}, n.explain(ctx, err)
	case token.Name == "":
		// The SDK takes an empty answer for a token.
		return live.Secret{}, &Error{Kind: ErrUnavailable, HTTP: n.status, Reason: "the answer names no token"}
	}
	return live.NewSecret(token.Name), nil
}

// request is made anew for each call, because the SDK writes into its headers.
func (c *Client) request(r Request) *genai.CreateAuthTokenConfig {
	lock := func(body map[string]any) map[string]any {
		if r.Setup != nil {
			body["bidiGenerateContentSetup"] = r.Setup
		}
		if r.FieldMask != "" {
			body["fieldMask"] = r.FieldMask
		}
		return body
	}
	return &genai.CreateAuthTokenConfig{
		Uses:                 genai.Ptr(int32(r.Uses)),
		ExpireTime:           r.Expire.UTC().Truncate(time.Second),
		NewSessionExpireTime: r.NewSessionExpire.UTC().Truncate(time.Second),
		HTTPOptions:          &genai.HTTPOptions{BaseURL: c.config.BaseURL, APIVersion: APIVersion, ExtrasRequestProvider: lock},
	}
}

// explain makes an Error of the SDK's, without its text.
func (n *note) explain(ctx context.Context, err error) *Error {
	if api, ok := errors.AsType[genai.APIError](err); ok {
		return &Error{
			Kind: kindOf(n.status), HTTP: n.status, Status: canonical(api.Status), RetryAfter: n.retryAfter,
			Fields: fieldsOf(api.Details), Key: refusesKey(n.status, api.Details),
		}
	}
	e := &Error{Kind: ErrUnavailable, HTTP: n.status, Reason: "no connection"}
	switch {
	case errors.Is(err, errKeyTarget):
		e.Kind, e.Reason = ErrRefused, errKeyTarget.Error()
	case ctx.Err() != nil:
		e.Reason = "no answer in time"
	case n.status != 0:
		e.Reason = "the answer is not JSON"
	}
	return e
}

// Now is the service's time, as far as its last answer tells. Requests must be
// dated by it.
func (c *Client) Now() time.Time { return c.clock.now() }

// Ready is an error for half a minute after the service refused the key, unless
// it takes it again or there is a new one. After that the next mint finds out:
// without any, nobody would.
func (c *Client) Ready() error {
	if at := c.keyed.Load().refused.Load(); at != 0 && time.Since(time.Unix(0, at)) < keyDoubt {
		return errors.New("the token service refuses the API key")
	}
	return nil
}

// ReadClock asks the service for its time, so that the first token is dated well
// and operators hear at once of a clock that is wrong. It sends no key: the
// service refuses the request (observed), with a Date (assumed). Its errors are
// *Error, or ctx's own.
func (c *Client) ReadClock(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, c.config.AttemptTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, http.MethodHead, strings.TrimRight(c.config.BaseURL, "/")+"/"+APIVersion+"/auth_tokens", nil)
	if err != nil {
		return &Error{Kind: ErrRefused, Reason: "the base URL is not a URL"} // SetKey has checked it
	}
	answer, err := c.keyed.Load().http.Do(r)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return new(note).explain(bounded, err)
	}
	return answer.Body.Close()
}

// Close drops idle connections.
func (c *Client) Close() { c.keyed.Load().http.CloseIdleConnections() }
