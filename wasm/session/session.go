package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// Conn is one open socket. Receive is called from one goroutine, the other
// methods from another.
type Conn interface {
	// Setup sends the first message.
	Setup(live.Setup) error
	// Send hands a message to the socket without waiting for the line. It
	// returns live.ErrNotOpen when the socket no longer takes any.
	Send(live.Input) error
	// Buffered is the number of bytes handed over that have not left yet.
	Buffered() int
	// Receive returns every message, in order, and then *live.CloseError.
	Receive(context.Context) (live.Message, error)
	// Close closes the socket and waits for its end, but not longer than ctx
	// lasts; it then lets go of the socket. It unblocks Receive.
	Close(ctx context.Context)
}

// Editor rewrites message bodies, which only an edge can. It leaves its arguments
// as they are.
type Editor interface {
	// Answer makes a toolResponse of the responses to call id in another one,
	// addressed to the call as.
	Answer(toolResponse live.Payload, id, as string) live.Payload
	// WithoutCalls is a toolCall without the calls of those ids.
	WithoutCalls(toolCall live.Payload, ids []string) live.Payload
	// Cancellation is a toolCallCancellation of other ids, the values in place of
	// the keys.
	Cancellation(cancellation live.Payload, ids map[string]string) live.Payload
	// Announces reports whether a setup says that the application tells a history
	// first.
	Announces(setup live.Payload) bool
	// Fit gives what was typed the form that a model with these capabilities takes
	// while a conversation runs, with the asides before a question in front of it.
	// What cannot be said so is [live.ErrUnsupported].
	Fit(in live.Input, can live.Capabilities, before []live.Payload) (live.Input, error)
	// StreamEnd is audioStreamEnd.
	StreamEnd() live.Payload
	// History is a clientContent of what was said, for a setup that is seeded.
	History([]live.Line) live.Payload
	// Recap is a clientContent that sums up what was said, and asks nothing.
	Recap([]live.Line) live.Payload
	// Merge is a setup with the fields of change in place of its own.
	Merge(setup, change live.Payload) live.Payload
}

// Config is what a session needs of the world. Editor, Source, Dial and Emit are
// required; a zero limit means its default.
type Config struct {
	Profile string       // which profile to ask the issuer for
	Model   string       // wanted model; "" takes the grant's
	Setup   live.Payload // see [live.Setup]

	Editor  Editor
	Source  TokenSource
	Dial    func(context.Context, live.Token) (Conn, error)
	Release func(live.Token) // tells the issuer that a lease is not needed any more, and does not wait; nil: nobody does

	// Emit receives the events in order, on the session's goroutine: it must
	// return soon and may call Send, Wake and Close.
	Emit func(Event)

	// Wall is the wall clock, without a monotonic reading. Nil is package time's.
	Wall func() time.Time

	// Frozen is for how long a session must not have run for the machine to have
	// slept, or the page to have been frozen, so that the line may be dead. It runs
	// every 5 s, but in a hidden page, whose timers are late by up to a minute.
	// Default 30 s.
	Frozen time.Duration
	// Idle is for how long nobody may speak, type or answer until the session
	// hangs up. Default: as long as the grant says, and for ever if it does not;
	// negative: for ever.
	Idle         time.Duration
	IdleWarning  time.Duration // how long before that it is told; default 30 s, at most half of it
	TokenTimeout time.Duration // for one answer of the issuer; default 15 s
	DialTimeout  time.Duration // until a socket is open; default 10 s
	SetupTimeout time.Duration // until setupComplete; default 10 s
	StartTimeout time.Duration // until the session is live for the first time; default 30 s
}

