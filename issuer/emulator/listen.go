package emulator

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spoken is what was said aloud since the last answer.
type spoken struct {
	length time.Duration
	sound  []int16 // 16 kHz, if it is to be said back
}

// listen takes in streamed audio.
func (c *conversation) listen(blob tree) {
	mime := blob.text("mimeType")
	data, _ := blob["data"].([]byte)
	c.streams(sounds)
	if c.allSound {
		c.heard.audio += pcmLength(mime, len(data))
	}
	if isPCM(mime) {
		c.ear.record = c.memory.echo && c.modality == "AUDIO"
		c.notice(c.ear.hear(mime, data))
	}
}

// notice follows the begin and the end of activity: the one interrupts, the
// other asks for an answer.
func (c *conversation) notice(moments []moment) {
	for _, m := range moments {
		if c.end != nil {
			return
		}
		c.signal(m)
		if m.begins {
			if c.barge {
				c.interrupt()
			}
			continue
		}
		c.spoken.length += m.length
		c.spoken.sound = append(c.spoken.sound, m.sound[:min(len(m.sound), maxRecord-len(c.spoken.sound))]...)
		if !c.allSound {
			c.heard.audio += m.whole
		}
		c.transcribe(m.length)
		switch {
		case m.length > 0:
			c.ask(c.taken || c.play != nil && c.offer(event{kind: spoke}))
		case c.manual && (c.pending != "" || c.play == nil): // else typed text took all of it along, or a scenario its text
			c.ask(c.taken)
		}
	}
}

// signal tells of detected activity, as newer models do (observed).
func (c *conversation) signal(m moment) {
	if !c.can.signals || c.manual {
		return
	}
	kind := "ACTIVITY_END"
	if m.begins {
		kind = "ACTIVITY_START"
	}
	c.send(tree{"voiceActivity": tree{"type": kind, "audioOffset": seconds(m.at.Truncate(time.Millisecond))}})
}

// transcribe says what can be said of sound that is not understood, in
// fragments.
func (c *conversation) transcribe(length time.Duration) {
	if !c.inputTranscript || length == 0 {
		return
	}
	for fragment := range strings.SplitAfterSeq(inWords(length), " ") {
		c.send(content("inputTranscription", tree{"text": fragment}))
	}
}

// inWords is the transcript of sound.
func inWords(length time.Duration) string {
	return "(" + strconv.FormatFloat(length.Seconds(), 'f', 1, 64) + " seconds of sound)"
}

// ask wants an answer to what was said: now or, where nothing interrupts, after
// the running one. taken: none of the model's, a scenario has it.
func (c *conversation) ask(taken bool) {
	if c.barge {
		c.interrupt()
	}
	switch {
	case taken:
		c.learn()
		c.spoken = spoken{}
	case c.turn != nil:
		c.waiting = true
	default:
		c.reply()
	}
}

// sayBack is the sound at the rate of output audio, piece by piece, the
// transcript before the first.
func (s spoken) sayBack() iter.Seq[phrase] {
	return func(yield func(phrase) bool) {
		up := resampler{from: earRate, to: voiceRate}
		text := inWords(s.length)
		for part := range slices.Chunk(s.sound, earRate/10) {
			if !yield(phrase{text, appendPCM(nil, up.resample(part))}) {
				return
			}
			text = ""
		}
		yield(phrase{"", appendPCM(nil, up.flush())})
	}
}
