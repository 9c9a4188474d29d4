package session

import "github.com/livevalet/livevalet/wasm/live"

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
	var body live.Payload
	switch {
	case l.seeded: // and waits for it, even if there is none
		body = l.cfg.Editor.History(lines)
	case len(lines) > 0:
		body = l.cfg.Editor.Recap(lines)
	default:
		return RestoredNone
	}
	// A socket that does not take it has ended, and the next is seeded anew.
	if err := l.conn.Send(live.Input{Body: body}); err != nil || len(lines) == 0 {
		return RestoredNone
	}
	l.seededAt = awake()
	return RestoredTranscript
}
