package emulator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// fault is the body of POST /__emulator/fault. Durations are Go's, "1m30s". Which
// options a kind takes, and what they are if left out, faultKinds says.
type fault struct {
	Kind     string   `json:"kind"`
	Session  string   `json:"session"`  // id, or "*", the default: all that fit
	Token    string   `json:"token"`    // hash, or "*": all; in place of a session
	After    duration `json:"after"`    // of an open connection; gone if it ends first
	Times    int      `json:"times"`    // how many fail
	TimeLeft duration `json:"timeLeft"` // until the connection ends
	Code     int      `json:"code"`     // of the close frame
	Reason   string   `json:"reason"`
	Status   int      `json:"status"` // of the answer, 408 for none
	Latency  duration `json:"latency"`
	Jitter   duration `json:"jitter"` // up to this much more
	Holds    duration `json:"holds"`
}

// duration is a Go duration in JSON.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%q is no duration: write one such as 10s or 1m30s", text)
	case v < 0:
		return fmt.Errorf("%q is negative: write a duration such as 10s", text)
	}
	*d = duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// faultKind is one way to misbehave.
type faultKind struct {
	does   string   // for people
	takes  []string // options beside session and after; others are refused
	unless fault    // and what they are unless said
	// on does it, on the conversation's goroutine.
	on func(*conversation, fault)
	// idle does it to a session that has no connection now. Nil: only open ones fit.
	idle func(*sessions, *session, fault)
	// onToken does it to a token, whoever uses it, in place of on and idle. It
	// reports whether the token is alive.
	onToken func(*tokens, *token) bool
	// mint: not for sessions at all.
	mint bool
}

const (
	forEver    = 100 * 365 * 24 * time.Hour
	maxLatency = time.Minute // of messages that wait in memory
)

var faultKinds = map[string]faultKind{
	"goaway": {
		does:  "goAway is sent, and the connection ends after it",
		takes: []string{"timeLeft"}, unless: fault{TimeLeft: duration(50 * time.Second)},
		on: func(c *conversation, f fault) {
			c.goAway(time.Duration(f.TimeLeft))
			c.scheduleEnd(time.Duration(f.TimeLeft))
		},
	},
	"drop": {
		does: "the socket is cut, without a close frame",
		on:   func(c *conversation, _ fault) { c.stop(ending{code: 1006}) },
	},
	"close": {
		does:  "the socket is closed",
		takes: []string{"code", "reason"}, unless: fault{Code: internal.close, Reason: "The service is currently unavailable."},
		on: func(c *conversation, f fault) { c.stop(ending{code: f.Code, reason: f.Reason}) },
	},
	"expire-token": {
		does:    "the token is over, and so are its sockets",
		takes:   []string{"token"},
		onToken: (*tokens).expireNow, // every socket of the token hears of it
	},
	"refuse-resume": {
		does:  "resuming fails, and then no longer",
		takes: []string{"times", "code", "reason"}, unless: fault{Times: 1, Code: unavailable.close, Reason: "The service is currently unavailable."},
		on:   func(c *conversation, f fault) { refuseResume(c.world.sessions, c.session, f) },
		idle: refuseResume,
	},
	"stall": {
		does:  "nothing is said any more, for ever unless holds says for how long, and what would have been is lost",
		takes: []string{"holds"},
		on: func(c *conversation, f fault) {
			c.traffic.silentUntil = c.world.clock.Now().Add(cmp.Or(time.Duration(f.Holds), forEver))
		},
	},
	"half-open": {
		does:  "the line is dead, and neither end is told; the session stays taken meanwhile, as it does at the service",
		takes: []string{"holds"}, unless: fault{Holds: duration(20 * time.Second)},
		on: func(c *conversation, f fault) {
			c.line.dead.Store(true)
			c.agenda.plan(c.world.clock.Now().Add(time.Duration(f.Holds)), "end", func() { c.stop(ending{code: 1006}) })
		},
	},
	"slow": {
		does:  "every message is late",
		takes: []string{"latency", "jitter"}, unless: fault{Latency: duration(time.Second)},
		on: func(c *conversation, f fault) {
			c.traffic.latency, c.traffic.jitter = time.Duration(f.Latency), time.Duration(f.Jitter)
			c.traffic.random = c.random("slow")
		},
	},
	"burst": {
		does:  "messages are held back, and then sent at once",
		takes: []string{"holds"}, unless: fault{Holds: duration(2 * time.Second)},
		on: func(c *conversation, f fault) {
			c.traffic.heldUntil = c.world.clock.Now().Add(time.Duration(f.Holds))
		},
	},
	"malformed": {
		does: "a message that is no JSON is sent",
		on: func(c *conversation, _ fault) {
			c.sendFrame([]byte(`{"serverContent": {"modelTurn": {"parts": [`), entry{}, tree{"malformed": true})
		},
	},
	"unknown-field": {
		does: "a message with names that nobody knows is sent",
		on: func(c *conversation, _ fault) {
			c.send(tree{"serverContent": tree{"fieldOfTomorrow": true}, "messageOfTomorrow": tree{"value": 1}})
		},
	},
	"empty": {
		does: "a message without content is sent",
		on:   func(c *conversation, _ fault) { c.send(tree{}) },
	},
	"phantom-interrupt": {
		does: "interrupted is sent, although nobody did",
		on: func(c *conversation, _ fault) {
			if c.turn != nil {
				c.interrupt()
				return
			}
			c.send(content("interrupted", true))
		},
	},
	"spent-token": {
		does:    "the token has no uses left",
		takes:   []string{"token"},
		onToken: (*tokens).exhaust,
	},
	"mint-error": {
		does:  "minting fails; with 408 it is never answered",
		takes: []string{"status", "times"}, unless: fault{Status: http.StatusServiceUnavailable, Times: 1},
		mint: true,
	},
	"forget-handle": {
		does: "the session's handles are unknown from now on",
		on:   func(c *conversation, _ fault) { c.world.sessions.forget(c.session) },
		idle: func(s *sessions, of *session, _ fault) { s.forget(of) },
	},
}

