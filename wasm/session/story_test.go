package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// What users of other clients suffered from, as it goes here. Beside what the host
// sees, these transcripts tell what the service hears.
func TestStoriesThatUsersTold(t *testing.T) {
	for _, s := range []struct {
		name string
		play func(*story)
	}{
		{"half an hour of connections of ten minutes", func(st *story) {
			p := st.begin()
			for _, handle := range []string{"h2", "h3", "h4"} {
				for range 9 {
					time.Sleep(time.Minute)
					st.turn(p, handle)
				}
				time.Sleep(10 * time.Second)
				p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
				p = st.goLive(handle)
			}
		}},
		{"the network changes, and the service holds the dead socket for a while", func(st *story) {
			p := st.begin()
			p.dead = true
			time.Sleep(time.Minute)
			st.asks("are you there?")
			st.session.Doubt() // online
			for range 4 {
				p = newPipe()
				st.dials <- p
				<-p.setups
				p.finish(live.CloseInternal, "Internal error encountered.")
			}
			p = st.goLive("h1")
			st.heard(p)
			st.turn(p, "h2")
		}},
		{"a token expires while somebody speaks", func(st *story) {
			p := st.begin()
			go func() {
				time.Sleep(2*time.Second + time.Millisecond) // between two frames
				p.finish(live.CloseInternal, "auth token has expired")
				st.goLive("h1")
			}()
			st.speaks(4 * time.Second)
			st.heard(p)
			st.heard(st.current)
			st.turn(st.current, "h2")
		}},
		{"goaway in a long answer, and the application takes its time with a call", func(st *story) {
			p := st.begin()
			st.asks("what is the weather?")
			st.heard(p)
			p.messages <- live.Message{Calls: []live.Call{{ID: "c1", Name: "weather", Args: "{}"}}}
			p.messages <- live.Message{Content: true, Said: "Let me see."}
			p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			p = st.goLive("h1") // at the last moment
			st.heard(p)
			_ = st.session.Send(live.Input{Body: "rain", Answers: []live.Answer{{ID: "c1"}}}, func(error) {})
			time.Sleep(2 * time.Second)
			p.messages <- live.Message{Body: "the calls", Calls: []live.Call{{ID: "c2", Name: "weather", Args: "{}"}}}
			synctest.Wait()
			st.heard(p)
			st.turn(p, "h2")
		}},
		{"a night's sleep, and the session is gone", func(st *story) {
			p := st.begin()
			st.asks("my name is Ada")
			st.heard(p)
			p.messages <- live.Message{Content: true, Said: "Hello Ada."}
			st.turn(p, "h2")
			time.Sleep(63 * time.Second)
			st.slept.Store(int64(8 * time.Hour))
			p = newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
			p = st.goLive("")
			st.heard(p)
			st.asks("what is my name?")
			st.heard(p)
		}},
		{"what the old socket still says changes nothing", func(st *story) {
			old := st.begin()
			old.dead = true
			old.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
			p := st.goLive("h1")
			old.messages <- live.Message{Handle: live.NewSecret("of the old one")}
			old.messages <- live.Message{GoAway: true, TimeLeft: time.Second}
			old.finish(live.CloseInternal, "Deadline expired before operation could complete.")
			time.Sleep(time.Minute)
			p.finish(live.CloseAbnormal, "")
			st.goLive("h1")
		}},
		{"the first words are said before anybody listens", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n == 1 {
					return live.Token{}, &live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: 3 * time.Second}
				}
				return token(n), nil
			}
			st.asks("hello?")
			st.run(context.Background())
			synctest.Wait()
			st.speaks(2 * time.Second)
			st.heard(st.goLive(""))
		}},
		{"the quota is used up while the line is cut", func(st *story) {
			p := st.begin()
			p.finish(live.CloseAbnormal, "")
			synctest.Wait()
			st.asks("are you there?")
			p = newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.CloseInternal, "You exceeded your current quota, please check your plan")
			synctest.Wait()
		}},
		{"a visitor from where the service is not offered", func(st *story) {
			st.asks("hello?")
			st.run(context.Background())
			p := newPipe()
			st.dials <- p
			<-p.setups
			p.finish(live.CloseInvalid, "User location is not supported for the API use.")
			synctest.Wait()
		}},
		{"access is taken back in the middle of a conversation", func(st *story) {
			st.tokens = func(_ context.Context, n int, _ live.Need) (live.Token, error) {
				if n > 1 {
					return live.Token{}, &live.TokenError{Code: "denied", Status: 403, Detail: "not any more"}
				}
				return token(n), nil
			}
			st.begin()
			time.Sleep(8*time.Minute + 59*time.Second)
			st.asks("may I go on?")
			time.Sleep(time.Minute)
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			tell(t, s.play).golden(t, strings.ReplaceAll(s.name, " ", "-"))
		})
	}
}

// asks types text.
func (st *story) asks(text string) {
	st.note("the user asks: %s", text)
	in := live.Input{Asks: true, Body: text, Lines: []live.Line{{Text: text}}}
	err := st.session.Send(in, func(err error) {
		if err != nil {
			st.note("%q was not sent: %v", text, err)
		}
	})
	if err != nil {
		st.t.Errorf("send %q: %v", text, err)
	}
	synctest.Wait()
}

// speaks sends speech as a microphone does.
func (st *story) speaks(length time.Duration) {
	st.note("the user speaks for %v", length)
	for range length / (20 * time.Millisecond) {
		err := st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond}, func(error) {})
		if err != nil && !errors.Is(err, ErrClosed) {
			st.t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// heard notes what came out of a socket since the last time.
func (st *story) heard(p *pipe) {
	synctest.Wait()
	var sound time.Duration
	said := func() {
		if sound > 0 {
			st.note("the service hears %v of sound", sound)
		}
		sound = 0
	}
	for len(p.inputs) > 0 {
		if in := <-p.inputs; in.Audio > 0 {
			sound += in.Audio
		} else {
			said()
			st.note("the service hears: %v", in.Body)
		}
	}
	said()
}
