package emulator

import (
	"cmp"
	"time"
)

// usage is what was said, in the units that are billed.
type usage struct {
	text     int // tokens
	audio    time.Duration
	images   int
	frames   int // of video
	tools    int // tokens of what functions returned
	thoughts int // tokens
}

func (u *usage) add(v usage) {
	u.text += v.text
	u.audio += v.audio
	u.images += v.images
	u.frames += v.frames
	u.tools += v.tools
	u.thoughts += v.thoughts
}

// tokens is all of it but the thoughts.
func (u usage) tokens() int {
	return u.text + u.tools + audioTokens(u.audio) + pictureTokens*(u.images+u.frames)
}

// remembered is a turn as later ones have it before them. That the thoughts are
// forgotten, and what functions returned is text, is assumed.
func remembered(in, out usage) usage {
	in.add(out)
	in.text, in.tools, in.thoughts = in.text+in.tools, 0, 0
	return in
}

// window says when how much of a conversation is forgotten, in tokens. A trigger
// of 0 is never.
type window struct{ trigger, target int }

// contextTokens is what the newer models have room for (documented).
const contextTokens = 128 << 10

// windowOf reads contextWindowCompression, with the documented defaults.
func windowOf(setup tree) (window, *refusal) {
	if !setup.has("contextWindowCompression") {
		return window{}, nil
	}
	setting := setup.tree("contextWindowCompression")
	trigger, _ := setting["triggerTokens"].(int64)
	target, _ := setting.tree("slidingWindow")["targetTokens"].(int64)
	trigger = cmp.Or(trigger, contextTokens*8/10)
	target = cmp.Or(target, trigger/2)
	if trigger < 0 || target < 0 || target >= trigger {
		return window{}, errArgument() // the rule is documented, the code assumed
	}
	return window{int(trigger), int(target)}, nil
}

// slide is what is left of what was said when more comes. The service cuts at
// the begin of a turn (documented); here all gets less in proportion.
func (w window) slide(said, more usage) usage {
	have := said.tokens()
	if w.trigger == 0 || have+more.tokens() <= w.trigger || have <= w.target {
		return said
	}
	return usage{
		text:   said.text * w.target / have,
		audio:  said.audio / time.Duration(have) * time.Duration(w.target),
		images: said.images * w.target / have,
		frames: said.frames * w.target / have,
	}
}

// textTokens is a rule of thumb, not Google's tokenizer.
func textTokens(s string) int { return (len(s) + 3) / 4 }

// audioTokens: 25 for a second (documented).
func audioTokens(d time.Duration) int { return int(d * 25 / time.Second) }

// pictureTokens is a frame or image (documented for frames).
const pictureTokens = 258

// report is the usageMetadata of one turn: what the model had before it, and of
// the answer what was sent. Zero counts are omitted, as all default values are.
func report(in, out usage) tree {
	r := tree{}
	count := func(name string, n int) int {
		if n > 0 {
			r[name] = n
		}
		return n
	}
	details := func(name string, u usage) (sum int) {
		var list []any
		for _, one := range []struct {
			modality string
			tokens   int
		}{{"TEXT", u.text}, {"IMAGE", pictureTokens * u.images}, {"AUDIO", audioTokens(u.audio)}, {"VIDEO", pictureTokens * u.frames}} {
			if one.tokens > 0 {
				list = append(list, tree{"modality": one.modality, "tokenCount": one.tokens})
				sum += one.tokens
			}
		}
		if list != nil {
			r[name] = list
		}
		return sum
	}
	total := count("promptTokenCount", details("promptTokensDetails", in)) +
		count("responseTokenCount", details("responseTokensDetails", out)) +
		count("toolUsePromptTokenCount", details("toolUsePromptTokensDetails", usage{text: in.tools})) +
		count("thoughtsTokenCount", out.thoughts)
	count("totalTokenCount", total)
	return r
}
