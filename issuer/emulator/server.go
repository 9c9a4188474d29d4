// Package emulator stands in for Google: the token service and the Live
// WebSocket of the Gemini API, with a small scripted model behind them. No key
// is needed, nothing leaves the machine, and the same input gives the same
// answer.
//
//	var s emulator.Server
//	defer s.Close()
//	ts := httptest.NewServer(&s)
//
// It behaves as the service is documented, or was observed, to behave; where
// neither is known it does something, and the comment says "assumed".
//
// # Invariants
//
//   - One goroutine owns a connection's state, others send it commands.
//   - No queue grows: a client that does not read is cut, one that sends faster
//     than it is served is held back.
//   - No token name, handle or API key is kept: stores hold hashes. None is
//     logged or journalled, and neither is a URL, which may carry one.
//   - Time is read and waited for in clock alone, with package time, so that all
//     of it runs in a testing/synctest bubble over net.Pipe. Outside of one,
//     [Server.Advance] makes hours pass.
//
// # Who may knock
//
// API keys that begin with "emulator" are accepted, all others refused. Tests
// that run at once keep apart by namespaces: a control call with ?ns=name opens
// one, and from then on the key emulator-name belongs to it. The
// endpoints under /__emulator/ show and change everything and ask for no
// credential. Checking Host and Origin in front of them is the business of the
// middleware that whoever listens puts there; this package does neither.
package emulator

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the emulated service, an [http.Handler]. Its zero value works and
// behaves as the documented service does. The fields must not be changed after
// the first request; all methods may be called from anywhere.
type Server struct {
	// Logger gets one line for each token, session, fault and closed socket. Nil
	// discards them.
	Logger *slog.Logger

	// Seed varies the voices and the trouble that Rude makes. The same seed gives
	// the same samples and the same trouble.
	Seed uint64

	// Rude disturbs connections with faults, most of which end early, and refuses
	// one mint in ten with 503. What happens to the nth connection and the nth
	// mint is the same for the same Seed.
	Rude bool

	// ConnectionLifetime is how long a socket lasts after its upgrade. Zero is
	// 10 minutes (documented), negative is for ever.
	ConnectionLifetime time.Duration

	// GoAwayLead is how long before the end of ConnectionLifetime goAway is sent,
	// at most half of it. Zero is 50 s (observed), negative sends none, which
	// was observed too.
	GoAwayLead time.Duration

	// FinalClose ends a socket whose ConnectionLifetime is over. Code zero is
	// 1011 "Deadline expired before operation could complete."; 1000, 1006 and
	// 1008 were observed as well.
	FinalClose CloseFrame

	// HandleLifetime is how long a session can be resumed after its last
	// connection ended. Zero is 2 hours (documented).
	HandleLifetime time.Duration

	// Switches decide what is not known of the service.
	Switches Switches

	// Scenario is played in the namespace of those who name none. Nil is none.
	Scenario *Scenario

	mu         sync.Mutex
	namespaces map[string]*namespace // by name; made when first used
	closed     bool
}

// CloseFrame is a close code and its reason. Code 1006 is no frame at all: the
// socket is cut.
type CloseFrame struct {
	Code   int
	Reason string // cut to the 123 bytes that a frame carries
}

// options are a Server's fields with the defaults filled in.
type options struct {
	Seed               uint64
	Rude               bool
	ConnectionLifetime time.Duration
	GoAwayLead         time.Duration
	FinalClose         CloseFrame
	HandleLifetime     time.Duration
	Switches           Switches
}

func (s *Server) options() options {
	final := s.FinalClose
	if final.Code == 0 {
		final = CloseFrame{1011, "Deadline expired before operation could complete."}
	}
	switches := s.Switches
	if switches.UpdateEvery > 0 {
		switches.UpdateEvery = max(switches.UpdateEvery, MinUpdateEvery)
	}
	return options{
		Seed:               s.Seed,
		Rude:               s.Rude,
		ConnectionLifetime: cmp.Or(s.ConnectionLifetime, 10*time.Minute),
		GoAwayLead:         cmp.Or(s.GoAwayLead, 50*time.Second),
		FinalClose:         final,
		HandleLifetime:     cmp.Or(s.HandleLifetime, 2*time.Hour),
		Switches:           switches,
	}
}

