package session

import (
	"slices"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// These bound the ledger; beyond that the oldest calls go, and of the answers to
// one call the oldest that went out.
const (
	maxCalls   = 1024
	maxAnswers = 256
)

// inView is how long after an answer went out the model's words may be said in
// view of it. They tell of most answers sooner or later; a handle waits for them.
const inView = 700 * time.Millisecond

// ledger keeps account of the model's function calls over all connections, so
// that each ends once: answered, cancelled or orphaned.
//
// No handle holds a call that waits, so a resumed session knows nothing of it.
// The input that led to it is sent again, and the model may call again: the same
// function with equal arguments. The application is not asked twice for that,
// unless it wants to be; what it answered, or is about to, serves both. Only the
// session's goroutine touches a ledger.
type ledger struct {
	calls []*call        // in the order they were made
	news  func(ToolCall) // told of each call's begin and end
}

// call is one function call.
type call struct {
	id         string // as the application knows it
	wire       string // as the service knows it on this connection; "": it has not made it on this one
	name, args string
	made       time.Time // on this connection
	answers    []answer  // of the application; all but the last say that more follow
	done       bool      // the last is among them
	rerun      bool      // they are for this call alone: one that repeats it is a new one
	sent       int       // of them, on this connection
	ended      bool      // its end was told
	answered   bool      // a turn that began after the last was sent is over

	turn   int       // turns that had begun when the last was sent
	sentAt time.Time // when it was
	talked bool      // the model went on in that turn, too late for not having it
}

// answer is one response to one call.
type answer struct {
	body live.Payload // addressed to the call as the application knows it
	part *part        // nil once settled
}

func (a *answer) settle(err error) {
	if a.part != nil {
		a.part.done(err)
		a.part = nil
	}
}

// part settles a message whose responses go different ways, once all are gone.
type part struct {
	left   int
	err    error
	settle func(error)
}

func (p *part) done(err error) {
	if p.err == nil {
		p.err = err
	}
	if p.left--; p.left == 0 {
		p.settle(p.err)
	}
}

// called takes calls of the model's. It gives the ids of those that repeat
// earlier ones, which the application must not see.
func (l *ledger) called(calls []live.Call, now time.Time) (repeated []string) {
	for _, made := range calls {
		same := slices.IndexFunc(l.calls, func(c *call) bool {
			return c.wire == "" && c.name == made.Name && c.args == made.Args
		})
		switch {
		case made.ID == "": // nobody can answer it
		case same >= 0:
			c := l.calls[same]
			c.wire, c.made = made.ID, now
			repeated = append(repeated, made.ID)
			l.news(ToolCall{ID: c.id, Name: c.name, State: CallMade, Repeated: true})
		default:
			if len(l.calls) == maxCalls {
				l.end(l.calls[0], CallOrphaned, ErrOrphaned)
				l.remove(l.calls[0])
			}
			l.calls = append(l.calls, &call{id: made.ID, wire: made.ID, name: made.Name, args: made.Args, made: now})
			l.news(ToolCall{ID: made.ID, Name: made.Name, State: CallMade})
		}
	}
	return repeated
}

// cancelled takes ids of calls that the service withdrew, and gives those by
// which the application knows the calls.
func (l *ledger) cancelled(ids []string) map[string]string {
	known := make(map[string]string, len(ids))
	for _, id := range ids {
		known[id] = id
		if c := l.find(func(c *call) bool { return c.wire == id }); c != nil {
			known[id] = c.id
			l.end(c, CallCancelled, ErrNoCall)
			l.remove(c)
		}
	}
	return known
}

// answer takes a message of the application's.
func (l *ledger) answer(in live.Input, settle func(error), editor Editor) {
	last := make(map[string]live.Answer) // of those to one call, which stay together
	for _, a := range in.Answers {
		last[a.ID] = a
	}
	alone := len(last) == 1
	p := &part{left: len(last), settle: settle}
	for _, a := range in.Answers {
		a, first := last[a.ID]
		if !first {
			continue
		}
		delete(last, a.ID)
		c := l.find(func(c *call) bool { return c.id == a.ID && !c.done })
		if c == nil {
			p.done(ErrNoCall)
			continue
		}
		body := in.Body
		if !alone {
			body = editor.Answer(in.Body, a.ID, a.ID)
		}
		if len(c.answers) >= maxAnswers && c.answers[0].part == nil {
			c.answers = slices.Delete(c.answers, 0, 1)
			c.sent = max(0, c.sent-1)
		}
		c.answers = append(c.answers, answer{body, p})
		c.done, c.rerun = !a.More, in.Rerun
	}
}

// next is a call with an answer that the service wants and has not got.
func (l *ledger) next() *call {
	return l.find(func(c *call) bool { return c.wire != "" && c.sent < len(c.answers) })
}

// message is the answer that is next for the call.
func (c *call) message(editor Editor) live.Input {
	body := c.answers[c.sent].body
	if c.wire != c.id {
		body = editor.Answer(body, c.id, c.wire)
	}
	return live.Input{Body: body, Answers: []live.Answer{{ID: c.wire, More: !c.over(c.sent + 1)}}}
}

// went follows the answer that was next, which a socket took or, with err, will
// never take.
func (l *ledger) went(c *call, err error, turn int, now time.Time) {
	c.answers[c.sent].settle(err)
	if c.sent++; c.over(c.sent) {
		c.turn, c.sentAt, c.talked = turn, now, false
		l.end(c, CallAnswered, nil)
	}
}

// over reports whether nothing follows the first n answers.
func (c *call) over(n int) bool { return c.done && n == len(c.answers) }

// owes reports whether the service waits for an answer.
func (l *ledger) owes() bool {
	return l.find(func(c *call) bool { return c.wire != "" && !c.over(c.sent) }) != nil
}

// talks follows the model's words: those that come a while after an answer may be
// said in view of it.
func (l *ledger) talks(turn int, now time.Time) {
	for _, c := range l.calls {
		if c.wire != "" && c.over(c.sent) && c.turn == turn && now.Sub(c.sentAt) >= inView {
			c.talked = true
		}
	}
}

// turnOver takes the end of a turn as evidence that answers were taken in: it
// began after them, or was the one that called and went on.
func (l *ledger) turnOver(t finishedTurn) {
	for _, c := range l.calls {
		if c.wire != "" && c.over(c.sent) && (c.turn < t.number || c.talked && !t.interrupted) {
			c.answered = true
		}
	}
}

// covered takes a handle: what was answered before is in it. If all input was, what
// was not called again by then never will be. The oldest question that may be sent
// again was sent at that time (zero: there is none); what was called since may be
// what it led to, and be called again.
func (l *ledger) covered(allInput bool, oldest time.Time) {
	for _, c := range slices.Clone(l.calls) {
		if c.answered && (oldest.IsZero() || c.made.Before(oldest)) || c.wire == "" && allInput {
			l.end(c, CallOrphaned, ErrOrphaned)
			l.remove(c)
		}
	}
}

// rewind begins a connection on which no call was made yet. What was answered and
// must not be again, is forgotten.
func (l *ledger) rewind() {
	l.calls = slices.DeleteFunc(l.calls, func(c *call) bool { return c.ended && c.rerun })
	for _, c := range l.calls {
		c.wire, c.sent, c.answered = "", 0, false
	}
}

// close ends what has not ended.
func (l *ledger) close() {
	for _, c := range l.calls {
		l.end(c, CallOrphaned, ErrClosed)
	}
	l.calls = nil
}

// end tells how the call ended, if that was not told, and settles what will not
// be sent with err.
func (l *ledger) end(c *call, how CallState, err error) {
	if !c.ended {
		c.ended = true
		l.news(ToolCall{ID: c.id, Name: c.name, State: how})
	}
	for i := range c.answers {
		c.answers[i].settle(err)
	}
}

func (l *ledger) find(fits func(*call) bool) *call {
	if i := slices.IndexFunc(l.calls, fits); i >= 0 {
		return l.calls[i]
	}
	return nil
}

func (l *ledger) remove(c *call) {
	l.calls = slices.DeleteFunc(l.calls, func(one *call) bool { return one == c })
}
