package session

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/wasm/live"
)

var update = flag.Bool("update", false, "rewrite the golden transcripts")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("runtime.handleEvent"),                         // the js build keeps one
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start")) // the issuer's SDK starts one as it is linked
}

// pipe is a connection made of channels. Its test holds the service's end.
type pipe struct {
	setups   chan live.Setup
	inputs   chan live.Input
	messages chan live.Message
	ended    chan struct{} // closed at the socket's end
	end      *live.CloseError
	endOnce  sync.Once
	closing  chan struct{} // closed when the client asks for a close
	dead     bool          // the line: nobody answers a close
	badSetup bool          // the setup cannot be written as JSON
	buffered atomic.Int64
}

func newPipe() *pipe {
	return &pipe{
		setups: make(chan live.Setup, 1), inputs: make(chan live.Input, 2000), messages: make(chan live.Message, 100),
		ended: make(chan struct{}), closing: make(chan struct{}),
	}
}

// finish ends the socket, as the service does or as the line breaks.
func (p *pipe) finish(code int, reason string) {
	p.endOnce.Do(func() {
		p.end = &live.CloseError{Code: code, Reason: reason}
		close(p.ended)
	})
}

func (p *pipe) open() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *pipe) Setup(s live.Setup) error {
	if p.badSetup {
		return live.ErrNotJSON
	}
	if !p.open() {
		return live.ErrNotOpen
	}
	p.setups <- s
	return nil
}

func (p *pipe) Send(in live.Input) error {
	if !p.open() {
		return live.ErrNotOpen
	}
	if in.Body == "cannot be encoded" {
		return live.ErrNotJSON
	}
	p.inputs <- in
	return nil
}

func (p *pipe) Buffered() int { return int(p.buffered.Load()) }

func (p *pipe) Receive(ctx context.Context) (live.Message, error) {
	select {
	case m := <-p.messages:
		return m, nil
	default:
	}
	select {
	case m := <-p.messages:
		return m, nil
	case <-p.ended:
		select {
		case m := <-p.messages:
			return m, nil
		default:
			return live.Message{}, p.end
		}
	case <-ctx.Done():
		return live.Message{}, context.Cause(ctx)
	}
}

func (p *pipe) Close(ctx context.Context) {
	close(p.closing) // panics if called twice: the engine must not
	if !p.dead {
		p.finish(live.CloseNormal, "")
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.finish(live.CloseAbnormal, "")
	}
}

// story is one session in a bubble of virtual time, and its transcript.
type story struct {
	t       *testing.T
	began   time.Time
	session *Session
	slept   atomic.Int64 // by how much the wall clock is ahead
	done    chan error   // what Run returned
	ctx     context.Context
	cancel  context.CancelCauseFunc

	tokens   func(ctx context.Context, n int, need live.Need) (live.Token, error)
	dials    chan *pipe // what the next dial gives; nil never answers
	refuse   *live.CloseError
	wrap     func(*pipe) Conn // what the session gets in place of the pipe; nil: the pipe
	minted   int
	dialled  int
	current  *pipe // the socket dialled last
	released []string

	mu     sync.Mutex
	log    []string
	truths []string // what else was told
}

// token is what the issuer answers unless a story says otherwise.
func token(n int) live.Token {
	return live.Token{
		Secret: live.NewSecret(fmt.Sprintf("auth_tokens/%d", n)), Lease: live.NewSecret("lease-1"), Profile: "default", Model: "models/m", Lock: "masked",
		ExpiresIn: 12 * time.Minute, NewSessionExpiresIn: time.Minute, RenewAfter: 9 * time.Minute,
		URL: "wss://service/constrained", Param: "access_token", RenewURL: "https://issuer/renew", ReleaseURL: "https://issuer/release",
	}
}

// tell runs a story in a bubble; play holds the service's and the application's part.
func tell(t *testing.T, play func(*story)) *story {
	st := &story{t: t}
	synctest.Test(t, func(t *testing.T) {
		st.ctx, st.cancel = context.WithCancelCause(context.Background())
		defer st.cancel(nil)
		st.t, st.began, st.done, st.dials = t, time.Now(), make(chan error, 1), make(chan *pipe, 100)
		st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) { return token(n), nil }
		st.session = New(st.config())
		st.session.WithoutChance()
		play(st)
		st.session.Close()
		synctest.Wait()
		select {
		case <-st.done:
		case <-time.After(time.Minute):
			t.Error("Run did not return within a minute of Close")
		}
	})
	return st
}

// config is what the story's session needs of the world.
func (st *story) config() Config {
	return Config{
		Profile: "default", Setup: "the setup", Editor: textEditor{},
		Source: func(ctx context.Context, need live.Need) (live.Token, error) {
			st.minted++
			what := "ask " + string(need.Reason)
			if !need.Handle.IsZero() {
				what += " with handle"
			}
			st.note("%s", what)
			return st.tokens(ctx, st.minted, need)
		},
		Dial:    st.dial,
		Wall:    func() time.Time { return wallTime().Add(time.Duration(st.slept.Load())) },
		Release: func(tok live.Token) { st.released = append(st.released, tok.Lease.Reveal()) },
		Emit:    st.event,
	}
}

func (st *story) run(ctx context.Context) { go func() { st.done <- st.session.Run(ctx) }() }

