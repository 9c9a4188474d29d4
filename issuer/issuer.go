// Package issuer hands out ephemeral tokens for the Gemini Live API: one path
// from a request to a token.
//
//	observe ── guard ── authenticator ── profile ── lease ── store decides ── mint ── answer
//
// Invariants:
//
//   - A handler returns an error or writes an answer, never both. What is not a
//     *problem is a bare 500.
//   - One log event per request. No event, answer or error holds an API key, a
//     setup, or somebody else's token or lease id.
//   - Nothing is minted that the store has not granted, with all that it costs. A
//     mint that failed gives it back, except for the rates; what is not known to have
//     failed counts as used.
//   - No token is given out before that is on record, where records are required.
package issuer

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// Authenticator says who is asking. Its errors wrap those of package authn;
// any other is a 500. It may be called from many goroutines at once.
type Authenticator = authn.Authenticator

// Minter makes tokens. Its errors wrap upstream.ErrRefused or
// upstream.ErrUnavailable; any other is a 500. After upstream.ErrMisdated it is
// asked once more, with the times of a new Config.Now.
type Minter interface {
	Mint(context.Context, upstream.Request) (live.Secret, error)
}

// Store decides what may be granted and remembers what was. Its errors are package
// store's; any other means that it cannot be reached, and nothing is granted then.
type Store interface {
	Grant(context.Context, store.Ask) (store.Standing, error)
	Undo(context.Context, store.Ask) error
	Load(context.Context, store.Key) (store.Lease, error)
	Release(context.Context, store.Key) error
}

// Config says how to issue tokens. New copies it.
type Config struct {
	// Guard decides who may knock at all. Required.
	Guard *Guard

	// Authenticator says who is asking. Required: there is no default, because
	// the only one possible is "anyone".
	Authenticator Authenticator

	// Minter makes the tokens. Required.
	Minter Minter

	// Profiles by their names. Empty is the built-in default alone. One whose mask the
	// service refuses gives no tokens; [Try] finds out.
	Profiles []profile.Profile

	// Store decides what may be granted and remembers what was. Nil does so in memory,
	// and forgets when the process ends. Who opens a store closes it.
	Store Store

	// Limits bound what all callers together can have. The zero Limits are the
	// defaults.
	Limits Limits

	// Address says for which address a request counts. Its errors refuse the request.
	// Nil is [Peer]; behind a proxy that is one address for everybody, so there it is
	// [AddressFrom].
	Address func(*http.Request) (netip.Addr, error)

	// HandleKey keys the hashes by which Store knows resumption handles. Issuers
	// that share a Store must share it: each kind of store has one to ask for. Nil is a
	// random one.
	HandleKey []byte

	// Live is where the tokens are good. Nil is Google.
	Live LiveOrigin

	// Connection is how long one socket lasts, as far as is known; pages are told.
	// Zero is 10 minutes (documented).
	Connection time.Duration

	// Now is the time by which tokens and leases are dated: the one that the
	// token service has. Nil is this machine's.
	Now func() time.Time

	// Record keeps what is decided.
	Record Record

	// Logger gets one event per request. Nil discards them.
	Logger *slog.Logger
}

// LiveOrigin says on which origin, such as "wss://example.org", a page that sent
// this request finds the Live socket.
type LiveOrigin func(*http.Request) string

// GoogleLive is Google's, for every request.
func GoogleLive(*http.Request) string { return "wss://generativelanguage.googleapis.com" }

// LiveHere is the request's own Host, for a server that serves the Live socket
// too. The Host must have passed a Guard.
func LiveHere(r *http.Request) string {
	if r.TLS != nil {
		return "wss://" + r.Host
	}
	return "ws://" + r.Host
}

// What New has no setting for.
const (
	livePath   = "/ws/google.ai.generativelanguage." + upstream.APIVersion + ".GenerativeService.BidiGenerateContentConstrained"
	tokenParam = "access_token"

	defaultConnection = 10 * time.Minute
	idleLimit         = 5 * time.Minute // without input or answer: pages end the conversation
	maxBody           = 64 << 10        // bytes
)

// issuer is a Config that was found good.
type issuer struct {
	Config
	profiles map[string]profile.Profile
	refused  *refusals
}

// New gives a handler for the routes below. It checks Host, origin, method and
// content type itself, so it can stand behind any mux under its own paths.
func New(c Config) (http.Handler, error) {
	switch {
	case c.Guard == nil:
		return nil, errors.New("issuer: Config.Guard is missing: say which hosts and origins may ask")
	case c.Authenticator == nil:
		return nil, errors.New("issuer: Config.Authenticator is missing: say who may have tokens")
	case c.Minter == nil:
		return nil, errors.New("issuer: Config.Minter is missing: say where tokens come from")
	case c.Record.Audit != nil && c.Record.TokenKey.IsZero():
		return nil, errors.New("issuer: Config.Record.TokenKey is missing: say what keys the hashes on record")
	}
	if len(c.Profiles) == 0 {
		c.Profiles = []profile.Profile{profile.Default()}
	}
	if c.Store == nil {
		c.Store = &store.Memory{}
	}
	if c.Address == nil {
		c.Address = Peer
	}
	limits, err := c.Limits.filled()
	if err != nil {
		return nil, err
	}
	c.Limits = limits
	if c.Live == nil {
		c.Live = GoogleLive
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Connection = cmp.Or(c.Connection, defaultConnection)
	if c.HandleKey == nil {
		c.HandleKey = make([]byte, sha256.Size)
		rand.Read(c.HandleKey)
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	i := &issuer{Config: c, profiles: map[string]profile.Profile{}, refused: &refusals{
		rate: c.Limits.Refusals, counted: c.Record.Untraced, log: c.Logger, tats: map[string]time.Time{},
	}}
	for _, p := range c.Profiles {
		if _, twice := i.profiles[p.Name()]; twice {
			return nil, fmt.Errorf("issuer: there are two profiles %q", p.Name())
		}
		i.profiles[p.Name()] = p
	}
	return Observe(c.Logger, i.recorded(c.Guard.Wrap(i.routes()))), nil
}

// routes is everything there is.
func (i *issuer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/token", post(i.grant))
	mux.Handle("/api/token", post(i.grant))
	mux.Handle("/v1/token/renew", post(i.renew))
	mux.Handle("/v1/token/release", post(i.release))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &problem{code: invalidRequest, status: http.StatusNotFound, detail: "there is no such endpoint: see /v1/token"})
	})
	return mux
}