const (
	// closeWait is how long the old socket may take to close. On a dead line
	// Chromium takes 60 s (measured).
	closeWait = time.Second
	// steady is how long a connection must have been live for the next failure
	// to count as the first.
	steady = 5 * time.Second
	// A session that was live gives up after this many failures in a row that
	// took at least this long: a tunnel or a lift must not end a conversation.
	maxFailures = 10
	maxTrouble  = 5 * time.Minute
	// A handle is given up after this many refused resumes in a row that took at
	// least this long, and one more with a new token.
	maxResumes  = 3
	maxResuming = 30 * time.Second
	// maxHeld is how long the service may hold a socket whose close it did not
	// answer (observed). It refuses to resume meanwhile.
	maxHeld = time.Minute
	// A session that never was live gives up after this many, because somebody
	// is waiting for an answer.
	maxStartFailures = 3
	// maxFetched is how many tokens are fetched on a connection for the next one.
	maxFetched = 3
	// highWater is how much may wait inside a socket before ours waits instead:
	// what a socket holds is lost with it.
	highWater = 256 << 10
	drainPoll = 50 * time.Millisecond
	// quietMicrophone is how long no sound must follow speech that was sent again
	// for its end to be marked: the service would wait for silence for ever. The
	// mark is for pauses of about a second and more (documented).
	quietMicrophone = time.Second
)

// Session is one conversation. Create it with [New], run it once with
// [Session.Run]; the other methods may be called from any goroutine, before,
// during and after Run, and return at once.
type Session struct {
	cfg    Config
	outbox *outbox
	woken  chan struct{}  // holds a value when a wait for a retry should end
	stays  chan struct{}  // holds a value when the session is not to hang up yet
	doubts chan struct{}  // holds a value when the line may be dead
	random func() float64 // in [0, 1); tests take the chance out

	quit chan error // holds why Run is to end, as soon as it is

	// The rest belongs to Run's goroutine.
	clock     *clock
	purse     purse
	ledger    ledger
	setup     setup
	truths    *truths
	hearing   hearing
	handle    live.Secret   // of the newest resumable update
	cause     Cause         // of the attempt under way
	phase     live.Phase    // and how far it is
	resuming  trouble       // resumes that failed
	deserted  time.Time     // when a socket ended last that the service may still hold
	refused   int           // replays in a row that the service closed the socket on
	last      *connection   // the last one that was live; nil before the first
	lostAudio time.Duration // evicted since the last connection ended
}

// connection is what is remembered of a connection that was live.
type connection struct {
	grant   *grant
	endedAt time.Time
	endedBy Cause
}

// New returns a session that does nothing until Run is called.
func New(cfg Config) *Session {
	for _, limit := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&cfg.Frozen, 30 * time.Second},
		{&cfg.IdleWarning, 30 * time.Second},
		{&cfg.TokenTimeout, 15 * time.Second},
		{&cfg.DialTimeout, 10 * time.Second},
		{&cfg.SetupTimeout, 10 * time.Second},
		{&cfg.StartTimeout, 30 * time.Second},
	} {
		if *limit.field == 0 {
			*limit.field = limit.value
		}
	}
	s := &Session{cfg: cfg, outbox: newOutbox(), woken: make(chan struct{}, 1), stays: make(chan struct{}, 1), doubts: make(chan struct{}, 1), random: rand.Float64, quit: make(chan error, 1)}
	if cfg.Wall == nil {
		cfg.Wall = wallTime
	}
	s.clock = newClock(cfg.Wall)
	s.purse = purse{
		clock:  s.clock,
		source: cfg.Source, profile: cfg.Profile, timeout: cfg.TokenTimeout, release: cfg.Release,
		news: func(g *grant) { s.tokenNews(g, false) },
	}
	s.setup = setup{merge: func(setup, change live.Payload) live.Payload { return s.cfg.Editor.Merge(setup, change) }, next: cfg.Setup, live: cfg.Setup}
	s.truths = newTruths(s.emit)
	s.ledger.news = func(c ToolCall) { s.emit(c) }
	if s.purse.release == nil {
		s.purse.release = func(live.Token) {}
	}
	return s
}

// Send queues input; it is sent in order as soon as the session is live. settle
// is called once: with nil when an open socket took the message, else with
// [ErrDropped], [ErrClosed] or [live.ErrUnsupported]. It may run on any goroutine and must return at
// once. If Send returns an error, settle is not called.
func (s *Session) Send(in live.Input, settle func(error)) error {
	return s.outbox.push(in, settle)
}

