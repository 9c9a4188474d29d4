package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// writeTimeout is how long a client may leave its socket unread before it is
	// cut. Nothing is queued meanwhile.
	writeTimeout = 10 * time.Second

	// closeTimeout is how long the answer to a close frame is waited for.
	closeTimeout = 5 * time.Second

	// maxDelayed bounds what a fault holds back, in bytes: more than a minute of
	// speech. Beyond it the client is cut.
	maxDelayed = 16 << 20
)

// conversation is one connection. Its goroutine, the one of the HTTP handler,
// runs everything here and owns every field: where it stands is its state.
// Others reach it through commands only.
type conversation struct {
	world   *world
	conn    *websocket.Conn
	version string
	opened  time.Time

	frames   chan *bytes.Buffer       // from the reader; closed at the socket's end
	readErr  error                    // why; set before frames is closed
	commands chan func(*conversation) // from the control endpoints
	done     chan struct{}            // closed when the session is given up

	line    *line
	traffic traffic
	delayed int // bytes that traffic holds back

	agenda agenda
	alarm  *alarm
	end    *ending // set once

	// Set by setup.
	config
	caller  caller
	session *session
	voice   voice
	ear     ear

	cutShort <-chan struct{} // of the token; nil with an API key
	spent    bool            // a use of the token, by opening

	received  int64    // seq of the last message, of those of the conversation
	lost      seqRange // what former connections received and the resumed handle lacks
	saved     snapshot // what a handle restores now
	memory    memory
	pending   string // typed text that waits for its turnComplete or activityEnd
	activity  bool   // between activityStart and activityEnd
	heard     usage  // input since the last answer began
	spoken    spoken // and what of it was said aloud
	calling   calling
	later     *reaction // follows by itself
	streaming medium    // that counts by now
	turns     int       // begun
	turn      *turn     // being given; nil: none
	waiting   bool      // an answer is owed once the turn is over

	performance // for a scenario
}

// ending is how a connection ends. Code 1006 is a cut without a close frame.
type ending struct {
	code     int
	reason   string
	byClient bool
}

func newConversation(w *world, conn *websocket.Conn, line *line, version string) *conversation {
	return &conversation{
		world: w, conn: conn, line: line, version: version, opened: w.clock.Now(),
		frames: make(chan *bytes.Buffer), commands: make(chan func(*conversation)), done: make(chan struct{}),
		alarm: w.clock.Alarm(),
	}
}

// run talks from the upgrade to the end and leaves nothing behind.
func (c *conversation) run(creds credentials) {
	c.record(entry{Dir: "in", Kind: "open"}, nil)

	var reader sync.WaitGroup
	reader.Go(c.read)

	c.scheduleEnd(c.world.options.ConnectionLifetime)
	c.talk(creds)
	if c.turn != nil {
		c.turn.stop()
	}

	// First give the session up, then tell the client, who may resume at once.
	c.world.sessions.end(c)
	if c.play != nil {
		c.play.leave(c)
	}
	close(c.done)
	c.hangUp()
	reader.Wait()
}

// talk is the protocol: setup, then everything else.
func (c *conversation) talk(creds credentials) {
	if no := c.arrive(creds); no != nil {
		c.stop(no.ending())
		return
	}
	handle := func(frame []byte) *refusal { return c.setUp(frame, creds) }
	for {
		frame, ok := c.next()
		if !ok {
			return
		}
		no := handle(frame.Bytes())
		release(frame) // a tree holds copies
		if no != nil {
			c.stop(no.ending())
		}
		handle = c.receive
	}
}

// next gives the next frame, doing what the agenda and the control endpoints
// ask for meanwhile. ok is false at the end.
func (c *conversation) next() (frame *bytes.Buffer, ok bool) {
	for c.end == nil {
		c.rest()
		select {
		case frame, ok := <-c.frames:
			c.alarm.Wake()
			if ok {
				return frame, true
			}
			c.stop(clientEnding(c.readErr))
		case do := <-c.commands:
			do(c)
		case <-c.cutShort:
			c.tokenExpired()
		case <-c.alarm.C:
			for c.end == nil {
				do := c.agenda.due(c.world.clock.Now())
				if do == nil {
					break
				}
				do()
			}
		}
	}
	return nil, false
}

// rest tells the clock that everything is done until the agenda's next entry.
func (c *conversation) rest() {
	at, _ := c.agenda.next()
	c.alarm.Set(at)
}

// read hands frames over one by one, so that a client which sends faster than
// it is served is held back by its own socket.
func (c *conversation) read() {
	defer close(c.frames)
	for {
		frame, err := readMessage(c.conn)
		if err != nil {
			c.readErr = err
			return
		}
		select {
		case c.frames <- frame:
		case <-c.done:
			c.readErr = net.ErrClosed
			return
		}
	}
}

