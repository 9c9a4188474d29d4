package issuer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/wasm/live"
)

// Access is what operators may ask of a store. Its errors are package store's;
// any other means that it cannot be reached.
type Access interface {
	Revoke(ctx context.Context, caller string) error
	Unrevoke(ctx context.Context, caller string) error
	Revoked(ctx context.Context, caller string) (bool, error)
	Revocations(ctx context.Context, after string, most int) ([]string, error)
	Leases(ctx context.Context, caller string) ([]store.Lease, error)
}

// AdminConfig says how operators reach a running issuer. NewAdmin copies it.
type AdminConfig struct {
	// Guard decides who may knock at all. Required. It is not enough: the listener
	// must be one that only this machine reaches.
	Guard *Guard

	// Token is what operators show, as "Authorization: Bearer". Required.
	Token live.Secret

	// Access is the issuer's store. Required.
	Access Access

	// CheckID says why nobody is called so, so that a slip of the pen is not taken for
	// a revocation. Nil is authn.CheckID: an Authenticator that names callers
	// otherwise needs another.
	CheckID func(id string) error

	// Record keeps what is decided here, too.
	Record Record

	// Metrics answers GET /metrics. Nil is none.
	Metrics http.Handler

	// Logger gets one event per request. Nil discards them.
	Logger *slog.Logger
}

type admin struct {
	AdminConfig
	token [sha256.Size]byte
}

// NewAdmin gives a handler for operators: GET /metrics, POST and DELETE
// /admin/users/{id}/revocation, GET /admin/revocations, GET /admin/leases?user=.
func NewAdmin(c AdminConfig) (http.Handler, error) {
	switch {
	case c.Guard == nil:
		return nil, errors.New("admin: AdminConfig.Guard is missing: say under which hosts it may be asked")
	case c.Token.IsZero():
		return nil, errors.New("admin: AdminConfig.Token is missing: say what operators show")
	case c.Access == nil:
		return nil, errors.New("admin: AdminConfig.Access is missing: say which store it is about")
	}
	if c.CheckID == nil {
		c.CheckID = authn.CheckID
	}
	a := &admin{c, sha256.Sum256([]byte(c.Token.Reveal()))}
	mux := http.NewServeMux()
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	mux.Handle("POST /admin/users/{id}/revocation", a.revocation(c.Access.Revoke, audit.Revoked))
	mux.Handle("DELETE /admin/users/{id}/revocation", a.revocation(c.Access.Unrevoke, audit.Unrevoked))
	mux.HandleFunc("GET /admin/revocations", a.revocations)
	mux.HandleFunc("GET /admin/leases", a.leases)
	return Observe(c.Logger, c.Guard.WrapControl(a.known(mux))), nil
}

// known lets operators pass. How long it takes tells nothing about the token.
func (a *admin) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		shown := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(shown[:], a.token[:]) != 1 {
			fail(w, r, &problem{code: unauthenticated, detail: "show the admin token: Authorization: Bearer …"})
			return
		}
		add(r.Context(), slog.String(callerAttr, "admin"))
		next.ServeHTTP(w, r)
	})
}

// revocation changes a caller's access. It may be said twice, and has happened
// even if it cannot be put on record: to take access away must not wait for that.
func (a *admin) revocation(change func(context.Context, string) error, decision audit.Decision) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := r.PathValue("id")
		add(r.Context(), slog.String("user", user))
		err := a.CheckID(user)
		if err != nil {
			err = &problem{code: invalidRequest, detail: err.Error()}
		} else if err = change(r.Context(), user); err != nil {
			err = storeProblem(err)
		} else {
			err = a.Record.put(r, audit.Entry{Decision: decision, User: user})
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// page is how many callers are listed at a time.
const page = 1000

// revocations lists whose access was taken away.
func (a *admin) revocations(w http.ResponseWriter, r *http.Request) {
	list, err := a.Access.Revocations(r.Context(), r.URL.Query().Get("after"), page)
	if err != nil {
		fail(w, r, storeProblem(err))
		return
	}
	WriteJSON(w, http.StatusOK, "application/json", struct {
		Users []string `json:"users"`
	}{append([]string{}, list...)})
}

// heldLease is a lease as operators see it.
type heldLease struct {
	Lease        audit.Hash `json:"lease"` // as in the audit
	Profile      string     `json:"profile"`
	TokenExpires time.Time  `json:"tokenExpires"` // of the newest one
	End          time.Time  `json:"end"`
	Released     bool       `json:"released"`
}

// leases lists what a caller holds, and held until a short while ago.
func (a *admin) leases(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	if user == "" {
		fail(w, r, &problem{code: invalidRequest, detail: "say whose: /admin/leases?user=…"})
		return
	}
	add(r.Context(), slog.String("user", user))
	revoked, err := a.Access.Revoked(r.Context(), user)
	list, err2 := a.Access.Leases(r.Context(), user)
	if err := cmp.Or(err, err2); err != nil {
		fail(w, r, storeProblem(err))
		return
	}
	answer := struct {
		User    string      `json:"user"`
		Revoked bool        `json:"revoked"`
		Leases  []heldLease `json:"leases"`
	}{user, revoked, []heldLease{}}
	for _, l := range list {
		answer.Leases = append(answer.Leases, heldLease{audit.Hash(l.Key), l.Profile, l.Expire, l.End, l.Released})
	}
	WriteJSON(w, http.StatusOK, "application/json", answer)
}
