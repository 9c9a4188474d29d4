package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

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
		Profile         string `json:"profile"`
		ClientReference string `json:"clientReference"`
	}{Profile: profile.DefaultName}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
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
	if in.ClientReference != "" {
		add(r.Context(), slog.String("clientReference", in.ClientReference))
	}

	return i.dated(func(now time.Time) error {
		id := newLeaseID()
		terms, end := p.First(now)
		lease := store.Lease{
			Key: store.KeyOf(id), Caller: caller.ID, Profile: p.Name(),
			End: end, Expire: terms.Expire, RenewAfter: terms.RenewAfter,
		}
		if err := i.Leases.Create(r.Context(), lease); err != nil {
			return storeProblem(err)
		}
		token, err := i.mint(r, p, terms)
		if err != nil {
			_ = i.Leases.Delete(context.WithoutCancel(r.Context()), lease.Key) // if not, it ends by itself
			return err
		}
		i.answer(w, r, p, id, token, terms)
		return nil
	})
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
		LeaseID string `json:"leaseId"`
		Reason  string `json:"reason"`
		Handle  string `json:"handle"`
	}{Reason: string(live.ReasonRenew)}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	reason := live.Reason(in.Reason)
	switch {
	case reason != live.ReasonRenew && reason != live.ReasonRefused:
		return &problem{code: invalidRequest, detail: `reason must be "renew" or "refused"`}
	case in.Handle != "":
		return &problem{code: invalidRequest, detail: "leave handle out: under a masked lock it goes to the service, not here"}
	}
	id := live.NewSecret(in.LeaseID)
	return i.dated(func(now time.Time) error {
		held, err := i.lease(r.Context(), caller, id)
		if err != nil {
			return err
		}
		p, ok := i.profiles[held.Profile]
		if !ok {
			return &problem{code: leaseEnded, detail: "the lease's profile is gone: ask for a new lease"}
		}
		add(r.Context(), slog.String("profile", p.Name()))
		next, terms, err := renewal(p, held, reason, now)
		if err != nil {
			return err
		}
		// Before the mint, so that of two requests at once one gets a token.
		if err := i.Leases.Swap(r.Context(), next); err != nil {
			return storeProblem(err)
		}
		token, err := i.mint(r, p, terms)
		if err != nil {
			held.Version = next.Version + 1
			_ = i.Leases.Swap(context.WithoutCancel(r.Context()), held) // if not, the page renews with "refused"
			return err
		}
		i.answer(w, r, p, id, token, terms)
		return nil
	})
}

// release answers POST /v1/token/release: the end of a lease. It may be said
// twice, as pages do when they close.
func (i *issuer) release(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		LeaseID string `json:"leaseId"`
	}
	caller, err := i.caller(r)
	if err != nil {
		return err
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	for {
		lease, err := i.lease(r.Context(), caller, live.NewSecret(in.LeaseID))
		if err != nil {
			return err
		}
		lease.Released = true
		if err := i.Leases.Swap(r.Context(), lease); errors.Is(err, store.ErrConflict) {
			continue // a renewal was faster: end what it made
		} else if err != nil {
			return storeProblem(err)
		}
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// caller says who asks, before anything is read of the body.
func (i *issuer) caller(r *http.Request) (authn.Caller, error) {
	caller, err := i.Authenticator.Authenticate(r)
	switch {
	case err == nil:
		if caller.ID != "" {
			add(r.Context(), slog.String("caller", caller.ID))
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

// lease finds a caller's lease. Another caller's is not there.
func (i *issuer) lease(ctx context.Context, caller authn.Caller, id live.Secret) (store.Lease, error) {
	if id.IsZero() {
		return store.Lease{}, &problem{code: invalidRequest, detail: "leaseId is missing"}
	}
	lease, err := i.Leases.Load(ctx, store.KeyOf(id))
	if err == nil && lease.Caller != caller.ID {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Lease{}, storeProblem(err)
	}
	return lease, nil
}

func (i *issuer) mint(r *http.Request, p profile.Profile, t profile.Terms) (live.Secret, error) {
	begin := time.Now()
	token, err := i.Minter.Mint(r.Context(), upstream.Request{
		Setup: p.Setup(), FieldMask: p.FieldMask(), Uses: p.Uses(),
		Expire: t.Expire, NewSessionExpire: t.NewSessionExpire,
	})
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

func storeProblem(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &problem{code: leaseNotFound, detail: "there is no such lease: ask for a new one"}
	case errors.Is(err, store.ErrConflict):
		return &problem{code: tooEarly, detail: "the lease is being renewed by another request", wait: time.Second}
	case errors.Is(err, store.ErrFull):
		return &problem{code: storeUnavailable, detail: "this server has given out all the leases it can", cause: err, wait: time.Minute}
	default:
		return &problem{code: storeUnavailable, detail: "the lease store does not answer: try again later", cause: err}
	}
}
