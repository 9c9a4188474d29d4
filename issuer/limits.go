package issuer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
)

// Limits bound what all callers together can have; a profile bounds each of them.
type Limits struct {
	// PerAddress is how many tokens one address gets, an IPv6 network of /64 for
	// one. Users whom a server names do not count: all ask from its address. Zero is
	// 30 a minute.
	PerAddress limit.Rate

	// PerProfile is how many tokens of one profile are given. Zero is as Global.
	PerProfile limit.Rate

	// Global is how many tokens are given. Zero is 600 a minute.
	Global limit.Rate

	// Refusals is how many requests of one caller, or as long as it is not known who
	// asks of one address, are refused with a reason that is put on record. Those
	// beyond are turned away. Zero is 60 a minute, and 120 at once.
	Refusals limit.Rate
}

// DefaultPerAddress is Limits.PerAddress unless that is set.
var DefaultPerAddress = limit.Rate{Count: 30, Per: time.Minute}

func (l Limits) filled() (Limits, error) {
	l.PerAddress = cmp.Or(l.PerAddress, DefaultPerAddress)
	l.Global = cmp.Or(l.Global, limit.Rate{Count: 600, Per: time.Minute})
	l.PerProfile = cmp.Or(l.PerProfile, l.Global)
	l.Refusals = cmp.Or(l.Refusals, limit.Rate{Count: 60, Per: time.Minute, Burst: 120})
	for name, r := range map[string]limit.Rate{"PerAddress": l.PerAddress, "PerProfile": l.PerProfile, "Global": l.Global, "Refusals": l.Refusals} {
		if err := r.Check(); err != nil {
			return l, fmt.Errorf("issuer: Config.Limits.%s: %w", name, err)
		}
	}
	return l, nil
}

// The rates that a token is charged to, by their places in an Ask and the names
// that header fields give them.
const (
	ofCaller = iota
	ofProfile
	ofAll
	ofAddress // not there for users whom a server names
)

// spareShare is the part of a burst that is spared for renewals where strangers
// share it: one in so many.
const spareShare = 5

var rateNames = [...]string{ofCaller: "caller", ofProfile: "profile", ofAll: "all", ofAddress: "address"}

// priced is the Ask with everything that its token costs. Limits are counted for
// each profile on its own.
func (i *issuer) priced(a store.Ask, p profile.Profile, from string) store.Ask {
	bounds := p.Limits()
	// Of anonymous callers nothing is known but their address.
	who := p.Name() + "/" + cmp.Or(a.Lease.Caller, "anonymous at "+from)
	a.Rates = []store.Rate{
		ofCaller:  {Key: "caller/" + who, Rate: bounds.PerCaller},
		ofProfile: {Key: "profile/" + p.Name(), Rate: i.Limits.PerProfile},
		ofAll:     {Key: "all", Rate: i.Limits.Global},
	}
	if a.Was == nil { // a flood of strangers must not end the conversations that there are
		for _, n := range []int{ofProfile, ofAll} {
			a.Rates[n].Spare = a.Rates[n].Quota() / spareShare
		}
	}
	if a.Server == "" {
		a.Rates = append(a.Rates, store.Rate{Key: "address/" + from, Rate: i.Limits.PerAddress})
	}
	a.Slots = store.Slots{Key: who, Max: bounds.Concurrent}
	var before time.Time
	if a.Was != nil {
		before, a.Slots.Max = a.Was.Expire, bounds.Renewing()
	}
	if a.Handle != (store.Key{}) {
		// With a handle inside, a token can start no session, so it is not refused for
		// those that can: lines may be cut more often than there are slots.
		a.Slots.Max = math.MaxInt32
	}
	day, ends := limit.Day(a.Now)
	a.Budget = store.Budget{
		Key: who + "/" + day, Ends: ends,
		Max: time.Duration(bounds.MinutesPerDay) * time.Minute, Cost: limit.Reach(a.Now, before, a.Lease.Expire),
	}
	if bounds.MinutesPerDay == 0 { // the profile sets none
		a.Budget.Max = store.MaxBudget
	}
	return a
}

