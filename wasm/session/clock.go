package session

import "time"

// coarse is by how much the wall clock must be ahead to be believed. Browsers
// round it to as much as 100 ms, and each tick would count on top otherwise.
const coarse = time.Second

// clock tells the time by which deadlines are judged. Package time's monotonic
// clock may stand still while a machine sleeps, and the wall clock is stepped at
// will, so of the two the one counts that says more has passed; a step back is
// no time at all. Only the session's goroutine asks it.
type clock struct {
	wall func() time.Time
	told time.Time // what it told last
	last struct{ wall, monotonic time.Time }
}

func newClock(wall func() time.Time) *clock {
	c := &clock{wall: wall, told: time.Now()}
	c.last.wall, c.last.monotonic = wall(), c.told
	return c
}

func (c *clock) now() time.Time {
	wall, monotonic := c.wall(), time.Now()
	passed := monotonic.Sub(c.last.monotonic)
	if slept := wall.Sub(c.last.wall); slept > passed+coarse {
		passed = slept
	}
	c.last.wall, c.last.monotonic = wall, monotonic
	c.told = c.told.Add(passed)
	return c.told
}

// wallTime is package time's, without its monotonic reading.
func wallTime() time.Time { return time.Now().Round(0) }

// awake tells the time by which it is judged what may be on its way: it stands
// still while a machine sleeps, as messages do.
func awake() time.Time { return time.Now() }