// DropPicture drops the picture that waits for a socket, if one does: who stops a
// camera expects to be seen no more.
func (s *Session) DropPicture() { s.outbox.dropPicture() }

// Wake ends a wait for a retry, unless the issuer asked for it: the page is
// visible again.
func (s *Session) Wake() { signal(s.woken) }

// Stay begins the wait of [Config].Idle again.
func (s *Session) Stay() { signal(s.stays) }

// Doubt tells that the line may be dead, as after a change of network: the
// connection is changed at the next quiet moment, and a wait for a retry ends.
func (s *Session) Doubt() {
	signal(s.doubts)
	signal(s.woken)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close ends the session. Run returns nil then.
func (s *Session) Close() { s.end(ErrClosed) }

// Crash ends the session as a panic of its own does. It is for whoever does on
// another goroutine what the session cannot go on without.
func (s *Session) Crash(p *live.Panic) { s.end(p) }

// end has Run end, unless it is about to.
func (s *Session) end(cause error) {
	select {
	case s.quit <- cause:
	default:
	}
}

// Run holds the conversation until it ends: by Close (nil), by ctx (its cause)
// or by itself (*[Error]). Closed is the last event in each case. A panic, also one
// of the functions in its [Config], is an end by itself: nothing is left open.
func (s *Session) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	select {
	case cause := <-s.quit: // before the start: nothing is asked for
		cancel(cause)
	default:
	}
	go func() {
		defer close(watched)
		select {
		case cause := <-s.quit:
			cancel(cause)
		case <-ctx.Done():
		}
	}()
	err := live.Try(func() error { return s.run(ctx) })
	cancel(ErrClosed)
	<-watched
	for _, letGo := range []func(){s.purse.close, s.ledger.close, s.outbox.close, s.setup.close, s.truths.transcript.close} {
		err = try(letGo, err)
	}
	cause, ended := CauseClosed, (*Error)(nil)
	if p, ok := errors.AsType[*live.Panic](err); ok {
		err = fail(p, s.phase, classify(p, s.phase))
		_ = try(func() { s.emit(Crashed{p}) }, nil)
	}
	if errors.As(err, &ended) {
		cause = CauseFailed
	}
	err = try(func() { s.emit(Status{State: StateClosed, Cause: cause}) }, err)
	err = try(func() { s.emit(Closed{ended}) }, err)
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// try calls f, which is to be done however the session ended. Of several panics
// the first counts.
func try(f func(), ended error) error {
	p := live.Try(func() error { f(); return nil })
	if p == nil || isPanic(ended) {
		return ended
	}
	return p
}

// run makes one attempt after the other.
func (s *Session) run(ctx context.Context) error {
	startBy := s.clock.now().Add(s.cfg.StartTimeout)
	s.cause = CauseStart
	var trouble trouble
	var pace pace
	for {
		began := s.clock.now()
		s.emit(Status{State: StateConnecting, Cause: s.cause})
		end := s.attempt(ctx, startBy)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var v verdict // of a rotation: go on
		if end.rotation == "" {
			v = classify(end.err, end.class())
			v.do = s.descend(v, end)
			s.apply(v.do, end)
		} else {
			s.cause = end.rotation
		}
		if !end.liveAt.IsZero() {
			s.tellDropped() // what was lost so far, was not lost by this end
			s.last, s.lostAudio = &connection{end.grant, s.clock.now(), s.cause}, 0
			if s.clock.now().Sub(end.liveAt) >= steady {
				trouble.failures = 0
			}
		}
		// A rotation right after the last one counts, too: a service that
		// announces the end of every connection at its start must not make us spin.
		now := s.clock.now()
		if !end.answered {
			pace.add(began)
		}
		least := pace.wait(now)
		wait := max(least, delay(trouble.failures, v.wait, s.random()))
		if v.wait > 0 {
			least = wait // who advised it knows nothing of tabs and networks
		}
		trouble.add(now)
		if end.rotation == "" && (v.do == stop || v.wait > maxTrouble || s.exhausted(trouble, now.Add(wait), startBy)) {
			return fail(end.err, end.phase, v)
		}
		if wait > 0 {
			s.emit(Status{State: StateWaiting, Cause: s.cause, RetryIn: wait})
			if !s.sleep(ctx, least, wait) {
				return context.Cause(ctx)
			}
		}
	}
}

// trouble is a row of connections that failed or did not hold.
type trouble struct {
	failures int
	since    time.Time
}

func (t *trouble) add(now time.Time) {
	if t.failures == 0 {
		t.since = now
	}
	t.failures++
}

// exhausted reports whether enough was tried.
func (s *Session) exhausted(t trouble, next, startBy time.Time) bool {
	if s.last == nil {
		return t.failures >= maxStartFailures || next.After(startBy)
	}
	return t.failures >= maxFailures && next.Sub(t.since) > maxTrouble
}

// apply changes what the next attempt starts from, and names its cause.
func (s *Session) apply(do action, end end) {
	s.cause = CauseRetry
	if !end.liveAt.IsZero() {
		s.cause = CauseCut
	}
	switch do {
	case newToken:
		s.cause = CauseToken
		end.grant.refused = true
	case newLease:
		s.purse.gone = true
		if g := s.purse.now; g != nil && g.token.Lock == live.LockFull {
			s.handle = live.Secret{} // a first token cannot hold it
		}
	case restart:
		s.cause = CauseRestart
		s.handle = live.Secret{}
	}
}

// descend gives up what cannot be had, a step at a time.
//
// A service that refuses what it is sent again (observed for sound) is sent it
// without sound, then by a new session. A handle that cannot be resumed, although
// nobody says that it is dead, is tried with a new token and then given up, after
// some tries and some time: the service may still hold the old socket.
func (s *Session) descend(v verdict, end end) action {
	if s.setup.refused(end) {
		return again
	}
	do := v.do
	if do == stop && end.replayed && v.code == CodeProtocol && closeCode(end.err) == live.CloseInvalid {
		s.refused++
		switch s.refused {
		case 1:
			s.outbox.mute()
			return again
		case 2:
			return restart
		}
	}
	if do != again || end.class() != phaseResume {
		if !end.liveAt.IsZero() {
			s.resuming.failures = 0
		}
		return do
	}
	now := s.clock.now()
	s.resuming.add(now)
	held := closeCode(end.err) == live.CloseInternal && !s.deserted.IsZero() && now.Sub(s.deserted) < maxHeld
	switch {
	case held, s.resuming.failures < maxResumes, now.Sub(s.resuming.since) < maxResuming:
		return again
	case end.grant == s.last.grant:
		return newToken
	}
	s.resuming.failures = 0
	return restart
}

// sleep waits for as long as wait lasts, or until woken up after the least of it,
// and reports whether the session goes on.
func (s *Session) sleep(ctx context.Context, least, wait time.Duration) bool {
	select {
	case <-s.woken: // of a time before this wait
	default:
	}
	return rest(ctx, least, nil) && rest(ctx, wait-least, s.woken)
}

// rest waits for as long as d lasts or until woken, and reports whether ctx
// lasts, too.
func rest(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-woken:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Session) emit(e Event) { s.cfg.Emit(e) }

func (s *Session) tokenNews(g *grant, opened bool) {
	now := s.clock.now()
	news := TokenNews{Opened: opened, Token: g.token, ExpiresIn: g.expires.Sub(now), RenewIn: g.renewFrom.Sub(now)}
	if !g.leaseEnds.IsZero() {
		news.LeaseFor = max(0, g.leaseEnds.Sub(now))
	}
	s.emit(news)
}

// tellDropped reports sound that was evicted since the last time.
func (s *Session) tellDropped() {
	if d := s.outbox.takeDropped(); d > 0 {
		s.lostAudio += d
		s.emit(Dropped{d})
	}
}
