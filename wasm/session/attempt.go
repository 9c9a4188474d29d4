package session

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// end is how an attempt ended.
type end struct {
	phase    live.Phase
	err      error
	rotation Cause     // why we changed the connection ourselves; "" if we did not
	liveAt   time.Time // of setupComplete; zero if it never came
	grant    *grant    // the token used; nil if there was none
	resumed  bool      // the setup carried a handle
	replayed bool      // what had been sent before was sent again, and no turn followed
	answered bool      // the model took a turn
}

// class is the phase as the table of ends knows it.
func (e end) class() live.Phase {
	if e.phase == live.PhaseSetup && e.resumed {
		return phaseResume
	}
	return e.phase
}

// attempt is one try: token, dial, setup, pump. Until the session was live once
// it is over at startBy.
func (s *Session) attempt(ctx context.Context, startBy time.Time) end {
	waiting, cancel := s.limit(ctx, live.PhaseToken, s.cfg.TokenTimeout, startBy)
	g, err := s.purse.get(ctx, waiting, s.handle)
	cancel()
	if err != nil {
		return end{phase: live.PhaseToken, err: err}
	}

	dialing, cancel := s.limit(ctx, live.PhaseDial, s.cfg.DialTimeout, startBy)
	conn, err := s.cfg.Dial(dialing, g.token)
	if err != nil && dialing.Err() != nil {
		err = context.Cause(dialing)
	}
	cancel()
	if err != nil {
		return end{phase: live.PhaseDial, err: scrub(err, g, s.handle), grant: g}
	}

	settingUp, cancel := s.limit(ctx, live.PhaseSetup, s.cfg.SetupTimeout, startBy)
	defer cancel()
	l := &line{
		Session: s, conn: conn, grant: g, openedWith: s.handle,
		messages: make(chan live.Message, 64), over: make(chan error, 1),
	}
	l.turn.covered = !s.handle.IsZero() // by the handle that it opens with
	e := l.hold(ctx, settingUp)
	e.err = scrub(e.err, g, l.openedWith, s.handle)
	return e
}

// limit begins a phase of an attempt, and bounds it.
func (s *Session) limit(ctx context.Context, phase live.Phase, d time.Duration, startBy time.Time) (context.Context, context.CancelFunc) {
	s.phase = phase
	if s.last == nil {
		d = min(d, startBy.Sub(s.clock.now()))
	}
	return context.WithTimeoutCause(ctx, d, &timeoutError{"phase " + string(phase)})
}

// scrub takes our secrets out of what the other side said.
func scrub(err error, g *grant, handles ...live.Secret) error {
	if closed, ok := errors.AsType[*live.CloseError](err); ok {
		return closed.Scrub(append(handles, g.token.Secret, g.token.Lease)...)
	}
	return err
}

// hold is a connection from its setup to its end. However it ends, the socket is
// closed then and nobody reads from it.
func (l *line) hold(ctx, settingUp context.Context) (e end) {
	defer l.startReading(ctx)()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
		defer cancel()
		l.conn.Close(closing)
		if closing.Err() != nil || closeCode(e.err) == live.CloseAbnormal {
			l.deserted = l.clock.now()
		}
	}()
	e = l.setUp(ctx, settingUp)
	l.truths.cut(l.clock.now())
	return e
}

// line is the session on one open socket.
type line struct {
	*Session
	conn       Conn
	grant      *grant
	openedWith live.Secret // the handle; zero for a new session
	messages   chan live.Message
	over       chan error // the socket's end, after the last message
	liveAt     time.Time
	goAway     *deadline
	doubt      *deadline // set once the line may be dead
	change     *deadline // set once the setup was updated
	beat       time.Time // when this goroutine ran last
	heard      time.Time // when a message came last
	backlog    backlog
	fetched    int       // tokens, for the next connection
	seeded     bool      // the setup announced a history
	seededAt   time.Time // when a new session was told the past; zero: it was not
	history    bool      // which the application has not told yet
	asides     []aside   // that wait for a question
	replayed   bool      // what had been sent before was sent again, and no turn has followed
	answered   bool      // a turn is over
	speechEnd  time.Time // when to mark the end of speech that was sent again; zero: not
	turn       turn
}

// startReading moves messages from the socket to l.messages until the returned
// function, which waits for the reader's end, is called.
func (l *line) startReading(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.over <- live.Try(func() error { return l.read(ctx) })
	}()
	return func() {
		cancel()
		<-done
	}
}

