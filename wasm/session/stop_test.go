package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// awaits bring a session to each place where it waits for the world. All but those
// that say so have one token by then.
var awaits = map[string]func(*story){
	"the token": func(st *story) {
		st.tokens = func(ctx context.Context, _ int, _ live.Need) (live.Token, error) {
			<-ctx.Done()
			return live.Token{}, ctx.Err()
		}
		st.run(st.ctx)
	},
	"a token that comes although nobody waits any more": func(st *story) {
		st.tokens = func(ctx context.Context, n int, _ live.Need) (live.Token, error) {
			<-ctx.Done()
			return token(n), nil
		}
		st.run(st.ctx)
	},
	"the issuer, that said when": func(st *story) {
		st.tokens = func(context.Context, int, live.Need) (live.Token, error) {
			return live.Token{}, &live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: 20 * time.Second}
		}
		st.run(st.ctx)
	},
	"the dial": func(st *story) { st.run(st.ctx) },
	"the setup": func(st *story) {
		st.dials <- newPipe()
		st.run(st.ctx)
	},
	"news":               func(st *story) { st.begin() },
	"room in the socket": func(st *story) { st.begin().buffered.Store(highWater + 1) },
	"a renewal": func(st *story) {
		st.tokens = func(ctx context.Context, n int, _ live.Need) (live.Token, error) {
			if n == 1 {
				return token(n), nil
			}
			<-ctx.Done()
			return live.Token{}, ctx.Err()
		}
		st.begin()
		time.Sleep(9*time.Minute + time.Second)
	},
	"the end of the old socket": func(st *story) {
		p := st.begin()
		p.dead = true
		p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
	},
	"the next try": func(st *story) {
		p := st.begin()
		for range 4 {
			st.dials <- nil
		}
		st.refuse = &live.CloseError{Code: live.CloseAbnormal}
		p.finish(live.CloseAbnormal, "")
		time.Sleep(500 * time.Millisecond)
	},
	"the second setup": func(st *story) {
		p := st.begin()
		st.dials <- newPipe()
		p.finish(live.CloseAbnormal, "")
	},
	"room for what is sent again": func(st *story) {
		p := st.begin()
		st.say("what no handle holds")
		p.finish(live.CloseAbnormal, "")
		next := newPipe()
		next.buffered.Store(highWater + 1)
		next.messages <- live.Message{SetupComplete: true}
		st.dials <- next
	},
}

// However a session is told to stop, and whatever it waits for, all of it is over
// within the time that a socket may take to close.
func TestEveryAwaitCanBeLeft(t *testing.T) {
	enough := errors.New("enough")
	for what, wait := range awaits {
		for how, stop := range map[string]func(*story){
			"closing it":         func(st *story) { st.session.Close() },
			"closing it twice":   func(st *story) { st.session.Close(); st.session.Close() },
			"ending its context": func(st *story) { st.cancel(enough) },
			"both":               func(st *story) { st.cancel(enough); st.session.Close() },
		} {
			t.Run("waiting for "+what+", "+how, func(t *testing.T) {
				st := tell(t, func(st *story) {
					wait(st)
					synctest.Wait()
					minted, dialled := st.minted, st.dialled
					sound := st.send(live.Input{Stream: true, Audio: time.Second, Body: "sound"})
					words := st.say("words")
					stop(st)
					time.Sleep(closeWait)
					synctest.Wait()
					select {
					case err := <-st.done:
						if want := map[bool]error{true: enough}[strings.Contains(how, "context")]; err != want && how != "both" {
							t.Errorf("Run returned %v, want %v", err, want)
						}
						st.done <- nil
					default:
						t.Fatal("Run goes on")
					}
					if st.current != nil && st.current.open() {
						t.Error("a socket is open")
					}
					for _, settled := range []func() error{sound, words} {
						if err := settled(); errors.Is(err, errNotSettled) {
							t.Error("input is not settled")
						}
					}
					if st.minted != minted || st.dialled != dialled {
						t.Errorf("%d tokens and %d sockets after the end", st.minted-minted, st.dialled-dialled)
					}
					if err := st.session.Send(live.Input{Body: "late"}, nil); !errors.Is(err, ErrClosed) {
						t.Errorf("Send after the end: %v", err)
					}
				})
				if n := len(st.log); st.minted > 2 || !strings.HasSuffix(st.log[n-1], "\tclosed") {
					t.Errorf("%d tokens, %q", st.minted, st.log)
				}
				tokens := slices.ContainsFunc(st.log, func(line string) bool { return strings.Contains(line, "\ttoken for") })
				if tokens != (len(st.released) == 1) {
					t.Errorf("%d leases were released: %q", len(st.released), st.log)
				}
			})
		}
	}
}

// send sends input; the returned function tells what became of it.
func (st *story) send(in live.Input) (settled func() error) {
	result := make(chan error, 2) // one more than there may be
	if err := st.session.Send(in, func(err error) { result <- err }); err != nil {
		st.t.Errorf("send: %v", err)
	}
	synctest.Wait()
	return func() error {
		switch len(result) {
		case 0:
			return errNotSettled
		case 2:
			st.t.Error("input is settled twice")
		}
		err := <-result
		result <- err
		return err
	}
}

// Started, stopped and started in one tick: only the last has anything.
func TestAStartThatIsTakenBackLeavesNothing(t *testing.T) {
	tell(t, func(last *story) {
		first := &story{t: t, began: last.began, done: make(chan error, 1), dials: make(chan *pipe, 1)}
		first.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) { return token(n), nil }
		first.session = New(first.config())
		first.session.Close() // first, as where there is one thread: what was started runs after the tick
		first.run(last.ctx)
		p := last.begin()
		if err := <-first.done; err != nil || first.dialled > 0 || first.minted > 0 {
			t.Errorf("the first: %v, %d tokens, %d sockets", err, first.minted, first.dialled)
		}
		if last.minted != 1 || last.dialled != 1 || !p.open() {
			t.Errorf("the last: %d tokens, %d sockets", last.minted, last.dialled)
		}
	})
}

// undead is a connection that goes on telling news when it is closed.
type undead struct {
	*pipe
	news []live.Message
}

func (u *undead) Receive(ctx context.Context) (live.Message, error) {
	select {
	case <-u.closing:
		if len(u.news) == 0 {
			break
		}
		m := u.news[0]
		u.news = u.news[1:]
		return m, nil
	default:
	}
	return u.pipe.Receive(ctx)
}

func TestLateNewsFromADeadSocketChangesNothing(t *testing.T) {
	late := []live.Message{
		{Handle: live.NewSecret("a handle of before")}, {GoAway: true, TimeLeft: time.Second}, {Content: true, Said: "late"}, {TurnComplete: true},
		{Calls: []live.Call{{ID: "late", Name: "f"}}}, {Cancelled: []string{"late"}}, {SetupComplete: true}, {Heard: "late"},
	}
	st := tell(t, func(st *story) {
		st.wrap = func(p *pipe) Conn { return &undead{p, slices.Clone(late)} }
		p := st.begin()
		p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
		p = st.goLive("h1")
		time.Sleep(10 * time.Second)
		p.finish(live.CloseAbnormal, "")
		st.goLive("h1")
		time.Sleep(10 * time.Second)
	})
	if told := strings.Join(append(st.log, st.truths...), "\n"); strings.Contains(told, "late") || strings.Count(told, "\tlive ") != 3 {
		t.Error(told)
	}
	if st.dialled != 3 {
		t.Error(fmt.Sprint(st.dialled, " sockets"))
	}
}
