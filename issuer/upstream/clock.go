package upstream

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// dateTolerance is by how much an answer's Date may differ from our clock
	// before we take it for another time: Date has whole seconds, and answers
	// travel.
	dateTolerance = 3 * time.Second

	// skewTolerance is the difference from which on operators are told, at most
	// once in skewSilence.
	skewTolerance = 30 * time.Second
	skewSilence   = time.Hour
)

// serviceClock is what the service says the time is. It judges the times we ask
// for by its own clock, and an emulator's can be moved.
type serviceClock struct {
	log    *slog.Logger
	offset atomic.Int64 // nanoseconds it is ahead of ours

	mu     sync.Mutex
	warned time.Time // last; guarded by mu
}

func newServiceClock(log *slog.Logger) *serviceClock {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &serviceClock{log: log}
}

func (c *serviceClock) now() time.Time { return time.Now().Add(c.ahead()) }

// ahead is by how much the service's clock is ahead of ours. It changes only
// when the service's time turns out to be another than was believed.
func (c *serviceClock) ahead() time.Duration { return time.Duration(c.offset.Load()) }

// note takes the Date of an answer to what was sent then. It was written at some
// moment since, so that an answer which takes long says little. What is no date is
// no news.
func (c *serviceClock) note(date string, sent time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	least, most := time.Until(at), at.Sub(sent)
	nearest := func(ahead time.Duration) time.Duration { return min(max(ahead, least), most) }
	c.warn(nearest(0))
	switch ahead := c.ahead(); {
	case (nearest(ahead) - ahead).Abs() <= dateTolerance:
	case nearest(0).Abs() <= dateTolerance:
		c.offset.Store(0) // ours is right, and finer
	default:
		c.offset.Store(int64(nearest(ahead)))
	}
}

// warn tells of a clock that is wrong. Tokens are dated by the service's clock
// all the same, but certificates and other programs go by ours.
func (c *serviceClock) warn(offset time.Duration) {
	if offset.Abs() <= skewTolerance {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.warned.IsZero() && time.Since(c.warned) < skewSilence {
		return
	}
	c.warned = time.Now()
	c.log.Warn("the clock of this machine differs from the token service's, by which tokens are dated: set it",
		"secondsBehind", int64(offset.Round(time.Second)/time.Second))
}
