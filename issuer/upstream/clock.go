package upstream

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateTolerance is by how much an answer's Date may differ from our clock before
// we take it for another time: Date has whole seconds, and answers travel.
const dateTolerance = 3 * time.Second

// serviceClock is what the service says the time is. It judges the times we ask
// for by its own clock, and an emulator's can be moved.
type serviceClock struct{ offset atomic.Int64 } // nanoseconds it is ahead of ours

func (c *serviceClock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// note takes an answer's Date, and reports whether it is another time than was
// believed. What is no date is no news.
func (c *serviceClock) note(date string) (moved bool) {
	at, err := http.ParseTime(date)
	if err != nil || at.Sub(c.now()).Abs() <= dateTolerance {
		return false
	}
	offset := time.Until(at)
	if offset.Abs() <= dateTolerance {
		offset = 0 // ours is right, and finer
	}
	c.offset.Store(int64(offset))
	return true
}
