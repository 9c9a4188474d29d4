package emulator

import (
	"math/rand/v2"
	"time"
)

// traffic is what becomes of messages on their way to the client. The zero value
// lets them through.
type traffic struct {
	silentUntil time.Time // what is sent before is lost
	heldUntil   time.Time // what is sent before leaves then
	latency     time.Duration
	jitter      time.Duration // added to it, as much as random says
	random      *rand.Rand
	last        time.Time // when the latest message leaves: none overtakes another
}

// leaves says when a message leaves that is sent now, and whether it does.
func (t *traffic) leaves(now time.Time) (at time.Time, ok bool) {
	if now.Before(t.silentUntil) {
		return now, false
	}
	at = now.Add(t.latency)
	if t.jitter > 0 {
		at = at.Add(time.Duration(t.random.Int64N(int64(t.jitter))))
	}
	for _, bound := range []time.Time{t.heldUntil, t.last} {
		if at.Before(bound) {
			at = bound
		}
	}
	t.last = at
	return at, true
}
