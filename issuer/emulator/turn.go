package emulator

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// speedup is how much faster than real time audio is sent. That it is faster
	// is documented, the factor is ours.
	speedup = 3

	chunkSize = 2 * voiceRate * 60 / 1000 // bytes of audio in one message: 60 ms
	textPause = 30 * time.Millisecond     // between the pieces of a written answer
	textWords = 3                         // in one piece

	// oddEvery is how often a turn contains an empty message and one with a key
	// that nobody knows, both of which clients must survive (observed). How often
	// is ours.
	oddEvery = 8
)

// turn is one answer being given.
type turn struct {
	started time.Time           // zero while it waits for its calls
	next    func() (step, bool) // what is still to be sent, in order; set by start
	stop    func()              // forgets it
	results []string            // of its calls
	later   *reaction           // another turn that follows by itself

	input, output usage // what it answers, and what was sent of it
}

// step is one message and its time after the turn's start.
type step struct {
	at      time.Duration
	message tree // nil: none
	cost    usage
	ends    bool // the turn
}

// reply begins the answer to what was typed or heard since the last one.
func (c *conversation) reply() {
	r := c.react()
	c.pending, c.spoken, c.waiting = "", spoken{}, false
	if !r.mute {
		c.perform(r)
	}
}

// perform begins a turn.
func (c *conversation) perform(r reaction) {
	if c.updates {
		c.send(tree{"sessionResumptionUpdate": tree{}}) // not resumable while generating or calling
	}
	t := &turn{stop: func() {}, later: r.later, input: c.heard}
	c.memory.said = c.window.slide(c.memory.said, t.input)
	c.heard = usage{}
	c.turn = t
	if len(r.calls) > 0 {
		if len(c.calling.pending)+len(r.calls) > maxCalls {
			r = reaction{text: "Too many of your functions have not returned yet."}
		}
		c.call(t, r.calls)
	}
	if last := len(c.calling.pending) - 1; r.cancel && last >= 0 {
		c.withdrawLater(c.calling.pending[last].id, withdrawAfter)
	}
	if !c.blocked(t) {
		c.say(t, r)
	}
}

// say gives the turn its words, from now on.
func (c *conversation) say(t *turn, r reaction) {
	t.started = c.world.clock.Now()
	c.turns++
	t.next, t.stop = iter.Pull(c.script(r, c.turns%oddEvery == 0))
	c.scheduleStep(t)
}

// script is all that a turn sends, made as it is needed. Its last step is the
// turn's end.
func (c *conversation) script(r reaction, odd bool) iter.Seq[step] {
	return func(yield func(step) bool) {
		for _, first := range c.opening(r, odd) {
			if !yield(first) {
				return
			}
		}
		var length time.Duration
		for next := range c.answering(r, &length) {
			if !yield(next) {
				return
			}
		}
		for _, last := range c.closing(r, length) {
			if !yield(last) {
				return
			}
		}
	}
}

// opening is what comes before the answer.
func (c *conversation) opening(r reaction, odd bool) (steps []step) {
	if odd {
		steps = append(steps, step{message: tree{}}, step{message: tree{"emulatorUnknownKey": tree{}}})
	}
	if r.thought != "" {
		message := content("modelTurn", tree{"parts": []any{tree{"text": r.thought, "thought": true}}})
		if !c.thoughts {
			message = nil
		}
		steps = append(steps, step{message: message, cost: usage{thoughts: textTokens(r.thought)}})
	}
	return steps
}

// answering is the answer itself. It counts in length how long that lasts.
func (c *conversation) answering(r reaction, length *time.Duration) iter.Seq[step] {
	switch {
	case r.sound != nil:
		return c.speaking(r.sound, length)
	case c.modality == "TEXT":
		return writing(r.text, length)
	}
	return c.speaking(c.voice.say(r.text), length)
}

// closing is what comes after it: speech has been generated sooner than it has
// been played, and its end is held back until then (observed).
func (c *conversation) closing(r reaction, length time.Duration) (steps []step) {
	generated := length
	if c.modality != "TEXT" {
		generated /= speedup
	}
	if r.sources != "" {
		steps = append(steps, step{at: generated, message: grounding(r.sources, r.text)})
	}
	return append(steps, step{at: generated, message: content("generationComplete", true)}, step{at: length, ends: true})
}

