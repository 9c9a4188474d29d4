package emulator

import (
	"slices"
	"time"
)

// clock is the one place where the emulator reads time and waits for it.
type clock struct{}

// Now is the emulator's time, UTC.
func (clock) Now() time.Time { return time.Now().UTC() }

// Timer fires at t, at once if t is past.
func (c clock) Timer(t time.Time) *time.Timer { return time.NewTimer(t.Sub(c.Now())) }

// agenda is what one goroutine has to do later, in order of time and, for equal
// times, of entry. One timer for its head suffices.
type agenda struct{ items []appointment }

type appointment struct {
	at time.Time
	do func()
}

func (a *agenda) add(at time.Time, do func()) {
	i, _ := slices.BinarySearchFunc(a.items, at, func(x appointment, t time.Time) int {
		if x.at.After(t) {
			return 1
		}
		return -1
	})
	a.items = slices.Insert(a.items, i, appointment{at, do})
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
