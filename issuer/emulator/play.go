package emulator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// event is something that a client did.
type event struct {
	kind      eventKind
	name      string   // of the message, for people
	text      string   // if it is typed
	functions []string // that have returned
	message   tree     // nil: it is no message, or a setup
}

// eventKind is what a scenario calls it.
type eventKind string

const (
	connected eventKind = "connect"
	resumed   eventKind = "resume"
	typed     eventKind = "text"
	spoke     eventKind = "speech" // and has ended
	streamed  eventKind = "audio"
	returned  eventKind = "toolResponse"
	minted    eventKind = "mint"
	left      eventKind = "close"
	signalled eventKind = "signal"  // of the stream: marks of activity, its end, video
	other     eventKind = "message" // that none of the above describes
)

// quiet kinds are never unexpected: they come when they come.
var quiet = map[eventKind]bool{streamed: true, minted: true, left: true, signalled: true}

// eventOf says what a client message is to a scenario.
func (c *conversation) eventOf(message tree) event {
	e := event{kind: other, message: message}
	for name := range message {
		e.name = name // the only one
	}
	switch content, input := message.tree("clientContent"), message.tree("realtimeInput"); {
	case content != nil:
		var said []string
		for _, turn := range content.trees("turns") {
			for _, part := range turn.trees("parts") {
				if turn.text("role") != "model" && part.text("text") != "" {
					said = append(said, part.text("text"))
				}
			}
		}
		if e.text = strings.Join(said, " "); e.text != "" {
			e.kind = typed
		}
	case input.text("text") != "":
		e.kind, e.text, e.name = typed, input.text("text"), "realtimeInput.text"
	case input.has("audio"):
		e.kind = streamed
	case input != nil:
		e.kind = signalled
	case message.has("toolResponse"):
		e.kind = returned
		for _, one := range message.tree("toolResponse").trees("functionResponses") {
			name := one.text("name")
			if i := c.find(one.text("id")); i >= 0 {
				name = c.calling.pending[i].name
			}
			e.functions = append(e.functions, name)
		}
	}
	return e
}

// play is a scenario being played in a world. It follows one connection at a
// time, whose goroutine does what the steps say.
type play struct {
	*Scenario
	world *world

	mu         sync.Mutex
	step       int           // the current one; len(steps): all are over
	due        bool          // what it expects has come
	acting     bool          // it has begun to act
	on         *conversation // that is followed, while it is open
	began      bool          // some connection was followed
	unexpected []string
	frozen     bool // nothing counts any more
}

// install begins a scenario, nil for none, in place of the one there is.
func (w *world) install(s *Scenario) {
	var p *play
	if s != nil {
		p = &play{Scenario: s, world: w}
		p.instant()
	}
	if old := w.play.Swap(p); old != nil {
		old.freeze()
	}
}

func (p *play) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// offer tells the play of an event. taken: it is the scenario's to answer. wrong
// says why the connection must end. c is nil for a mint.
func (p *play) offer(c *conversation, e event) (taken bool, wrong string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	opens := e.kind == connected || e.kind == resumed
	switch {
	case p.frozen, c != nil && c != p.on && !opens:
		return false, ""
	case p.failed():
		return false, p.unexpected[0]
	}
	met := p.awaits() && p.steps[p.step].expect.fits(e)
	first := opens && !p.began && !p.awaitsOpening()
	if opens && (met || first || !p.strict && p.on == nil) {
		p.on, p.began = c, true
	}
	switch {
	case met:
		p.due = true
		p.instant()                   // one message can be more than one event
		return e.kind != streamed, "" // the sound itself is for the model to hear
	case first, quiet[e.kind], !p.strict:
		return false, ""
	}
	wrong = redactText(fmt.Sprintf("%s, got %s", p.wants(), e.words()))
	p.note(wrong)
	return false, wrong
}

func (e event) words() string {
	switch {
	case e.kind == returned:
		return "a toolResponse of " + cut(strings.Join(e.functions, ", "), maxHeard)
	case e.name != "":
		return e.name
	}
	return string(e.kind)
}

// begin gives the step that c is to do now, nil for none.
func (p *play) begin(c *conversation) *scenarioStep {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on != c || p.acting || !p.ready() {
		return nil
	}
	p.acting = true
	return &p.steps[p.step]
}

// next goes on to the next step.
func (p *play) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.instant()
}

// fail notes what a step could not do. wrong says why the connection must end,
// if it must.
func (p *play) fail(what string) (wrong string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what = fmt.Sprintf("scenario step %d: %s", p.step+1, what)
	p.note(what)
	if p.strict {
		return what
	}
	return ""
}

