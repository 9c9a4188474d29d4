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

// Each story is a transcript: the times are virtual, the lines what the host
// sees and what the world is asked for.
func TestStories(t *testing.T) {
	stories := []struct {
		name string
		play func(*story)
	}{
		{"goaway rotates at the end of the turn", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.messages <- live.Message{Content: true}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			time.Sleep(10 * time.Second)
			st.turn(p, "h2")
			st.goLive("h2")
		}},
		{"goaway rotates at once when nothing is going on", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"goaway in an endless turn rotates before time is up", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Content: true}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"a rotation waits for the answer that a call is owed", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Calls: []live.Call{{ID: "c1"}}}
			p.messages <- live.Message{TurnComplete: true}
			p.messages <- live.Message{Handle: live.NewSecret("h2")}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			time.Sleep(7 * time.Second)
			_ = st.session.Send(live.Input{Answers: []live.Answer{{ID: "c1"}}}, func(error) {})
			synctest.Wait()
			st.turn(p, "h3")
			st.goLive("h3")
		}},
		{"a rotation waits until the service has taken in the answer to a call", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Calls: []live.Call{{ID: "c1"}}}
			p.messages <- live.Message{TurnComplete: true}
			p.messages <- live.Message{Handle: live.NewSecret("before the answer")}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			time.Sleep(7 * time.Second)
			_ = st.session.Send(live.Input{Answers: []live.Answer{{ID: "c1"}}}, func(error) {})
			_ = st.session.Send(live.Input{Stream: true, Audio: time.Millisecond}, func(error) {})
			time.Sleep(3 * time.Second)
			st.turn(p, "after the answer")
			st.goLive("after the answer")
		}},
		{"a rotation waits for the answer to what was asked into a turn", func(st *story) {
			p := st.begin()
			st.say("A")
			p.messages <- live.Message{Content: true}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			time.Sleep(time.Second)
			st.say("B")
			p.messages <- live.Message{Interrupted: true}
			p.messages <- live.Message{TurnComplete: true}
			p.messages <- live.Message{Handle: live.NewSecret("of A")}
			time.Sleep(3 * time.Second)
			st.turn(p, "of B")
			st.goLive("of B")
		}},
		{"a rotation waits for the end of an activity", func(st *story) {
			p := st.begin()
			_ = st.session.Send(live.Input{Body: "activityStart"}, func(error) {})
			synctest.Wait()
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			time.Sleep(3 * time.Second)
			_ = st.session.Send(live.Input{Body: "activityEnd", Asks: true}, func(error) {})
			time.Sleep(time.Second)
			st.turn(p, "h2")
			st.goLive("h2")
		}},
		{"a line in doubt is replaced at once when nothing is going on", func(st *story) {
			st.begin()
			time.Sleep(time.Minute)
			st.session.Doubt()
			st.goLive("h1")
			time.Sleep(time.Minute)
		}},
		{"a line in doubt is replaced in a turn that does not end", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Content: true}
			p.dead = true
			synctest.Wait()
			st.session.Doubt()
			st.goLive("h1")
		}},
		{"a question that nothing follows makes the line doubtful", func(st *story) {
			p := st.begin()
			p.dead = true
			st.say("A")
			p = st.goLive("h1")
			time.Sleep(time.Minute) // nor on the next, which is not doubted for it
			st.turn(p, "h2")
		}},
		{"a question that something follows does not", func(st *story) {
			p := st.begin()
			st.say("A")
			time.Sleep(5 * time.Second)
			p.messages <- live.Message{Handle: live.NewSecret("h2")}
			time.Sleep(time.Minute)
		}},
		{"a line in doubt that proves alive cuts no turn short", func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Content: true}
			synctest.Wait()
			st.session.Doubt()
			for range 30 {
				time.Sleep(time.Second)
				p.messages <- live.Message{Content: true}
			}
			st.turn(p, "h2")
			time.Sleep(time.Minute)
		}},
		{"a line in doubt is not believed for what had arrived before", func(st *story) {
			p := st.begin()
			p.dead = true
			p.messages <- live.Message{Content: true}
			synctest.Wait()
			st.session.Doubt()
			p.messages <- live.Message{Content: true}
			st.goLive("h1")
		}},
		{"a sleep of an hour is noticed, although the timers stood still", func(st *story) {
			st.begin()
			time.Sleep(63 * time.Second) // between two looks at the clock
			st.slept.Store(int64(time.Hour))
			st.goLive("h1")
			time.Sleep(time.Minute)
		}},
		{"a short sleep leaves the line as it is", func(st *story) {
			st.begin()
			time.Sleep(63 * time.Second)
			st.slept.Store(int64(25 * time.Second))
			time.Sleep(time.Minute)
		}},
		{"a sleep of half a minute is noticed while the microphone is on", func(st *story) {
			st.begin()
			speak := func(d time.Duration) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
				}
			}
			speak(10 * time.Second)
			st.slept.Store(int64(31 * time.Second))
			speak(20 * time.Millisecond)
			st.goLive("h1")
		}},
		{"a clock set forward does not outlive the issuer's word", func(st *story) {
			began := time.Now()
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				if left := 9*time.Minute - time.Since(began); need.Reason == live.ReasonRenew && left > 0 {
					return live.Token{}, &live.TokenError{Code: "too_early", Status: 409, RetryAfter: left}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(62 * time.Second)
			st.slept.Store(int64(2 * time.Hour))
			st.goLive("h1")
			st.goLive("h1") // with the renewed token, in its time
		}},
		{"a wall clock that is set back changes nothing", func(st *story) {
			st.slept.Store(int64(2 * time.Hour))
			st.begin()
			time.Sleep(time.Minute)
			st.slept.Store(0)
			time.Sleep(time.Minute)
		}},
		{"a backlog that grows for seconds means a dead line", func(st *story) {
			p := st.begin()
			for range 300 {
				p.buffered.Add(900)
				_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
				time.Sleep(20 * time.Millisecond)
			}
			st.goLive("h1")
		}},
		{"a backlog that is worked off does not", func(st *story) {
			p := st.begin()
			for i := range 1000 {
				p.buffered.Store(int64(i % 200 * 900))
				_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
				time.Sleep(20 * time.Millisecond)
			}
		}},
		{"a service that refuses what is sent again gets less of it, then ends the session", func(st *story) {
			p := st.begin()
			st.say("asked")
			_ = st.session.Send(live.Input{Stream: true, Audio: time.Second, Body: "speech"}, func(error) {})
			synctest.Wait()
			p.finish(live.CloseAbnormal, "")
			for _, want := range []struct {
				handle string
				inputs int
			}{{"h1", 2}, {"h1", 1}, {"", 1}} {
				time.Sleep(5 * time.Second)
				p = st.goLive(want.handle)
				if len(p.inputs) != want.inputs {
					st.t.Errorf("%d messages are sent again, want %d", len(p.inputs), want.inputs)
				}
				p.finish(live.CloseInvalid, "Request contains an invalid argument.")
				synctest.Wait()
			}
		}},
		{"a region that is not served ends the session, even after a replay", func(st *story) {
			p := st.begin()
			st.say("asked")
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h1")
			p.finish(live.CloseInvalid, "User location is not supported for the API use.")
			synctest.Wait()
		}},
		{"a muted microphone does not hold up a rotation", func(st *story) {
			p := st.begin()
			_ = st.session.Send(live.Input{StreamEnd: true, Body: "end"}, func(error) {})
			synctest.Wait()
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"a gateway that fails a renewal does not end a conversation", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				switch n {
				case 2:
					return live.Token{}, &live.TokenError{Code: "upstream_unavailable", Status: 502}
				case 3:
					return live.Token{}, &live.TokenError{Code: "protocol", Status: 200}
				case 4:
					return live.Token{}, &live.TokenError{Code: "internal", Status: 500}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(10*time.Minute + 30*time.Second)
		}},
		{"an issuer that knows no lease is not asked in a loop", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n > 1 {
					return live.Token{}, &live.TokenError{Code: "lease_not_found", Status: 404}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(10 * time.Minute)
		}},
		{"a handle that is refused again and again is given up", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseInternal, "Internal error encountered.")
			for {
				p = newPipe()
				st.dials <- p
				if setup := <-p.setups; setup.Handle.IsZero() {
					break
				}
				p.finish(live.CloseInternal, "Internal error encountered.")
			}
			p.messages <- live.Message{SetupComplete: true}
			synctest.Wait()
		}},
		{"a socket that the service still holds is waited for", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			for cut := time.Now(); time.Since(cut) < 50*time.Second; synctest.Wait() {
				p = newPipe()
				st.dials <- p
				<-p.setups
				p.finish(live.CloseInternal, "Internal error encountered.")
			}
			st.goLive("h1")
		}},
		{"a setup that was good is refused for its handle", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			p = newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.CloseInvalid, "Request contains an invalid argument.")
			st.goLive("")
		}},
		{"a conversation without a handle asks for new leases, not for early renewals", func(st *story) {
			st.run(context.Background())
			p := st.goLive("")
			time.Sleep(time.Minute)
			st.refuse = &live.CloseError{Code: live.CloseAbnormal}
			for range 15 {
				st.dials <- nil
			}
			p.finish(live.CloseAbnormal, "")
			st.goLive("")
		}},
		{"a renewal that comes late serves what it is still good for", func(st *story) {
			answer := make(chan bool)
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				tok := token(n)
				if n == 2 {
					<-answer
					tok.NewSessionExpiresIn = time.Second
				}
				return tok, nil
			}
			p := st.begin()
			time.Sleep(9*time.Minute + time.Second)
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h1")
			p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
			time.Sleep(time.Second) // it waits for the renewal, which is not what it needs now
			close(answer)
			st.goLive("")
		}},
		{"a start is given up in its time, whatever it waits for", func(st *story) {
			st.tokens = func(ctx context.Context, n int, _ live.Need) (live.Token, error) {
				time.Sleep(14 * time.Second)
				return live.Token{}, &live.TokenError{Code: "upstream_unavailable", Status: 503, RetryAfter: time.Second}
			}
			st.run(context.Background())
			time.Sleep(time.Minute)
		}},
		{"a setup that is no JSON ends the session before it is tried again", func(st *story) {
			st.run(context.Background())
			p := newPipe()
			p.badSetup = true
			st.dials <- p
			synctest.Wait()
		}},
		{"waking up does not shorten a wait that the issuer asked for", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n == 1 {
					return live.Token{}, &live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: 10 * time.Second}
				}
				return token(n), nil
			}
			st.session.Wake()
			st.run(context.Background())
			time.Sleep(time.Second)
			st.session.Wake()
			st.goLive("")
		}},
		{"an issuer that wants us back in an hour is taken at its word", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n > 1 {
					return live.Token{}, &live.TokenError{Code: "budget_exhausted", Status: 429, RetryAfter: time.Hour}
				}
				return token(n), nil
			}
			st.run(context.Background())
			p := st.goLive("")
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			synctest.Wait()
		}},
		{"a cut resumes at once", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			st.goLive("h1")
		}},
		{"a cut before any handle starts anew and says so", func(st *story) {
			st.run(context.Background())
			p := st.goLive("")
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			st.goLive("")
		}},
		{"an expired token is replaced and the handle kept", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseInternal, "auth token has expired")
			st.goLive("h1")
		}},
		{"a token is renewed ahead and the connection changed before it expires", func(st *story) {
			st.begin()
			st.goLive("h1")
		}},
		{"a renewed token waits for the rotation that happens anyway", func(st *story) {
			p := st.begin()
			time.Sleep(9*time.Minute + 30*time.Second)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"renewal refused for good ends the session", func(st *story) {
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				if need.Reason == live.ReasonRenew {
					return live.Token{}, &live.TokenError{Code: "revoked", Status: 403}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(10 * time.Minute)
		}},
		{"renewal that fails for now is tried again while the token lasts", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n == 2 || n == 3 {
					return live.Token{}, &live.TokenError{Code: "upstream_unavailable", Status: 503, RetryAfter: time.Duration(n-2) * time.Minute}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(10*time.Minute + 50*time.Second)
		}},
		{"a lease that is gone is replaced and the handle kept", func(st *story) {
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				if need.Reason == live.ReasonRenew {
					return live.Token{}, &live.TokenError{Code: "lease_ended", Status: 409}
				}
				return token(n), nil
			}
			p := st.begin()
			time.Sleep(10 * time.Minute)
			p.finish(live.CloseAbnormal, "")
			st.goLive("h1")
		}},
		{"a full lock asks for a token with the handle for every connection", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				tok := token(n)
				tok.Lock = live.LockFull
				return tok, nil
			}
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			st.goLive("h1")
		}},
		{"a full lock has its token minted before the connection is changed", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				time.Sleep(400 * time.Millisecond)
				tok := token(n)
				tok.Lock = live.LockFull
				return tok, nil
			}
			p := st.begin()
			time.Sleep(time.Minute)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"a full lock has a newer handle minted, at most twice", func(st *story) {
			var p *pipe
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				time.Sleep(200 * time.Millisecond)
				if n > 1 && n < 5 {
					p.messages <- live.Message{Handle: live.NewSecret(fmt.Sprint("h", n))}
				}
				time.Sleep(200 * time.Millisecond)
				tok := token(n)
				tok.Lock = live.LockFull
				return tok, nil
			}
			p = st.begin()
			time.Sleep(time.Minute)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h4")
		}},
		{"a full lock that gets no token keeps the connection while it lasts", func(st *story) {
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				if n > 1 && n < 4 {
					return live.Token{}, &live.TokenError{Code: "upstream_unavailable", Status: 503, RetryAfter: 10 * time.Second}
				}
				tok := token(n)
				tok.Lock = live.LockFull
				return tok, nil
			}
			p := st.begin()
			time.Sleep(time.Minute)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"a token that will not last is replaced before the connection is changed", func(st *story) {
			st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
				if n == 2 {
					return live.Token{}, &live.TokenError{Code: "upstream_unavailable", Status: 503, RetryAfter: 2*time.Minute + 53*time.Second}
				}
				time.Sleep(400 * time.Millisecond)
				return token(n), nil
			}
			p := st.begin()
			time.Sleep(11*time.Minute + 50*time.Second)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"a dead handle means a new session", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			p = newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
			st.goLive("")
		}},
		{"quota ends the session at once", func(st *story) {
			p := st.begin()
			p.finish(live.CloseInternal, "You exceeded your current quota, please check your plan")
			synctest.Wait()
		}},
		{"a setup that is refused ends the session at once", func(st *story) {
			st.run(context.Background())
			p := newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.CloseInvalid, "Request contains an invalid argument.")
			synctest.Wait()
		}},
		{"a setup that is never answered times out", func(st *story) {
			st.run(context.Background())
			for range 3 {
				st.dials <- newPipe()
			}
			time.Sleep(time.Minute)
		}},
		{"a dial that never ends times out", func(st *story) {
			st.run(context.Background())
			time.Sleep(time.Minute)
		}},
		{"an issuer that never answers times out", func(st *story) {
			st.tokens = func(ctx context.Context, _ int, _ live.Need) (live.Token, error) {
				<-ctx.Done()
				return live.Token{}, ctx.Err()
			}
			st.run(context.Background())
			time.Sleep(time.Minute)
		}},
		{"an issuer that sheds load is asked again when it says", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n == 1 {
					return live.Token{}, &live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: 7 * time.Second}
				}
				return token(n), nil
			}
			st.run(context.Background())
			st.goLive("")
		}},
		{"a line that stays dead is given up in the end", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			st.refuse = &live.CloseError{Code: live.CloseAbnormal}
			for range 100 {
				st.dials <- nil
			}
			p.finish(live.CloseAbnormal, "")
			time.Sleep(10 * time.Minute)
		}},
		{"an old socket that does not close is given up after a second", func(st *story) {
			p := st.begin()
			p.dead = true
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}},
		{"waking up ends the wait for a retry", func(st *story) {
			p := st.begin()
			time.Sleep(time.Minute)
			st.refuse = &live.CloseError{Code: live.CloseAbnormal}
			for range 9 {
				st.dials <- nil
			}
			p.finish(live.CloseAbnormal, "")
			time.Sleep(25 * time.Second)
			st.session.Wake()
			st.goLive("h1")
		}},
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			tell(t, s.play).golden(t, strings.ReplaceAll(s.name, " ", "-"))
		})
	}
}

