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
)

// turn is one answer being given.
type turn struct {
	started time.Time
	steps   []step // still to be sent, in order
	usage   tree
}

// step is one message and its time after the turn's start.
type step struct {
	at      time.Duration
	message tree
}

// reply begins the answer to what was typed or heard since the last one.
func (c *conversation) reply() {
	var text string
	var pcm []byte // said instead
	switch said := c.spoken; {
	case c.pending == "" && len(said.sound) > 0:
		text, pcm = inWords(said.length), said.sayBack()
	case c.pending == "" && said.length > 0:
		text = "I heard " + strings.Trim(inWords(said.length), "()") + "."
	default:
		text, c.memory = c.memory.answer(c.pending)
	}
	c.pending, c.spoken, c.waiting = "", spoken{}, false
	if c.updates {
		c.send(tree{"sessionResumptionUpdate": tree{}}) // not resumable while generating
	}
	t := &turn{started: c.world.clock.Now()}
	answered := usage{}
	switch {
	case c.modality == "TEXT":
		t.steps = writing(text)
		answered.text = textTokens(text)
	case pcm != nil:
		t.steps, answered.audio = c.speaking([]phrase{{text, pcm}})
	default:
		t.steps, answered.audio = c.speaking(c.phrases(text))
	}
	t.usage = c.heard.report(answered, c.modality)
	c.heard = usage{}
	c.turn = t
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
			if c.waiting {
				c.reply()
			}
			return
		}
		c.send(next.message)
		c.scheduleStep(t)
	})
}

// interrupt ends the running answer, if there is one: interrupted, then
// turnComplete, and no generationComplete from here on (documented).
func (c *conversation) interrupt() {
	if t := c.turn; t != nil {
		c.send(tree{"serverContent": tree{"interrupted": true}})
		c.finish(t)
	}
}

// finish says that the turn is over and, if asked to, how to come back to here.
// The handle contains every client message that was handled before it, the one
// that interrupted included.
func (c *conversation) finish(t *turn) {
	c.turn = nil
	c.send(tree{"serverContent": tree{"turnComplete": true}, "usageMetadata": t.usage})
	if c.updates {
		c.offerHandle()
	}
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
func (c *conversation) speaking(phrases []phrase) (steps []step, played time.Duration) {
	for _, one := range phrases {
		transcript := content("outputTranscription", tree{"text": one.text})
		if c.transcript && !c.can.packed {
			steps = append(steps, step{played / speedup, transcript})
		}
		for i := 0; i < len(one.pcm); i += 2 * samples(chunk) {
			pcm := one.pcm[i:min(i+2*samples(chunk), len(one.pcm))]
			blob := tree{"mimeType": voiceMime, "data": pcm}
			message := content("modelTurn", tree{"parts": []any{tree{"inlineData": blob}}})
			if c.transcript && c.can.packed && i == 0 {
				maps.Copy(message.tree("serverContent"), transcript.tree("serverContent"))
			}
			steps = append(steps, step{played / speedup, message})
			played += playtime(pcm)
		}
	}
	return append(steps, step{played / speedup, content("generationComplete", true)}, step{at: played}), played
}

// writing plans a written answer.
func writing(text string) (steps []step) {
	var at time.Duration
	for words := strings.SplitAfter(text, " "); len(words) > 0; at += textPause {
		n := min(textWords, len(words))
		part := tree{"text": strings.Join(words[:n], "")}
		steps = append(steps, step{at, content("modelTurn", tree{"parts": []any{part}})})
		words = words[n:]
	}
	return append(steps, step{at, content("generationComplete", true)}, step{at: at})
}

func content(name string, v any) tree { return tree{"serverContent": tree{name: v}} }

// usage is what was said, in the units that are billed.
type usage struct {
	text   int // tokens
	audio  time.Duration
	frames int // of video
}

// textTokens is a rule of thumb, not Google's tokenizer.
func textTokens(s string) int { return (len(s) + 3) / 4 }

// report is the usageMetadata of one turn: the input since the last answer and
// the answer. 25 tokens for a second of audio, 258 for a frame (documented).
func (u usage) report(answered usage, modality string) tree {
	audioIn, audioOut, frames := audioTokens(u.audio), audioTokens(answered.audio), 258*u.frames
	prompt, response := u.text+audioIn+frames, answered.text+audioOut
	var details []any
	for _, one := range []struct {
		modality string
		count    int
	}{{"TEXT", u.text}, {"AUDIO", audioIn}, {"VIDEO", frames}} {
		if one.count > 0 {
			details = append(details, tree{"modality": one.modality, "tokenCount": one.count})
		}
	}
	report := tree{
		"promptTokenCount":      prompt,
		"responseTokenCount":    response,
		"totalTokenCount":       prompt + response,
		"responseTokensDetails": []any{tree{"modality": modality, "tokenCount": response}},
	}
	if len(details) > 0 {
		report["promptTokensDetails"] = details
	}
	return report
}

func audioTokens(d time.Duration) int { return int(d * 25 / time.Second) }
