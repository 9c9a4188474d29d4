package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// A script for a session that hangs up after a minute, and warns 3 s before. A
// number is seconds that pass, and
//
//	type  the user types       pic  a picture is sent       hum  300 ms of a room       *  the user is heard for 100 ms
//	say   the model speaks     over its turn is over        hear the service hears the user
//	usage a message without content       run, ran  a function begins and ends       stay  the application wants to go on
//	sleep an hour passes unnoticed
func TestNobodySaysAnything(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"the last seconds are counted":              {"100", "57s: 3s, 58s: 2s, 59s: 1s, 1m0s: over"},
		"typing":                                    {"40 type 56", ""},
		"typing in the last moment":                 {"59 type 56", "57s: 3s, 58s: 2s, 59s: 1s, 59s: goes on"},
		"and silence again":                         {"59 type 60", "57s: 3s, 58s: 2s, 59s: 1s, 59s: goes on, 1m56s: 3s, 1m57s: 2s, 1m58s: 1s, 1m59s: over"},
		"the application stays":                     {"58 stay 56", "57s: 3s, 58s: 2s, 58s: goes on"},
		"speech":                                    {"40 * * * 56", ""},
		"a noise is no speech":                      {"40 * * 17", "57s: 3s"},
		"a room is not, nor are pictures":           {"40 hum hum pic 17", "57s: 3s"},
		"the service hears the user":                {"40 hear 56", ""},
		"an answer":                                 {"40 say 40 over 56", ""},
		"what is no answer":                         {"40 usage 17", "57s: 3s"},
		"a function that runs":                      {"40 run 300 ran 56", ""},
		"the wait begins when a function has ended": {"40 run 300 ran 58", "6m37s: 3s, 6m38s: 2s"},
		"a sleep leaves the time of the warning":    {"40 sleep 100", "1h0m40s: 3s, 1h0m41s: 2s, 1h0m42s: 1s, 1h0m43s: over"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(idly(c.script), ", "); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.script, got, c.want)
			}
		})
	}
}

// idly runs a script and tells what was told.
func idly(script string) (told []string) {
	began := time.Unix(1000, 0)
	now, busy, over := began, false, false
	note := func(format string, args ...any) {
		told = append(told, fmt.Sprintf("%v: ", now.Sub(began))+fmt.Sprintf(format, args...))
	}
	i := idle{tell: func(e Event) {
		if e := e.(Idle); e.Ended {
			note("goes on")
		} else {
			note("%v", e.Left)
		}
	}}
	pass := func(d time.Duration) {
		for end := now.Add(d); !over; {
			var again time.Time
			if over, again = i.watch(time.Minute, 3*time.Second, busy, now); over {
				note("over")
				return
			}
			if busy {
				again = now.Add(heartbeat)
			}
			if again.After(end) {
				now = end
				return
			}
			now = again
		}
	}
	pass(0)
	for word := range strings.FieldsSeq(script) {
		switch word {
		case "type":
			i.sent(live.Input{Asks: true}, now)
		case "pic":
			i.sent(live.Input{Stream: true}, now)
		case "hum":
			i.sent(live.Input{Stream: true, Audio: 300 * time.Millisecond, Quiet: true}, now)
		case "*":
			i.sent(live.Input{Stream: true, Audio: 100 * time.Millisecond}, now)
		case "say":
			i.received(live.Message{Content: true}, now)
		case "over":
			i.received(live.Message{TurnComplete: true}, now)
		case "hear":
			i.received(live.Message{Heard: "words"}, now)
		case "usage":
			i.received(live.Message{Usage: live.Usage{Total: 1}}, now)
		case "stay":
			i.stay(now)
		case "run", "ran":
			busy = word == "run"
			pass(0)
		case "sleep":
			now = now.Add(time.Hour)
		default:
			seconds, err := time.ParseDuration(word + "s")
			if err != nil {
				panic(err)
			}
			pass(seconds)
		}
	}
	return told
}

func TestASessionInWhichNothingHappensHangsUp(t *testing.T) {
	granted := func(_ context.Context, n int, _ live.Need) (live.Token, error) {
		tok := token(n)
		tok.ExpiresIn, tok.RenewAfter, tok.Limits.Idle = 2*time.Hour, 2*time.Hour, 5*time.Minute
		return tok, nil
	}
	for name, c := range map[string]struct {
		idle  time.Duration // the application's own limit
		play  func(*story)
		after time.Duration // 0: it goes on
	}{
		"after what the grant says":       {0, func(*story) {}, 5 * time.Minute},
		"after what the application says": {2 * time.Minute, func(*story) {}, 2 * time.Minute},
		"never, if that is never":         {-1, func(*story) {}, 0},
		"a rotation is no sign of life": {0, func(st *story) {
			time.Sleep(4 * time.Minute)
			st.current.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			st.goLive("h1")
		}, 5 * time.Minute},
		"the application stays": {0, func(st *story) {
			time.Sleep(4*time.Minute + 50*time.Second)
			st.session.Stay()
		}, 9*time.Minute + 50*time.Second},
		"while a function runs it does not": {0, func(st *story) {
			st.current.messages <- live.Message{Calls: []live.Call{{ID: "c1"}}}
			time.Sleep(20 * time.Minute)
			_ = st.session.Send(live.Input{Answers: []live.Answer{{ID: "c1"}}}, func(error) {})
			st.turn(st.current, "h2")
		}, 25 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(st *story) {
				st.tokens = granted
				cfg := st.config()
				cfg.Idle = c.idle
				st.session = New(cfg)
				st.session.WithoutChance()
				st.begin()
				began := time.Now()
				c.play(st)
				select {
				case err := <-st.done:
					st.done <- err
					if after := time.Since(began); after != c.after {
						t.Errorf("it hung up after %v, want %v", after, c.after)
					}
					ended, ok := errors.AsType[*Error](err)
					if !ok || ended.Code != CodeIdle || !ended.Retryable || ended.Phase != live.PhaseLive {
						t.Errorf("it ended with %v", err)
					}
					if len(st.released) != 1 || st.current.open() {
						t.Errorf("leases %q were released, the socket is open: %t", st.released, st.current.open())
					}
				case <-time.After(time.Hour):
					if c.after != 0 {
						t.Error("it goes on")
					}
				}
				synctest.Wait()
			})
		})
	}
}

// A renewal does not make a lease longer, another lease does.
func TestTheEndOfALeaseIsToldAhead(t *testing.T) {
	var told []string
	tell(t, func(st *story) {
		st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
			tok := token(n)
			tok.Limits.Max = time.Hour
			if n == 3 {
				tok.Lease = live.NewSecret("lease-2")
			}
			return tok, nil
		}
		cfg := st.config()
		cfg.Emit = func(e Event) {
			if e, ok := e.(TokenNews); ok && !e.Opened {
				told = append(told, e.LeaseFor.String())
			}
		}
		st.session = New(cfg)
		st.session.WithoutChance()
		p := st.begin()
		for range 2 {
			time.Sleep(10 * time.Minute)
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			p = st.goLive("h1")
		}
	})
	if got := strings.Join(told, " "); got != "1h0m0s 51m0s 1h0m0s" {
		t.Errorf("leases were told to last for %s", got)
	}
}