// leave tells the play that a connection has ended.
func (p *play) leave(c *conversation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on != c {
		return
	}
	p.on = nil
	if p.frozen || p.failed() {
		return
	}
	if p.acting || p.due {
		p.note(fmt.Sprintf("scenario step %d: the connection ended before all was done", p.step+1))
		p.advance()
	}
	if c.end.byClient && p.awaits() && p.steps[p.step].expect.fits(event{kind: left}) {
		p.due = true
	}
	p.instant()
}

// noticeMint tells the scenario of a mint before it is answered. What the
// scenario does about it has been done when it returns.
func (w *world) noticeMint(ctx context.Context) {
	p := w.play.Load()
	if p == nil {
		return
	}
	if taken, _ := p.offer(nil, event{kind: minted}); !taken {
		return
	}
	p.mu.Lock()
	on := p.on
	p.mu.Unlock()
	if on != nil {
		on.command(ctx, (*conversation).idle)
	}
}

// Verdict says how a scenario stands.
type Verdict struct {
	Name   string `json:"name"`
	Strict bool   `json:"strict"`
	Step   int    `json:"step"`  // the current one, from 1; the last one when all are over
	Steps  int    `json:"steps"` // how many there are
	Done   bool   `json:"done"`  // all steps are over

	// Passed: done, and nothing was unexpected.
	Passed bool `json:"passed"`

	// Unexpected is what went wrong; of a scenario that is not strict, only what
	// its steps could not do.
	Unexpected []string `json:"unexpected"`

	// Waiting names the current step and what it waits for; empty when done.
	Waiting string `json:"waiting,omitempty"`
}

func (p *play) verdict() Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := Verdict{
		Name: p.name, Strict: p.strict, Step: min(p.step+1, len(p.steps)), Steps: len(p.steps),
		Done: p.step == len(p.steps), Unexpected: append([]string{}, p.unexpected...),
	}
	v.Passed = v.Done && len(v.Unexpected) == 0
	if v.Done {
		return v
	}
	s := p.steps[p.step]
	v.Waiting = fmt.Sprintf("step %d (line %d): ", p.step+1, s.line)
	switch {
	case p.awaits():
		v.Waiting += "expects " + s.expect.words
	case p.acting:
		v.Waiting += "acts"
	default:
		v.Waiting += "waits for a connection"
	}
	return v
}

// Verdict says how the scenario stands that is played in the namespace of those
// who name none; ok is false if there is none.
func (s *Server) Verdict() (v Verdict, ok bool) {
	p := s.world().play.Load()
	if p == nil {
		return v, false
	}
	return p.verdict(), true
}

// The rest needs play.mu.

// awaits reports whether the current step expects something yet.
func (p *play) awaits() bool {
	return p.step < len(p.steps) && p.steps[p.step].expect != nil && !p.due
}

// awaitsOpening reports whether that is a connection.
func (p *play) awaitsOpening() bool {
	return p.awaits() && (p.steps[p.step].expect.fits(event{kind: connected}) || p.steps[p.step].expect.fits(event{kind: resumed}))
}

// failed reports whether a strict scenario has, which is for good.
func (p *play) failed() bool { return p.strict && len(p.unexpected) > 0 }

// ready reports whether the current step can act.
func (p *play) ready() bool {
	return !p.frozen && p.step < len(p.steps) && !p.awaits() && !p.failed()
}

func (p *play) advance() { p.step, p.due, p.acting = p.step+1, false, false }

// instant does the steps that need no connection. Where there is one, it waits
// for them.
func (p *play) instant() {
	for p.ready() && !p.acting {
		s := p.steps[p.step]
		if slices.ContainsFunc(s.do, func(a action) bool { return a.mint == nil }) || s.after > 0 && p.on != nil {
			return
		}
		for _, a := range s.do {
			f := *a.mint
			f.After += duration(s.after)
			p.world.failMints(f)
		}
		p.advance()
	}
}

// maxUnexpected bounds what is noted; the first matter most.
const maxUnexpected = 100

func (p *play) note(what string) {
	p.world.log.Error("scenario", "name", p.name, "unexpected", what)
	if len(p.unexpected) < maxUnexpected {
		p.unexpected = append(p.unexpected, what)
	}
}

// wants says what the play is at.
func (p *play) wants() string {
	switch {
	case p.step == len(p.steps):
		return "scenario is over: expected nothing"
	case p.awaits():
		return fmt.Sprintf("scenario step %d: expected %s", p.step+1, p.steps[p.step].expect.words)
	}
	return fmt.Sprintf("scenario step %d: expected nothing before it is done", p.step+1)
}