func TestInputWaitsInOrderWhileThereIsNoConnection(t *testing.T) {
	tell(t, func(st *story) {
		early := st.say("before the token")
		st.run(context.Background())
		p := newPipe()
		st.dials <- p
		<-p.setups
		setup := st.say("before setupComplete")
		if len(p.inputs) != 0 {
			t.Error("input was sent before setupComplete")
		}
		p.messages <- live.Message{SetupComplete: true}
		synctest.Wait()
		if early() != nil || setup() != nil {
			t.Errorf("settled with %v, %v", early(), setup())
		}
		st.turn(p, "h1") // one for each question
		st.turn(p, "h2")
		p.finish(live.CloseAbnormal, "")
		synctest.Wait()
		gap := st.say("in the gap")
		if gap() == nil {
			t.Error("input settled while there was no connection")
		}
		next := st.goLive("h2")
		after := st.say("after")
		if gap() != nil || after() != nil {
			t.Errorf("settled with %v, %v", gap(), after())
		}
		var got []string
		for _, p := range []*pipe{p, next} {
			for len(p.inputs) > 0 {
				got = append(got, (<-p.inputs).Body.(string))
			}
		}
		if want := "before the token, before setupComplete, in the gap, after"; strings.Join(got, ", ") != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

func TestSoundBeyondTheRingGivesWayAndIsCounted(t *testing.T) {
	st := tell(t, func(st *story) {
		p := st.begin()
		p.finish(live.CloseAbnormal, "")
		synctest.Wait()
		var dropped, sent atomic.Int64
		for i := range 600 { // 12 s
			_ = st.session.Send(live.Input{Audio: 20 * time.Millisecond, Body: i}, func(err error) {
				if errors.Is(err, ErrDropped) {
					dropped.Add(1)
				} else if err == nil {
					sent.Add(1)
				}
			})
		}
		next := st.goLive("h1")
		if dropped.Load() != 100 || sent.Load() != 500 {
			t.Errorf("%d dropped and %d sent, want the oldest 100 and the newest 500", dropped.Load(), sent.Load())
		}
		if first := (<-next.inputs).Body; first != 100 {
			t.Errorf("first frame sent is %v, want 100", first)
		}
	})
	if log := strings.Join(st.log, "\n"); !strings.Contains(log, "dropped 2s") || !strings.Contains(log, "lost 2s") {
		t.Errorf("the loss is not reported:\n%s", log)
	}
}

func TestSoundLostEarlierIsNotLostByACut(t *testing.T) {
	st := tell(t, func(st *story) {
		for range 600 {
			_ = st.session.Send(live.Input{Audio: 20 * time.Millisecond}, func(error) {})
		}
		p := st.begin()
		time.Sleep(time.Minute)
		p.finish(live.CloseAbnormal, "")
		st.goLive("h1")
	})
	if log := strings.Join(st.log, "\n"); !strings.Contains(log, "dropped 2s") || !strings.Contains(log, "gap 0s, lost 0s") {
		t.Errorf("the loss is reported wrongly:\n%s", log)
	}
}

func TestInputThatCannotBeWrittenIsRefusedAloneAndAFullSocketHoldsBackTheRest(t *testing.T) {
	tell(t, func(st *story) {
		st.run(context.Background())
		p := st.goLive("")
		bad, good := st.say("cannot be encoded"), st.say("good")
		if bad() == nil || good() != nil {
			t.Errorf("settled with %v and %v", bad(), good())
		}
		p.buffered.Store(highWater + 1)
		held := st.say("held")
		if held() == nil {
			t.Error("input went into a full socket")
		}
		p.buffered.Store(0)
		time.Sleep(drainPoll)
		synctest.Wait()
		if held() != nil {
			t.Errorf("settled with %v after the socket drained", held())
		}
	})
}

// Stopping must leave nothing behind, wherever the session happens to wait: the
// bubble fails if a goroutine stays.
func TestEveryLeaseIsReleasedThatIsNotInUseAnyMore(t *testing.T) {
	st := tell(t, func(st *story) {
		st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
			tok := token(n)
			tok.Lease = live.NewSecret(fmt.Sprint("lease-", n))
			return tok, nil
		}
		st.run(context.Background())
		p := st.goLive("")
		p.finish(live.CloseAbnormal, "") // before any handle: a new session, a new lease
		st.goLive("")
	})
	if got := strings.Join(st.released, " "); got != "lease-1 lease-2" {
		t.Errorf("released %q", got)
	}
}

func TestALeaseThatArrivesAfterTheEndIsReleased(t *testing.T) {
	st := tell(t, func(st *story) {
		st.tokens = func(context.Context, int, live.Need) (live.Token, error) {
			time.Sleep(time.Second) // does not look at its context
			return token(1), nil
		}
		st.run(context.Background())
		synctest.Wait()
		st.session.Close()
		time.Sleep(2 * time.Second)
	})
	if len(st.released) != 1 {
		t.Errorf("released %q, want the one lease", st.released)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	tell(t, func(st *story) {
		cause := errors.New("the program ends")
		ctx, cancel := context.WithCancelCause(context.Background())
		st.run(ctx)
		st.goLive("")
		cancel(cause)
		if err := <-st.done; !errors.Is(err, cause) {
			t.Errorf("Run returned %v, want the context's cause", err)
		}
		st.done <- nil
	})
}

func TestConnectionsThatEndAtTheirStartDoNotMakeTheSessionSpin(t *testing.T) {
	st := tell(t, func(st *story) {
		p := st.begin()
		for time.Since(st.began) < time.Minute {
			p.messages <- live.Message{GoAway: true}
			p = newPipe()
			st.dials <- p
			<-p.setups
			p.messages <- live.Message{SetupComplete: true}
			synctest.Wait()
		}
	})
	if st.dialled > 20 {
		t.Errorf("%d dials in a minute", st.dialled)
	}
}

func TestARenewalIsNeverAskedForBeforeTheIssuerAllowsIt(t *testing.T) {
	var answered time.Time
	tell(t, func(st *story) {
		st.tokens = func(_ context.Context, n int, need live.Need) (live.Token, error) {
			if need.Reason == live.ReasonRenew && time.Since(answered) < token(n).RenewAfter {
				t.Errorf("renewal asked for %v after the answer", time.Since(answered))
			}
			time.Sleep(2 * time.Second) // on its way here
			answered = time.Now()
			time.Sleep(2 * time.Second) // and back
			return token(n), nil
		}
		st.begin()
		time.Sleep(10 * time.Minute)
	})
}

func TestNoSecretLeavesInAnError(t *testing.T) {
	st := tell(t, func(st *story) {
		st.run(context.Background())
		p := st.goLive("")
		st.turn(p, "h1-secret")
		p.finish(live.CloseInvalid, "bad: auth_tokens/1 and h1-secret and lease-1")
		synctest.Wait()
	})
	log := strings.Join(st.log, "\n")
	if !strings.Contains(log, "bad: ") || strings.Contains(log, "auth_tokens/1") || strings.Contains(log, "h1-secret") {
		t.Errorf("transcript shows a secret:\n%s", log)
	}
}

// The service was seen to end an interrupted turn in any order.
func TestATurnMayEndInAnyOrder(t *testing.T) {
	ends := map[string]live.Message{
		"interrupted":        {Interrupted: true},
		"generationComplete": {GenerationComplete: true},
		"turnComplete":       {TurnComplete: true},
	}
	for _, order := range []string{
		"interrupted generationComplete turnComplete", "interrupted turnComplete generationComplete",
		"generationComplete interrupted turnComplete", "generationComplete turnComplete interrupted",
		"turnComplete interrupted generationComplete", "turnComplete generationComplete interrupted",
	} {
		t.Run(order, func(t *testing.T) {
			st := tell(t, func(st *story) {
				p := st.begin()
				st.say("A")
				p.messages <- live.Message{Content: true, Said: "so"}
				for _, end := range strings.Fields(order) {
					time.Sleep(100 * time.Millisecond)
					p.messages <- ends[end]
				}
				p.messages <- live.Message{Handle: live.NewSecret("h2")}
				time.Sleep(20 * time.Second)
				asked := time.Now()
				p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
				p = st.goLive("h2")
				if waited := time.Since(asked); waited > pause || len(p.inputs) > 0 {
					t.Errorf("the connection is changed after %v, and %d messages are sent again", waited, len(p.inputs))
				}
			})
			if got, want := strings.Join(st.truths, ", "), "model 1 so"; !strings.HasPrefix(got, "0s "+want) || strings.Contains(got, "stalled") || strings.Count(got, "model 1") != 2 {
				t.Errorf("told: %s", got)
			}
		})
	}
}

// A page may be shown and hidden, and a network come and go, as often as they
// like.
func TestWakingUpDoesNotBuyMoreSockets(t *testing.T) {
	st := tell(t, func(st *story) {
		p := st.begin()
		st.refuse = &live.CloseError{Code: live.CloseAbnormal}
		close(st.dials)
		p.finish(live.CloseAbnormal, "")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			st.session.Doubt()
		}
	})
	if st.dialled < 25 || st.dialled > 31 { // with the one that is cut
		t.Errorf("%d dials in a minute, want nearly 30", st.dialled)
	}
}

func TestASocketIsNeverDialledMoreThanTheBackOffAllows(t *testing.T) {
	st := tell(t, func(st *story) {
		st.run(context.Background())
		p := st.goLive("")
		st.turn(p, "h0")
		for i := 1; i < 200; i++ { // every connection dies as soon as it is live
			p.finish(live.CloseInternal, "Internal error encountered.")
			p = newPipe()
			st.dials <- p
			select {
			case <-p.setups:
			case <-st.done:
				st.done <- nil
				return
			}
			p.messages <- live.Message{SetupComplete: true}
			st.turn(p, fmt.Sprint("h", i))
		}
		t.Error("the session never gave up")
	})
	if minutes := int(maxTrouble/time.Minute) + 1; st.dialled > minutes*15 {
		t.Errorf("%d dials in %d minutes", st.dialled, minutes)
	}
}

// What a cut leaves in doubt is said again on the next connection, in order.
func TestWhatNoHandleHoldsIsSentAgain(t *testing.T) {
	frame := func(name string, quiet bool) live.Input {
		return live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: quiet, Body: name}
	}
	st := tell(t, func(st *story) {
		p := st.begin()
		st.say("taken in")
		st.turn(p, "h2")
		again := st.say("asked into the cut")
		for _, in := range []live.Input{frame("silence", true), frame("speech", false), frame("a pause", true), {Body: "end"}} {
			if err := st.session.Send(in, func(error) {}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := again(); err != nil {
			t.Errorf("a message that a socket took is settled with %v", err)
		}
		p.finish(live.CloseAbnormal, "")
		next := st.goLive("h2")
		var got []string
		for len(next.inputs) > 0 {
			got = append(got, (<-next.inputs).Body.(string))
		}
		if want := "asked into the cut, speech, a pause, end"; strings.Join(got, ", ") != want {
			t.Errorf("the next connection is sent %q, want %q", got, want)
		}
	})
	if log := strings.Join(st.log, "\n"); !strings.Contains(log, "replayed 4, uncertain 0") {
		t.Errorf("the receipt does not say so:\n%s", log)
	}
}

// Speech that was sent again ends where the microphone is off, or the service
// would wait for more.
func TestSpeechSentAgainIsEndedWhereNoneFollows(t *testing.T) {
	for name, c := range map[string]struct {
		follows bool
		manual  bool
		want    string
	}{
		"the microphone is off":        {false, false, "speech, audioStreamEnd"},
		"the microphone is on":         {true, false, "speech, live"},
		"the application marks speech": {false, true, "speech"},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(st *story) {
				st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
					tok := token(n)
					tok.Limits.ManualActivity = c.manual
					return tok, nil
				}
				p := st.begin()
				_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Body: "speech"}, func(error) {})
				synctest.Wait()
				p.finish(live.CloseAbnormal, "")
				next := st.goLive("h1")
				if c.follows {
					_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true, Body: "live"}, func(error) {})
				}
				time.Sleep(time.Minute)
				var got []string
				for len(next.inputs) > 0 {
					got = append(got, (<-next.inputs).Body.(string))
				}
				if strings.Join(got, ", ") != c.want {
					t.Errorf("it is sent %q, want %q", got, c.want)
				}
			})
		})
	}
}

