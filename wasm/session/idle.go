package session

import (
	"fmt"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// idle hangs up when nobody has spoken, typed or answered for too long: a
// microphone that somebody forgot is paid for by the minute. Only the session's
// goroutine touches it.
type idle struct {
	tell  func(Event)
	last  time.Time     // when something happened last; zero: the session was never live
	sound time.Duration // for how long the user was heard since
	end   time.Time     // when it hangs up; zero: not told yet
	next  time.Time     // when to tell again
}

// sent follows input that a socket took for the first time. A picture is no sign
// of life, nor is a noise.
func (i *idle) sent(in live.Input, now time.Time) {
	if in.Audio > 0 && !in.Quiet {
		i.sound += in.Audio
	}
	if i.sound >= minSpeech || !in.Stream && !in.StreamEnd {
		i.stay(now)
	}
}

// received follows a server message.
func (i *idle) received(m live.Message, now time.Time) {
	if m.Content || m.TurnComplete || len(m.Calls) > 0 || m.Heard != "" {
		i.stay(now)
	}
}

// stay begins the wait again.
func (i *idle) stay(now time.Time) {
	i.last, i.sound = now, 0
	if !i.end.IsZero() {
		i.end = time.Time{}
		i.tell(Idle{Ended: true})
	}
}

// watch counts the last of the limit down, as long as warning lasts whatever time
// has passed unnoticed, and says when to look again. limit 0: there is none. busy:
// a function of the application runs.
func (i *idle) watch(limit, warning time.Duration, busy bool, now time.Time) (over bool, again time.Time) {
	if busy || i.last.IsZero() {
		i.stay(now)
	}
	if limit <= 0 {
		return false, time.Time{}
	}
	if i.end.IsZero() {
		warning = min(warning, limit/2)
		if warn := i.last.Add(limit - warning); now.Before(warn) {
			return false, warn
		}
		i.end, i.next = now.Add(warning), now
	}
	left := i.end.Sub(now)
	if left <= 0 {
		return true, time.Time{}
	}
	if !now.Before(i.next) {
		seconds := (left + time.Second - 1).Truncate(time.Second)
		i.tell(Idle{Left: seconds})
		i.next = i.end.Add(time.Second - seconds)
	}
	return false, i.next
}

// idleError ends a session in which nothing happens.
type idleError struct{ limit time.Duration }

func (e *idleError) Error() string {
	return fmt.Sprintf("nobody spoke, typed or answered for %v: connect again to go on", e.limit)
}