func (st *story) dial(ctx context.Context, tok live.Token) (Conn, error) {
	st.dialled++
	if st.current != nil && st.current.open() {
		st.t.Error("a socket was dialled while another was open")
	}
	st.note("dial with %s", strings.TrimPrefix(tok.Secret.Reveal(), "auth_tokens/"))
	var p *pipe
	select {
	case p = <-st.dials:
	case <-ctx.Done():
		return nil, errors.New("aborted by the browser")
	}
	if p == nil {
		return nil, st.refuse
	}
	st.current = p
	if st.wrap != nil {
		return st.wrap(p), nil
	}
	return p, nil
}

// note adds a line to the transcript.
func (st *story) note(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	at := time.Since(st.began).Round(time.Millisecond)
	st.log = append(st.log, fmt.Sprintf("%v\t", at)+fmt.Sprintf(format, args...))
}

// derived adds a line to what the session made out of its messages.
func (st *story) derived(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.truths = append(st.truths, fmt.Sprintf("%v ", time.Since(st.began).Round(time.Second))+fmt.Sprintf(format, args...))
}

func (st *story) event(e Event) {
	switch e := e.(type) {
	case Utterance:
		st.derived("%s %s", e.Who, shown(e))
	case Usage:
		st.derived("usage %d, %d, %d", e.Reported.Total, e.Connection.Total, e.Conversation.Total)
	case Stalled:
		what := "stalled"
		if e.Ended {
			what = "goes on"
		}
		st.derived("%s after %v", what, e.For)
	case SessionCap:
		st.derived("cap in %v", e.Left)
	default:
		if words := Words(e); words != "" {
			st.note("%s", words)
		}
	}
}

// Words tells an event as the stories do; "" for one that they leave out.
func Words(e Event) string {
	switch e := e.(type) {
	case Status:
		if e.RetryIn > 0 {
			return fmt.Sprintf("%s %s for %v", e.State, e.Cause, e.RetryIn)
		}
		return fmt.Sprintf("%s %s", e.State, e.Cause)
	case Resumed:
		return fmt.Sprintf("resumed by %s after %s, gap %v, lost %v, replayed %d, uncertain %d", e.Rung, e.Cause, e.Gap, e.LostAudio, e.Replayed, e.Uncertain)
	case GoAway:
		return fmt.Sprintf("goaway in %v", e.TimeLeft)
	case TokenNews:
		if !e.Opened {
			return fmt.Sprintf("token for %v", e.ExpiresIn)
		}
	case ToolCall:
		what := fmt.Sprintf("call %s %s", e.ID, e.State)
		if e.Repeated {
			what += " again"
		}
		return what
	case Dropped:
		return fmt.Sprintf("dropped %v", e.Audio)
	case Crashed:
		return fmt.Sprintf("crashed: %v", e.Panic)
	case Closed:
		if e.Err != nil {
			return fmt.Sprintf("closed: %v (retryable: %v)", e.Err, e.Err.Retryable)
		}
		return "closed"
	}
	return ""
}

// goLive gives the next dial a pipe, answers its setup and returns it. It checks
// the handle that the setup carries.
func (st *story) goLive(handle string) *pipe {
	st.t.Helper()
	p := newPipe()
	st.dials <- p
	setup := <-p.setups
	if got := setup.Handle.Reveal(); got != handle {
		st.t.Errorf("setup has handle %q, want %q", got, handle)
	}
	if setup.Model != "models/m" || setup.Body != "the setup" {
		st.t.Errorf("setup is %v", setup)
	}
	p.messages <- live.Message{SetupComplete: true}
	synctest.Wait()
	return p
}

// begin runs the session until it is live and has the handle h1.
func (st *story) begin() *pipe {
	st.t.Helper()
	st.run(st.ctx)
	p := st.goLive("")
	st.turn(p, "h1")
	return p
}

// turn lets the model take a turn that ends with a handle.
func (st *story) turn(p *pipe, handle string) {
	p.messages <- live.Message{Content: true}
	p.messages <- live.Message{GenerationComplete: true}
	p.messages <- live.Message{TurnComplete: true}
	p.messages <- live.Message{Handle: live.NewSecret(handle)}
	synctest.Wait()
}

var errNotSettled = errors.New("not settled")

// say sends text; the returned function tells what became of it.
func (st *story) say(text string) (settled func() error) {
	result := make(chan error, 1)
	if err := st.session.Send(live.Input{Asks: true, Body: text}, func(err error) { result <- err }); err != nil {
		st.t.Errorf("send %q: %v", text, err)
	}
	synctest.Wait()
	return func() error {
		select {
		case err := <-result:
			result <- err
			return err
		default:
			return errNotSettled
		}
	}
}

// golden compares the transcript with testdata/name.txt.
func (st *story) golden(t *testing.T, name string) {
	t.Helper()
	got := strings.Join(st.log, "\n") + "\n"
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("transcript differs from %s:\n%s\nwant:\n%s", file, got, want)
	}
}

// WithoutChance takes the chance out of the session's waits.
func (s *Session) WithoutChance() { s.random = func() float64 { return 0.5 } }

// Kept is how much the session's outbox holds: messages that are not sound, and sound.
func (s *Session) Kept() (messages int, sound time.Duration) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.reliable, s.outbox.audio
}
