package session

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	maxUtterance = 32 << 10 // bytes; what is longer goes on as another
	maxPast      = 32 << 10 // bytes of the past, of which the newest is kept
	maxPastLines = 200
	maxUnkept    = 64 // exchanges

	// trailing is how long after a turn its words may still come. No other turn
	// speaks so soon.
	trailing = time.Second
)

// transcript joins the fragments of what was said to utterances: one for each
// turn of a speaker, which grows and then is final, once, whatever becomes of the
// connections meanwhile. Only the session's goroutine touches it.
//
// The user's speech is transcribed in no order with the model's turn and its end
// is rarely marked (documented, observed). So it ends with the turn that answers
// it, not with that which it interrupts.
//
// After a cut, input is sent again: speech is heard again, answers are given
// again. An utterance that grows goes on under its id, anew; one that was final
// is not touched any more, and the new one names it.
type transcript struct {
	tell  func(Utterance)
	count int // utterances so far

	user, model *utterance // that grow; nil: none
	running     bool       // a turn of the model's
	ended       time.Time  // when the last was over
	interjected bool       // the service noticed that the user speaks into it
	question    string     // the id of what it answers, if that was final before it
	voiced      bool       // the model's speech is transcribed: text beside it is not said

	unkept []exchange // since the last handle, oldest first
	redone []exchange // those to come again on this connection; a turn ends the first
	past   []pastLine
}

// utterance is one that grows.
type utterance struct {
	Utterance
	at     time.Time // of its last fragment
	inTurn bool      // it began while the turn was running that is so now
	ahead  bool      // and is not what this turn answers
	anew   bool      // its sound is sent again: the next fragment is its first
	trails bool      // it comes after the turn of which it is
}

// exchange is the ids of what was said up to the end of a turn of the model's. ""
// is nothing, or nothing that comes again.
type exchange struct {
	user, model string
	over        bool // the turn is
}

// pastLine is an utterance that is over.
type pastLine struct {
	id    string
	typed bool
	live.Line
}

// typed takes what the application wrote, when a socket took it first.
func (t *transcript) typed(lines []live.Line) {
	for _, line := range lines {
		if line.Text == "" {
			continue
		}
		who := SpeakerUser
		if line.Model {
			who = SpeakerModel
		}
		u := t.begin(who)
		u.Text, u.Typed = line.Text, true
		t.end(&u)
	}
}

// received takes a server message.
func (t *transcript) received(m live.Message, now time.Time) {
	if m.UserSpeaks && t.running && (t.user == nil || !t.user.ahead) {
		t.interjected = true // so it answers what was said before
		if t.user != nil {
			t.question = t.end(&t.user)
		}
	}
	begins := !t.running && (m.Content || len(m.Calls) > 0)
	if t.model != nil && t.model.trails && (begins || now.Sub(t.ended) > trailing) {
		t.end(&t.model)
	}
	t.running = t.running || begins
	if m.Heard != "" {
		t.heard(m.Heard, now)
	}
	t.voiced = t.voiced || m.Said != ""
	if text := m.Said; text != "" {
		t.said(text, now)
	} else if !t.voiced && m.Written != "" {
		t.said(m.Written, now)
	}
	if m.Interrupted {
		if t.model != nil {
			t.model.Interrupted = true
		}
		if t.user != nil && t.user.inTurn {
			t.user.ahead = true
		}
	}
	if m.TurnComplete {
		t.turnOver()
		t.ended = now
	}
	if !m.Handle.IsZero() {
		t.unkept = nil
	}
}

func (t *transcript) heard(text string, now time.Time) {
	if u := t.user; u != nil && !u.anew && (now.Sub(u.at) > ringLength || len(u.Text) > maxUtterance) {
		t.end(&t.user)
	}
	if t.user == nil {
		t.user = t.begin(SpeakerUser)
		t.user.inTurn, t.user.ahead = t.running, t.interjected
		if len(t.redone) > 0 {
			t.user.Regenerates = t.redone[0].user
		}
	}
	u := t.user
	if u.anew {
		u.Text, u.anew = "", false
	}
	u.Text += text
	u.at = now
	t.tell(u.Utterance)
}

func (t *transcript) said(text string, now time.Time) {
	if t.model != nil && len(t.model.Text) > maxUtterance {
		t.end(&t.model)
	}
	if t.model == nil {
		t.model = t.begin(SpeakerModel)
		t.model.trails = !t.running && now.Sub(t.ended) <= trailing
		if len(t.redone) > 0 && !t.model.trails {
			t.model.Regenerates = t.redone[0].model
		}
	}
	t.model.Text += text
	t.tell(t.model.Utterance)
}

