package emulator

import "time"

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

// textTokens is a rule of thumb, not Google's tokenizer.
func textTokens(s string) int { return (len(s) + 3) / 4 }

// audioTokens: 25 for a second (documented).
func audioTokens(d time.Duration) int { return int(d * 25 / time.Second) }

// pictureTokens is a frame or image (documented for frames).
const pictureTokens = 258

// report is the usageMetadata of one turn: the input since the last answer, and
// of the answer what was sent. The history is not counted again. Zero counts
// are omitted, as all default values are.
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
