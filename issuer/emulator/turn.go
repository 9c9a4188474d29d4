package emulator

import (
	"maps"
	"strings"
	"time"
)

const (
	// speedup is how much faster than real time audio is sent. That it is faster
	// is documented, the factor is ours.
	speedup = 3

	chunk     = 60 * time.Millisecond // of audio in one message
	textPause = 30 * time.Millisecond // between the pieces of a written answer
	textWords = 3                     // in one piece

	// oddEvery is how often a turn contains an empty message and one with a key
	// that nobody knows, both of which clients must survive (observed). How often
	// is ours.
	oddEvery = 8
)

// turn is one answer being given.
type turn struct {
	started time.Time // zero while it waits for its calls
	steps   []step    // still to be sent, in order
	results []string  // of its calls
	later   *reaction // another turn that follows by itself

	input, output usage // what it answers, and what was sent of it
}

// step is one message and its time after the turn's start.
type step struct {
	at      time.Duration
	message tree
	cost    usage
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
	t := &turn{later: r.later, input: c.heard}
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
	if c.turns++; c.turns%oddEvery == 0 {
		t.steps = append(t.steps, step{message: tree{}}, step{message: tree{"emulatorUnknownKey": tree{}}})
	}
	if r.thought != "" {
		message := content("modelTurn", tree{"parts": []any{tree{"text": r.thought, "thought": true}}})
		if !c.thoughts {
			message = nil
		}
		t.steps = append(t.steps, step{message: message, cost: usage{thoughts: textTokens(r.thought)}})
	}
	var end step
	switch {
	case r.text == "":
	case c.modality == "TEXT":
		end.at = t.writing(r.text)
	case r.pcm != nil:
		end.at = c.speaking(t, []phrase{{r.text, r.pcm}})
	default:
		end.at = c.speaking(t, c.phrases(r.text))
	}
	generated := end.at
	if c.modality != "TEXT" {
		generated /= speedup
	}
	if r.sources != "" {
		t.steps = append(t.steps, step{at: generated, message: grounding(r.sources, r.text)})
	}
	t.steps = append(t.steps, step{at: generated, message: content("generationComplete", true)}, end)
	c.scheduleStep(t)
}

// scheduleStep puts the turn's next step, or its end, on the agenda. A turn that
// was interrupted meanwhile does nothing.
func (c *conversation) scheduleStep(t *turn) {
	next := t.steps[0]
	c.agenda.add(t.started.Add(next.at), func() {
		if c.turn != t {
			return
		}
		if t.steps = t.steps[1:]; len(t.steps) == 0 {
			c.finish(t)
			c.idle()
			return
		}
		t.output.add(next.cost)
		if next.message != nil {
			c.send(next.message)
		}
		c.scheduleStep(t)
	})
}

// idle does what had to wait for the end of a turn.
func (c *conversation) idle() {
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
	c.turn, c.later = nil, t.later
	complete := tree{"turnComplete": true}
	if c.can.thinking == thinkingRequired { // documented for this model
		complete["interactionStatus"] = "IDLE"
		if t.later != nil {
			complete["interactionStatus"] = "IN_PROGRESS"
		}
	}
	c.send(tree{"serverContent": complete, "usageMetadata": report(t.input, t.output)})
	c.offerHandle()
}

// phrase is sound and its transcript.
type phrase struct {
	text string
	pcm  []byte
}

// phrases says text in the session's voice, word by word.
func (c *conversation) phrases(text string) (out []phrase) {
	for i, word := range strings.Fields(text) {
		fragment := word
		if i > 0 {
			fragment = " " + word
		}
		out = append(out, phrase{fragment, c.voice.word(word)})
	}
	return out
}

// speaking plans a spoken answer: each phrase's transcript just before its
// sound, or on newer models in one message with it (documented), and the end
// held back until all has been played (observed).
func (c *conversation) speaking(t *turn, phrases []phrase) (played time.Duration) {
	for _, one := range phrases {
		transcript := content("outputTranscription", tree{"text": one.text})
		if c.transcript && !c.can.packed {
			t.steps = append(t.steps, step{at: played / speedup, message: transcript})
		}
		for i := 0; i < len(one.pcm); i += 2 * samples(chunk) {
			pcm := one.pcm[i:min(i+2*samples(chunk), len(one.pcm))]
			blob := tree{"mimeType": voiceMime, "data": pcm}
			message := content("modelTurn", tree{"parts": []any{tree{"inlineData": blob}}})
			if c.transcript && c.can.packed && i == 0 {
				maps.Copy(message.tree("serverContent"), transcript.tree("serverContent"))
			}
			t.steps = append(t.steps, step{played / speedup, message, usage{audio: playtime(pcm)}})
			played += playtime(pcm)
		}
	}
	return played
}

// writing plans a written answer.
func (t *turn) writing(text string) (at time.Duration) {
	tokens := 0
	for words := strings.SplitAfter(text, " "); len(words) > 0; at += textPause {
		n := min(textWords, len(words))
		part := strings.Join(words[:n], "")
		cost := textTokens(text[:len(text)-len(strings.Join(words[n:], ""))]) - tokens
		tokens += cost
		t.steps = append(t.steps, step{at, content("modelTurn", tree{"parts": []any{tree{"text": part}}}), usage{text: cost}})
		words = words[n:]
	}
	return at
}

func content(name string, v any) tree { return tree{"serverContent": tree{name: v}} }
