//go:build !js

package session_test

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/session"
)

// journalled is an entry of the emulator's journal.
type journalled struct {
	Seq                int64
	Session, Dir, Kind string
	Message            json.RawMessage
	Contains           int64 // of a setup: what the handle in it contains,
	Without            []struct{ From, To int64 }
}

func (e journalled) setup() bool {
	return e.Kind == "recv" && e.Session != "" && strings.HasPrefix(string(e.Message), `{"setup":`)
}

// verdict judges a conversation that is over.
func (w *world) verdict() {
	vague := w.vague || w.slow
	known, restarted := w.known()
	times := map[string]int{}
	for label := range labels(known) {
		times[label]++
	}
	heard := map[string]bool{} // by any session
	for _, e := range w.journal {
		for label := range labels(string(e.Message)) {
			heard[label] = heard[label] || e.Kind == "recv"
		}
	}

	uncertain, told := 0, time.Duration(0)
	for _, one := range w.talk.resumed {
		uncertain += one.Uncertain
		told += one.LostAudio
	}
	recap := slices.Collect(labels(w.seed())) // one message, whatever is in it
	doubledSound, doubledText, doubledRecap, lost := 0, 0, 0, time.Duration(0)
	var silenced []string
	for _, f := range w.facts {
		switch n := times[f.label]; {
		case n > 1 && f.sound > 0:
			doubledSound += n - 1
		case n > 1 && slices.Contains(recap, f.label):
			doubledRecap = max(doubledRecap, n-1)
		case n > 1:
			doubledText += n - 1
		case n == 1, restarted && f.sound > 0 && heard[f.label]: // what the old session was told aloud, the new one has as a transcript
		case f.sound > 0:
			lost += f.sound
			silenced = append(silenced, f.label)
		default:
			w.fail("%s is lost", f.label)
		}
	}
	if lost > told || w.spoken <= 10*time.Second && told > 0 {
		w.fail("of %v of sound %v is lost (%v), and %v is told to be", w.spoken, lost, silenced, told)
	}
	doubledText += doubledRecap
	if doubledSound+doubledText > uncertain || doubledText > 0 && !vague {
		w.fail("%d lines and %d frames are doubled, %d were uncertain", doubledText, doubledSound, uncertain)
	}
	if w.runs > w.allowed {
		w.fail("functions ran %d times, at most %d would do", w.runs, w.allowed)
	}
	w.settled()
	w.answered()
	w.transcribed()
	w.heardOut()
}

// labelled is what the user says, not what the model says of it.
var labelled = regexp.MustCompile(`\b(?:remember |of=)([fs]\d+)\b`)

// labels are those of the facts in a text.
func labels(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, found := range labelled.FindAllStringSubmatch(text, -1) {
			if !yield(found[1]) {
				return
			}
		}
	}
}

// known is what the last session was told, as text with the facts' labels.
// restarted: it is not the first.
func (w *world) known() (text string, restarted bool) {
	last := len(w.journal) - 1
	for last >= 0 && !w.journal[last].setup() {
		last--
	}
	if last < 0 {
		return "", false
	}
	setup, first := w.journal[last], true
	for _, wire := range w.wires {
		restarted = restarted || wire != w.wires[0] && wire.ready && wire.restarts
	}
	var b strings.Builder
	for _, e := range w.journal {
		if e.Kind != "recv" || e.Session != setup.Session || e.setup() {
			continue
		}
		has := e.Seq > setup.Seq || e.Seq <= setup.Contains
		for _, gap := range setup.Without {
			has = has && (e.Seq < gap.From || e.Seq > gap.To)
		}
		if seed := w.seed(); has && first && seed != "" {
			b.WriteString(seed) // of which the journal keeps the begin
		} else if has {
			b.Write(e.Message)
		}
		b.WriteByte('\n')
		first = false
	}
	return b.String(), restarted
}

// seed is the first message of the last session, if that is of the one before.
func (w *world) seed() string {
	for _, wire := range slices.Backward(w.wires) {
		if wire.ready && wire.restarts {
			return wire.seed
		}
	}
	return ""
}

// settled holds that each Send was, once, and as it should be.
func (w *world) settled() {
	for _, one := range w.sends {
		if one.settled != 1 || one.err != nil {
			w.fail("%q is settled %d times: %v", one.what, one.settled, one.err)
		}
	}
}

// answered holds that each call ended, that every response went to a connection
// that had made the call, and once, and that the service had nothing to object to.
func (w *world) answered() {
	for id, state := range w.calls {
		if state == session.CallMade {
			w.fail("call %s has no end", id)
		}
	}
	open := map[string]map[string]bool{} // calls that want an answer, by session
	for _, e := range w.journal {
		var m struct {
			Code         int
			Reason       string
			ToolCall     struct{ FunctionCalls []struct{ ID string } }
			ToolResponse struct{ FunctionResponses []struct{ ID string } }
		}
		if e.Message == nil || json.Unmarshal(e.Message, &m) != nil {
			continue
		}
		if e.setup() {
			open[e.Session] = map[string]bool{}
		}
		for _, call := range m.ToolCall.FunctionCalls {
			open[e.Session][call.ID] = true
		}
		for _, response := range m.ToolResponse.FunctionResponses {
			if !open[e.Session][response.ID] {
				w.fail("an answer goes to %s, which nobody called there, or again", response.ID)
			}
			delete(open[e.Session], response.ID)
		}
		if e.Kind == "close" && e.Dir == "out" && m.Code == 1007 {
			w.fail("the service objects: %s", m.Reason)
		}
	}
}

// transcribed holds that the page is told every line that was typed, once.
func (w *world) transcribed() {
	times := map[string]int{}
	for _, u := range w.talk.final {
		for label := range labels(u.Text) {
			if u.Typed {
				times[label]++
			}
		}
	}
	for _, f := range w.facts {
		if f.sound == 0 && times[f.label] != 1 {
			w.fail("%s is told %d times in the transcript", f.label, times[f.label])
		}
	}
}

// heardOut holds that the service does not wait in the end for the end of speech
// that it was told again. For that of other speech the application is to blame.
func (w *world) heardOut() {
	again := false
	heard := map[string]bool{}
	for _, e := range w.journal {
		for label := range labels(string(e.Message)) {
			if e.Kind == "recv" && label[0] == 's' {
				again, heard[label] = heard[label], true
			}
		}
	}
	if w.waits && (again || !w.untold) {
		w.fail("the service waits for the end of speech")
	}
}
