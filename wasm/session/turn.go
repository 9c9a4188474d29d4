package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// pause is how long nobody must have been heard for a moment to be quiet. Speech
// has pauses, and a service waits that long for its end.
const pause = 1500 * time.Millisecond

// turn follows who owes whom an answer, as far as messages tell.
type turn struct {
	asked   bool      // input was sent that the next turn, or the one under way, answers
	next    bool      // and more, which the turn after that answers
	covered bool      // the handle was given after the last turn, and after all input but streams
	loud    time.Time // when sound was sent last that was no silence

	number      int       // of the turn that began last
	running     bool      // it is not over
	began       time.Time // as we saw it
	ended       time.Time
	interrupted bool

	results struct { // of functions
		at time.Time // when the last was sent; zero: none
		in int       // the turn that had begun last then
	}
}

// finishedTurn is a turn that is over.
type finishedTurn struct {
	number      int
	began       time.Time
	interrupted bool
}

// quiet is from when on the connection can be changed without cutting anybody
// short. The zero time: not before more has happened.
func (t *turn) quiet() time.Time {
	if t.asked || t.running || !t.covered {
		return time.Time{}
	}
	return t.loud.Add(pause)
}

// resultSoon is how long after a function's result, and after the turn in which it
// came, the model may begin to speak of it.
const resultSoon = 2 * time.Second

// result follows the result of a function that was sent.
func (t *turn) result(now time.Time) { t.results.at, t.results.in = now, t.number }

// owed reports whether the turn that begins next may tell such a result, whatever
// is asked now.
func (t *turn) owed(now time.Time) bool {
	if t.results.at.IsZero() || t.results.in+1 < t.number { // the next turn may have answered something else
		return false
	}
	return t.running || now.Sub(later(t.results.at, t.ended)) < resultSoon
}

// sent follows input that a socket took.
func (t *turn) sent(in live.Input, now time.Time) {
	if !in.Stream && !in.StreamEnd {
		t.covered = false
	}
	if in.Audio > 0 && !in.Quiet {
		t.loud = now
	}
	if in.Asks {
		// What is asked into a turn ends it; its own answer is the turn after that.
		t.next = t.next || t.asked || t.running
		t.asked = true
	}
}

// received follows a server message. It gives the turn that ends with it, if one
// does.
func (t *turn) received(m live.Message, now time.Time) (over finishedTurn, ok bool) {
	if (m.Content || len(m.Calls) > 0 || m.TurnComplete) && !t.running {
		t.number++
		t.running, t.began = true, now
		// Nobody interrupted what now begins to speak. One that ends without a word
		// may have been interrupted before it.
		t.interrupted = t.interrupted && m.TurnComplete
	}
	if m.Content || len(m.Calls) > 0 {
		t.covered = false
	}
	t.interrupted = t.interrupted || m.Interrupted
	if m.TurnComplete {
		over, ok = finishedTurn{t.number, t.began, t.interrupted}, true
		t.asked, t.next, t.running, t.interrupted, t.ended = t.next, false, false, false, now
	}
	if !m.Handle.IsZero() && !t.asked && !t.running {
		t.covered = true
	}
	return over, ok
}
