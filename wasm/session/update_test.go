package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// allow has the issuer leave fields of the setup to the client.
func (st *story) allow(fields ...string) {
	st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
		tok := token(n)
		tok.Allow = fields
		return tok, nil
	}
}

// change asks for an update; the returned function tells what became of it.
func (st *story) change(body string, fields ...string) (settled func() error) {
	var result atomic.Value
	result.Store([]error{errNotSettled})
	if err := st.session.Update(live.Update{Fields: fields, Body: body}, func(err error) { result.Store([]error{err}) }); err != nil {
		st.t.Errorf("update %q: %v", body, err)
	}
	synctest.Wait()
	return func() error { synctest.Wait(); return result.Load().([]error)[0] }
}

// connects gives the next dial a pipe and checks what it is set up with.
func (st *story) connects(handle, body string) *pipe {
	st.t.Helper()
	p := newPipe()
	st.dials <- p
	setup := <-p.setups
	if setup.Handle.Reveal() != handle || setup.Body != body {
		st.t.Errorf("connects with handle %q and %q, want %q and %q", setup.Handle.Reveal(), setup.Body, handle, body)
	}
	return p
}

func (p *pipe) accept() {
	p.messages <- live.Message{SetupComplete: true}
	synctest.Wait()
}

func TestAnUpdateIsAppliedAtTheNextQuietMoment(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		p := st.begin()
		p.messages <- live.Message{Content: true}
		synctest.Wait()
		settled := st.change("f", "tools")
		time.Sleep(time.Minute)
		if !p.open() {
			t.Error("the update cuts a turn short")
		}
		st.turn(p, "h2")
		p = st.connects("h2", "the setup with f")
		if err := settled(); err != errNotSettled {
			t.Errorf("before the connection is live the update is settled with %v", err)
		}
		p.accept()
		if err := settled(); err != nil {
			t.Errorf("the update is settled with %v", err)
		}
		time.Sleep(time.Minute)
		if !p.open() {
			t.Error("it is applied twice")
		}
		st.turn(p, "h3")
		p.finish(live.CloseAbnormal, "")
		st.connects("h3", "the setup with f").accept()
	})
}

func TestUpdatesThatWaitAreAppliedTogether(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools", "systemInstruction")
		p := st.begin()
		p.messages <- live.Message{Content: true}
		synctest.Wait()
		first, second := st.change("f", "tools"), st.change("g", "systemInstruction", "tools")
		st.turn(p, "h2")
		p = st.connects("h2", "the setup with f with g")
		third := st.change("h", "tools") // while it connects
		p.accept()
		if err := errors.Join(first(), second()); err != nil {
			t.Errorf("settled with %v", err)
		}
		if err := third(); err != errNotSettled {
			t.Errorf("what came later is settled with %v", err)
		}
		st.connects("h2", "the setup with f with g with h").accept()
		if err := third(); err != nil {
			t.Errorf("settled with %v", err)
		}
	})
}

func TestAnUpdateIsAppliedByWhateverConnectionIsNext(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		p := st.begin()
		p.messages <- live.Message{Content: true}
		synctest.Wait()
		settled := st.change("f", "tools")
		p.finish(live.CloseAbnormal, "")
		st.connects("h1", "the setup with f").accept()
		if err := settled(); err != nil {
			t.Errorf("settled with %v", err)
		}
	})
}

func TestAnUpdateBeforeAnythingIsSaidWaitsForNothing(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		st.run(context.Background())
		st.goLive("")
		settled := st.change("f", "tools")
		st.connects("", "the setup with f").accept()
		if err := settled(); err != nil || time.Since(st.began) > time.Second {
			t.Errorf("settled with %v after %v:\n%s", err, time.Since(st.began), strings.Join(st.log, "\n"))
		}
	})
}

func TestAnUpdateThatTheTokenDoesNotAllowIsLocked(t *testing.T) {
	for _, tt := range []struct {
		lock   string
		allow  []string
		fields []string
		want   error
	}{
		{live.LockNone, nil, []string{"systemInstruction", "tools"}, nil},
		{live.LockMasked, nil, []string{"tools"}, ErrLocked},
		{live.LockMasked, []string{"tools"}, []string{"tools"}, nil},
		{live.LockMasked, []string{"tools"}, []string{"systemInstruction", "tools"}, ErrLocked},
		{live.LockFull, []string{"tools"}, []string{"tools"}, ErrLocked},
		{"", []string{"tools"}, []string{"tools"}, ErrLocked}, // nobody said
		{"half", []string{"tools"}, []string{"tools"}, ErrLocked},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			tell(t, func(st *story) {
				st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
					tok := token(n)
					tok.Lock, tok.Allow = tt.lock, tt.allow
					return tok, nil
				}
				st.begin()
				settled := st.change("f", tt.fields...)
				if tt.want == nil {
					st.connects("h1", "the setup with f").accept()
				}
				if err := settled(); err != tt.want {
					t.Errorf("settled with %v, want %v", err, tt.want)
				}
				if !st.current.open() {
					t.Error("the connection is gone")
				}
			})
		})
	}
}

// A mistake in a tool must not end a conversation.
func TestASetupThatIsRefusedGivesWayToTheOneBefore(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		st.begin()
		settled := st.change("nonsense", "tools")
		p := st.connects("h1", "the setup with nonsense")
		p.finish(live.CloseInvalid, "Request contains an invalid argument.")
		st.connects("h1", "the setup").accept()
		refused, ok := errors.AsType[*Error](settled())
		if !ok || refused.Code != CodeConfig || refused.CloseCode != live.CloseInvalid || refused.Retryable {
			t.Errorf("settled with %v", settled())
		}
		better := st.change("f", "tools")
		st.connects("h1", "the setup with f").accept()
		if err := better(); err != nil {
			t.Errorf("settled with %v", err)
		}
	})
}

func TestADeadHandleDoesNotRefuseAnUpdate(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		st.begin()
		settled := st.change("f", "tools")
		p := st.connects("h1", "the setup with f")
		p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
		st.connects("", "the setup with f").accept()
		if err := settled(); err != nil {
			t.Errorf("settled with %v", err)
		}
	})
}

func TestAnUpdateEndsWithTheSession(t *testing.T) {
	tell(t, func(st *story) {
		st.allow("tools")
		p := st.begin()
		p.messages <- live.Message{Content: true}
		synctest.Wait()
		settled := st.change("f", "tools")
		st.session.Close()
		err := <-st.done
		st.done <- err
		if err := settled(); !errors.Is(err, ErrClosed) {
			t.Errorf("settled with %v", err)
		}
		if err := st.session.Update(live.Update{Fields: []string{"tools"}}, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("afterwards an update gets %v", err)
		}
	})
}