// The model forgets a call over a cut and, asked again, makes it again.
func TestACallMadeAgainAfterACutGetsTheAnswerToTheFirst(t *testing.T) {
	st := tell(t, func(st *story) {
		p := st.begin()
		st.say("what time is it?")
		p.messages <- live.Message{Calls: []live.Call{{ID: "c1", Name: "clock", Args: "{}"}}}
		synctest.Wait()
		p.finish(live.CloseAbnormal, "")
		next := st.goLive("h1")
		if again := <-next.inputs; again.Body != "what time is it?" {
			t.Errorf("the question is not asked again, but %v", again)
		}
		settled := make(chan error, 1)
		err := st.session.Send(live.Input{Body: "noon", Answers: []live.Answer{{ID: "c1"}}}, func(err error) { settled <- err })
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(next.inputs) > 0 {
			t.Errorf("%v goes to a session that knows no call", <-next.inputs)
		}
		next.messages <- live.Message{Body: "calls", Calls: []live.Call{{ID: "c2", Name: "clock", Args: "{}"}}}
		if in := <-next.inputs; in.Body != "noon as c2" {
			t.Errorf("the call is answered with %v", in)
		}
		if err := <-settled; err != nil {
			t.Errorf("the answer is settled with %v", err)
		}
	})
	log := strings.Join(st.log, "\n")
	for _, want := range []string{"call c1 called\n", "replayed 1, uncertain 0", "call c1 called again\n", "call c1 answered\n"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("the transcript does not say %q once:\n%s", want, log)
		}
	}
}