// refuseResume lets the next resumes fail as a passing fault of the service
// would; forget-handle is the lasting one.
func refuseResume(s *sessions, of *session, f fault) {
	s.refuse(of, f.Times, refuse(status{unavailable.name, unavailable.http, f.Code}, f.Reason))
}

// complete is f with what it leaves out, or says what is wrong with it.
func (f fault) complete() (_ fault, wrong string) {
	kind, known := faultKinds[f.Kind]
	if !known {
		return f, "kind is one of " + strings.Join(slices.Sorted(maps.Keys(faultKinds)), ", ")
	}
	options := f.options()
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if takes := kind.options(); !reflect.ValueOf(options[name]).IsZero() && !slices.Contains(takes, name) {
			return f, fmt.Sprintf("%s does not take %s, but %s", f.Kind, name, strings.Join(takes, ", "))
		}
	}
	switch {
	case f.Token != "" && f.Token != "*" && !hashForm.MatchString(f.Token):
		return f, "token is a hash as GET tokens shows it, or *"
	case f.Token != "" && f.Session != "" && f.Session != "*":
		return f, "name a session or a token, not both"
	case f.Token != "" && f.After != 0:
		return f, "after counts on an open connection: name a session, not a token"
	case f.Status != 0 && mintErrors[f.Status] == nil && f.Status != noAnswer:
		return f, "status is 400, 403, 429, 500, 503, or 408 for no answer"
	case max(f.Latency, f.Jitter) > duration(maxLatency):
		return f, "latency and jitter are at most 1m"
	case f.Kind == "burst" && f.Holds > duration(maxLatency):
		return f, "a burst holds back for at most 1m"
	case f.Times < 0 || f.Times > 1000:
		return f, "times is from 1 to 1000"
	case f.Code != 0 && !ValidCloseCode(f.Code):
		return f, "code is 1000 to 1014 or 3000 to 4999, without 1004 and 1005; 1006 cuts the socket"
	}
	if f.Code == 0 { // a code of one's own has no reason but one's own
		f.Code, f.Reason = kind.unless.Code, cmp.Or(f.Reason, kind.unless.Reason)
	}
	if f.Jitter == 0 { // which may be all there is
		f.Latency = cmp.Or(f.Latency, kind.unless.Latency)
	}
	f.TimeLeft = cmp.Or(f.TimeLeft, kind.unless.TimeLeft)
	f.Times = cmp.Or(f.Times, kind.unless.Times)
	f.Status = cmp.Or(f.Status, kind.unless.Status)
	f.Holds = cmp.Or(f.Holds, kind.unless.Holds)
	return f, ""
}

// faultReport is a kind of fault as GET /__emulator/faults tells it.
type faultReport struct {
	Kind    string        `json:"kind"`
	Does    string        `json:"does"`
	Befalls string        `json:"befalls"` // connection, token, session or mint
	Options []faultOption `json:"options"`
}