func (t *transcript) turnOver() {
	over := exchange{over: true, user: t.question}
	if t.user != nil && t.user.ahead {
		t.user.inTurn, t.user.ahead = false, false
	} else if t.user != nil {
		over.user = t.end(&t.user)
	}
	over.model = t.end(&t.model)
	t.running, t.interjected, t.question = false, false, ""
	if len(t.redone) > 0 {
		t.redone = t.redone[1:]
	}
	if t.unkept = append(t.unkept, over); len(t.unkept) > maxUnkept {
		t.unkept = t.unkept[1:]
	}
}

// cut takes the end of a connection.
func (t *transcript) cut(now time.Time) {
	if t.model != nil && t.model.trails {
		t.end(&t.model)
	}
	if t.model != nil || t.question != "" {
		if len(t.redone) == 0 {
			t.redone = []exchange{{}}
		}
		if t.model != nil {
			t.model.Cut = true
			t.redone[0].model = t.end(&t.model)
		}
		if t.question != "" {
			t.redone[0].user = t.question
		}
	}
	t.redone = append(t.unkept, t.redone...)
	t.redone = t.redone[max(0, len(t.redone)-maxUnkept):]
	if u := t.user; u != nil {
		heardBefore := slices.ContainsFunc(t.redone, func(e exchange) bool { return e.user != "" })
		switch {
		case now.Sub(u.at) > ringLength: // of this no sound is left
			t.end(&t.user)
		case heardBefore: // what comes next is not this one
			u.Cut = true
			same := slices.IndexFunc(t.redone, func(e exchange) bool { return e.user != "" && e.user == u.Regenerates })
			if same < 0 {
				same = len(t.redone)
				t.redone = append(t.redone, exchange{})
			}
			t.redone[same].user = t.end(&t.user)
		default:
			u.inTurn, u.anew = false, true
		}
	}
	t.running, t.interjected, t.question, t.unkept = false, false, "", nil
}

// resumed takes the next connection. A new session of the service is not told
// again what the old one answered.
func (t *transcript) resumed(replayed, restart bool) {
	if !replayed {
		t.redone = nil
		if t.user != nil {
			t.user.anew = false
		}
	}
	if restart {
		t.redone = slices.DeleteFunc(t.redone, func(e exchange) bool { return e.over })
	}
	for i := range t.redone {
		t.redone[i].over = false
	}
}

// close ends what has not ended.
func (t *transcript) close() {
	if t.model != nil {
		t.model.Cut = true
	}
	t.end(&t.user)
	t.end(&t.model)
}

// history is what was said, oldest first, as far as the newest of it is kept: for
// a session of the service that knows nothing. Answers that were cut off are not
// in it, nor are the last unanswered lines that were typed, if these are sent
// again.
func (t *transcript) history(unanswered int) (lines []live.Line) {
	for _, line := range slices.Backward(t.past) {
		if line.typed && unanswered > 0 {
			unanswered--
			continue
		}
		lines = append(lines, line.Line)
	}
	slices.Reverse(lines)
	return lines
}

func (t *transcript) begin(who Speaker) *utterance {
	t.count++
	return &utterance{Utterance: Utterance{ID: strconv.Itoa(t.count), Who: who}}
}

// end makes an utterance final, if there is one, and gives its id.
func (t *transcript) end(one **utterance) (id string) {
	u := *one
	if u == nil {
		return ""
	}
	*one = nil
	u.Final = true
	t.tell(u.Utterance)
	if !u.Cut {
		t.remember(u.Utterance)
	}
	return u.ID
}

func (t *transcript) remember(u Utterance) {
	text := u.Text
	if extra := len(text) - maxPast; extra > 0 {
		text = strings.ToValidUTF8(text[extra:], "")
	}
	t.past = slices.DeleteFunc(t.past, func(old pastLine) bool { return old.id == u.Regenerates })
	t.past = append(t.past, pastLine{u.ID, u.Typed, live.Line{Model: u.Who == SpeakerModel, Text: text}})
	bytes := 0
	for i, line := range slices.Backward(t.past) {
		if bytes += len(line.Text); bytes > maxPast || len(t.past)-i > maxPastLines {
			t.past = slices.Clone(t.past[i+1:]) // lets go of the rest
			break
		}
	}
}
