package store

import (
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
)

// known is what a store has about an Ask.
type known struct {
	revoked bool
	lease   *int64      // its version, nil if there is none
	full    bool        // there is no room for a new lease
	handle  *Key        // the lease under which Ask.Handle was shown, nil if it was not
	tats    []time.Time // of Ask.Rates
	taken   int         // of Ask.Slots, by tokens that have not expired
	frees   time.Time   // when fewer are taken than may be; only if all are
	expired int         // slots that are kept although their tokens have
	spent   time.Duration
}

// change is what becomes of it when the Ask is granted. That there is one more
// slot, and that those which expired are dropped, goes without saying.
type change struct {
	tats  []time.Time
	spent time.Duration
}

// decide is the decision, for stores that have it made here. It is pure. The Ask's
// Now is precise.
func (a Ask) decide(k known) (Standing, change, error) {
	switch {
	case k.revoked:
		return Standing{}, change{}, ErrRevoked
	case a.Was == nil && k.lease != nil:
		return Standing{}, change{}, ErrConflict
	case a.Was == nil && k.full:
		return Standing{}, change{}, ErrFull
	case a.Was != nil && k.lease == nil:
		return Standing{}, change{}, ErrNotFound
	case a.Was != nil && a.Was.Version != *k.lease:
		return Standing{}, change{}, ErrConflict
	case k.handle != nil && *k.handle != a.Lease.Key:
		return Standing{}, change{}, ErrHandle
	}
	s := Standing{Lease: a.Granted()}
	var c change
	for n, r := range a.Rates {
		tat, left, ok := r.Take(k.tats[n], a.Now, r.Spare)
		if !ok {
			return Standing{}, change{}, &Limited{Limit: ByRate, Rate: n, Wait: left.Wait}
		}
		c.tats, s.Rates = append(c.tats, tat), append(s.Rates, left)
	}
	if k.taken >= a.Slots.max() {
		return Standing{}, change{}, &Limited{Limit: BySlots, Wait: k.frees.Sub(a.Now)}
	}
	s.Slots = a.Slots.max() - k.taken - 1
	var ok bool
	if c.spent, s.Time, ok = limit.Spend(k.spent, a.Budget.Cost, a.Budget.Max); !ok {
		return Standing{}, change{}, &Limited{Limit: ByBudget, Wait: Precise(a.Budget.Ends).Sub(a.Now)}
	}
	return s, c, nil
}
