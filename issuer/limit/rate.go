// Package limit counts what callers may have: rates, by the generic cell rate
// algorithm (GCRA), and time of a day's budget. It is pure: values in, values
// out, and the time is an argument. Its stores are elsewhere.
package limit

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate allows Count in each Per, evenly spread, and Burst of them at once. In
// any window of length t at most Burst + Count·t/Per are allowed. The zero Rate
// allows nothing.
type Rate struct {
	Count int           // at least 1
	Per   time.Duration // at most 24 hours
	Burst int           // zero is Count
}

// Left is what a rate leaves to its caller.
type Left struct {
	Remaining int           // of the burst, now
	Reset     time.Duration // until the whole burst is there again
	Wait      time.Duration // until one may be taken, as it was asked; 0 if one was, just now
}

// Interval is the time in which one is earned back, in whole microseconds, which
// is what stores keep. It is rounded up, so it never gives more than the rate.
func (r Rate) Interval() time.Duration {
	n := time.Duration(max(r.Count, 1)) * time.Microsecond
	return max((r.Per+n-1)/n, 1) * time.Microsecond
}

// Window is the time in which a whole burst is earned back.
func (r Rate) Window() time.Duration { return r.Interval() * time.Duration(r.Quota()) }

// Quota is how many are allowed at once.
func (r Rate) Quota() int { return cmp.Or(r.Burst, r.Count) }

// TurnedBack is by how much more than its window a rate must reach into the future
// to count for nothing: it was written before the clock was turned back. Clocks of
// those that share a store differ by less. Until it counts for nothing it refuses
// everybody, so it is short.
const TurnedBack = 10 * time.Second

// Take takes one, if so many of the burst are left then as are spared for others who
// take from it: fewer than Quota. tat, the theoretical arrival time, is all there is to remember
// about a caller: the time at which the whole burst is there again; zero, or any
// time that has passed, for one who was not seen lately. It is returned as it is
// afterwards, and unchanged if there was none to take.
func (r Rate) Take(tat, now time.Time, spared int) (next time.Time, left Left, ok bool) {
	window := r.Window()
	ahead := max(tat.Sub(now), 0)
	if ahead > window+TurnedBack {
		ahead = 0
	}
	if over := ahead + time.Duration(1+spared)*r.Interval() - window; over > 0 {
		return tat, Left{Reset: ahead, Wait: over}, false
	}
	ahead += r.Interval()
	return now.Add(ahead), Left{Remaining: int((window - ahead) / r.Interval()), Reset: ahead}, true
}

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

var errRate = errors.New(`write a number of requests and their time, such as 6/m, 100/10s or 6/m+20 (20 at once)`)

// UnmarshalText reads a rate as people write it: a count, a slash, and s, m, h, d
// or a duration of at most 24 hours; with + and the burst if that is not the
// count.
func (r *Rate) UnmarshalText(text []byte) error {
	count, rest, ok := strings.Cut(string(text), "/")
	per, burst, more := strings.Cut(rest, "+")
	if !ok {
		return errRate
	}
	var read Rate
	var err error
	if read.Count, err = strconv.Atoi(count); err != nil {
		return errRate
	}
	if read.Per, ok = units[per]; !ok {
		if read.Per, err = time.ParseDuration(per); err != nil {
			return errRate
		}
	}
	if more {
		if read.Burst, err = strconv.Atoi(burst); err != nil || read.Burst < 1 {
			return errRate
		}
	}
	if err := read.Check(); err != nil {
		return err
	}
	*r = read
	return nil
}

// Check says what is wrong with a rate.
func (r Rate) Check() error {
	switch {
	case r.Count < 1 || r.Count > maxCount || r.Burst < 0 || r.Burst > maxCount:
		return fmt.Errorf("choose a rate of 1 to %d at once", maxCount)
	case r.Per < time.Millisecond || r.Per > 24*time.Hour:
		return errors.New("choose a rate for a time of 1 ms to 24 h")
	case time.Duration(r.Quota()) > maxWindow/r.Interval():
		return fmt.Errorf("a rate's burst must be earned back within %v", maxWindow)
	}
	return nil
}

const (
	maxCount  = 1_000_000
	maxWindow = 7 * 24 * time.Hour // what is remembered of a caller for longer is no rate
)

// String writes the rate as UnmarshalText reads it.
func (r Rate) String() string {
	per := r.Per.String()
	for name, unit := range units {
		if r.Per == unit {
			per = name
		}
	}
	s := fmt.Sprintf("%d/%s", r.Count, per)
	if r.Quota() != r.Count {
		s += fmt.Sprintf("+%d", r.Burst)
	}
	return s
}
