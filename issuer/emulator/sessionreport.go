package emulator

import (
	"context"
	"sync"
	"time"
)

// inspectPatience bounds how long a report waits for a conversation, which may be
// writing to a client that does not read.
const inspectPatience = time.Second

// sessionsReport is the answer to GET /__emulator/sessions.
type sessionsReport struct {
	Now      time.Time       `json:"now"`
	Began    time.Time       `json:"began"` // changed by a reset
	Sessions []sessionReport `json:"sessions"`
}

// sessionReport is one session that is open or known still.
type sessionReport struct {
	Session string    `json:"session"`
	Project string    `json:"project"`
	Token   string    `json:"token,omitempty"` // absent with an API key
	Model   string    `json:"model"`
	State   string    `json:"state"`          // open, resumable or forgotten
	Since   time.Time `json:"since"`          // of the connection's begin, or of its end
	Until   time.Time `json:"until,omitzero"` // not resumable from then on
	Handles int       `json:"handles"`        // that are good

	// Of an open one. Absent if the conversation does not answer, as it does not
	// while it waits for a client to read.
	Connection *connectionReport `json:"connection,omitempty"`
}

// connectionReport is what only the conversation's goroutine knows.
type connectionReport struct {
	Turn     string   `json:"turn"`     // none, answering, or calling while functions run
	Activity bool     `json:"activity"` // the user speaks, as far as it is heard or marked
	Calls    int      `json:"calls"`    // of functions that have not returned
	Faults   []string `json:"faults"`   // in force
	Due      []due    `json:"due"`      // what is to come, in order
}

// due is an event at a time: goAway, end, tokenExpiry, or a kind of fault.
type due struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// reportSessions lists the sessions in the order of their begin.
func (w *world) reportSessions(ctx context.Context) sessionsReport {
	ctx, cancel := context.WithTimeout(ctx, inspectPatience)
	defer cancel()
	list := w.sessions.match("*")
	reports := make([]sessionReport, len(list))
	var inspected sync.WaitGroup
	for i, one := range list {
		var open *conversation
		if reports[i], open = w.sessions.tell(one); open != nil {
			inspected.Go(func() { reports[i].Connection = open.inspect(ctx) })
		}
	}
	inspected.Wait()
	return sessionsReport{w.clock.Now(), w.began, reports}
}

// tell says what the store knows, and who knows the rest.
func (s *sessions) tell(of *session) (r sessionReport, open *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r = sessionReport{Session: of.id, Project: of.project.String(), Model: of.model, State: "open", Handles: len(of.handles)}
	if of.token != nil {
		r.Token = of.token.id.String()
	}
	switch {
	case of.open != nil:
		r.Since = of.open.opened
	case len(of.handles) == 0:
		r.State, r.Since = "forgotten", of.ended
	default:
		r.State, r.Since, r.Until = "resumable", of.ended, of.ended.Add(s.lifetime)
	}
	return r, of.open
}

// inspect lets the conversation report, nil if it does not in time.
func (c *conversation) inspect(ctx context.Context) (r *connectionReport) {
	answer := make(chan *connectionReport, 1)
	if !c.command(ctx, func(c *conversation) { answer <- c.report() }) {
		return nil
	}
	return <-answer
}

func (c *conversation) report() *connectionReport {
	r := &connectionReport{Turn: "none", Activity: c.ear.active, Calls: len(c.calling.pending), Faults: []string{}, Due: []due{}}
	switch {
	case c.turn == nil:
	case c.turn.started.IsZero():
		r.Turn = "calling"
	default:
		r.Turn = "answering"
	}
	now := c.world.clock.Now()
	for _, one := range []struct {
		kind string
		is   bool
	}{
		{"half-open", c.line.dead.Load()},
		{"stall", now.Before(c.traffic.silentUntil)},
		{"burst", now.Before(c.traffic.heldUntil)},
		{"slow", c.traffic.latency+c.traffic.jitter > 0},
	} {
		if one.is {
			r.Faults = append(r.Faults, one.kind)
		}
	}
	for _, one := range c.agenda.items {
		if one.what != "" {
			r.Due = append(r.Due, due{one.at, one.what})
		}
	}
	return r
}
