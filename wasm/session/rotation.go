package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// deadline is one reason to change the connection: from want on at a quiet
// moment, at must in any case.
type deadline struct {
	cause      Cause
	want, must time.Time
}

// goAwayDeadline is the end of a connection announced at now. The margin leaves
// time to close before the service does.
func goAwayDeadline(now time.Time, timeLeft time.Duration) deadline {
	margin := min(5*time.Second, timeLeft/4)
	return deadline{CauseGoAway, now, now.Add(timeLeft - margin)}
}

// tokenDeadline is the end of the token that a connection was opened with: the
// service closes the socket then (observed).
func tokenDeadline(g *grant) deadline {
	life := g.token.ExpiresIn
	return deadline{CauseRenew, g.expires.Add(-min(time.Minute, life/10)), g.expires.Add(-min(tokenMargin, life/20))}
}

// rotate says whether to change the connection now, and why; otherwise when to
// look again (the zero time: never by itself).
func rotate(now time.Time, quiet bool, deadlines []deadline) (due bool, cause Cause, next time.Time) {
	for _, d := range deadlines {
		if !now.Before(d.must) || quiet && !now.Before(d.want) {
			return true, d.cause, time.Time{}
		}
		at := d.must
		if quiet {
			at = d.want
		}
		next = earliest(next, at)
	}
	return false, "", next
}

// earliest returns the earlier of two times, where the zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// turn follows who owes whom an answer, as far as messages tell. Speech is not
// followed: only the service knows where in a stream of sound somebody speaks.
type turn struct {
	asked   bool            // input was sent that the next turn, or the one under way, answers
	next    bool            // and more, which the turn after that answers
	running bool            // the model's turn began
	covered bool            // the handle was given after the last turn, and after all input but streams
	owed    map[string]bool // function calls not yet answered
}

// quiet reports whether the connection can be changed without losing a turn,
// an answer or a message.
func (t *turn) quiet() bool { return !t.asked && !t.running && t.covered && len(t.owed) == 0 }

// sent follows input that a socket took.
func (t *turn) sent(in live.Input) {
	if !in.Stream {
		t.covered = false
	}
	if in.Asks {
		// What is asked into a turn ends it; its own answer is the turn after that.
		t.next = t.next || t.asked || t.running
		t.asked = true
	}
	for _, id := range in.Answers {
		delete(t.owed, id)
	}
}

// received follows a server message.
func (t *turn) received(m live.Message) {
	if m.Content || len(m.Calls) > 0 {
		t.running, t.covered = true, false
	}
	for _, id := range m.Calls {
		if t.owed == nil {
			t.owed = make(map[string]bool)
		}
		t.owed[id] = true
	}
	for _, id := range m.Cancelled {
		delete(t.owed, id)
	}
	if m.TurnComplete {
		t.asked, t.next, t.running = t.next, false, false
	}
	if !m.Handle.IsZero() && !t.asked && !t.running {
		t.covered = true
	}
}
