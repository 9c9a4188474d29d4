package emulator

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxAhead keeps dates where every client can read them.
const maxAhead = 100 * 365 * 24 * time.Hour

// clock is the one place where the emulator reads time and waits for it. It runs
// with package time, and so in a testing/synctest bubble, and can be moved ahead
// of it, never back.
type clock struct {
	moved atomic.Int64 // nanoseconds

	mu     sync.Mutex
	rested sync.Cond // some alarm was set or stopped
	alarms []*alarm  // in the order in which they were made
}

func newClock() *clock {
	c := new(clock)
	c.rested.L = &c.mu
	return c
}

// Now is the emulator's time, UTC.
func (c *clock) Now() time.Time { return time.Now().UTC().Add(c.ahead()) }

// ahead is how far it has been moved.
func (c *clock) ahead() time.Duration { return time.Duration(c.moved.Load()) }

// Pause fires after d of time that passes by itself: for what waits on other
// goroutines and not on a date.
func (c *clock) Pause(d time.Duration) *time.Timer { return time.NewTimer(d) }

// Advance moves the time by d. Whatever becomes due on the way is done in the
// order of its time, each at its own time, and is over when Advance returns.
func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range slices.Clone(c.alarms) {
		a.rest() // what was asked for before counts
	}
	for {
		a := c.earliest()
		if a == nil || a.at.Sub(c.Now()) > d {
			break
		}
		step := max(0, a.at.Sub(c.Now()))
		d -= step
		c.moved.Add(int64(step))
		a.awake = true
		a.timer.Reset(0)
		a.rest()
	}
	c.moved.Add(int64(d))
	for _, a := range c.alarms {
		a.rearm()
	}
}

// earliest is the alarm that fires next, nil if none will. It needs mu.
func (c *clock) earliest() (first *alarm) {
	for _, a := range c.alarms {
		if !a.at.IsZero() && (first == nil || a.at.Before(first.at)) {
			first = a
		}
	}
	return first
}

// alarm wakes one goroutine, its owner, at a time. Between two waits the owner
// is awake, and Advance lets it finish what it does.
type alarm struct {
	C <-chan time.Time

	// Guarded by clock.mu.
	clock *clock
	timer *time.Timer
	at    time.Time // zero: not at all
	awake bool
	sets  int
}

// Alarm is a new one, awake. Its owner must stop it.
func (c *clock) Alarm() *alarm {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	a := &alarm{C: timer.C, clock: c, timer: timer, awake: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarms = append(c.alarms, a)
	return a
}

// Set says that the owner waits until t, at once if t is past, or for other
// things only if t is zero.
func (a *alarm) Set(t time.Time) {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	a.at, a.awake = t, false
	a.sets++
	a.rearm()
	a.clock.rested.Broadcast()
}

// Wake says that the owner does something.
func (a *alarm) Wake() {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	a.awake = true
}

// Stop ends it.
func (a *alarm) Stop() {
	a.Set(time.Time{})
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	if i := slices.Index(a.clock.alarms, a); i >= 0 {
		a.clock.alarms = slices.Delete(a.clock.alarms, i, i+1)
	}
}

// The rest needs clock.mu.

func (a *alarm) rearm() {
	if a.at.IsZero() {
		a.timer.Stop()
		return
	}
	a.timer.Reset(a.at.Sub(a.clock.Now()))
}

// rest waits until the owner has finished what it does now. What it begins after
// that is not waited for: a client that never stops sending must not hold time up.
func (a *alarm) rest() {
	for before := a.sets; a.awake && a.sets == before; {
		a.clock.rested.Wait()
	}
}

// agenda is what one goroutine has to do later, in order of time and, for equal
// times, of entry. One timer for its head suffices.
type agenda struct{ items []appointment }

type appointment struct {
	at   time.Time
	what string // for people; "" for what is no news to them
	do   func()
}

func (a *agenda) add(at time.Time, do func()) { a.plan(at, "", do) }

// plan is add for what people want to see coming.
func (a *agenda) plan(at time.Time, what string, do func()) {
	i, _ := slices.BinarySearchFunc(a.items, at, func(x appointment, t time.Time) int {
		if x.at.After(t) {
			return 1
		}
		return -1
	})
	a.items = slices.Insert(a.items, i, appointment{at, what, do})
}

// next is the time of the head; ok is false when there is nothing to do.
func (a *agenda) next() (at time.Time, ok bool) {
	if len(a.items) == 0 {
		return time.Time{}, false
	}
	return a.items[0].at, true
}

// due takes the head if its time has come, nil otherwise.
func (a *agenda) due(now time.Time) func() {
	if len(a.items) == 0 || a.items[0].at.After(now) {
		return nil
	}
	do := a.items[0].do
	a.items = slices.Delete(a.items, 0, 1)
	return do
}
