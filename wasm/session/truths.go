package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// truths is what a session makes out of what is sent and received, beyond
// keeping it going: who said what, what it costs, whether the model is silent and
// how long the session can last. Only the session's goroutine touches it.
type truths struct {
	tell       func(Event)
	transcript transcript
	silence    silence
	limit      sessionCap
	idle       idle

	connection, conversation live.Usage // sums
}

func newTruths(tell func(Event)) *truths {
	return &truths{
		tell:       tell,
		transcript: transcript{tell: func(u Utterance) { tell(u) }},
		silence:    silence{tell: tell},
		idle:       idle{tell: tell},
	}
}

// sent follows input that a socket took. first: no socket took it before.
func (t *truths) sent(in live.Input, first bool, limits live.Limits, now time.Time) {
	if first {
		t.transcript.typed(in.Lines)
		t.idle.sent(in, now)
	}
	t.silence.sent(in, limits.ManualActivity, now)
	if limits.Capped {
		t.limit.sent(in, now)
	}
}

// received follows a server message, after the application has it.
func (t *truths) received(m live.Message, limits live.Limits, now time.Time) {
	t.transcript.received(m, now)
	t.silence.received(m, limits.ManualActivity, now)
	t.idle.received(m, now)
	if m.Usage != (live.Usage{}) {
		add(&t.connection, m.Usage)
		add(&t.conversation, m.Usage)
		t.tell(Usage{m.Usage, t.connection, t.conversation})
	}
}

// watch tells what only time tells, and says when to look again. owed: the model
// waits for the answer to a call. stalls: it was asked, and is silent.
func (t *truths) watch(owed bool, now time.Time) (stalls bool, again time.Time) {
	left, due, again := t.limit.watch(now)
	if due {
		t.tell(SessionCap{Left: left, Pictures: t.limit.pictures})
	}
	stalls, next := t.silence.watch(owed, now)
	return stalls, earliest(again, next)
}

// cut takes the end of a connection that was dialled.
func (t *truths) cut(now time.Time) {
	t.transcript.cut(now)
	t.silence.cut()
	t.limit.cut(now)
	t.connection = live.Usage{}
}

// resumed takes the next connection that is live.
func (t *truths) resumed(replayed, restart bool) {
	t.transcript.resumed(replayed, restart)
	if restart {
		t.limit = sessionCap{}
	}
}

func add(sum *live.Usage, u live.Usage) {
	sum.Prompt += u.Prompt
	sum.Cached += u.Cached
	sum.Response += u.Response
	sum.ToolUse += u.ToolUse
	sum.Thoughts += u.Thoughts
	sum.Total += u.Total
}