// A rotation does not cut off somebody who speaks.
func TestARotationWaitsForAPauseInSpeech(t *testing.T) {
	tell(t, func(st *story) {
		p := st.begin()
		p2 := make(chan *pipe)
		go func() { p2 <- st.goLive("h1") }()
		speech := time.NewTicker(20 * time.Millisecond)
		defer speech.Stop()
		for i := range 500 {
			<-speech.C
			if i == 100 {
				p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			}
			if err := st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond}, func(error) {}); err != nil {
				t.Fatal(err)
			}
		}
		ended := time.Now()
		synctest.Wait()
		if !p.open() {
			t.Error("somebody who speaks was cut off")
		}
		<-p2
		if took := time.Since(ended); took != pause {
			t.Errorf("the rotation comes %v after the last word, want %v", took, pause)
		}
	})
}

func TestATokenThatGrewOldWhileTheMachineSleptIsAskedForAgain(t *testing.T) {
	st := tell(t, func(st *story) {
		st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
			if n == 2 {
				st.slept.Add(int64(2 * time.Minute)) // it starts a session for a minute
			}
			return token(n), nil
		}
		st.run(context.Background())
		st.goLive("").finish(live.CloseAbnormal, "") // before any handle: a new session
		synctest.Wait()
		select {
		case <-st.done:
			t.Error("the session has ended")
			st.done <- nil
		default:
			st.goLive("")
		}
	})
	if st.minted != 3 || st.dialled != 2 {
		t.Errorf("%d tokens, %d sockets: %q", st.minted, st.dialled, st.log)
	}
}

