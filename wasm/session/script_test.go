//go:build !js

package session_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// step is something that the application does, or that happens to it.
type step struct {
	words string
	do    func(*world)
	pause time.Duration // after it
}

// script is what happens in one conversation.
type script []step

// GoString tells it in words: it is how rapid prints the smallest that fails.
func (s script) GoString() string {
	var b strings.Builder
	for _, one := range s {
		fmt.Fprintf(&b, "\n\t%s, and after %v", one.words, one.pause)
	}
	return b.String() + "\n\tnothing more."
}

// scripts are conversations of at most so many steps. manual: the application
// marks speech itself. calm: it has none, and says nothing until all that was said
// before is over.
func scripts(longest int, manual, calm bool) *rapid.Generator[script] {
	said := []*rapid.Generator[step]{typing, typing, calling}
	if calm {
		for i, one := range said {
			said[i] = rapid.Map(one, step.later)
		}
	} else {
		said = append(said, speaking(manual))
	}
	steps := rapid.Custom(func(t *rapid.T) step {
		one := rapid.OneOf(append(said, trouble, trouble, passing)...).Draw(t, "step")
		one.pause = milliseconds(t, 0, 4000)
		return one
	})
	return rapid.Map(rapid.SliceOfN(steps, 1, longest), func(s []step) script { return s })
}

// later is the step when functions have returned, and the model has told of it.
func (s step) later() step {
	return step{words: "when all is quiet, " + s.words, do: func(w *world) { w.rests(); s.do(w) }}
}

func milliseconds(t *rapid.T, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least, most).Draw(t, "ms")) * time.Millisecond
}

var typing = rapid.SampledFrom([]step{
	{words: "the user types", do: func(w *world) { w.types("remember %s.", w.fact()) }},
	{words: "the user types a turn", do: func(w *world) { w.content("remember %s.", w.fact()) }},
})

// speaking goes on while the steps after it happen.
func speaking(manual bool) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		length := milliseconds(t, 200, 4000).Round(spell)
		if rapid.IntRange(0, 15).Draw(t, "one of 16 talks a lot") == 15 {
			length += 9 * time.Second
		}
		if manual {
			return step{words: fmt.Sprintf("the user speaks for %v, between marks", length), do: func(w *world) { w.speaks(length, marks) }}
		}
		after := rapid.SampledFrom([]microphone{off, on, gone}).Draw(t, "microphone")
		return step{words: fmt.Sprintf("the user speaks for %v, and the microphone goes %s", length, after), do: func(w *world) { w.speaks(length, after) }}
	})
}

// calling makes the model call functions.
var calling = rapid.Custom(func(t *rapid.T) step {
	words := rapid.SampledFrom([]string{"call a tool", "call a blocking tool", "call two tools", "call and cancel"}).Draw(t, "trigger")
	calls := 1
	if words == "call two tools" || words == "call and cancel" {
		calls = 2
	}
	takes := milliseconds(t, 0, 6000)
	together := rapid.Bool().Draw(t, "one answer for all")
	return step{words: fmt.Sprintf("the user types %q; functions take %v (one answer for all: %v)", words, takes, together), do: func(w *world) {
		w.functions(calls, takes, together)
		w.types("%s", words)
	}}
})

// trouble is made by the service and the network.
var trouble = rapid.Map(rapid.SampledFrom([]string{
	`{"kind":"drop"}`, `{"kind":"drop","after":"400ms"}`, `{"kind":"drop","after":"1500ms"}`,
	`{"kind":"goaway","timeLeft":"3s"}`, `{"kind":"goaway","timeLeft":"20s"}`,
	`{"kind":"close","code":1000}`, `{"kind":"close","code":1008,"reason":"The operation was aborted."}`,
	`{"kind":"close","code":1011,"reason":"Internal error encountered."}`, `{"kind":"close","code":1011,"reason":"Internal error encountered.","after":"700ms"}`,
	`{"kind":"half-open","holds":"5s"}`, `{"kind":"half-open","holds":"20s"}`, `{"kind":"stall","holds":"2s"}`,
	`{"kind":"slow","latency":"500ms","jitter":"1s"}`, `{"kind":"burst","holds":"2s"}`,
	`{"kind":"expire-token"}`, `{"kind":"spent-token"}`, `{"kind":"refuse-resume"}`, `{"kind":"refuse-resume","times":4}`, `{"kind":"forget-handle"}`,
	`{"kind":"mint-error"}`, `{"kind":"mint-error","status":408}`, `{"kind":"mint-error","status":500,"times":3}`,
	`{"kind":"malformed"}`, `{"kind":"unknown-field"}`, `{"kind":"empty"}`, `{"kind":"phantom-interrupt"}`,
}), func(body string) step {
	return step{words: "fault " + body, do: func(w *world) { w.fault(body) }}
})

// passing is time that passes for one side alone, and news of the network.
var passing = rapid.SampledFrom([]step{
	{words: "20s pass", do: func(*world) { time.Sleep(20 * time.Second) }},
	{words: "the network may have changed", do: func(w *world) { w.talk.session.Doubt() }},
	{words: "the page is visible again", do: func(w *world) { w.talk.session.Wake() }},
	{words: "10s pass, and for the service 5s", do: func(w *world) { time.Sleep(10 * time.Second); w.advance(5 * time.Second) }},
	{words: "10s pass, and for the service 3m", do: func(w *world) { time.Sleep(10 * time.Second); w.advance(3 * time.Minute) }},
	{words: "the machine sleeps for 2m", do: func(w *world) { w.sleeps(2 * time.Minute) }},
	{words: "the machine sleeps for 15m", do: func(w *world) { w.sleeps(15 * time.Minute) }},
})
