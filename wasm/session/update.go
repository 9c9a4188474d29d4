package session

import (
	"slices"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// updateWait is how long a changed setup waits for a quiet moment. It is about the
// life of a connection, whose end brings the change in any case.
const updateWait = 10 * time.Minute

// setup is what connections are opened with. The service takes a changed one when
// it resumes a session (documented).
type setup struct {
	merge   func(setup, change live.Payload) live.Payload
	next    live.Payload // of the next connection
	live    live.Payload // of the last that was live
	waiting []*item      // updates that are in next and not in live
}

// Update changes the setup: from the next quiet moment on the session uses another
// connection, opened with the change. settle is called once: with nil when that
// connection is live; with [ErrLocked] if the token leaves one of the fields to its
// issuer; with *[Error] if the service refuses the changed setup, in which case the
// session goes on with the one before; with [ErrClosed]. An update that waits is
// applied together with those that come after it, which win. If Update returns an
// error, settle is not called.
func (s *Session) Update(u live.Update, settle func(error)) error {
	return s.outbox.add(&item{update: &u, settle: settle})
}

// update takes an update in.
func (l *line) update(it *item, now time.Time) {
	if slices.ContainsFunc(it.update.Fields, func(field string) bool { return !l.grant.token.Leaves(field) }) {
		it.settled(ErrLocked)
		return
	}
	l.setup.next = l.setup.merge(l.setup.next, it.update.Body)
	l.setup.waiting = append(l.setup.waiting, it)
	if l.change == nil {
		l.change = &deadline{CauseUpdate, now, now.Add(updateWait)}
	}
	if l.handle.IsZero() && l.turn.number == 0 && !l.turn.asked {
		l.change.must = now // no handle comes before something is said, and nothing is lost
	}
	signal(l.outbox.ready) // the pump looks at its deadlines before it sends
}

// applied tells that a connection is live with what was next.
func (s *setup) applied() {
	s.live = s.next
	s.settle(nil)
}

// refused goes back to the setup that was live last if that differs from the one
// that the service refused, and reports whether it did.
func (s *setup) refused(end end) bool {
	if len(s.waiting) == 0 || end.phase != live.PhaseSetup {
		return false
	}
	// What would end a new session is not the handle's fault.
	v := classify(end.err, live.PhaseSetup)
	if v.do != stop || v.code != CodeConfig {
		return false
	}
	s.next = s.live
	s.settle(fail(end.err, end.phase, v))
	return true
}

// close settles what will not be applied any more.
func (s *setup) close() { s.settle(ErrClosed) }

func (s *setup) settle(err error) {
	waiting := s.waiting
	s.waiting = nil
	for _, it := range waiting {
		it.settled(err)
	}
}
