package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// textEditor edits bodies that are texts.
type textEditor struct{}

func (textEditor) Answer(body live.Payload, _, as string) live.Payload {
	return fmt.Sprintf("%v as %s", body, as)
}
func (textEditor) WithoutCalls(body live.Payload, ids []string) live.Payload {
	return fmt.Sprintf("%v without %v", body, ids)
}
func (textEditor) History(lines []live.Line) live.Payload {
	return fmt.Sprintf("history %v", lines)
}
func (textEditor) Recap(lines []live.Line) live.Payload { return fmt.Sprintf("recap %v", lines) }
func (textEditor) Merge(setup, change live.Payload) live.Payload {
	return fmt.Sprint(setup, " with ", change)
}
func (textEditor) Announces(live.Payload) bool { return false }
func (textEditor) Fit(in live.Input, _ live.Capabilities, _ []live.Payload) (live.Input, error) {
	return in, nil
}
func (textEditor) StreamEnd() live.Payload { return "audioStreamEnd" }
func (textEditor) Cancellation(body live.Payload, ids map[string]string) live.Payload {
	return fmt.Sprintf("%v of %v", body, ids)
}

// A script for a ledger. What happens is told with the answers that are sent.
//
//	x=f     the service calls f, by the id x         x!  the application answers call x
//	x!…     it answers in part                       -x  the service withdraws x
//	x!new   it does, for this call alone
//	talk    the model says something, a second later; end: and its turn is over
//	over h  a turn is over, a handle comes           cut the next connection begins
func TestEveryCallEndsOnce(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"answered":                           {"a=f a! over h", "a called, sent a, a settled, a answered"},
		"answered twice":                     {"a=f a! a!", "a called, sent a, a settled, a answered, a refused"},
		"answered in parts":                  {"a=f a!… a!… a!", "a called, sent a, a settled, sent a, a settled, sent a, a settled, a answered"},
		"answered after it was withdrawn":    {"a=f -a a!", "a called, a cancelled, a refused"},
		"never made":                         {"a!", "a refused"},
		"withdrawn after its answer":         {"a=f a! -a", "a called, sent a, a settled, a answered"},
		"two at once":                        {"a=f b=g b! a!", "a called, b called, sent b, b settled, b answered, sent a, a settled, a answered"},
		"the same twice at once":             {"a=f b=f b!", "a called, b called, sent b, b settled, b answered"},
		"never answered":                     {"a=f", "a called"},
		"cut, and not made again":            {"a=f cut h", "a called, a orphaned"},
		"cut, then answered, never repeated": {"a=f cut a! h", "a called, a orphaned, a lost"},
		"answered after it was orphaned":     {"a=f cut h a!", "a called, a orphaned, a refused"},
		"repeated before it is answered":     {"a=f cut z=f a!", "a called, a repeated, sent a as z, a settled, a answered"},
		"repeated after it was answered":     {"a=f a! cut z=f", "a called, sent a, a settled, a answered, a repeated, sent a as z"},
		"answered in the gap, then repeated": {"a=f cut a! z=f", "a called, a repeated, sent a as z, a settled, a answered"},
		"repeated, then withdrawn":           {"a=f cut z=f -z a!", "a called, a repeated, a cancelled as a, a refused"},
		"repeated twice":                     {"a=f a! cut y=f cut z=f", "a called, sent a, a settled, a answered, a repeated, sent a as y, a repeated, sent a as z"},
		"taken in by the turn that called":   {"a=f a! talk end h cut z=f", "a called, sent a, a settled, a answered, z called"},
		"not by one that had said its words": {"a=f talk a! end h cut z=f", "a called, sent a, a settled, a answered, a repeated, sent a as z"},
		"a call without an id":               {"=f a=g a!", "a called, sent a, a settled, a answered"},
		"taken in, then made again":          {"a=f a! over h cut z=f", "a called, sent a, a settled, a answered, z called"},
		"another call after a cut":           {"a=f a! cut z=g", "a called, sent a, a settled, a answered, z called"},
		"repeated, and to be answered anew":  {"a=f a!new cut z=f z! cut y=f", "a called, sent a, a settled, a answered, z called, sent z, z settled, z answered, z repeated, sent z as y"},
		"anew, but not answered before":      {"a=f cut a!new z=f", "a called, a repeated, sent a as z, a settled, a answered"},
		"anew, and answered in part":         {"a=f a!… cut z=f a!new cut y=f", "a called, sent a, a settled, a repeated, sent a as z, sent a as z, a settled, a answered, y called"},
		"its question may be sent again":     {"a=f a! over h? cut z=f", "a called, sent a, a settled, a answered, a repeated, sent a as z"},
		"a later question may be":            {"a=f a! over h> cut z=f", "a called, sent a, a settled, a answered, z called"},
		"parts that were sent are sent on":   {"a=f a!… cut z=f a!", "a called, sent a, a settled, a repeated, sent a as z, sent a as z, a settled, a answered"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keep(c.script); got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.script, got, c.want)
			}
		})
	}
}