// read returns the end of the socket, or of ctx.
func (l *line) read(ctx context.Context) error {
	for {
		m, err := l.conn.Receive(ctx)
		if err != nil {
			return err
		}
		select {
		case l.messages <- m:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended makes the end of the attempt. What had arrived before is taken in: a
// handle may be among it.
func (l *line) ended(err error) end {
	for len(l.messages) > 0 {
		l.receive(<-l.messages)
	}
	phase := live.PhaseSetup
	if !l.liveAt.IsZero() {
		phase = live.PhaseLive
	}
	return end{phase: phase, err: err, liveAt: l.liveAt, grant: l.grant, resumed: !l.openedWith.IsZero(), replayed: l.replayed, answered: l.answered}
}

// setUp sends the setup, waits for its answer, and pumps.
func (l *line) setUp(ctx, settingUp context.Context) end {
	model := l.cfg.Model
	if model == "" {
		model = l.grant.token.Model
	}
	l.grant.opened = true
	l.grant.spent = l.grant.spent || l.handle.IsZero()
	l.history = l.announced()
	l.seeded = l.history || l.seedable()
	if err := l.conn.Setup(live.Setup{Model: model, Handle: l.handle, Seeded: l.seeded, Body: l.setup.next}); err != nil && !errors.Is(err, live.ErrNotOpen) {
		return l.ended(err)
	} // a socket that is not open tells why through Receive
	for l.liveAt.IsZero() {
		select {
		case m := <-l.messages:
			l.receive(m)
		case err := <-l.over:
			return l.ended(err)
		case <-settingUp.Done():
			return l.ended(context.Cause(settingUp))
		}
	}
	return l.pump(ctx)
}

// live tells the news that the session is live.
func (l *line) live() {
	l.liveAt, l.phase = l.clock.now(), live.PhaseLive
	select {
	case <-l.doubts: // of the line before
	default:
	}
	l.tokenNews(l.grant, true)
	l.emit(Status{State: StateLive, Cause: l.cause})
	l.setup.applied()
	if l.last == nil {
		return
	}
	l.tellDropped()
	rung := RungHandle
	switch {
	case l.handle.IsZero():
		rung = RungRestart
	case l.grant != l.last.grant:
		rung = RungToken
	}
	again := l.outbox.rewind(rung == RungRestart)
	l.ledger.rewind()
	restored := RestoredFull
	if rung == RungRestart {
		restored = l.seed(again.typed)
	}
	l.emit(Resumed{
		Rung: rung, Restored: restored, Cause: l.last.endedBy, Gap: l.liveAt.Sub(l.last.endedAt), LostAudio: l.lostAudio + again.lost,
		Replayed: again.messages, Uncertain: again.doubtful,
	})
	l.truths.resumed(again.messages > 0, rung == RungRestart)
	l.lostAudio, l.replayed = 0, again.messages > 0 || restored == RestoredTranscript
	if again.speech && !l.grant.token.Limits.ManualActivity {
		l.speechEnd = l.liveAt.Add(quietMicrophone)
	}
}

// pump moves messages both ways until the connection ends or is to be changed.
func (l *line) pump(ctx context.Context) end {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := l.clock.now()
		l.heartbeat(now)
		due, cause, wake := rotate(now, l.quiet(), l.deadlines())
		if due && len(l.messages) == 0 {
			ready, again := l.prepared(ctx, now)
			if ready {
				e := l.ended(nil)
				e.rotation = cause
				return e
			}
			wake = again
		}
		wake = earliest(wake, l.purse.renew(ctx, l.handle, now))
		wake = earliest(wake, l.flush(now))
		wake = earliest(wake, l.speechEnd)
		stalls, again := l.truths.watch(l.ledger.owes(), now)
		if wake = earliest(wake, again); stalls && now.Sub(l.heard) >= patience {
			l.suspect(now)
			continue
		}
		limit := l.idleLimit()
		idle, again := l.truths.idle.watch(limit, l.cfg.IdleWarning, l.ledger.owes(), now)
		if wake = earliest(wake, again); idle {
			return l.ended(&idleError{limit})
		}
		timer.Reset(earliest(wake, now.Add(heartbeat)).Sub(now))
		select {
		case m := <-l.messages:
			l.receive(m)
		case err := <-l.over:
			return l.ended(err)
		case f := <-l.purse.fetch:
			if e, over := l.renewed(f); over {
				return e
			}
		case <-l.outbox.ready:
		case <-l.stays:
			l.truths.idle.stay(l.clock.now())
		case <-l.woken: // nothing waits for a retry
		case <-l.doubts:
			l.suspect(l.clock.now())
		case <-timer.C:
		case <-ctx.Done():
			return l.ended(context.Cause(ctx))
		}
	}
}

// idleLimit is for how long nothing may happen; 0: for ever.
func (l *line) idleLimit() time.Duration {
	return max(0, cmp.Or(l.cfg.Idle, l.grant.token.Limits.Idle))
}

// quiet is from when on nothing is lost or cut short by changing the connection,
// as far as can be known now.
func (l *line) quiet() time.Time {
	if l.outbox.unsure() || l.ledger.owes() {
		return time.Time{}
	}
	return l.turn.quiet()
}

// deadlines are the reasons to change this connection.
func (l *line) deadlines() []deadline {
	token := tokenDeadline(l.grant)
	if l.purse.now == l.grant && l.grant.token.Lock != live.LockFull {
		token.want = token.must // no other token yet
	}
	all := []deadline{token}
	for _, d := range []*deadline{l.goAway, l.doubt, l.change} {
		if d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// prepared reports whether the connection can be changed, now that it should be:
// the token for the next is at hand, or time is up. Else it says when to look
// again. Under a full lock the handle is inside the token, and a newer one may
// come while it is minted; it is minted again, but not for ever.
func (l *line) prepared(ctx context.Context, now time.Time) (ready bool, again time.Time) {
	over, _, must := rotate(now, time.Time{}, l.deadlines())
	if over || l.fetched >= maxFetched {
		return true, time.Time{}
	}
	ready, again = l.purse.ready(ctx, l.handle, now)
	return ready, earliest(must, again)
}

// renewed takes the result of an early renewal. Until the present token is
// refused or expires a failure costs nothing, unless it is the issuer's last
// word: refusing renewal is how access is taken back.
func (l *line) renewed(f fetched) (e end, over bool) {
	err := l.purse.take(f)
	if err == nil {
		l.fetched++
		return end{}, false
	}
	v := classify(err, live.PhaseToken)
	switch {
	case lastWord(v):
		e = l.ended(err)
		e.phase = live.PhaseToken
		return e, true
	case v.do == newLease && !l.purse.gone:
		l.purse.gone = true // and ask at once for another
	default:
		l.purse.retryAt = l.clock.now().Add(max(v.wait, renewRetry))
	}
	return end{}, false
}

// flush hands waiting input to the socket, answers to calls before all else, and
// says when to look again if the socket is full.
func (l *line) flush(now time.Time) (again time.Time) {
	l.tellDropped()
	if !l.speechEnd.IsZero() && !now.Before(l.speechEnd) {
		l.speechEnd = time.Time{}
		_ = l.outbox.push(live.Input{StreamEnd: true, Body: l.cfg.Editor.StreamEnd()}, func(error) {})
	}
	for {
		waiting := l.conn.Buffered()
		if l.backlog.stuck(waiting, now) {
			l.suspect(now)
		}
		if waiting > highWater {
			return now.Add(drainPoll)
		}
		if c := l.ledger.next(); c != nil {
			in := c.message(l.cfg.Editor)
			err := l.conn.Send(in)
			if errors.Is(err, live.ErrNotOpen) {
				return time.Time{}
			}
			if err == nil {
				l.turn.sent(in, now)
				l.truths.sent(in, true, l.grant.token.Limits, now)
			}
			l.turn.result(awake())
			l.ledger.went(c, err, l.turn.number, awake())
			continue
		}
		it, ok := l.outbox.take()
		if !ok {
			return time.Time{}
		}
		if it.update != nil {
			l.outbox.forget(it)
			l.update(it, now)
			continue
		}
		if len(it.input.Answers) > 0 {
			l.outbox.forget(it)
			l.ledger.answer(it.input, it.settle, l.cfg.Editor)
			continue
		}
		if it.input.Level > 0 {
			it.input.Quiet = l.hearing.quiet(it.input.Level, it.input.Audio)
		}
		err := l.say(it, now)
		if errors.Is(err, live.ErrNotOpen) {
			l.outbox.giveBack(it) // the socket's end is on its way to l.over
			return time.Time{}
		}
		if err != nil || !it.input.Replayable() {
			l.outbox.forget(it)
		}
		it.settled(err)
	}
}

// receive takes in one server message.
func (l *line) receive(m live.Message) {
	l.heard = l.clock.now()
	l.believe(l.heard)
	if m.SetupComplete && l.liveAt.IsZero() {
		l.live()
	}
	if awake().Sub(l.seededAt) < takenIn {
		m.Handle = live.Secret{} // of before it was told the past
	}
	if over, ok := l.turn.received(m, awake()); ok {
		l.replayed, l.answered, l.refused = false, true, 0
		l.outbox.answered(over)
		l.ledger.turnOver(over)
	}
	if m.Content {
		l.ledger.talks(l.turn.number, awake())
	}
	if repeated := l.ledger.called(m.Calls, awake()); len(repeated) > 0 {
		m.Body = l.cfg.Editor.WithoutCalls(m.Body, repeated)
	}
	if len(m.Cancelled) > 0 {
		m.Body = l.cfg.Editor.Cancellation(m.Body, l.ledger.cancelled(m.Cancelled))
	}
	if !m.Handle.IsZero() {
		l.handle = m.Handle
		l.outbox.covered()
		l.ledger.covered(!l.turn.running && l.outbox.clear(), l.outbox.oldest())
	}
	if m.GoAway {
		d := goAwayDeadline(l.clock.now(), m.TimeLeft)
		l.goAway = &d
		l.emit(GoAway{m.TimeLeft})
	}
	l.emit(Received{m})
	l.truths.received(m, l.grant.token.Limits, l.clock.now())
}
