package profile

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	defaultConcurrent = 3
	maxConcurrent     = 1_000_000
	maxMinutesPerDay  = 10_000_000
	maxRate           = 1_000_000_000
)

var defaultPerCaller = Rate{6, time.Minute}

// Limits bound what one caller can have of a profile.
type Limits struct {
	// PerCaller is how many tokens, renewals included, a caller gets. Zero is 6 a
	// minute.
	PerCaller Rate

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

// Rate is a number of events in a time.
type Rate struct {
	Count int
	Per   time.Duration
}

// units of a Rate.
var units = []struct {
	name string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}

// ParseRate reads a rate such as "6/m". The units are s, m, h and d.
func ParseRate(text string) (Rate, error) {
	digits, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(digits))
	for _, u := range units {
		if u.name == strings.TrimSpace(unit) && err == nil && n >= 1 && n <= maxRate {
			return Rate{n, u.per}, nil
		}
	}
	return Rate{}, errors.New("write a count and its time, such as 6/m; the times are s, m, h and d, and the count is at least 1")
}

func (r Rate) String() string {
	for _, u := range units {
		if u.per == r.Per {
			return strconv.Itoa(r.Count) + "/" + u.name
		}
	}
	return fmt.Sprintf("%d/%v", r.Count, r.Per)
}

// filled has the defaults in place of zeros.
func (l Limits) filled() Limits {
	l.PerCaller = cmp.Or(l.PerCaller, defaultPerCaller)
	l.Concurrent = cmp.Or(l.Concurrent, defaultConcurrent)
	return l
}

func (l Limits) check(wrong *Mistakes) {
	if l.PerCaller.Count < 1 || l.PerCaller.Count > maxRate || l.PerCaller.Per <= 0 {
		wrong.note("limits.perCaller", "choose at least 1 in a second, minute, hour or day, such as 6/m")
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