// clientEnding tells from the reader's error how the client left, or has to.
func clientEnding(err error) ending {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return ending{int(closed.Code), closed.Reason, true}
	}
	if errors.Is(err, errTooBig) {
		return ending{code: 1009, reason: fmt.Sprintf("A message may have %d bytes.", readLimit)}
	}
	return ending{1006, "", true}
}

func (c *conversation) stop(e ending) {
	if c.end == nil {
		c.end = &e
	}
}

// hangUp closes the socket as c.end says.
func (c *conversation) hangUp() {
	reason := cut(c.end.reason, 123) // what a close frame can carry
	dir := "out"
	if c.end.byClient {
		dir = "in"
	}
	shown := excerpt(c.end.reason, len(reason))
	c.record(entry{Dir: dir, Kind: "close"}, tree{"code": c.end.code, "reason": shown})
	c.alarm.Stop() // the client's close frame may take its time, and no clock waits for it
	c.world.log.Info("socket closed", "session", c.sessionID(), "by", dir, "code", c.end.code, "reason", shown)

	if c.end.byClient || c.end.code == 1006 {
		c.conn.CloseNow()
		return
	}
	// The library waits for the rest of an unfinished message, however long.
	giveUp := time.AfterFunc(closeTimeout, func() { c.line.Close() })
	defer giveUp.Stop()
	c.conn.Close(websocket.StatusCode(c.end.code), reason)
}

// command lets the conversation's goroutine run do and returns when that is
// done. It reports false if the conversation ends or ctx does before that.
func (c *conversation) command(ctx context.Context, do func(*conversation)) bool {
	done := make(chan struct{})
	select {
	case c.commands <- func(c *conversation) {
		defer close(done)
		do(c)
		c.rest() // so that Advance finds what was put on the agenda
	}:
		<-done
		return true
	case <-c.done:
	case <-ctx.Done():
	}
	return false
}

// send gives one message to the traffic. A binary frame, pretty-printed, as on
// record.
func (c *conversation) send(message tree) { c.sendFrame(pretty(message), entry{}, message) }

// sendFrame sends what need not be a message; the journal shows message, and
// what else is in e.
func (c *conversation) sendFrame(frame []byte, e entry, message tree) {
	now := c.world.clock.Now()
	at, ok := c.traffic.leaves(now)
	switch {
	case !ok:
	case !at.After(now):
		c.write(frame, e, message)
	case c.delayed+len(frame) > maxDelayed:
		c.stop(ending{code: 1006})
	default:
		c.delayed += len(frame)
		c.agenda.add(at, func() {
			c.delayed -= len(frame)
			c.write(frame, e, message)
		})
	}
}

func (c *conversation) write(frame []byte, e entry, message tree) {
	if c.end != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageBinary, frame); err != nil {
		c.stop(ending{1006, "", true})
		return
	}
	e.Dir, e.Kind, e.Bytes = "out", "send", len(frame)
	c.record(e, message)
}

// record puts something of this connection into the journal and gives its seq.
func (c *conversation) record(e entry, message tree) int64 {
	e.Session = c.sessionID()
	if c.caller.token != nil {
		e.Token = c.caller.token.id.String()
	}
	return c.world.journal.add(e, message)
}

func (c *conversation) sessionID() string {
	if c.session == nil {
		return ""
	}
	return c.session.id
}

// scheduleEnd lets the connection end in d, with or without goAway before.
func (c *conversation) scheduleEnd(d time.Duration) {
	if d < 0 {
		return
	}
	final := c.world.options.FinalClose
	c.agenda.plan(c.world.clock.Now().Add(d), "end", func() { c.stop(ending{code: final.Code, reason: final.Reason}) })
}

// scheduleGoAway announces the end that scheduleEnd set. A lead longer than
// half a connection's life is cut to that half.
func (c *conversation) scheduleGoAway() {
	life, lead := c.world.options.ConnectionLifetime, c.world.options.GoAwayLead
	if life < 0 || lead < 0 {
		return
	}
	left := min(lead, life/2, c.opened.Add(life).Sub(c.world.clock.Now()))
	c.agenda.plan(c.opened.Add(life-left), "goAway", func() { c.goAway(left) }) // whole seconds, as observed, however late it wakes
}

// goAway leaves the socket usable (observed).
func (c *conversation) goAway(left time.Duration) {
	c.send(tree{"goAway": tree{"timeLeft": seconds(left.Truncate(time.Millisecond))}})
}

func (c *conversation) tokenExpired() {
	c.stop(ending{code: 1011, reason: "auth token has expired"})
}

// seconds is a proto3 JSON duration: 0, 3, 6 or 9 digits.
func seconds(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%.3fs", d.Seconds())
	}
	return fmt.Sprintf("%.9fs", d.Seconds())
}
