package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// aside is text that asks nothing, on a connection whose model answers all text.
// It waits for a question, or for speech.
type aside struct {
	item *item
	body live.Payload
}

// say hands an item to the socket, in the form that the granted model takes. The
// form is found only here, because the item may be sent again under another grant.
func (l *line) say(it *item, now time.Time) error {
	speech := it.input.Audio > 0 && !it.input.Quiet || it.input.ActivityEnd
	if speech && len(l.asides) > 0 {
		if err := l.sayAsides(now); err != nil {
			return err
		}
	}
	in, err := l.phrase(it)
	if err != nil {
		return err
	}
	first := it.settle != nil
	if in.Aside {
		l.asides = append(l.asides, aside{it, in.Body})
		l.outbox.hold(it, awake())
		l.truths.sent(in, first, l.grant.token.Limits, now)
		return nil
	}
	if err := l.conn.Send(in); err != nil {
		return err
	}
	if in.Content && l.history {
		l.history, it.input.Asks = !it.input.Asks, false
	}
	l.turn.sent(in, now)
	l.truths.sent(in, first, l.grant.token.Limits, now)
	if first && in.Audio > 0 {
		l.speechEnd = time.Time{} // the microphone is on
	}
	if in.Replayable() {
		l.outbox.took(it, l.turn.number, l.turn.owed(awake()), awake())
	}
	if in.Asks && !speech {
		l.asidesSent()
	}
	return nil
}

// phrase gives an item the form in which it is sent.
func (l *line) phrase(it *item) (live.Input, error) {
	in := it.input
	switch {
	case in.Stream || in.StreamEnd:
		return in, nil
	case in.Content && l.history: // which the service answers nothing to
		it.seed, in.Asks = true, false
		return in, nil
	case it.seed && len(in.Lines) > 0: // and a session that was resumed expects none
		in = live.Input{Content: true, Lines: in.Lines, Body: l.cfg.Editor.Recap(in.Lines)}
	}
	if !in.Asks {
		return l.fit(in, nil)
	}
	return l.fit(in, l.asides)
}

func (l *line) fit(in live.Input, before []aside) (live.Input, error) {
	bodies := make([]live.Payload, len(before))
	for i, a := range before {
		bodies[i] = a.body
	}
	return l.cfg.Editor.Fit(in, l.grant.token.Capabilities, bodies)
}

// sayAsides sends the asides ahead of speech, which interrupts their answer.
// Within marked activity they have none.
func (l *line) sayAsides(now time.Time) error {
	last := len(l.asides) - 1
	in, err := l.fit(live.Input{Asks: true, Body: l.asides[last].body}, l.asides[:last])
	if err == nil {
		err = l.conn.Send(in)
	}
	if err != nil {
		return err
	}
	in.Asks = !l.grant.token.Limits.ManualActivity
	l.turn.sent(in, now)
	l.truths.sent(in, false, l.grant.token.Limits, now)
	l.asidesSent()
	return nil
}

func (l *line) asidesSent() {
	for _, a := range l.asides {
		l.outbox.took(a.item, l.turn.number, l.turn.owed(awake()), awake())
	}
	l.asides = nil
}
