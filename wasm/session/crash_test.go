package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// brittle is a connection one of whose methods panics.
type brittle struct {
	*pipe
	method string
}

func (b brittle) breaks(method string) {
	if b.method == method {
		panic("said in confidence")
	}
}

func (b brittle) Setup(s live.Setup) error { b.breaks("Setup"); return b.pipe.Setup(s) }
func (b brittle) Send(in live.Input) error { b.breaks("Send"); return b.pipe.Send(in) }
func (b brittle) Buffered() int            { b.breaks("Buffered"); return b.pipe.Buffered() }
func (b brittle) Close(ctx context.Context) {
	b.pipe.Close(ctx)
	b.breaks("Close")
}
func (b brittle) Receive(ctx context.Context) (live.Message, error) {
	m, err := b.pipe.Receive(ctx)
	if m.GoAway {
		b.breaks("Receive")
	}
	return m, err
}

// Wherever it happens, a panic ends the conversation and nothing outlives it: the
// socket is closed, the lease released, all input settled, the end told once.
// Goroutines that stayed would keep the bubble from its end.
func TestAPanicIsAnEndThatLeavesNothingBehind(t *testing.T) {
	over := func(conn string) func(*story) {
		return func(st *story) {
			dial := st.session.cfg.Dial
			st.session.cfg.Dial = func(ctx context.Context, tok live.Token) (Conn, error) {
				c, err := dial(ctx, tok)
				return brittle{c.(*pipe), conn}, err
			}
			p := newPipe()
			st.dials <- p
			st.run(context.Background())
			p.messages <- live.Message{SetupComplete: true}
			p.messages <- live.Message{GoAway: true, TimeLeft: time.Hour}
		}
	}
	on := func(breaks func(Event) bool, play func(*story)) func(*story) {
		return func(st *story) {
			emit := st.session.cfg.Emit
			st.session.cfg.Emit = func(e Event) {
				if emit(e); breaks(e) {
					panic("said in confidence")
				}
			}
			play(st)
		}
	}
	begin := func(st *story) { st.begin() }
	tests := []struct {
		name  string
		play  func(*story)
		phase live.Phase
	}{
		{"in the token source", func(st *story) {
			st.tokens = func(context.Context, int, live.Need) (live.Token, error) { panic("said in confidence") }
			st.run(context.Background())
		}, live.PhaseToken},
		{"in the token source, while it renews", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n > 1 {
					panic("said in confidence")
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(10 * time.Minute)
		}, live.PhaseLive},
		{"in a renewal that an attempt does not wait for", func(st *story) {
			st.tokens = func(ctx context.Context, n int, _ live.Need) (live.Token, error) {
				if n == 2 {
					time.Sleep(10 * time.Second)
					panic("said in confidence")
				}
				return token(n), nil
			}
			p := st.begin()
			time.Sleep(9*time.Minute + time.Second)
			p.finish(live.CloseInternal, "Token has expired")
			time.Sleep(time.Minute)
		}, live.PhaseToken},
		{"in Dial", func(st *story) {
			st.session.cfg.Dial = func(context.Context, live.Token) (Conn, error) { panic("said in confidence") }
			st.run(context.Background())
		}, live.PhaseDial},
		{"in the socket's Setup", over("Setup"), live.PhaseSetup},
		{"in the socket's Receive", over("Receive"), live.PhaseLive},
		{"in the socket's Buffered", over("Buffered"), live.PhaseLive},
		{"in the socket's Close", func(st *story) {
			over("Close")(st)
			synctest.Wait()
			st.current.finish(live.CloseAbnormal, "")
		}, live.PhaseLive},
		{"in the socket's Send", over("Send"), live.PhaseLive},
		{"in the host, as it hears of a state", on(func(e Event) bool { s, ok := e.(Status); return ok && s.State == StateLive }, begin), live.PhaseLive},
		{"in the host, whatever it hears", on(func(Event) bool { return true }, func(st *story) { st.run(context.Background()) }), ""},
		{"in the host, as it hears of the end", on(func(e Event) bool { _, ok := e.(Closed); return ok }, func(st *story) {
			st.begin()
			st.session.Close()
		}), ""},
		{"in what is told that input was sent", func(st *story) {
			st.begin()
			_ = st.session.Send(live.Input{}, func(err error) {
				if err == nil {
					panic("said in confidence")
				}
			})
		}, live.PhaseLive},
		{"in what lets go of the lease", func(st *story) {
			st.session.purse.release = func(tok live.Token) {
				st.released = append(st.released, tok.Lease.Reveal())
				panic("said in confidence")
			}
			st.begin()
			st.session.Close()
		}, live.PhaseLive},
		{"elsewhere, while it is live", func(st *story) {
			st.begin()
			st.session.Crash(&live.Panic{Type: "string"})
		}, live.PhaseLive},
		{"elsewhere, while it waits", func(st *story) {
			p := st.begin()
			st.refuse = &live.CloseError{Code: live.CloseAbnormal}
			st.dials <- nil
			p.finish(live.CloseAbnormal, "")
			time.Sleep(100 * time.Millisecond)
			st.session.Crash(&live.Panic{Type: "string"})
		}, live.PhaseDial},
		{"elsewhere, before it runs", func(st *story) {
			st.session.Crash(&live.Panic{Type: "string"})
			st.run(context.Background())
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tell(t, func(st *story) {
				settled := 0
				if err := st.session.Send(live.Input{Stream: true, Audio: time.Millisecond}, func(error) { settled++ }); err != nil {
					t.Fatal(err)
				}
				tt.play(st)
				err := <-st.done
				st.done <- err

				if p, ok := errors.AsType[*live.Panic](err); !ok || p.Type != "string" {
					t.Errorf("Run returned %v", err)
				}
				ended, _ := errors.AsType[*Error](err)
				if tt.phase != "" && (ended == nil || ended.Code != CodeCrashed || ended.Phase != tt.phase || !ended.Retryable) {
					t.Errorf("Run returned %v, want a crash in phase %s", err, tt.phase)
				}
				if settled != 1 {
					t.Errorf("input was settled %d times", settled)
				}
				if st.current != nil && st.current.open() {
					t.Error("a socket stays open")
				}
				if got := st.session.purse.now; got != nil && !slices.Equal(st.released, []string{"lease-1"}) {
					t.Errorf("released %q", st.released)
				}
				if err := st.session.Send(live.Input{}, nil); !errors.Is(err, ErrClosed) {
					t.Errorf("afterwards input gets %v", err)
				}
				told := strings.Join(st.log, "\n")
				if strings.Contains(told+err.Error(), "confidence") {
					t.Errorf("the panic's value is told: %s", told)
				}
				if crashes := strings.Count(told, "\tcrashed: panic of type string"); crashes > 1 || tt.phase != "" && crashes != 1 || strings.Count(told, "\tclosed") != 2 {
					t.Errorf("the end is told as\n%s", told)
				}
			})
		})
	}
}
