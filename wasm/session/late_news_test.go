package session

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// lateNews is what a socket may still deliver when another has taken its place.
func lateNews() []live.Message {
	return []live.Message{
		{Content: true, Said: "late words", Usage: live.Usage{Total: 7}},
		{Calls: []live.Call{{ID: "late", Name: "f"}}},
		{Handle: live.NewSecret("late handle")},
		{GoAway: true, TimeLeft: 2 * time.Second},
		{TurnComplete: true},
		{Handle: live.NewSecret("late handle")},
	}
}

// told records every event of a session, messages too.
func told(st *story) func() []string {
	var mu sync.Mutex
	var all []string
	emit := st.session.cfg.Emit
	st.session.cfg.Emit = func(e Event) {
		mu.Lock()
		all = append(all, fmt.Sprintf("%T", e))
		mu.Unlock()
		emit(e)
	}
	return func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// A socket whose line does not answer the close is left after a second. Whatever it
// delivers from the close on is of no account: no event, no handle, no evidence of
// what was taken in, no other socket.
func TestLateNewsOfAnOldSocketChangesNothing(t *testing.T) {
	for name, leave := range map[string]func(*pipe){
		"after a rotation": func(old *pipe) {
			old.messages <- live.Message{GoAway: true, TimeLeft: 2 * time.Second}
		},
		"after a cut": func(old *pipe) { old.finish(live.CloseAbnormal, "") },
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(st *story) {
				old := st.begin()
				old.dead = true
				st.say("remember me") // which nothing has answered
				events := told(st)
				leave(old)
				<-old.closing
				before := events()
				for _, m := range lateNews() {
					old.messages <- m
				}
				if got := events(); len(got) > len(before) {
					st.t.Errorf("while the old socket closes the page is told %v", got[len(before):])
				}
				next := st.goLive("h1")
				st.wantSent(next, "remember me")

				before = events()
				for _, m := range lateNews() {
					old.messages <- m
				}
				old.finish(live.CloseInternal, "quota exceeded")
				time.Sleep(5 * time.Second) // beyond the late goAway
				if got := events(); len(got) > len(before) {
					st.t.Errorf("on the next connection the page is told %v", got[len(before):])
				}
				if len(next.inputs) > 0 || st.dialled != 2 {
					st.t.Errorf("%d messages were sent again, %d sockets dialled", len(next.inputs), st.dialled)
				}

				next.finish(live.CloseAbnormal, "")
				st.wantSent(st.goLive("h1"), "remember me") // still: late evidence is none
			})
		})
	}
}

// wantSent takes what was sent on a connection, which must be one message.
func (st *story) wantSent(p *pipe, body string) {
	st.t.Helper()
	if len(p.inputs) != 1 {
		st.t.Errorf("%d messages were sent, want %q alone", len(p.inputs), body)
		return
	}
	if in := <-p.inputs; in.Body != body {
		st.t.Errorf("%q was sent, want %q", in.Body, body)
	}
}
