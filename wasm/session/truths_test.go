package session

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// What the derived events tell in a story, in virtual time.
func TestTruthsOverManyConnections(t *testing.T) {
	usage := func(prompt, response int) live.Message {
		return live.Message{TurnComplete: true, Usage: live.Usage{Prompt: prompt, Response: response, Total: prompt + response}}
	}
	lasting := func(capped bool) func(context.Context, int, live.Need) (live.Token, error) {
		return func(_ context.Context, n int, _ live.Need) (live.Token, error) {
			tok := token(n)
			tok.ExpiresIn, tok.RenewAfter, tok.Limits.Capped = 2*time.Hour, 2*time.Hour, capped
			return tok, nil
		}
	}
	sound := live.Input{Stream: true, Audio: 20 * time.Millisecond, Body: "speech"}
	for name, c := range map[string]struct {
		play func(*story)
		want []string
	}{
		"what is typed is told once, when a socket took it": {func(st *story) {
			p := st.begin()
			p.finish(live.CloseAbnormal, "")
			synctest.Wait()
			_ = st.session.Send(live.Input{Asks: true, Lines: []live.Line{{Text: "in the gap"}}}, func(error) {})
			time.Sleep(time.Second)
			p = st.goLive("h1")
			p.finish(live.CloseAbnormal, "")
			st.goLive("h1")
		}, []string{"1s user 1 in the gap. typed"}},
		"an answer that a cut ends is given again": {func(st *story) {
			p := st.begin()
			_ = st.session.Send(live.Input{Asks: true, Lines: []live.Line{{Text: "why?"}}}, func(error) {})
			synctest.Wait()
			p.messages <- live.Message{Content: true, Output: true, Said: "Be"}
			p.messages <- live.Message{Said: "cause"} // still on its way when the line is cut
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h1")
			p.messages <- live.Message{Content: true, Output: true, Said: "Because."}
			st.turn(p, "h2")
		}, []string{"0s user 1 why?. typed", "0s model 2 Be", "0s model 2 Because", "0s model 2 Because. cut", "0s model 3 Because. again 2", "0s model 3 Because.. again 2"}},
		"speech over a cut is one utterance": {func(st *story) {
			p := st.begin()
			_ = st.session.Send(sound, func(error) {})
			p.messages <- live.Message{Heard: "Wh"}
			synctest.Wait()
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h1")
			p.messages <- live.Message{Heard: "Wh"}
			p.messages <- live.Message{Heard: "y?"}
			st.turn(p, "h2")
		}, []string{"0s user 1 Wh", "0s user 1 Wh", "0s user 1 Why?", "0s user 1 Why?."}},
		"what is open at the end is final then": {func(st *story) {
			p := st.begin()
			p.messages <- live.Message{Heard: "Wh", Content: true, Said: "Be"}
			synctest.Wait()
		}, []string{"0s user 1 Wh", "0s model 2 Be", "0s model 2 Be. cut", "0s user 1 Wh."}},
		"usage is summed for a connection and for all": {func(st *story) {
			p := st.begin()
			p.messages <- usage(70, 50)
			p.messages <- usage(100, 20)
			p.messages <- live.Message{Handle: live.NewSecret("h2"), Usage: live.Usage{Total: 1}} // beside something else
			synctest.Wait()
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h2")
			p.messages <- live.Message{Content: true, Output: true}
			p.messages <- usage(200, 5)
			synctest.Wait()
		}, []string{"0s usage 120, 120, 120", "0s usage 120, 240, 240", "0s usage 1, 241, 241", "0s usage 205, 205, 446"}},
		"a model that does not answer stalls, over a cut": {func(st *story) {
			p := st.begin()
			st.say("why?")
			time.Sleep(10 * time.Second)
			p.finish(live.CloseAbnormal, "")
			p = st.goLive("h1")
			time.Sleep(10 * time.Second)
			st.turn(p, "h2")
		}, []string{"8s stalled after 8s", "20s goes on after 20s"}},
		"a call that waits for its answer is no stall": {func(st *story) {
			p := st.begin()
			st.say("what time is it?")
			p.messages <- live.Message{Calls: []live.Call{{ID: "c1"}}}
			time.Sleep(30 * time.Second)
			_ = st.session.Send(live.Input{Answers: []live.Answer{{ID: "c1"}}}, func(error) {})
			time.Sleep(30 * time.Second)
		}, []string{"38s stalled after 8s"}},
		"a session with compression has no cap": {func(st *story) {
			st.tokens = lasting(false)
			st.begin()
			_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
			time.Sleep(20 * time.Minute)
		}, nil},
		"the cap of a session without compression": {func(st *story) {
			st.tokens = lasting(true)
			p := st.begin()
			_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
			time.Sleep(20 * time.Minute)
			p.finish(live.ClosePolicy, "BidiGenerateContent session not found")
			st.goLive("")
			_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Quiet: true}, func(error) {})
			time.Sleep(20 * time.Minute)
		}, []string{"14m0s cap in 1m0s", "34m0s cap in 1m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			st := tell(t, c.play)
			if got, want := strings.Join(st.truths, "\n"), strings.Join(c.want, "\n"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
		})
	}
}
