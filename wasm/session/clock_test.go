package session

import (
	"testing"
	"testing/synctest"
	"time"
)

// A browser's wall clock is rounded, and looked at often.
func TestACoarseWallClockDoesNotMakeTimeFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newClock(func() time.Time { return time.Now().Truncate(100 * time.Millisecond) })
		before := clock.now()
		for range 4000 {
			time.Sleep(13 * time.Millisecond)
			clock.now()
		}
		if got, want := clock.now().Sub(before), 52*time.Second; got != want {
			t.Errorf("%v has passed, want %v", got, want)
		}
	})
}

func TestTheClockBelievesWhoeverSaysThatMoreHasPassed(t *testing.T) {
	for name, c := range map[string]struct{ wall, monotonic, passed time.Duration }{
		"both alike":              {time.Second, time.Second, time.Second},
		"asleep":                  {time.Hour, time.Second, time.Hour},
		"the wall clock set back": {-2 * time.Hour, time.Second, time.Second},
		"nothing":                 {0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wall := time.Unix(1000, 0)
				clock := newClock(func() time.Time { return wall })
				before := clock.now()
				wall = wall.Add(c.wall)
				time.Sleep(c.monotonic)
				if got := clock.now().Sub(before); got != c.passed {
					t.Errorf("%v has passed, want %v", got, c.passed)
				}
				if got := clock.now().Sub(before); got != c.passed {
					t.Errorf("asked again, %v has passed, want %v", got, c.passed)
				}
			})
		})
	}
}
