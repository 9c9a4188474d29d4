package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

const (
	defaultMax = 1 << 17 // leases; about 200 MB with all that belongs to them

	// perLease is how many other things are kept for each lease there may be.
	perLease = 8

	// firstSweep is the number of things from which on those that are over are
	// looked for.
	firstSweep = 4096

	handleKeySize = 32 // bytes
)

// Memory keeps everything in this process: it is lost when that ends, revocations
// too. Its zero value works, and its methods may be called from anywhere.
type Memory struct {
	// Max is how many leases are kept. Zero is 131,072.
	Max int

	mu      sync.Mutex
	key     []byte // of handles
	leases  map[Key]Lease
	handles map[Key]Key   // to the lease under which each was shown
	shown   map[Key]shown // by lease
	revoked map[string]bool
	tats    map[string]time.Time // of rates
	slots   map[string]slots
	budgets map[string]budget

	sweep int       // number of things at which those that are over are next looked for
	swept time.Time // when that was done last, by the askers' clock
}

// shown are the handles of a lease, the oldest first.
type shown struct {
	handles []Key
	until   time.Time
}

type budget struct {
	spent time.Duration
	ends  time.Time
}

// Grant decides about a token: see [Ask].
func (m *Memory) Grant(_ context.Context, a Ask) (Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Now = Precise(a.Now)
	k := known{
		revoked: m.revoked[a.Lease.Caller] || m.revoked[a.Server],
		full:    a.Was == nil && !m.room(a.Now),
		spent:   m.budgets[a.Budget.Key].spent,
	}
	if l, ok := m.leases[a.Lease.Key]; ok {
		k.lease = &l.Version
	}
	if lease, ok := m.handles[a.Handle]; ok {
		k.handle = &lease
	}
	for _, r := range a.Rates {
		k.tats = append(k.tats, m.tats[r.Key])
	}
	taken := m.slots[a.Slots.Key].unexpired(a.Now)
	k.taken = len(taken)
	if over := k.taken - a.Slots.max(); over >= 0 {
		k.frees = taken[over].expire
	}
	s, c, err := a.decide(k)
	if err != nil {
		return Standing{}, err
	}
	m.make()
	m.leases[a.Lease.Key] = s.Lease
	if a.Handle != (Key{}) {
		m.show(a.Handle, s.Lease)
	}
	for n, r := range a.Rates {
		m.tats[r.Key] = c.tats[n]
	}
	m.slots[a.Slots.Key] = taken.with(slotOf(s.Lease))
	m.budgets[a.Budget.Key] = budget{c.spent, a.Budget.Ends}
	return s, nil
}

// show keeps a handle as the newest of a lease.
func (m *Memory) show(handle Key, l Lease) {
	s := m.shown[l.Key]
	s.handles = append(slices.DeleteFunc(s.handles, func(k Key) bool { return k == handle }), handle)
	if len(s.handles) > MaxHandles {
		delete(m.handles, s.handles[0])
		s.handles = slices.Delete(s.handles, 0, 1)
	}
	s.until = l.End.Add(KeepHandle)
	m.handles[handle], m.shown[l.Key] = l.Key, s
}

// Undo takes back an Ask that was granted but led to no token: its lease is as it
// was, unless it was changed since, and slot and budget are given back. The rates
// are not: somebody asked. What is over already, or was undone, stays as it is.
func (m *Memory) Undo(_ context.Context, a Ask) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	granted := a.Granted()
	taken, ok := m.slots[a.Slots.Key].without(slotOf(granted))
	if !ok {
		return nil
	}
	m.slots[a.Slots.Key] = taken
	if b, ok := m.budgets[a.Budget.Key]; ok {
		b.spent = max(b.spent-a.Budget.Cost, 0)
		m.budgets[a.Budget.Key] = b
	}
	switch held, ok := m.leases[granted.Key]; {
	case !ok || held.Version != granted.Version:
	case a.Was == nil:
		delete(m.leases, granted.Key)
	default:
		m.leases[granted.Key] = a.Undone()
	}
	return nil
}

// Load finds a lease, ended or not, or says ErrNotFound.
func (m *Memory) Load(_ context.Context, k Key) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.leases[k]
	if !ok {
		return Lease{}, ErrNotFound
	}
	return l, nil
}