// versions of the API that exist here. v1 does not know these methods
// (observed).
var versions = map[string]bool{"v1alpha": true, "v1beta": true}

// ServeHTTP is the whole service.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		http.Error(rw, "the emulator is closed", http.StatusServiceUnavailable)
		return
	}
	// Two of Google's SDKs ask for //ws/…, and a redirect would break their
	// WebSocket (run), hence no ServeMux.
	path := "/" + strings.TrimLeft(r.URL.Path, "/")

	version, mints := strings.CutSuffix(path[1:], "/auth_tokens")
	socketVersion, constrained, isSocket := socketMethod(path)
	control, isControl := strings.CutPrefix(path, "/__emulator/")
	w := s.ofKey(requestKey(r))
	if isSocket {
		if token := requestToken(r); token != "" {
			w = s.ofToken(token)
		}
	}
	rw.Header().Set("Date", w.clock.Now().Format(http.TimeFormat)) // so that others can date what they ask for
	switch {
	case mints && versions[version] && r.Method == http.MethodPost:
		w.serveMint(rw, r)
	case isSocket:
		w.serveSocket(rw, r, socketVersion, constrained)
	case isControl && console[control].body != nil:
		serveConsole(rw, r, console[control])
	case isControl:
		s.serveControl(rw, r, control)
	case strings.HasPrefix(path, "/ws/"):
		http.Error(rw, "404 page not found", http.StatusNotFound)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		rw.WriteHeader(http.StatusNotFound) // with an empty body (observed)
	default:
		// The status is not a canonical one (observed).
		w.write(rw, http.StatusNotFound, tree{"error": tree{"message": "", "code": http.StatusNotFound, "status": "Not Found"}})
	}
}

// Close cuts all sockets and waits for their goroutines. Requests are answered
// with 503 from then on.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*world
	for _, n := range s.namespaces {
		all = append(all, n.world)
	}
	s.mu.Unlock()
	for _, w := range all {
		w.close()
	}
	return nil
}

// world is all that a reset forgets.
type world struct {
	clock    *clock
	began    time.Time
	options  options
	log      *slog.Logger
	tokens   *tokens
	sessions *sessions
	journal  *journal
	mints    mintFaults
	rude     *rudeness // nil: polite
	play     atomic.Pointer[play]
	gone     chan struct{} // closed when the world is

	mu     sync.Mutex
	closed bool
	open   map[*conversation]bool
	ended  sync.WaitGroup // one for each of open; added to under mu, before closed
}

func newWorld(clock *clock, o options, log *slog.Logger) *world {
	w := &world{
		clock: clock, began: clock.Now(), options: o, log: cmp.Or(log, slog.New(slog.DiscardHandler)),
		tokens: newTokens(clock, o.Switches), sessions: newSessions(clock, o), journal: &journal{clock: clock},
		open: map[*conversation]bool{}, gone: make(chan struct{}),
	}
	if o.Rude {
		w.rude = newRudeness(o.Seed)
	}
	return w
}

// enter registers a connection, unless the world has been closed.
func (w *world) enter(c *conversation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.open[c] = true
		w.ended.Add(1)
	}
	return !w.closed
}

func (w *world) leave(c *conversation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, c)
	w.ended.Done()
}

func (w *world) close() {
	if p := w.play.Load(); p != nil {
		p.freeze() // the end of its connection is none of the client's doing
	}
	w.mu.Lock()
	if !w.closed {
		close(w.gone)
	}
	w.closed = true
	var all []*conversation
	for c := range w.open {
		all = append(all, c)
	}
	w.mu.Unlock()
	for _, c := range all {
		c.line.Close() // whatever it does with its socket fails, and so it ends
	}
	w.ended.Wait()
}