// faultOption is a field of the fault that the kind takes.
type faultOption struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // duration, integer or text
	Default any    `json:"default,omitempty"`
	Choices []int  `json:"choices,omitempty"`
}

// reportFaults lists all kinds by name.
func reportFaults() (out []faultReport) {
	for _, name := range slices.Sorted(maps.Keys(faultKinds)) {
		kind := faultKinds[name]
		r := faultReport{Kind: name, Does: kind.does, Befalls: kind.befalls()}
		for _, option := range kind.options() {
			r.Options = append(r.Options, kind.unless.option(option))
		}
		out = append(out, r)
	}
	return out
}

// options are the names of all that the kind takes, beside session.
func (k faultKind) options() []string { return append(slices.Clone(k.takes), "after") }

func (k faultKind) befalls() string {
	switch {
	case k.mint:
		return "mint"
	case k.onToken != nil:
		return "token"
	case k.idle != nil:
		return "session"
	}
	return "connection"
}

// options are the fields that not all kinds take, and after.
func (f fault) options() map[string]any {
	return map[string]any{
		"after": f.After, "timeLeft": f.TimeLeft, "latency": f.Latency, "jitter": f.Jitter, "holds": f.Holds,
		"token": f.Token, "times": f.Times, "code": f.Code, "status": f.Status, "reason": f.Reason,
	}
}

// option describes the field of that name, with its value as the default.
func (f fault) option(name string) faultOption {
	o := faultOption{Name: name}
	value := f.options()[name]
	switch value.(type) {
	case duration:
		o.Type = "duration"
	case int:
		o.Type = "integer"
	case string:
		o.Type = "text"
	}
	if !reflect.ValueOf(value).IsZero() {
		o.Default = value
	}
	if name == "status" {
		o.Choices = slices.Sorted(maps.Keys(mintErrors))
		o.Choices = append(o.Choices, noAnswer)
	}
	return o
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
	f, wrong := f.complete()
	if wrong != "" {
		problem{http.StatusBadRequest, "invalid_request", wrong}.write(rw)
		return
	}
	applied, nothing := 0, problem{http.StatusNotFound, "session_not_found", "no session fits; an open one is needed for most kinds"}
	switch kind := faultKinds[f.Kind]; {
	case kind.mint:
		w.failMints(f)
		applied++
	case f.Token != "":
		nothing = problem{http.StatusNotFound, "token_not_found", "no token fits that is alive: GET tokens lists all"}
		for _, one := range w.tokens.match(f.Token) {
			if kind.onToken(w.tokens, one) {
				applied++
			}
		}
	default:
		for _, one := range w.sessions.match(f.Session) {
			if w.inflict(r.Context(), one, f) {
				applied++
			}
		}
	}
	w.log.Info("fault", "kind", f.Kind, "applied", applied)
	if applied == 0 {
		nothing.write(rw)
		return
	}
	writeJSON(rw, http.StatusOK, "application/json", map[string]int{"applied": applied})
}

// failMints lets mints fail.
func (w *world) failMints(f fault) {
	w.mints.add(w.clock.Now().Add(time.Duration(f.After)), f.Times, f.Status)
}

// suffer undergoes a fault, now or when it is due.
func (c *conversation) suffer(f fault) {
	if f.After == 0 {
		c.undergo(f)
		return
	}
	c.agenda.plan(c.world.clock.Now().Add(time.Duration(f.After)), f.Kind, func() {
		c.undergo(f)
		c.idle()
	})
}

func (c *conversation) undergo(f fault) {
	c.world.log.Info("fault befalls a connection", "session", c.sessionID(), "kind", f.Kind)
	if kind := faultKinds[f.Kind]; kind.onToken != nil {
		kind.onToken(c.world.tokens, c.caller.token)
	} else {
		kind.on(c, f)
	}
}

// inflict reports whether the fault fits the session.
func (w *world) inflict(ctx context.Context, on *session, f fault) bool {
	kind := faultKinds[f.Kind]
	open, token, resumable := w.sessions.state(on)
	switch {
	case kind.onToken != nil && token == nil:
		return false
	case open != nil:
		return open.command(ctx, func(c *conversation) {
			c.suffer(f)
			c.idle()
		})
	case f.After != 0:
		return false
	case kind.onToken != nil: // it may come back with it, or open another
		return kind.onToken(w.tokens, token)
	case kind.idle != nil && resumable:
		kind.idle(w.sessions, on, f)
		return true
	}
	return false
}