// scheduleStep puts the turn's next step on the agenda. A turn that was
// interrupted meanwhile does nothing.
func (c *conversation) scheduleStep(t *turn) {
	next, _ := t.next()
	c.agenda.add(t.started.Add(next.at), func() {
		switch {
		case c.turn != t:
			return
		case next.ends:
			c.finish(t)
			c.idle()
			return
		case next.message != nil:
			c.send(next.message)
		}
		t.output.add(next.cost)
		c.scheduleStep(t)
	})
}

// idle does what had to wait for the end of a turn.
func (c *conversation) idle() {
	c.act()
	switch results := c.calling.results; {
	case c.turn != nil:
	case c.waiting:
		c.reply()
	case c.later != nil:
		c.perform(*c.later)
	case len(results) > 0 && !c.activity && !c.ear.active:
		c.calling.results = nil
		c.perform(reaction{text: told(results)})
	}
	c.save()
	if c.calling.silent {
		c.calling.silent = false
		c.offerHandle() // nothing else tells that there is one again
	}
}

// interrupt ends the running answer, if there is one: interrupted, then
// turnComplete, and no generationComplete from here on (documented). Its calls
// are withdrawn (documented).
func (c *conversation) interrupt() {
	if t := c.turn; t != nil {
		c.send(content("interrupted", true))
		c.withdraw(func(one call) bool { return one.by == t })
		t.later = nil
		c.finish(t)
	}
}

// finish says that the turn is over and, if asked to, how to come back to here.
func (c *conversation) finish(t *turn) {
	t.stop()
	c.turn, c.later = nil, t.later
	complete := tree{"turnComplete": true}
	if c.can.thinking == thinkingRequired { // documented for this model
		complete["interactionStatus"] = "IDLE"
		if t.later != nil {
			complete["interactionStatus"] = "IN_PROGRESS"
		}
	}
	// The prompt is all that was said so far, in each turn anew (observed; it is
	// billed so, as documented).
	prompt := c.memory.said
	prompt.add(t.input)
	c.send(tree{"serverContent": complete, "usageMetadata": report(prompt, t.output)})
	c.memory.said.add(remembered(t.input, t.output))
	c.saved.memory.said = c.memory.said
	c.offerHandle()
}

// speaking sends each phrase's transcript just before its sound, or on newer
// models in one message with it (documented).
func (c *conversation) speaking(phrases iter.Seq[phrase], played *time.Duration) iter.Seq[step] {
	return func(yield func(step) bool) {
		samples := 0
		for one := range phrases {
			transcript := content("outputTranscription", tree{"text": one.text})
			told := !c.transcript || one.text == ""
			if !told && !c.can.recent {
				told = true
				if !yield(step{at: *played / speedup, message: transcript}) {
					return
				}
			}
			for pcm := range slices.Chunk(one.pcm, chunkSize) {
				blob := tree{"mimeType": voiceMime, "data": pcm}
				message := content("modelTurn", tree{"parts": []any{tree{"inlineData": blob}}})
				if !told {
					told = true
					maps.Copy(message.tree("serverContent"), transcript.tree("serverContent"))
				}
				if !yield(step{at: *played / speedup, message: message, cost: usage{audio: playtime(pcm)}}) {
					return
				}
				samples += len(pcm) / 2
				*played = time.Duration(samples) * time.Second / voiceRate
			}
		}
	}
}

// writing sends a few words at a time.
func writing(text string, at *time.Duration) iter.Seq[step] {
	return func(yield func(step) bool) {
		if text == "" {
			return
		}
		told := 0 // bytes
		for words := range slices.Chunk(strings.SplitAfter(text, " "), textWords) {
			part := strings.Join(words, "")
			cost := textTokens(text[:told+len(part)]) - textTokens(text[:told])
			if !yield(step{at: *at, message: content("modelTurn", tree{"parts": []any{tree{"text": part}}}), cost: usage{text: cost}}) {
				return
			}
			told += len(part)
			*at += textPause
		}
	}
}

func content(name string, v any) tree { return tree{"serverContent": tree{name: v}} }
