package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// ErrClaimed is a resumption handle that another lease has shown.
var ErrClaimed = errors.New("another lease has shown this handle")

// HandleHash is the keyed hash of a resumption handle. Without the key nobody can
// tell from a store which handles there were.
type HandleHash [sha256.Size]byte

// claims remembers which lease showed a handle first.
type claims struct {
	mu    sync.Mutex
	of    map[HandleHash]claim
	sweep int // number of claims at which those that are over are next looked for
}

type claim struct {
	lease Key
	until time.Time
}

// ClaimHandle notes that a lease has shown a handle, and keeps that until then. It
// says ErrClaimed if another lease did so before. The same lease may show it again.
func (m *Memory) ClaimHandle(_ context.Context, h HandleHash, lease Key, until time.Time) error {
	return m.handles.add(h, claim{lease, until}, time.Now(), 4*m.max())
}

func (c *claims) add(h HandleHash, new claim, now time.Time, limit int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, shown := c.of[h]
	switch {
	case shown && old.lease != new.lease && now.Before(old.until):
		return ErrClaimed
	case c.of == nil:
		c.of = map[HandleHash]claim{}
	case !shown && len(c.of) >= min(max(c.sweep, firstSweep), limit):
		for h, old := range c.of {
			if !now.Before(old.until) {
				delete(c.of, h)
			}
		}
		c.sweep = 2 * len(c.of) // so that sweeping costs each claim little
		if len(c.of) >= limit {
			return ErrFull
		}
	}
	c.of[h] = new
	return nil
}
