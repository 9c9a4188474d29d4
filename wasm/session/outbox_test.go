package session

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// A script for an outbox: a word each 4 s, so that what came before a turn had
// arrived when it began, unless it ends with "!", which takes no time.
//
//	A…Z    a question      a…z    text that asks nothing
//	*      sound, 20 ms    .      silence, 20 ms      !  audioStreamEnd
//	#      a picture       @      the answer to a call      _  text that waits for a question
//	+      what a new session must know, in front of all
//	turn   begins          stop   the turn is interrupted      over   the turn is over
//	h      a handle        cut    the connection ends, the next resumes; cut/ and ends at once
//	new    the connection ends, the next begins anew
//
// It ends with what is sent on the last connection.
func TestTheOutboxSendsAgainWhatNoHandleHolds(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		sent   string
		again  replay
	}{
		"nothing was said":                            {"cut", "", replay{}},
		"a question without a turn":                   {"A cut", "A", replay{messages: 1}},
		"a question in the turn that answers it":      {"A turn cut", "A", replay{messages: 1}},
		"its turn is over, but no handle came":        {"A turn over cut", "A", replay{messages: 1}},
		"its turn is over and a handle came":          {"A turn over h cut", "", replay{}},
		"a handle in the middle of the turn":          {"A turn h cut", "A", replay{messages: 1, doubtful: 1}},
		"a handle before the turn":                    {"A h cut", "A", replay{messages: 1, doubtful: 1}},
		"said after the handle":                       {"A turn over h B cut", "B", replay{messages: 1}},
		"said between the end and the handle":         {"A turn over B h cut", "B", replay{messages: 1, doubtful: 1}},
		"said into the turn, which goes on":           {"A turn b over h cut", "b", replay{messages: 1, doubtful: 1}},
		"what interrupts a turn":                      {"A turn B stop over h cut", "B", replay{messages: 1, doubtful: 1}},
		"on its way when the turn began":              {"A! B! turn stop over h cut", "B", replay{messages: 1, doubtful: 1}},
		"on its way when a turn began that ended":     {"A! b! turn over h cut", "b", replay{messages: 1, doubtful: 1}},
		"both had arrived when the turn began":        {"A B turn over h cut", "", replay{}},
		"two questions, a turn each":                  {"A! B! turn stop over turn over h cut", "", replay{}},
		"sound from before a turn":                    {"* * turn over h cut", "", replay{}},
		"sound just before a turn that ended":         {"*! *! turn over h cut", "", replay{}},
		"what one who had ended says next":            {"*! !! *! turn over h cut", "*", replay{messages: 1, doubtful: 1}},
		"also after a long silence":                   {"*! " + strings.Repeat(".! ", 75) + "*! turn over h cut", "*", replay{messages: 1, doubtful: 1}},
		"but not after a short one":                   {"*! .! .! *! turn over h cut", "", replay{}},
		"sound after the question of a turn":          {"A! *! turn over h cut", "*", replay{messages: 1, doubtful: 1}},
		"a turn in an activity":                       {"[ * A turn over h * ] cut", "[ * A * ]", replay{messages: 5, doubtful: 3}},
		"a turn after one":                            {"[ * ] turn over h cut", "", replay{}},
		"a turn just after one":                       {"[! *! A! *! ]! turn over h cut", "", replay{}},
		"one that it answers, interrupted by another": {"[! *! ]! [! *! ]! turn stop over h cut", "[ * ]", replay{messages: 3, doubtful: 3}},
		"a turn that its end may have interrupted":    {"[! *! A! *! ]! turn stop over h cut", "[ * A * ]", replay{messages: 5, doubtful: 5}},
		"a question before one":                       {"A! [! *! ]! turn stop over h cut", "[ * ]", replay{messages: 3, doubtful: 3}},
		"sound just before a turn it interrupts":      {"A *! turn stop over h cut", "*", replay{messages: 1, doubtful: 1}},
		"the question may be older than what speaks":  {"*! A! turn stop over h cut", "* A", replay{messages: 2, doubtful: 2}},
		"silence in front is not sent again":          {". . * . cut", "* .", replay{messages: 2}},
		"silence alone is not":                        {". . . cut", "", replay{}},
		"text does not end speech, silence may":       {". * a . . * cut", "* a . . *", replay{messages: 5}},
		"a handle does not make silence doubtful":     {". h cut", "", replay{}},
		"pictures are out of date":                    {"# a cut", "a", replay{messages: 1}},
		"the answer to a call is not sent again":      {"@ a cut", "a", replay{messages: 1}},
		"the turn may tell a function's result":       {"A turn @! over B! turn over h cut", "B", replay{messages: 1, doubtful: 1}},
		"or not answer what is said meanwhile":        {"A turn @! over *! turn over h cut", "*", replay{messages: 1, doubtful: 1}},
		"but it does not take it long":                {"A turn @ over . B! turn over h cut", "", replay{}},
		"which may follow another answer":             {"A turn @! over turn B! stop over turn over h cut", "B", replay{messages: 1, doubtful: 1}},
		"but not two":                                 {"A turn @! over turn over turn B! stop over turn over h cut", "", replay{}},
		"a new session knows nothing":                 {"A cut B new", "A B", replay{messages: 2}},
		"but what was answered is history":            {"A turn over B new", "B", replay{messages: 1}},
		"what was sent again is sent a third time":    {"A cut cut", "A", replay{messages: 1}},
		"two cuts before anything is sent again":      {"A turn h B cut/ cut", "A B", replay{messages: 2, doubtful: 1}},
		"two, and then a new session":                 {"A turn over B cut/ new", "B", replay{messages: 1}},
		"the end of a stream follows its sound":       {"* ! cut", "* !", replay{messages: 2}},
		"and goes with it":                            {". ! cut", "", replay{}},
		"also behind text":                            {"* a ! . * cut", "* a ! *", replay{messages: 4}},
		"and does not make the handle doubtful":       {"* turn over ! h cut", "", replay{}},
		"and covered on the new connection":           {"A cut turn over h cut", "", replay{}},
		"what waits for a question is in no handle":   {"A _ turn over turn over h cut", "_", replay{messages: 1}},
		"and comes with none before it":               {"_ h A turn over h cut", "_", replay{messages: 1}},
		"what was lost is told again":                 {"a cut/ + cut", "+ a", replay{messages: 2}},
		"but not to another new session":              {"a cut/ + new", "a", replay{messages: 1}},
		"even if that one was never told":             {"a new + cut/ new", "a", replay{messages: 1}},
		"a turn that has no content":                  {"A over h cut", "", replay{}},
	} {
		t.Run(name, func(t *testing.T) {
			sent, again := play(t, newOutbox(), c.script)
			again.speech = false
			if sent != c.sent || again != c.again {
				t.Errorf("%s: %q is sent, %+v, want %q, %+v", c.script, sent, again, c.sent, c.again)
			}
		})
	}
}

