package profile

import (
	"cmp"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
)

const (
	defaultConcurrent = 3
	maxConcurrent     = 1_000_000
	maxMinutesPerDay  = 10_000_000
)

var defaultPerCaller = limit.Rate{Count: 6, Per: time.Minute}

// Limits bound what one caller can have of a profile.
type Limits struct {
	// PerCaller is how many tokens, renewals included, a caller gets. Zero is 6 a
	// minute.
	PerCaller limit.Rate

	// Concurrent is how many tokens that have not expired a caller may hold, this one
	// included, to get one for a new lease. Zero is 3.
	Concurrent int

	// MinutesPerDay is how many minutes of leases a caller gets in a day, those of
	// leases that run side by side added up. Zero is no such limit: the other two
	// bound it.
	MinutesPerDay int
}

// Renewing is as Concurrent, to get a token for a lease that goes on. It is twice as
// many, because from three quarters of a token's life on such a lease holds two.
func (l Limits) Renewing() int { return 2 * l.Concurrent }

// filled has the defaults in place of zeros.
func (l Limits) filled() Limits {
	l.PerCaller = cmp.Or(l.PerCaller, defaultPerCaller)
	l.Concurrent = cmp.Or(l.Concurrent, defaultConcurrent)
	return l
}

func (l Limits) check(wrong *Mistakes) {
	if err := l.PerCaller.Check(); err != nil {
		wrong.note("limits.perCaller", "%v", err)
	}
	if l.Concurrent < 1 || l.Concurrent > maxConcurrent {
		wrong.note("limits.concurrent", "choose 1 to %d", maxConcurrent)
	}
	if l.MinutesPerDay < 0 || l.MinutesPerDay > maxMinutesPerDay {
		wrong.note("limits.minutesPerDay", "choose 1 to %d, or leave it out", maxMinutesPerDay)
	}
}

// Limits are what bounds one caller.
func (p Profile) Limits() Limits { return p.spec.Limits }
