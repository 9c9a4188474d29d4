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
//   - Errors hold no text of the service or the SDK.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/genai"

	"github.com/livevalet/livevalet/wasm/live"
)

// Google is the base URL of the Gemini API.
const Google = "https://" + googleHost

const (
	// apiVersion is the one whose tokens every client takes: Google's Go client
	// refuses others.
	apiVersion = "v1alpha"

	defaultTimeout = 10 * time.Second
)

// Config says where tokens come from.
type Config struct {
	// APIKey is required.
	APIKey live.Secret

	// BaseURL is the service's address. Empty is [Google].
	BaseURL string

	// SendKeyTo is a host, with or without a port, that may get a real key
	// beside Google's. Empty is none.
	SendKeyTo string

	// Timeout bounds one mint. Zero is 10 seconds.
	Timeout time.Duration
}

// Request is one token to mint. No field has a default.
type Request struct {
	Setup            map[string]any // value of bidiGenerateContentSetup; not changed
	FieldMask        string         // empty locks all of Setup and nothing else
	Uses             int            // session starts, at least 1
	Expire           time.Time
	NewSessionExpire time.Time
}

// Client mints tokens. Its methods may be called from anywhere.
type Client struct {
	tokens  *genai.Tokens
	baseURL string
	timeout time.Duration
	http    *http.Client
	clock   *serviceClock
}

// New checks the configuration, the rule for keys above all. It sends nothing.
func New(c Config) (*Client, error) {
	c.BaseURL = cmp.Or(c.BaseURL, Google)
	rule, err := c.rule()
	if err != nil {
		return nil, err
	}
	clock := new(serviceClock)
	client := newHTTPClient(rule, clock)
	quiet.Lock()
	defer quiet.Unlock()
	out := log.Writer()
	log.SetOutput(io.Discard)
	defer log.SetOutput(out)
	tokens, err := newTokens(c.APIKey.Reveal(), c.BaseURL, client)
	if err != nil {
		return nil, err
	}
	exhaustNotices()
	return &Client{tokens, c.BaseURL, cmp.Or(c.Timeout, defaultTimeout), client, clock}, nil
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
	return newHTTPClient(rule, new(serviceClock)), nil
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
	case c.Timeout < 0:
		return rule, errors.New("the time-out is negative: use 0 for the default")
	case !rule.allows(base):
		return rule, fmt.Errorf("%w, and the base URL names %s", errKeyTarget, base.Host)
	}
	return rule, nil
}

func newTokens(key, baseURL string, client *http.Client) (*genai.Tokens, error) {
	c, err := genai.NewClient(context.Background(), &genai.ClientConfig{
		Backend:     genai.BackendGeminiAPI, // else environment variables choose
		APIKey:      key,
		HTTPClient:  client,
		HTTPOptions: genai.HTTPOptions{BaseURL: baseURL, APIVersion: apiVersion}, // else they may, too
	})
	if err != nil {
		return nil, errors.New("the SDK refuses the key or the base URL") // its error may print the key
	}
	return c.AuthTokens, nil
}

// Mint asks for one token. It tries once; after an error that wraps
// [ErrMisdated] the caller may try again with new times. Errors are *Error, or
// ctx's own when it ended.
func (c *Client) Mint(ctx context.Context, r Request) (live.Secret, error) {
	if r.Uses < 1 || r.Expire.IsZero() || r.NewSessionExpire.IsZero() {
		// The service takes 0 uses for "no limit" and absent times for long ones.
		return live.Secret{}, &Error{Kind: ErrRefused, Reason: "uses and both times must be set"}
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var n note
	bounded = context.WithValue(bounded, noteKey{}, &n)

	token, err := c.tokens.Create(bounded, c.config(r))
	switch {
	case ctx.Err() != nil:
		return live.Secret{}, context.Cause(ctx)
	case err != nil:
		return live.Secret{}, n.explain(bounded, err)
	case token.Name == "":
		// The SDK takes an empty answer for a token.
		return live.Secret{}, &Error{Kind: ErrUnavailable, HTTP: n.status, Reason: "the answer names no token"}
	}
	return live.NewSecret(token.Name), nil
}

// config is made anew for each call, because the SDK writes into its headers.
func (c *Client) config(r Request) *genai.CreateAuthTokenConfig {
	body := map[string]any{"bidiGenerateContentSetup": r.Setup}
	if r.FieldMask != "" {
		body["fieldMask"] = r.FieldMask
	}
	return &genai.CreateAuthTokenConfig{
		Uses:                 genai.Ptr(int32(r.Uses)),
		ExpireTime:           r.Expire.UTC().Truncate(time.Second),
		NewSessionExpireTime: r.NewSessionExpire.UTC().Truncate(time.Second),
		HTTPOptions:          &genai.HTTPOptions{BaseURL: c.baseURL, APIVersion: apiVersion, ExtraBody: body},
	}
}

// explain makes an Error of the SDK's, without its text.
func (n *note) explain(ctx context.Context, err error) error {
	if api, ok := errors.AsType[genai.APIError](err); ok {
		e := &Error{Kind: kindOf(n.status), HTTP: n.status, Status: canonical(api.Status), RetryAfter: n.retryAfter}
		if n.status == http.StatusBadRequest && n.moved {
			e.Kind = ErrMisdated
		}
		return e
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

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// quiet is held while package log is silenced: through it the SDK tells, past
// any logger of ours, which variables of the environment it sees.
var quiet sync.Mutex

// exhaustNotices makes the SDK say now, to nobody, what it says at the first
// mint of a process.
var exhaustNotices = sync.OnceFunc(func() {
	if tokens, err := newTokens("emulator", "http://localhost", &http.Client{Transport: unreachable{}}); err == nil {
		_, _ = tokens.Create(context.Background(), nil)
	}
})

type unreachable struct{}

// RoundTrip implements http.RoundTripper.
func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.ErrUnsupported
}
