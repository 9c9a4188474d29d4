package emulator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// fault is the body of POST /__emulator/fault. Durations are Go's, "1m30s".
type fault struct {
	Kind     string   `json:"kind"`
	Session  string   `json:"session"`  // id, or "*", the default: all that fit
	After    duration `json:"after"`    // of an open connection; gone if it ends first
	Times    int      `json:"times"`    // refuse-resume, mint-error: how many, default 1
	TimeLeft duration `json:"timeLeft"` // goaway: until the connection ends, default 50s
	Code     int      `json:"code"`     // close and refuse-resume
	Reason   string   `json:"reason"`
	Status   int      `json:"status"`  // mint-error: 400, 403, 429, 500, 503 (default), or 408 for no answer
	Latency  duration `json:"latency"` // slow: default 1s
	Jitter   duration `json:"jitter"`  // slow: up to this much more
	Holds    duration `json:"holds"`   // stall: default for ever; half-open: 20s; burst: 2s
}

// duration is a Go duration in JSON.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = fmt.Errorf("duration %q is negative", text)
	}
	*d = duration(v)
	return err
}

// faultKind is one way to misbehave.
type faultKind struct {
	// on does it, on the conversation's goroutine.
	on func(*conversation, fault)
	// idle does it to a session that has no connection now. Nil: only open ones fit.
	idle func(*sessions, *session, fault)
	// token: only connections by token fit.
	token bool
	// mint: not for sessions at all.
	mint bool
}

const (
	forEver    = 100 * 365 * 24 * time.Hour
	maxLatency = time.Minute // of messages that wait in memory
)

var faultKinds = map[string]faultKind{
	"goaway": {on: func(c *conversation, f fault) {
		left := time.Duration(f.TimeLeft)
		if left == 0 {
			left = 50 * time.Second
		}
		c.goAway(left)
		c.scheduleEnd(left)
	}},
	"drop": {on: func(c *conversation, _ fault) { c.stop(ending{code: 1006}) }},
	"close": {on: func(c *conversation, f fault) {
		c.stop(f.ending(internal.close, "The service is currently unavailable."))
	}},
	"expire-token": {token: true, on: func(c *conversation, _ fault) {
		c.world.tokens.expireNow(c.caller.token) // every socket of the token hears of it
	}},
	"refuse-resume": {
		on:   func(c *conversation, f fault) { refuseResume(c.world.sessions, c.session, f) },
		idle: refuseResume,
	},
	"stall": {on: func(c *conversation, f fault) {
		c.traffic.silentUntil = c.world.clock.Now().Add(cmp.Or(time.Duration(f.Holds), forEver))
	}},
	// The line is dead, and only the client may find out: the session stays taken
	// for a while, as it does at the service.
	"half-open": {on: func(c *conversation, f fault) {
		c.line.dead.Store(true)
		holds := cmp.Or(time.Duration(f.Holds), 20*time.Second)
		c.agenda.add(c.world.clock.Now().Add(holds), func() { c.stop(ending{code: 1006}) })
	}},
	"slow": {on: func(c *conversation, f fault) {
		c.traffic.latency, c.traffic.jitter = time.Duration(f.Latency), time.Duration(f.Jitter)
		if f.Latency == 0 && f.Jitter == 0 {
			c.traffic.latency = time.Second
		}
		c.traffic.random = c.random("slow")
	}},
	"burst": {on: func(c *conversation, f fault) {
		c.traffic.heldUntil = c.world.clock.Now().Add(cmp.Or(time.Duration(f.Holds), 2*time.Second))
	}},
	"malformed": {on: func(c *conversation, _ fault) {
		c.sendFrame([]byte(`{"serverContent": {"modelTurn": {"parts": [`), entry{}, tree{"malformed": true})
	}},
	"unknown-field": {on: func(c *conversation, _ fault) {
		c.send(tree{"serverContent": tree{"fieldOfTomorrow": true}, "messageOfTomorrow": tree{"value": 1}})
	}},
	"empty": {on: func(c *conversation, _ fault) { c.send(tree{}) }},
	"phantom-interrupt": {on: func(c *conversation, _ fault) {
		if c.turn != nil {
			c.interrupt()
			return
		}
		c.send(content("interrupted", true))
	}},
	"spent-token": {token: true, on: func(c *conversation, _ fault) { c.world.tokens.exhaust(c.caller.token) }},
	"mint-error":  {mint: true},
	"forget-handle": {
		on:   func(c *conversation, _ fault) { c.world.sessions.forget(c.session) },
		idle: func(s *sessions, of *session, _ fault) { s.forget(of) },
	},
}