// decide asks the store whether a lease may have a token, and tells in the answer's
// header what is left of its caller's limits.
func (i *issuer) decide(w http.ResponseWriter, r *http.Request, p profile.Profile, a store.Ask) (store.Ask, error) {
	from, err := i.from(r)
	if err != nil {
		return a, err
	}
	a = i.priced(a, p, from)
	granted, err := i.Store.Grant(r.Context(), a)
	if err == nil {
		var fields rateFields
		for n := range a.Rates {
			if n == ofProfile || n == ofAll { // which are nobody's business
				continue
			}
			left, interval := granted.Rates[n], a.Rates[n].Interval()
			next := left.Reset - (left.Reset-1)/interval*interval // when one more is earned back
			fields.rate(rateNames[n], a.Rates[n].Rate, left.Remaining, next)
		}
		fields.set(w.Header())
		return a, nil
	}
	refused, ok := errors.AsType[*store.Limited](err)
	if !ok {
		// Who has gone may have been granted a lease that nobody else knows of. A
		// renewal may be another request's, whose token then must go on to count.
		if r.Context().Err() != nil && a.Was == nil {
			i.undo(r, a)
		}
		return a, storeProblem(err)
	}
	var fields rateFields
	problem := &problem{wait: refused.Wait, cause: err}
	switch refused.Limit {
	case store.ByRate:
		fields.rate(rateNames[refused.Rate], a.Rates[refused.Rate].Rate, 0, refused.Wait)
		problem.code, problem.detail = rateLimited, "too many tokens were asked for: wait as Retry-After says"
	case store.BySlots:
		fields.policy("leases", a.Slots.Max, `qu="concurrent-requests"`)
		fields.limit("leases", 0, refused.Wait)
		problem.code, problem.detail = tooManyLeases, "you have as many conversations as you may: Retry-After says when the next may begin; one that was ended counts until its token expires"
	case store.ByBudget:
		fields.limit("minutes", 0, refused.Wait) // for whose policy the draft has no unit
		problem.code, problem.detail = budgetExhausted, "the minutes of today are used up: they begin anew at midnight UTC"
	}
	fields.set(w.Header())
	return a, problem
}

// rateFields are RateLimit-Policy and RateLimit, as
// draft-ietf-httpapi-ratelimit-headers has them in its version 11.
type rateFields struct{ policies, limits []string }

// rate tells of a rate: its burst and the time that earns it back, of which there are
// remaining, and one more next.
func (f *rateFields) rate(name string, r limit.Rate, remaining int, next time.Duration) {
	f.policy(name, r.Quota(), fmt.Sprintf("w=%d", wholeSeconds(r.Window())))
	f.limit(name, remaining, next)
}

func (f *rateFields) policy(name string, quota int, more string) {
	f.policies = append(f.policies, fmt.Sprintf("%q;q=%d;%s", name, quota, more))
}

func (f *rateFields) limit(name string, remaining int, next time.Duration) {
	f.limits = append(f.limits, fmt.Sprintf("%q;r=%d;t=%d", name, remaining, wholeSeconds(next)))
}

func (f *rateFields) set(h http.Header) {
	if len(f.policies) > 0 {
		h.Set("RateLimit-Policy", strings.Join(f.policies, ", "))
	}
	h.Set("RateLimit", strings.Join(f.limits, ", "))
}

// wholeSeconds rounds up, so that who waits as long does not come early.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// undoTimeout bounds what is done for a request that may be over.
const undoTimeout = 5 * time.Second

// undo gives back what a token costs that nobody has got. If that fails, it counts
// as used.
func (i *issuer) undo(r *http.Request, a store.Ask) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), undoTimeout)
	defer cancel()
	if err := i.Store.Undo(ctx, a); err != nil {
		add(r.Context(), slog.String("undo", err.Error()))
	}
}

// from is the address that a request counts for.
func (i *issuer) from(r *http.Request) (string, error) {
	addr, err := i.addressOf(r)
	if err != nil {
		return "", err
	}
	return network(addr), nil
}

// network is what an address counts as: of IPv6 its network of /64, which is what
// one household or machine gets to choose from.
func network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr.String()
	}
	all, _ := addr.Prefix(64) // which all have
	return all.String()
}

// Peer is the address of who is connected. It is what Config.Address is unless it
// is set.
func Peer(r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the peer's address: %w", err)
	}
	return peer.Addr(), nil
}

// AddressFrom is the address that a listed proxy tells in a header. Requests without
// the header count for their peer; those with one that is no single address, or from
// others, are refused.
func AddressFrom(header *authn.ProxyHeader) func(*http.Request) (netip.Addr, error) {
	return func(r *http.Request) (netip.Addr, error) {
		said, err := header.Value(r)
		switch {
		case errors.Is(err, authn.ErrNoCredential):
			return Peer(r)
		case err != nil:
			return netip.Addr{}, &problem{code: forbidden, detail: "only a listed proxy may say for whom it asks", cause: err}
		}
		addr, err := netip.ParseAddr(said)
		if err != nil {
			return netip.Addr{}, &problem{code: forbidden, detail: "the proxy must name one address", cause: err}
		}
		return addr, nil
	}
}
