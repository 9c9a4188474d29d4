package emulator

import (
	"cmp"
	"container/list"
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sessionHandles is how many handles of a session stay good. The service says
// only that a later one supersedes the earlier (documented).
const sessionHandles = 16

// maxSessions is how many sessions there may be, open or to be resumed.
const maxSessions = 20_000

const uuidStart = `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-`

var uuidForm = regexp.MustCompile(`^` + uuidStart + `[0-9a-fA-F]{12}$`)

// session is a conversation, which outlives its connections. All fields but the
// first three are guarded by sessions.mu.
type session struct {
	id      string
	project project
	model   string

	open    *conversation // the connection that has it now
	token   *token        // of that connection or the last; nil with an API key
	ended   time.Time     // when it last had none
	idle    *list.Element // its place in sessions.idle while it has none
	handles []digest      // oldest first
	refuse  []*refusal    // what the next resumes get
	calls   int           // functions called

	received int64 // seq of the last client message, when it last had no connection

	medium    medium        // what it streams
	streamed  time.Duration // for how long, on former connections
	streaming time.Time     // since when on this one; zero: not
}

// snapshot is what a handle restores: the conversation as it was when a client
// message had been taken in and nothing of it or of those before was left in the
// ear.
type snapshot struct {
	session *session
	memory  memory
	coverage
}

// coverage says which client messages of its session a handle contains, by their
// seq in the journal: all up to one, without those that former connections
// received after the handle with which the session was resumed.
type coverage struct {
	Contains int64      `json:"contains,omitempty"`
	Without  []seqRange `json:"without,omitempty"` // the newest maxWithout, oldest first; never changed in place
}

// seqRange holds both its ends.
type seqRange struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

const maxWithout = 1024

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
	idle    list.List // sessions that can be resumed, the one that ended first at the front
	max     int       // of byID
}

func newSessions(clock *clock, o options) *sessions {
	return &sessions{clock: clock, lifetime: o.HandleLifetime, switches: o.Switches, byID: map[string]*session{}, handles: map[digest]snapshot{}, max: maxSessions}
}

// begin opens a new session for c. Where there are too many, the one that ended
// first is forgotten.
func (s *sessions) begin(c *conversation, who caller, model string) (*session, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for first := s.idle.Front(); first != nil; first = s.idle.Front() {
		old := first.Value.(*session)
		if len(s.byID) < s.max && !s.outdated(old) {
			break
		}
		s.forgetHandles(old)
		s.idle.Remove(first)
		delete(s.byID, old.id)
	}
	if len(s.byID) >= s.max { // the service's sentence was observed, its limit was not
		return nil, refuse(exhausted, fmt.Sprintf("You exceeded your current quota: the emulator has %d open sessions, close some of them.", s.max))
	}
	s.count++
	started := &session{id: "s" + strconv.Itoa(s.count), project: who.project, model: model, open: c, token: who.token}
	s.byID[started.id] = started
	return started, nil
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
	if old.received > snap.Contains {
		c.lost = seqRange{snap.Contains + 1, old.received}
	}
	s.idle.Remove(old.idle)
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
	of.received = max(of.received, c.received)
	of.pause(of.ended)
	if len(of.handles) == 0 {
		delete(s.byID, of.id) // nobody can come back to it
		return
	}
	of.idle = s.idle.PushBack(of)
}

// save notes what a handle restores from now on. Typed text is in it once its
// answer begins, speech once it was answered. While there is some that is not, older
// news stays what a handle restores, so that it never contains a message without
// those before it.
func (c *conversation) save() {
	if c.activity || c.waiting || c.ear.busy() || c.spoken.length > 0 {
		return
	}
	without := c.saved.Without
	if c.lost.To > 0 && c.received > c.lost.To {
		without = append(slices.Clip(without[max(0, len(without)-maxWithout+1):]), c.lost)
		c.lost = seqRange{}
	}
	c.saved = snapshot{c.session, c.knows(), coverage{c.received, without}}
}

// offerHandle tells a client that asked for it how to come back to what was
// saved, unless something is under way that no handle covers (documented).
func (c *conversation) offerHandle() {
	if !c.updates || c.turn != nil || len(c.calling.pending) > 0 {
		return
	}
	message := tree{"sessionResumptionUpdate": tree{"newHandle": c.world.sessions.handle(c.saved), "resumable": true}}
	c.sendFrame(pretty(message), entry{coverage: c.saved.coverage}, message)
}

// offerHandles does so every now and then.
func (c *conversation) offerHandles(every time.Duration) {
	c.agenda.add(c.world.clock.Now().Add(every), func() {
		c.offerHandle()
		c.offerHandles(every)
	})
}

// handle makes a new one.
func (s *sessions) handle(to snapshot) string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // a random uuid, the form that was observed
	handle := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])

	s.mu.Lock()
	defer s.mu.Unlock()
	of := to.session
	if len(of.handles) == sessionHandles {
		delete(s.handles, of.handles[0])
		of.handles = of.handles[1:]
	}
	of.handles = append(of.handles, digestOf(handle))
	s.handles[digestOf(handle)] = to
	return handle
}

// handleReport is a handle that is good.
type handleReport struct {
	Handle  string `json:"handle"` // hash, as in the journal
	Session string `json:"session"`
	coverage
}

func byNumber(a, b *session) int { return cmp.Or(len(a.id)-len(b.id), strings.Compare(a.id, b.id)) }

// report lists the handles, the newest of a session last.
func (s *sessions) report() []handleReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []handleReport{}
	for _, one := range slices.SortedFunc(maps.Values(s.byID), byNumber) {
		if s.outdated(one) {
			continue
		}
		for _, h := range one.handles {
			out = append(out, handleReport{"#" + h.String(), one.id, s.handles[h].coverage})
		}
	}
	return out
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

// match lists the sessions with that id, all of them for "*" in the order of
// their begin.
func (s *sessions) match(id string) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*session
	for _, one := range s.byID {
		if (id == "*" || id == one.id) && !s.outdated(one) {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, byNumber)
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
