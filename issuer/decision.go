package issuer

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/wasm/live"
)

// Auditor keeps evidence. An error means that the next line, or this one, cannot
// be written.
type Auditor interface {
	Ready() error
	Write(audit.Entry) error
}

// Record says what becomes of decisions. Its zero value forgets them.
type Record struct {
	// Audit gets a line for each decision before anybody hears of it. Nil keeps
	// none.
	Audit Auditor

	// TokenKey keys the hashes by which Audit knows tokens, see [audit.HashOf].
	// Required with Audit.
	TokenKey live.Secret

	// Required refuses what cannot be put on record: no token is given out.
	// Without it the log tells of the failure.
	Required bool

	// Counted is called once for each decision, at any time and from anywhere, for
	// metrics. It must not wait. Nil is nobody.
	Counted func(audit.Entry)

	// Untraced is called as Counted is, for each request that Limits.Refusals turns
	// away: of those neither Audit nor Counted hears, and the log only how many they
	// are. Nil is nobody.
	Untraced func()
}

// ready is asked before a token is minted: none should be made in vain.
func (c Record) ready() error {
	if c.Audit == nil || !c.Required {
		return nil
	}
	if err := c.Audit.Ready(); err != nil {
		return auditProblem(err)
	}
	return nil
}

// put records what was decided about a request. What the request's event knows
// need not be said.
func (c Record) put(r *http.Request, entry audit.Entry) (err error) {
	e, ok := r.Context().Value(eventKey{}).(*event)
	if !ok {
		e = &event{}
	}
	entry.Time, entry.RequestID = time.Now(), e.id
	entry.Address, entry.Caller, entry.Profile, entry.Lease = e.said("address"), e.said(callerAttr), e.said("profile"), e.lease
	if c.Audit != nil {
		err = c.Audit.Write(entry)
	}
	switch {
	case err == nil:
	case !c.Required:
		add(r.Context(), slog.String("audit", err.Error()))
		err = nil
	default:
		err = auditProblem(err)
		if entry.Decision != audit.Refused {
			return err // which will be refused, and counted then
		}
		entry.Code = string(auditUnavailable)
	}
	if c.Counted != nil {
		c.Counted(entry)
	}
	return err
}

func auditProblem(err error) *problem {
	return &problem{code: auditUnavailable, detail: "this server cannot keep its records: try again later", cause: err}
}

// recorded notes from where a request comes, and puts on record what is refused
// inside next, also by the guard.
func (i *issuer) recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e, ok := r.Context().Value(eventKey{}).(*event); ok {
			e.address, e.noAddress = i.Address(r)
			if e.noAddress == nil {
				add(r.Context(), slog.String("address", e.address.String()))
			}
			e.refused = func(code code) error {
				if wait, ok := i.refused.take(i.refusedAs(r), time.Now()); !ok {
					return i.refused.tooManyRefused(w, wait)
				}
				return i.Record.put(r, audit.Entry{Decision: audit.Refused, Code: string(code)})
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refusedAs is for whom a refusal counts: a caller who is known, else an address.
// Whoever lies about their address counts for the one that they have.
func (i *issuer) refusedAs(r *http.Request) string {
	if e, ok := r.Context().Value(eventKey{}).(*event); ok {
		if caller := e.said(callerAttr); caller != "" {
			return "caller " + caller
		}
	}
	from, err := i.from(r)
	if err != nil {
		peer, _ := Peer(r)
		from = network(peer)
	}
	return from
}

// addressOf is what recorded noted.
func (i *issuer) addressOf(r *http.Request) (netip.Addr, error) {
	e, ok := r.Context().Value(eventKey{}).(*event)
	if !ok {
		return i.Address(r)
	}
	return e.address, e.noAddress
}