// keep runs a script and tells what happened.
func keep(script string) string {
	var told []string
	tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	l := ledger{news: func(c ToolCall) {
		state := string(c.State)
		if c.Repeated {
			state = "repeated"
		}
		tell("%s %s", c.ID, state)
	}}
	turns, now := 0, time.Unix(1000, 0)
	settle := func(id string) func(error) {
		return func(err error) {
			tell("%s %s", id, map[error]string{nil: "settled", ErrNoCall: "refused", ErrOrphaned: "lost"}[err])
		}
	}
	for word := range strings.FieldsSeq(script) {
		switch {
		case word == "over":
			turns++
			l.turnOver(finishedTurn{number: turns})
		case word == "talk":
			now = now.Add(time.Second)
			l.talks(turns, now)
		case word == "end":
			l.turnOver(finishedTurn{number: turns})
		case word[0] == '=':
			l.called([]live.Call{{Name: word[1:]}}, now)
		case word == "h":
			l.covered(true, time.Time{})
		case word == "h>": // what was asked since may be sent again
			l.covered(true, now.Add(time.Second))
		case word == "h?": // what led to it may be sent again
			l.covered(true, now)
		case word == "cut":
			l.rewind()
			turns = 0
		case word[0] == '-':
			for wire, id := range l.cancelled([]string{word[1:]}) {
				if wire != id {
					told[len(told)-1] += " as " + id
				}
			}
		case word[1] == '!':
			id := word[:1]
			l.answer(live.Input{Body: id, Answers: []live.Answer{{ID: id, More: word == id+"!…"}}, Rerun: word == id+"!new"}, settle(id), textEditor{})
		default:
			l.called([]live.Call{{ID: word[:1], Name: word[2:]}}, now)
		}
		for c := l.next(); c != nil; c = l.next() {
			tell("sent %v", c.message(textEditor{}).Body)
			l.went(c, nil, turns, now)
		}
	}
	return strings.Join(told, ", ")
}

func TestAMessageWithManyResponsesIsSettledWhenAllAreGone(t *testing.T) {
	l := ledger{news: func(ToolCall) {}}
	l.called([]live.Call{{ID: "a"}, {ID: "b"}}, time.Now())
	var settled []error
	in := live.Input{Body: "both", Answers: []live.Answer{{ID: "a"}, {ID: "b"}, {ID: "never made"}}}
	l.answer(in, func(err error) { settled = append(settled, err) }, textEditor{})
	for n := range 2 {
		if len(settled) > 0 {
			t.Errorf("it is settled after %d of its responses", n)
		}
		l.went(l.next(), nil, 0, time.Now())
	}
	if len(settled) != 1 || !errors.Is(settled[0], ErrNoCall) {
		t.Errorf("it is settled with %v", settled)
	}
}

// A function that reports for hours does not fill the memory, and a cut does not
// have all of it told again.
func TestTheAnswersToACallAreBounded(t *testing.T) {
	l := ledger{news: func(ToolCall) {}}
	l.called([]live.Call{{ID: "a", Name: "f"}}, time.Now())
	settled := 0
	respond := func(more bool) {
		in := live.Input{Body: settled, Answers: []live.Answer{{ID: "a", More: more}}}
		l.answer(in, func(error) { settled++ }, textEditor{})
	}
	send := func() (sent []live.Input) {
		for c := l.next(); c != nil; c = l.next() {
			sent = append(sent, c.message(textEditor{}))
			l.went(c, nil, 0, time.Now())
		}
		return sent
	}
	const total = 3 * maxAnswers
	for n := range total {
		respond(n < total-1)
		if sent := send(); len(sent) != 1 || sent[0].Body != n {
			t.Fatalf("after answer %d, %v is sent", n, sent)
		}
	}
	l.rewind()
	l.called([]live.Call{{ID: "z", Name: "f"}}, time.Now())
	again := send()
	if len(again) != maxAnswers || again[0].Body != fmt.Sprint(total-maxAnswers, " as z") {
		t.Errorf("%d answers are sent again, the first is %v", len(again), again[0].Body)
	}
	if last := again[len(again)-1]; last.Answers[0].More || settled != total {
		t.Errorf("%v is the last, and %d of %d are settled", last, settled, total)
	}
}

func TestCloseSettlesWhatWaits(t *testing.T) {
	var ends []CallState
	l := ledger{news: func(c ToolCall) { ends = append(ends, c.State) }}
	l.called([]live.Call{{ID: "a", Name: "f"}}, time.Now())
	l.rewind()
	var settled error
	l.answer(live.Input{Answers: []live.Answer{{ID: "a"}}}, func(err error) { settled = err }, textEditor{})
	l.close()
	if !errors.Is(settled, ErrClosed) || len(ends) != 2 || ends[1] != CallOrphaned {
		t.Errorf("settled with %v, told %v", settled, ends)
	}
}
