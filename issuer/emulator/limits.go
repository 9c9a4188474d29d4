package emulator

import "time"

// medium is what a session streams; more of it costs more of the context.
type medium int

const (
	nothing medium = iota
	sounds
	pictures
)

// sessionLimit is how long a session without compression may stream
// (documented). That the time counts from the first streamed message on, while
// a connection is open, and across resumptions, is assumed.
var sessionLimit = map[medium]time.Duration{sounds: 15 * time.Minute, pictures: 2 * time.Minute}

// streams counts a session's time from the first streamed message on.
func (c *conversation) streams(m medium) {
	if m <= c.streaming {
		return
	}
	c.streaming = m
	streamed := c.world.sessions.stream(c.session, m)
	limit := c.limit(m)
	if limit == 0 {
		return
	}
	left := limit - streamed
	// The way it ends is assumed: as a connection does, and for good.
	now, end := c.world.clock.Now(), c.world.clock.Now().Add(left)
	if lead := c.world.options.GoAwayLead; lead >= 0 && left > 0 {
		c.agenda.plan(now.Add(max(0, left-min(lead, left/2))), "goAway", func() { c.goAway(end.Sub(c.world.clock.Now())) })
	}
	c.agenda.add(end, func() { c.world.sessions.forget(c.session) })
	c.scheduleEnd(max(0, left))
}

// limit is how long the session may stream, 0 for ever.
func (c *conversation) limit(m medium) time.Duration {
	switch of := c.can.limit; {
	case c.window.trigger > 0:
		return of
	case of > 0:
		return min(of, sessionLimit[m])
	}
	return sessionLimit[m]
}

// stream notes what the session streams from now on and tells for how long it
// has.
func (s *sessions) stream(of *session, m medium) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.medium = max(of.medium, m)
	if of.streaming.IsZero() {
		of.streaming = s.clock.Now()
	}
	return of.streamed + s.clock.Now().Sub(of.streaming)
}

// streams is what the session has streamed.
func (s *sessions) streams(of *session) medium {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of.medium
}

// pause stops the session's time; it needs sessions.mu.
func (of *session) pause(now time.Time) {
	if !of.streaming.IsZero() {
		of.streamed += now.Sub(of.streaming)
		of.streaming = time.Time{}
	}
}