func TestAMessageTakesLongerWhenTheMachineSleeps(t *testing.T) {
	tell(t, func(st *story) {
		p := st.begin()
		st.say("A")
		st.say("B") // is on its way when the turn begins that it interrupts
		st.slept.Add(int64(2 * time.Minute))
		p.messages <- live.Message{Content: true}
		p.messages <- live.Message{Interrupted: true}
		p.messages <- live.Message{TurnComplete: true, Handle: live.NewSecret("h2")}
		synctest.Wait()
		p.finish(live.CloseAbnormal, "")
		p = st.goLive("h2")
		if n := len(p.inputs); n != 1 || (<-p.inputs).Body != "B" {
			t.Errorf("%d messages are sent again, want B", n)
		}
	})
}

// What a new session is told of the past is nowhere else: a handle from before
// that would lose it.
func TestAHandleOfBeforeThePastWasToldIsNotUsed(t *testing.T) {
	for after, handle := range map[time.Duration]string{0: "", takenIn: "h2"} {
		t.Run(fmt.Sprint("given after ", after), func(t *testing.T) {
			tell(t, func(st *story) {
				p := st.begin()
				if err := st.session.Send(live.Input{Asks: true, Body: "A", Lines: []live.Line{{Text: "A"}}}, func(error) {}); err != nil {
					t.Fatal(err)
				}
				st.turn(p, "h1")
				p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
				p = st.goLive("")
				time.Sleep(after)
				p.messages <- live.Message{Handle: live.NewSecret("h2")}
				synctest.Wait()
				p.finish(live.CloseAbnormal, "")
				st.goLive(handle)
			})
		})
	}
}
