package store

import (
	"cmp"
	"context"
	"sync"
	"time"
)

const (
	defaultMax = 1 << 17 // about 40 MB

	// firstSweep is the number of leases from which on the ended ones are looked
	// for, and memory how long an ended lease is kept, so that a late page hears
	// that it ended rather than that there was none.
	firstSweep = 1024
	memory     = 10 * time.Minute
)

// Memory keeps leases in this process: they are lost when it ends. Its zero
// value works, and its methods may be called from anywhere.
type Memory struct {
	// Max is how many leases are kept, and four times as many handles. Zero is
	// 131,072.
	Max int

	mu     sync.Mutex
	leases map[Key]Lease
	sweep  int       // number of leases at which the ended ones are next looked for
	swept  time.Time // when that was done last

	handles claims
}

func (m *Memory) max() int { return cmp.Or(m.Max, defaultMax) }

// Create keeps a new lease, at version 0.
func (m *Memory) Create(_ context.Context, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := m.max()
	if now := time.Now(); len(m.leases) >= min(max(m.sweep, firstSweep), limit) && now.Sub(m.swept) >= time.Second {
		m.forget(now)
		m.sweep, m.swept = 2*len(m.leases), now // so that sweeping costs each lease little
	}
	if len(m.leases) >= limit {
		return ErrFull
	}
	if _, taken := m.leases[l.Key]; taken {
		return ErrConflict
	}
	if m.leases == nil {
		m.leases = map[Key]Lease{}
	}
	l.Version = 0
	m.leases[l.Key] = l
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

// Swap replaces the lease with that key if its version is still l.Version, and
// counts the version up. If not, it says ErrConflict.
func (m *Memory) Swap(_ context.Context, l Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.leases[l.Key]
	switch {
	case !ok:
		return ErrNotFound
	case old.Version != l.Version:
		return ErrConflict
	}
	l.Version++
	m.leases[l.Key] = l
	return nil
}

// Delete forgets a lease that came to nothing.
func (m *Memory) Delete(_ context.Context, k Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.leases, k)
	return nil
}

func (m *Memory) forget(now time.Time) {
	for k, l := range m.leases {
		if now.After(l.End.Add(memory)) {
			delete(m.leases, k)
		}
	}
}
