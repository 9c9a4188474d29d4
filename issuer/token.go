package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// maxReference bounds what a caller may call a conversation in our log.
const maxReference = 128

// grant answers POST /v1/token: a new lease and its first token.
func (i *issuer) grant(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		Profile         string         `json:"profile"`
		ClientReference string         `json:"clientReference"`
		Overrides       map[string]any `json:"overrides"`
		User            *string        `json:"user"`
	}{Profile: profile.DefaultName}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	if caller, err = i.onBehalf(w, r, caller, in.User); err != nil {
		return err
	}
	if len(in.ClientReference) > maxReference {
		return &problem{code: invalidRequest, detail: "clientReference is too long: use at most 128 bytes"}
	}
	p, ok := i.profiles[in.Profile]
	if !ok {
		return &problem{code: unknownProfile, detail: "there is no profile of that name"}
	}
	add(r.Context(), slog.String("profile", p.Name()))
	if !p.Allows(caller.Holds) {
		return notYours()
	}
	p, overrides, err := override(p, in.Overrides)
	if err != nil {
		return err
	}
	if in.ClientReference != "" {
		add(r.Context(), slog.String("clientReference", in.ClientReference))
	}

	return i.dated(func(now time.Time) error {
		id := newLeaseID()
		terms, end := p.First(now)
		return i.give(w, r, p, id, live.Secret{}, terms, store.Ask{Now: now, Server: caller.Server, Lease: store.Lease{
			Key: store.KeyOf(id), Caller: caller.ID, Profile: p.Name(), Overrides: overrides,
			End: end, Expire: terms.Expire, RenewAfter: terms.RenewAfter,
		}})
	})
}

// give decides about a token, makes it, puts it on record and sends it. No token
// leaves by another way. The store decides before the token is made: of many requests
// at once no more get one than may, and one that is refused costs nothing at the
// service.
func (i *issuer) give(w http.ResponseWriter, r *http.Request, p profile.Profile, id, handle live.Secret, terms profile.Terms, a store.Ask) error {
	made := audit.Granted
	if a.Was != nil {
		made = audit.Renewed
	}
	if err := i.Record.ready(); err != nil {
		return err
	}
	a, err := i.decide(w, r, p, a)
	if err != nil {
		return err
	}
	about(r.Context(), a.Lease.Key)
	token, err := i.mint(r, p, terms, handle)
	if err == nil {
		err = i.Record.put(r, audit.Entry{Decision: made, Token: audit.HashOf(i.Record.TokenKey, token), Expires: terms.Expire})
	}
	if err != nil {
		i.undo(r, a)
		return err
	}
	i.answer(w, r, p, id, token, terms)
	return nil
}

// dated lets attempt ask for a token as of now. If the service turns out to have
// another time, it is asked once more; attempt must have undone what it did.
func (i *issuer) dated(attempt func(now time.Time) error) error {
	err := attempt(i.Now())
	if errors.Is(err, upstream.ErrMisdated) {
		err = attempt(i.Now())
	}
	return err
}

// renew answers POST /v1/token/renew: the next token of a lease.
func (i *issuer) renew(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		LeaseID string  `json:"leaseId"`
		Reason  string  `json:"reason"`
		Handle  string  `json:"handle"`
		User    *string `json:"user"`
	}{Reason: string(live.ReasonRenew)}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	if caller, err = i.onBehalf(w, r, caller, in.User); err != nil {
		return err
	}
	reason := live.Reason(in.Reason)
	switch {
	case reason != live.ReasonRenew && reason != live.ReasonRefused:
		return &problem{code: invalidRequest, detail: `reason must be "renew" or "refused"`}
	case len(in.Handle) > maxHandle:
		return &problem{code: invalidRequest, detail: "handle is too long to be one of the service's"}
	}
	id, handle := live.NewSecret(in.LeaseID), live.NewSecret(in.Handle)
	return i.dated(func(now time.Time) error {
		held, err := i.lease(r.Context(), caller, id)
		if err != nil {
			return err
		}
		p, err := i.profileOf(held)
		if err != nil {
			return err
		}
		add(r.Context(), slog.String("profile", p.Name()))
		if !p.Allows(caller.Holds) {
			return notYours()
		}
		if !handle.IsZero() && p.Lock() != profile.Full {
			return &problem{code: invalidRequest, detail: "leave handle out: it goes to the service, not here, unless the lock is full"}
		}
		next, terms, err := renewal(p, held, reason, !handle.IsZero(), now)
		if err != nil {
			return err
		}
		ask := store.Ask{Now: now, Server: caller.Server, Lease: next, Was: &held}
		if !handle.IsZero() {
			ask.Handle = i.handleHash(handle)
		}
		return i.give(w, r, p, id, handle, terms, ask)
	})
}

