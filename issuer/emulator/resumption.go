package emulator

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// sessionHandles is how many handles of a session stay good. The service says
// only that a later one supersedes the earlier (documented).
const sessionHandles = 16

const uuidPattern = `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`

var uuidForm = regexp.MustCompile(`^` + uuidPattern + `$`)

// session is a conversation, which outlives its connections. All fields but the
// first three are guarded by sessions.mu.
type session struct {
	id      string
	project project
	model   string

	open    *conversation // the connection that has it now
	token   *token        // of that connection or the last; nil with an API key
	ended   time.Time     // when it last had none
	handles []digest      // oldest first
	refuse  []*refusal    // what the next resumes get
	calls   int           // functions called

	medium    medium        // what it streams
	streamed  time.Duration // for how long, on former connections
	streaming time.Time     // since when on this one; zero: not
}

// snapshot is what a handle restores: the conversation as it was then.
type snapshot struct {
	session *session
	memory  memory
}

// sessions knows every session that is open or can be resumed. Handles belong
// to the project, not to a token (observed).
type sessions struct {
	clock    *clock
	lifetime time.Duration // of handles, after the session's last end
	switches Switches

	mu      sync.Mutex
	count   int
	byID    map[string]*session
	handles map[digest]snapshot
	sweep   int // number of sessions at which outdated ones are next looked for
}

func newSessions(clock *clock, o options) *sessions {
	return &sessions{clock: clock, lifetime: o.HandleLifetime, switches: o.Switches, byID: map[string]*session{}, handles: map[digest]snapshot{}}
}

// begin opens a new session for c.
func (s *sessions) begin(c *conversation, who caller, model string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= s.sweep {
		for _, old := range s.byID {
			if s.outdated(old) {
				s.forgetHandles(old)
				delete(s.byID, old.id)
			}
		}
		s.sweep = 2*len(s.byID) + 64
	}
	s.count++
	started := &session{id: "s" + strconv.Itoa(s.count), project: who.project, model: model, open: c, token: who.token}
	s.byID[started.id] = started
	return started
}

// resume opens the handle's session for c. busy is the connection that still
// has it, in which case nothing happened.
func (s *sessions) resume(c *conversation, who caller, model, handle string) (snap snapshot, busy *conversation, no *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, known := s.handles[digestOf(handle)]
	old := snap.session
	switch {
	case !known:
		return snap, nil, s.switches.unknownHandle(handle)
	case old.project != who.project, s.outdated(old):
		return snap, nil, errNoSession()
	case old.model != model:
		return snap, nil, errArgument() // the rule is documented, the code assumed
	case len(old.refuse) > 0:
		no, old.refuse = old.refuse[0], old.refuse[1:]
		return snap, nil, no
	case old.open != nil:
		return snap, old.open, nil
	}
	old.open, old.token = c, who.token
	return snap, nil, nil
}

// end gives the session up, so that it can be resumed.
func (s *sessions) end(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := c.session
	if of == nil {
		return
	}
	of.open, of.ended = nil, s.clock.Now()
	of.pause(of.ended)
	if len(of.handles) == 0 {
		delete(s.byID, of.id) // nobody can come back to it
	}
}

// offerHandle tells a client that asked for it how to come back to here, unless
// something is under way that no handle covers (documented). The handle contains
// every client message that was handled before it.
func (c *conversation) offerHandle() {
	if !c.updates || c.turn != nil || len(c.calling.pending) > 0 {
		return
	}
	known := c.memory
	if c.pending != "" {
		_, known = known.answer(c.pending)
	}
	handle := c.world.sessions.handle(c.session, known)
	c.send(tree{"sessionResumptionUpdate": tree{"newHandle": handle, "resumable": true}})
}

// offerHandles does so every now and then.
func (c *conversation) offerHandles(every time.Duration) {
	c.agenda.add(c.world.clock.Now().Add(every), func() {
		c.offerHandle()
		c.offerHandles(every)
	})
}

// handle makes a new handle for the session as it is now.
func (s *sessions) handle(of *session, m memory) string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a random uuid, the form that was observed
	handle := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(of.handles) == sessionHandles {
		delete(s.handles, of.handles[0])
		of.handles = of.handles[1:]
	}
	of.handles = append(of.handles, digestOf(handle))
	s.handles[digestOf(handle)] = snapshot{of, m}
	return handle
}

// nextCall numbers the session's calls, across its connections.
func (s *sessions) nextCall(of *session) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.calls++
	return of.calls
}

// forget makes the session's handles unknown.
func (s *sessions) forget(of *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetHandles(of)
}

// refuse lets the next n resumes of the session fail.
func (s *sessions) refuse(of *session, n int, no *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		of.refuse = append(of.refuse, no)
	}
}

// match lists the sessions with that id, all of them for "*".
func (s *sessions) match(id string) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*session
	for _, one := range s.byID {
		if (id == "*" || id == one.id) && !s.outdated(one) {
			out = append(out, one)
		}
	}
	return out
}

// state reads what changes in a session.
func (s *sessions) state(of *session) (open *conversation, t *token, resumable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of.open, of.token, len(of.handles) > 0
}

// The rest needs sessions.mu.

func (s *sessions) outdated(of *session) bool {
	return of.open == nil && s.clock.Now().Sub(of.ended) >= s.lifetime
}

func (s *sessions) forgetHandles(of *session) {
	for _, h := range of.handles {
		delete(s.handles, h)
	}
	of.handles = nil
}