// play runs a script and tells what the last connection sent.
func play(t *testing.T, o *outbox, script string) (sent string, again replay) {
	t.Helper()
	now := time.Unix(1000, 0)
	var flow turn
	var words []string
	receive := func(m live.Message) {
		if over, ok := flow.received(m, now); ok {
			o.answered(over)
		}
		if !m.Handle.IsZero() {
			o.covered()
		}
	}
	flush := func() {
		for {
			it, ok := o.take()
			if !ok {
				return
			}
			if it.input.Body == "_" {
				o.hold(it, now)
			} else {
				o.took(it, flow.number, flow.owed(now), now)
			}
			words = append(words, it.input.Body.(string))
			if len(it.input.Answers) > 0 {
				flow.result(now)
			}
			if !it.input.Replayable() {
				o.forget(it)
			}
			it.settled(nil)
		}
	}
	for word := range strings.FieldsSeq(script) {
		name, fast := strings.CutSuffix(word, "!")
		if name == "" {
			name, fast = word, false
		}
		switch name {
		case "turn":
			receive(live.Message{Content: true})
		case "stop":
			receive(live.Message{Interrupted: true})
		case "over":
			receive(live.Message{TurnComplete: true})
		case "h":
			receive(live.Message{Handle: live.NewSecret("h")})
		case "cut", "new", "cut/":
			again, flow, words = o.rewind(name == "new"), turn{}, nil
			if name != "cut/" {
				flush()
			}
		case "+":
			o.first(live.Input{Body: name}, now)
		default:
			in := live.Input{Body: name}
			switch c := name[0]; {
			case c == '*', c == '.':
				in.Stream, in.Audio, in.Quiet = true, 20*time.Millisecond, c == '.'
			case c == '#':
				in.Stream = true
			case c == '!':
				in.StreamEnd = true
			case c == '_':
			case c == '@':
				in.Answers = []live.Answer{{ID: "call"}}
			case c == '[':
				in.ActivityStart = true
			case c == ']':
				in.Asks, in.ActivityEnd = true, true
			case c < 'a':
				in.Asks = true
			}
			if err := o.push(in, func(error) {}); err != nil {
				t.Fatal(err)
			}
			flush()
			if !fast {
				now = now.Add(4 * time.Second)
			}
		}
	}
	return strings.Join(words, " "), again
}

