package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// takenIn is how long it may take until handles contain what a new session was
// told of the past. No more than that: without a handle a cut ends a session.
const takenIn = 700 * time.Millisecond

// announced reports whether the application tells a history first. A resumed
// session has one, and under a full lock nobody hears the client's setup.
func (l *line) announced() bool {
	return l.handle.IsZero() && l.grant.token.Lock != live.LockFull && l.cfg.Editor.Announces(l.setup.next)
}

// seedable reports whether a new session can be given the history of the one that
// was lost as such. Under a full lock nobody hears the client's setup, and what is
// not known of a model is not tried.
func (l *line) seedable() bool {
	return l.last != nil && l.handle.IsZero() && l.grant.token.Capabilities.Seed == "clientContent" && l.grant.token.Lock != live.LockFull
}

// seed tells a new session what was said in the one that was lost, but what is
// sent again anyway, of which the given number of lines was typed.
func (l *line) seed(unanswered int) Restored {
	lines := l.truths.transcript.history(unanswered)
	switch {
	case l.history && len(lines) == 0:
		return RestoredNone // the application's is still to come
	case l.seeded: // and waits for it, even if there is none
		l.history = false
		// A socket that does not take it has ended, and the next is seeded anew.
		if err := l.conn.Send(live.Input{Body: l.cfg.Editor.History(lines)}); err != nil {
			return RestoredNone
		}
	case len(lines) > 0:
		l.outbox.first(live.Input{Content: true, Body: l.cfg.Editor.Recap(lines)}, l.liveAt)
	}
	if len(lines) == 0 {
		return RestoredNone
	}
	l.seededAt = awake()
	return RestoredTranscript
}
