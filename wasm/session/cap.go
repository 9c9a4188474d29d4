package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	// How long a session without compression may last (documented).
	soundCap   = 15 * time.Minute
	pictureCap = 2 * time.Minute

	capWarning = time.Minute
)

// sessionCap foresees the end of a session whose context is not compressed. That
// its time runs from the first sound or picture on, while a connection is open,
// is assumed. Only the session's goroutine touches it.
type sessionCap struct {
	begun    time.Time     // the time that runs; zero: it does not
	before   time.Duration // what ran on earlier connections
	pictures bool
	told     bool
}

// sent follows input that a socket took.
func (c *sessionCap) sent(in live.Input, now time.Time) {
	if !in.Stream {
		return
	}
	if c.begun.IsZero() {
		c.begun = now
	}
	if picture := in.Audio == 0; picture && !c.pictures {
		c.pictures, c.told = true, false
	}
}

// watch gives what is left when that is to be told, once, and says when to look
// again.
func (c *sessionCap) watch(now time.Time) (left time.Duration, due bool, again time.Time) {
	if c.begun.IsZero() || c.told {
		return 0, false, time.Time{}
	}
	limit := soundCap
	if c.pictures {
		limit = pictureCap
	}
	end := c.begun.Add(limit - c.before)
	if warn := end.Add(-capWarning); now.Before(warn) {
		return 0, false, warn
	}
	c.told = true
	return max(0, end.Sub(now)), true, time.Time{}
}

// cut takes the end of a connection.
func (c *sessionCap) cut(now time.Time) {
	if !c.begun.IsZero() {
		c.before += now.Sub(c.begun)
		c.begun = time.Time{}
	}
}