// refuseResume lets the next resumes fail as a passing fault of the service
// would; forget-handle is the lasting one.
func refuseResume(s *sessions, of *session, f fault) {
	e := f.ending(unavailable.close, "The service is currently unavailable.")
	s.refuse(of, max(1, f.Times), refuse(status{unavailable.name, unavailable.http, e.code}, e.reason))
}

// ending is the one asked for, with the default where nothing was.
func (f fault) ending(code int, reason string) ending {
	if f.Code != 0 {
		return ending{code: f.Code, reason: f.Reason}
	}
	if f.Reason != "" {
		reason = f.Reason
	}
	return ending{code: code, reason: reason}
}

// check says what is wrong with f, "" for nothing.
func (f fault) check() string {
	switch _, known := faultKinds[f.Kind]; {
	case !known:
		return "kind is one of " + strings.Join(slices.Sorted(maps.Keys(faultKinds)), ", ")
	case f.Status != 0 && mintErrors[f.Status] == nil && f.Status != noAnswer:
		return "status is 400, 403, 429, 500, 503, or 408 for no answer"
	case max(f.Latency, f.Jitter) > duration(maxLatency):
		return "latency and jitter are at most 1m"
	case f.Kind == "burst" && f.Holds > duration(maxLatency):
		return "a burst holds back for at most 1m"
	case f.Times < 0 || f.Times > 1000:
		return "times is at most 1000"
	case f.Code != 0 && !ValidCloseCode(f.Code):
		return "code is 1000 to 1014 or 3000 to 4999, without 1004 and 1005; 1006 cuts the socket"
	}
	return ""
}

// ValidCloseCode reports whether a [CloseFrame] may have that code: what a frame
// can carry, and 1006.
func ValidCloseCode(code int) bool {
	return 1000 <= code && code <= 1014 && code != 1004 && code != 1005 || 3000 <= code && code <= 4999
}

func (s *Server) serveFault(w *world, rw http.ResponseWriter, r *http.Request, body []byte) {
	f := fault{Session: "*"}
	if err := decodeStrict(body, &f); err != nil {
		problem{http.StatusBadRequest, "invalid_request", err.Error()}.write(rw)
		return
	}
	if wrong := f.check(); wrong != "" {
		problem{http.StatusBadRequest, "invalid_request", wrong}.write(rw)
		return
	}
	applied := 0
	if faultKinds[f.Kind].mint {
		w.mints.add(w.clock.Now().Add(time.Duration(f.After)), max(1, f.Times), cmp.Or(f.Status, http.StatusServiceUnavailable))
		applied++
	} else {
		for _, one := range w.sessions.match(f.Session) {
			if w.inflict(r.Context(), one, f) {
				applied++
			}
		}
	}
	w.log.Info("fault", "kind", f.Kind, "applied", applied)
	if applied == 0 {
		problem{http.StatusNotFound, "session_not_found", "no session fits; an open one is needed for most kinds"}.write(rw)
		return
	}
	writeJSON(rw, http.StatusOK, "application/json", map[string]int{"applied": applied})
}

// inflict reports whether the fault fits the session.
func (w *world) inflict(ctx context.Context, on *session, f fault) bool {
	kind := faultKinds[f.Kind]
	open, token, resumable := w.sessions.state(on)
	switch {
	case kind.token && token == nil:
		return false
	case open != nil:
		return open.command(ctx, func(c *conversation) {
			if f.After == 0 {
				kind.on(c, f)
				return
			}
			c.agenda.add(w.clock.Now().Add(time.Duration(f.After)), func() { kind.on(c, f) })
		})
	case kind.idle != nil && resumable && f.After == 0:
		kind.idle(w.sessions, on, f)
		return true
	}
	return false
}
