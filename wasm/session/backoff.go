package session

import "time"

const (
	firstDelay = 250 * time.Millisecond
	maxDelay   = 15 * time.Second

	// Attempts are made apart, after a burst, whatever ends them and whoever wakes
	// us: at most 30 in a minute. Those are free that led to an answer.
	apart = 3 * time.Second
	burst = 9
)

// delay is how long to wait before the attempt that follows the given number of
// failures in a row: nothing after a connection that held, then full jitter
// below a cap that doubles. random is in [0, 1). Advice of the server wins.
func delay(failures int, advice time.Duration, random float64) time.Duration {
	if advice > 0 {
		return advice + time.Duration(random*float64(firstDelay))
	}
	if failures == 0 {
		return 0
	}
	limit := maxDelay
	if shift := failures - 1; shift < 6 {
		limit = min(maxDelay, firstDelay<<shift)
	}
	return time.Duration(random * float64(limit))
}

// pace bounds attempts that lead to nothing.
type pace struct{ due time.Time } // when all would have been made, one every apart

// add takes an attempt that began then.
func (p *pace) add(began time.Time) { p.due = later(p.due, began).Add(apart) }

// wait is how long the next attempt must wait.
func (p *pace) wait(now time.Time) time.Duration { return max(0, p.due.Sub(now.Add(burst*apart))) }