// release answers POST /v1/token/release: the end of a lease. It may be said
// twice, as pages do when they close.
func (i *issuer) release(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		LeaseID string  `json:"leaseId"`
		User    *string `json:"user"`
	}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	if caller, err = i.onBehalf(w, r, caller, in.User); err != nil {
		return err
	}
	lease, err := i.lease(r.Context(), caller, live.NewSecret(in.LeaseID))
	if err != nil {
		return err
	}
	if lease.Released { // so nothing is decided, and it counts as what is refused
		if wait, ok := i.refused.take(i.refusedAs(r), time.Now()); !ok {
			return i.refused.tooManyRefused(w, wait)
		}
	} else {
		if err := i.Store.Release(r.Context(), lease.Key); err != nil {
			return storeProblem(err)
		}
		if err := i.Record.put(r, audit.Entry{Decision: audit.Released}); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// caller says who asks, before anything is read of the body.
func (i *issuer) caller(r *http.Request) (authn.Caller, error) {
	caller, err := i.Authenticator.Authenticate(r)
	switch {
	case err == nil:
		if caller.ID != "" {
			add(r.Context(), slog.String(callerAttr, caller.ID))
		}
		return caller, nil
	case errors.Is(err, authn.ErrNoCredential):
		return caller, &problem{code: unauthenticated, detail: "say who you are: this server gives tokens to known callers only", cause: err}
	case errors.Is(err, authn.ErrBadCredential):
		return caller, &problem{code: unauthenticated, detail: "the credential is not valid", cause: err}
	case errors.Is(err, authn.ErrForbidden):
		return caller, &problem{code: forbidden, detail: "you may not have tokens", cause: err}
	case errors.Is(err, authn.ErrUnavailable):
		return caller, &problem{code: authnUnavailable, detail: "it cannot be found out now who you are: try again later", cause: err}
	default:
		return caller, err
	}
}

// onBehalf is the user whom a server names: a caller with limits and leases of their
// own. Callers who name nobody ask for themselves. Now that it is known who asks, it
// is the last moment at which that costs the store nothing.
func (i *issuer) onBehalf(w http.ResponseWriter, r *http.Request, caller authn.Caller, user *string) (authn.Caller, error) {
	if user != nil {
		if !caller.NamesUsers {
			return caller, &problem{code: invalidRequest, detail: "leave user out: you ask for yourself, and only servers with an API key name users"}
		}
		named, err := caller.For(*user)
		if err != nil {
			return caller, &problem{code: invalidRequest, detail: "user is no name: it has 1 to 255 bytes and no control characters", cause: err}
		}
		caller = named
		add(r.Context(), slog.String(callerAttr, caller.ID))
	}
	if wait := i.refused.spent(i.refusedAs(r), time.Now()); wait > 0 {
		return caller, i.refused.tooManyRefused(w, wait)
	}
	return caller, nil
}

// lease finds a caller's lease. Another caller's is not there.
func (i *issuer) lease(ctx context.Context, caller authn.Caller, id live.Secret) (store.Lease, error) {
	if id.IsZero() {
		return store.Lease{}, &problem{code: invalidRequest, detail: "leaseId is missing"}
	}
	key := store.KeyOf(id)
	about(ctx, key)
	lease, err := i.Store.Load(ctx, key)
	if err == nil && lease.Caller != caller.ID {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Lease{}, storeProblem(err)
	}
	return lease, nil
}

// profileOf is a lease's profile, with what its caller chose.
func (i *issuer) profileOf(held store.Lease) (profile.Profile, error) {
	ended := &problem{code: leaseEnded, detail: "the lease's profile has changed: ask for a new lease"}
	p, ok := i.profiles[held.Profile]
	if !ok {
		return p, ended
	}
	if held.Overrides == "" {
		return p, nil
	}
	var chosen map[string]any
	if err := json.Unmarshal([]byte(held.Overrides), &chosen); err != nil {
		return p, fmt.Errorf("read the overrides of a lease: %w", err)
	}
	p, err := p.With(chosen)
	if err != nil {
		return p, ended
	}
	return p, nil
}

// notYours is the answer to a caller without the claims that a profile asks for.
func notYours() *problem {
	return &problem{code: forbidden, detail: "you may not use this profile: it asks for claims that your credential does not have"}
}

// override lays what a caller chose over a profile, and gives it as leases keep
// it.
func override(p profile.Profile, chosen map[string]any) (profile.Profile, string, error) {
	if len(chosen) == 0 {
		return p, "", nil
	}
	p, err := p.With(chosen)
	if err != nil {
		return p, "", &problem{code: invalidRequest, detail: err.Error()}
	}
	kept, err := json.Marshal(chosen)
	return p, string(kept), err
}

// mint asks for a token.
func (i *issuer) mint(r *http.Request, p profile.Profile, t profile.Terms, handle live.Secret) (live.Secret, error) {
	begin := time.Now()
	token, err := i.Minter.Mint(r.Context(), request(p, t, handle))
	add(r.Context(), slog.Int64("upstreamMicroseconds", time.Since(begin).Microseconds()))
	if err == nil {
		return token, nil
	}
	problem := &problem{code: upstreamUnavailable, detail: "the token service does not answer: try again later", cause: err}
	if e, ok := errors.AsType[*upstream.Error](err); ok {
		problem.wait = e.RetryAfter
	}
	switch {
	case errors.Is(err, upstream.ErrRefused):
		problem.code, problem.detail, problem.wait = upstreamRefused, "the token service refused: tell the operator the requestId", 0
	case !errors.Is(err, upstream.ErrUnavailable) && r.Context().Err() == nil:
		return token, err
	}
	return token, problem
}

// request is what a profile's token is minted with.
func request(p profile.Profile, t profile.Terms, handle live.Secret) upstream.Request {
	return upstream.Request{
		Setup: p.Setup(handle), FieldMask: p.FieldMask(), Uses: p.Uses(),
		Expire: t.Expire, NewSessionExpire: t.NewSessionExpire,
	}
}

func storeProblem(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &problem{code: leaseNotFound, detail: "there is no such lease: ask for a new one"}
	case errors.Is(err, store.ErrConflict):
		return &problem{code: tooEarly, detail: "the lease is being renewed by another request", wait: time.Second}
	case errors.Is(err, store.ErrRevoked):
		return &problem{code: revoked, detail: "your access was taken back"}
	case errors.Is(err, store.ErrAnonymous):
		return &problem{code: invalidRequest, detail: "say whose access it is: anonymous callers have none of their own", cause: err}
	case errors.Is(err, store.ErrHandle):
		return &problem{code: forbidden, detail: "the handle belongs to another lease", cause: err}
	case errors.Is(err, store.ErrFull):
		return &problem{code: storeUnavailable, detail: "this server has given out all the leases it can", cause: err, wait: time.Minute}
	default:
		return &problem{code: storeUnavailable, detail: "the lease store does not answer: try again later", cause: err}
	}
}