// Release ends a lease, also one that was released before. Its tokens keep their
// slots. It says ErrNotFound if there is none.
func (m *Memory) Release(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.leases[k]
	if !ok {
		return ErrNotFound
	}
	if !l.Released {
		l.Released = true
		l.Version++
		m.leases[k] = l
	}
	return nil
}

// Leases are those of a caller that are kept, in the order in which they end.
func (m *Memory) Leases(_ context.Context, caller string) ([]Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Lease
	for _, l := range m.leases {
		if l.Caller == caller {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b Lease) int {
		return cmp.Or(a.End.Compare(b.End), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return list, nil
}

// Revoke lets a caller have no more tokens, until Unrevoke. It may be said twice.
// Nobody is revoked by the empty name: it says ErrAnonymous.
func (m *Memory) Revoke(_ context.Context, caller string) error {
	if caller == "" {
		return ErrAnonymous
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.revoked) >= cmp.Or(m.Max, defaultMax) {
		return ErrFull
	}
	m.make()
	m.revoked[caller] = true
	return nil
}

// Unrevoke takes a revocation back. What the caller has used of limits stays used.
func (m *Memory) Unrevoke(_ context.Context, caller string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.revoked, caller)
	return nil
}

// Revoked reports whether a caller's access was revoked.
func (m *Memory) Revoked(_ context.Context, caller string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revoked[caller], nil
}

// Revocations are the callers whose access was revoked, in the order of their names:
// those after that name, at most so many.
func (m *Memory) Revocations(_ context.Context, after string, most int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for caller := range m.revoked {
		if caller > after {
			list = append(list, caller)
		}
	}
	slices.Sort(list)
	return list[:min(most, len(list))], nil
}

// HandleKey is what keys the hashes of handles: 32 random bytes, drawn when they are
// first asked for, which are the same for all that share the store, as long as it
// keeps anything.
func (m *Memory) HandleKey(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.key == nil {
		m.key = make([]byte, handleKeySize)
		rand.Read(m.key)
	}
	return m.key, nil
}

// Ready says why the store could not decide now. Memory always can.
func (*Memory) Ready(context.Context) error { return nil }

// Close ends the use of the store.
func (*Memory) Close() error { return nil }

func (m *Memory) make() {
	if m.leases == nil {
		m.leases, m.handles, m.revoked = map[Key]Lease{}, map[Key]Key{}, map[string]bool{}
		m.shown = map[Key]shown{}
		m.tats, m.slots, m.budgets = map[string]time.Time{}, map[string]slots{}, map[string]budget{}
	}
}

// room reports whether there is some for one more lease, and makes it if there
// is none. Renewals are given without: what a lease has is bounded.
func (m *Memory) room(now time.Time) bool {
	most := cmp.Or(m.Max, defaultMax)
	others := func() int { return len(m.handles) + len(m.tats) + len(m.slots) + len(m.budgets) }
	full := func() bool { return len(m.leases) >= most || others() >= perLease*most }
	if (full() || len(m.leases)+others() >= max(m.sweep, firstSweep)) && now.Sub(m.swept).Abs() >= time.Second {
		m.forget(now)
		m.sweep, m.swept = 2*(len(m.leases)+others()), now // so that sweeping costs each lease little
	}
	return !full()
}

// forget drops what is over.
func (m *Memory) forget(now time.Time) {
	for k, l := range m.leases {
		if now.After(l.End.Add(KeepLease)) {
			delete(m.leases, k)
		}
	}
	for k, s := range m.shown {
		if now.After(s.until) {
			for _, handle := range s.handles {
				delete(m.handles, handle)
			}
			delete(m.shown, k)
		}
	}
	for k, tat := range m.tats {
		if !tat.After(now) {
			delete(m.tats, k)
		}
	}
	for k, s := range m.slots {
		if s = s.unexpired(now); len(s) == 0 {
			delete(m.slots, k)
		} else {
			m.slots[k] = slices.Clone(s) // in no more room than it needs
		}
	}
	for k, b := range m.budgets {
		if now.After(b.ends) {
			delete(m.budgets, k)
		}
	}
}
