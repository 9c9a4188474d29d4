package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// maxNamespaces bounds what control calls can create.
const maxNamespaces = 1024

var namespaceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// namespace is a service of its own within a Server: clock, tokens, sessions,
// journal and faults. Its name is "" for the one that all share who name none.
// All fields are guarded by Server.mu.
type namespace struct {
	clock *clock // outlives resets
	world *world
}

// namespaceLocked gives a namespace, new if need be. It needs mu.
func (s *Server) namespaceLocked(name string) *namespace {
	n := s.namespaces[name]
	if n == nil {
		if s.namespaces == nil {
			s.namespaces = map[string]*namespace{}
		}
		clock := newClock()
		n = &namespace{clock, s.newWorld(name, clock)}
		s.namespaces[name] = n
	}
	return n
}

// newWorld is a namespace's, with the scenario from its begin.
func (s *Server) newWorld(name string, clock *clock) *world {
	w := newWorld(clock, s.options(), s.Logger)
	if name == "" {
		w.install(s.Scenario)
	}
	return w
}

// open gives the namespace that a control call names.
func (s *Server) open(name string) (*world, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case name != "" && !namespaceForm.MatchString(name):
		return nil, errors.New("ns has up to 64 letters, digits, '-' and '_'")
	case s.namespaces[name] == nil && len(s.namespaces) >= maxNamespaces:
		return nil, fmt.Errorf("there are %d namespaces already: use one of them", maxNamespaces)
	}
	return s.namespaceLocked(name).world, nil
}

// ofKey gives the namespace of an API key: emulator-name belongs to name once a
// control call has named it, and so do the keys of other projects there,
// emulator-name.other.
func (s *Server) ofKey(key string) *world {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := strings.CutPrefix(key, "emulator-"); ok {
		name, _, _ = strings.Cut(name, ".")
		if n := s.namespaces[name]; n != nil {
			return n.world
		}
	}
	return s.namespaceLocked("").world
}

// ofToken gives the namespace in which a token was minted, the shared one if
// there is none.
func (s *Server) ofToken(name string) *world {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := digestOf(name)
	for _, n := range s.namespaces {
		if n.world.tokens.has(id) {
			return n.world
		}
	}
	return s.namespaceLocked("").world
}

// world gives the namespace of those who name none.
func (s *Server) world() *world { return s.ofKey("") }

// reset replaces a world by an empty one.
func (s *Server) reset(name string) {
	s.mu.Lock()
	n := s.namespaceLocked(name)
	old := n.world
	if !s.closed {
		n.world = s.newWorld(name, n.clock)
	}
	s.mu.Unlock()
	old.close()
}

// Reset forgets all that happened in the namespace of those who name none, but for
// the time: tokens, sessions, journal, and how far the scenario has come.
func (s *Server) Reset() { s.reset("") }

// Now is the emulator's time, UTC. Whoever dates requests to the emulator by
// another clock finds its tokens expired after an Advance.
func (s *Server) Now() time.Time { return s.world().clock.Now() }

// NowFor is the time in the namespace of an API key.
func (s *Server) NowFor(key string) time.Time { return s.ofKey(key).clock.Now() }

// Advance moves the emulator's time ahead by d: everything that becomes due on
// the way (ends of connections and tokens, goAway, the rest of an answer, faults)
// is done at its time, in order, and has been sent when Advance returns. A client
// that leaves its socket unread holds it up for as long as one is tolerated,
// 10 seconds. Time never goes back, not even by a reset. Namespaces that control
// calls opened have clocks of their own, which stay where they are.
func (s *Server) Advance(d time.Duration) error { return s.world().advance(d) }

func (w *world) advance(d time.Duration) error {
	if d < 0 || d > maxAhead-w.clock.ahead() {
		return fmt.Errorf("time moves forward, and by %v in all", maxAhead)
	}
	w.clock.Advance(d)
	return nil
}

// requestKey is the API key that a request brings.
func requestKey(r *http.Request) string {
	if key := r.Header.Get("x-goog-api-key"); key != "" {
		return key
	}
	return r.URL.Query().Get("key")
}