func TestSpeechThatFadedIsLostUnlessAHandleHoldsIt(t *testing.T) {
	speech := strings.Repeat("*! ", 550) // 11 s, 1 s more than the ring
	for name, c := range map[string]struct {
		script string
		lost   time.Duration
	}{
		"nobody took it in":             {speech + "cut", time.Second},
		"a turn did":                    {speech + "turn over h cut", 0},
		"a turn that it interrupted":    {"A turn " + speech + "stop over h cut", time.Second},
		"it was silence":                {strings.ReplaceAll(speech, "*", ".") + "cut", 0},
		"lost on an earlier connection": {speech + "cut turn over h cut", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if _, again := play(t, newOutbox(), c.script); again.lost != c.lost {
				t.Errorf("%s is lost, want %s", again.lost, c.lost)
			}
		})
	}
}

func TestAnOutboxRefusesMoreThanItHolds(t *testing.T) {
	o := newOutbox()
	refused := func() bool { return errors.Is(o.push(live.Input{}, func(error) {}), ErrQueueFull) }
	for range maxWaiting {
		if refused() {
			t.Fatal("it is full too early")
		}
	}
	if !refused() {
		t.Error("it takes more than it holds")
	}
	it, _ := o.take()
	o.giveBack(it)
	if !refused() {
		t.Error("what was given back does not count")
	}
	for range maxKept { // which nobody takes in
		it, _ := o.take()
		if o.took(it, 0, false, time.Now()); refused() {
			t.Fatal("what a socket took counts as waiting")
		}
	}
	it, _ = o.take()
	o.took(it, 0, false, time.Now())
	if !refused() {
		t.Error("it keeps more than it can")
	}
	if again := o.rewind(false); again.messages != maxKept+1 || len(o.items) != maxKept+maxWaiting {
		t.Errorf("%d messages are sent again, of %d, and none may be lost", again.messages, len(o.items))
	}
}

func TestOfPicturesThatWaitTheNewestIsSent(t *testing.T) {
	o := newOutbox()
	var dropped []int
	for i := range maxWaiting + 5 {
		err := o.push(live.Input{Stream: true, Body: i}, func(err error) {
			if errors.Is(err, ErrDropped) {
				dropped = append(dropped, i)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := o.push(live.Input{Body: "text"}, func(error) {}); err != nil {
		t.Errorf("pictures leave no room: %v", err)
	}
	first, _ := o.take()
	second, _ := o.take()
	if _, more := o.take(); more || first.input.Body != maxWaiting+4 || second.input.Body != "text" {
		t.Errorf("%v and %v are sent", first.input.Body, second.input.Body)
	}
	if len(dropped) != maxWaiting+4 {
		t.Errorf("%d pictures are said to be dropped", len(dropped))
	}
}

func TestAPictureThatWaitsIsDroppedAndNothingElse(t *testing.T) {
	s := New(Config{})
	s.DropPicture()
	settled := map[any]error{}
	for _, in := range []live.Input{{Body: "text"}, {Stream: true, Body: "picture"}, {Stream: true, Audio: time.Second, Body: "sound"}} {
		if err := s.Send(in, func(err error) { settled[in.Body] = err }); err != nil {
			t.Fatal(err)
		}
	}
	s.DropPicture()
	if len(settled) != 1 || !errors.Is(settled["picture"], ErrDropped) {
		t.Errorf("settled are %v", settled)
	}
	first, _ := s.outbox.take()
	second, _ := s.outbox.take()
	if _, more := s.outbox.take(); more || first.input.Body != "text" || second.input.Body != "sound" {
		t.Errorf("%v and %v are sent", first.input.Body, second.input.Body)
	}
}

// A full ring is more than a socket takes at once, so that the microphone goes on
// while older sound is sent again.
func TestSoundGivesWayWhileItIsSentAgain(t *testing.T) {
	o := newOutbox()
	settled := map[error]int{}
	push := func() {
		in := live.Input{Stream: true, Audio: 20 * time.Millisecond}
		if err := o.push(in, func(err error) { settled[err]++ }); err != nil {
			t.Fatal(err)
		}
	}
	for range 500 {
		push()
		it, _ := o.take()
		o.took(it, 0, false, time.Now())
		it.settled(nil)
	}
	o.rewind(false)
	for range 500 {
		push()
	}
	if settled[nil] != 500 || settled[ErrDropped] != 0 {
		t.Errorf("settled: %v", settled)
	}
	if lost := o.takeDropped(); lost != 10*time.Second {
		t.Errorf("%v is dropped, want the 10 s that were to be sent again", lost)
	}
}

func TestWhatIsSentTwiceIsSettledOnce(t *testing.T) {
	o := newOutbox()
	settled := 0
	if err := o.push(live.Input{Body: "A"}, func(error) { settled++ }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		it, ok := o.take()
		if !ok {
			t.Fatal("there is nothing to send")
		}
		it.settled(nil)
		o.rewind(false)
	}
	if o.close(); settled != 1 {
		t.Errorf("it is settled %d times", settled)
	}
}
