package emulator

import (
	"encoding/binary"
	"iter"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	voiceRate = 24000 // samples/s of all output audio (documented)
	voiceMime = "audio/pcm;rate=24000"

	voiceLevel = 0.15 // RMS of a vowel, full scale 1: about -16 dBFS
	voicePeak  = 0.9  // samples are bent back softly before they reach this

	wordPause     = 50 * time.Millisecond
	sentencePause = 180 * time.Millisecond
)

// voice speaks: clips where there are some, and else something that sounds like
// speech without being it. The same voice says the same words in the same
// samples.
type voice struct {
	speed float64 // of the clips; pitch and pace go with it
	seed  uint64
}

// newVoice picks the speed from the voice's name.
func newVoice(name string, seed uint64) voice {
	const voices = 24
	return voice{0.88 + 0.3*float64((hash(name)^seed)%voices)/voices, seed}
}

// phrase is sound, PCM16 little endian, and its transcript. Others read the
// sound too.
type phrase struct {
	text string
	pcm  []byte
}

// say gives text word by word, each with the pause after it. All begins and ends
// in silence, so that nothing clicks.
func (v voice) say(text string) iter.Seq[phrase] {
	return func(yield func(phrase) bool) {
		words := strings.Fields(text)
		spelt := make([]string, len(words))
		for i, word := range words {
			spelt[i] = spelling(word)
		}
		space := ""
		for len(words) > 0 {
			n := longest(spelt)
			pcm := uttered.get(utterance{v, strings.Join(spelt[:n], " "), pauseAfter(words[n-1])})
			for i, word := range words[:n] {
				// A word's share of the sound is its share of the letters.
				size := len(pcm) / 2 * len(word) / len(strings.Join(words[i:n], "")) * 2
				if !yield(phrase{space + word, pcm[:size]}) {
					return
				}
				space, pcm = " ", pcm[size:]
			}
			words, spelt = words[n:], spelt[n:]
		}
	}
}

// longest is how many words the longest clip has that begins with the first; 1
// if there is none.
func longest(words []string) int {
	for n := min(len(words), clipWords()); n > 1; n-- {
		if _, known := clips()[strings.Join(words[:n], " ")]; known {
			return n
		}
	}
	return 1
}

func pauseAfter(word string) time.Duration {
	if strings.ContainsAny(word, ".,;:?!") {
		return sentencePause
	}
	return wordPause
}

// utterance is what a voice says in one breath.
type utterance struct {
	voice
	words string // as spelling gives them
	pause time.Duration
}

// maxParts bounds the clips, digits and groups of syllables in one utterance, and
// maxSyllables those in each group, since words may be of any length.
const (
	maxParts     = 6
	maxSyllables = 6
)

func (u utterance) speak() (pcm []byte) {
	if clip, known := clips()[u.words]; known {
		pcm = u.appendClip(pcm, clip)
	} else {
		for _, part := range parts.FindAllString(u.words, maxParts) {
			if clip, known := clips()[part]; known {
				pcm = u.appendClip(pcm, clip)
			} else {
				pcm = u.appendSyllables(pcm, part)
			}
		}
	}
	return append(pcm, make([]byte, 2*samples(u.pause))...)
}

// parts of an utterance that is no clip are words and single digits.
var parts = regexp.MustCompile(`[^ 0-9]+|[0-9]`)

// appendClip changes the clip's speed, and pitch with it.
func (v voice) appendClip(pcm []byte, clip adpcm) []byte {
	change := resampler{from: int(math.Round(clipRate * v.speed)), to: voiceRate}
	return appendPCM(appendPCM(pcm, change.resample(clip.decode())), change.flush())
}

// appendSyllables makes a syllable for each group of vowels: a buzz shaped by
// the vowel's formants, a breath of noise before it.
func (v voice) appendSyllables(pcm []byte, word string) []byte {
	noise := rand.New(rand.NewPCG(hash(word), v.seed))
	syllables := vowels(word)
	for i, vowel := range syllables {
		// The pitch falls over a word, as in a statement.
		pitch := v.speed * clipPitch * (1.08 - 0.16*float64(i)/float64(len(syllables)))
		pcm = appendPCM(pcm, syllable(formants[vowel], pitch, noise))
	}
	return pcm
}

// uttered keeps what was said last, for all sessions.
var uttered = utterances{pcm: map[utterance][]byte{}}

type utterances struct {
	mu   sync.Mutex
	pcm  map[utterance][]byte
	size int
}

// maxUttered bounds the sound that is kept, in bytes: the longest story in some
// ten voices.
const maxUttered = 8 << 20

func (all *utterances) get(one utterance) []byte {
	all.mu.Lock()
	pcm, known := all.pcm[one]
	all.mu.Unlock()
	if known {
		return pcm
	}
	pcm = one.speak()
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.size+len(pcm) > maxUttered {
		clear(all.pcm)
		all.size = 0
	}
	if _, known := all.pcm[one]; !known {
		all.pcm[one] = pcm
		all.size += len(pcm)
	}
	return pcm
}

// formants are the first two resonances of each vowel in Hz, the average male
// speaker's.
var formants = map[rune][2]float64{
	'a': {730, 1090}, 'e': {530, 1840}, 'i': {270, 2290}, 'o': {570, 840}, 'u': {300, 870}, 'y': {270, 2100},
}

// vowels is the vowel of each syllable, at least one.
func vowels(word string) []rune {
	var out []rune
	inside := false
	for _, r := range word {
		_, vowel := formants[r]
		if vowel && !inside {
			out = append(out, r)
		}
		inside = vowel
	}
	if len(out) == 0 {
		out = []rune{'a'}
	}
	return out[:min(len(out), maxSyllables)]
}

// syllable is 140 ms of voice: harmonics of the pitch weighted by how near they
// lie to a formant, under an envelope that starts and ends at zero.
func syllable(formant [2]float64, pitch float64, noise *rand.Rand) []int16 {
	sum := make([]float64, samples(140*time.Millisecond))
	var power float64
	for k := 1; float64(k)*pitch < 3600; k++ {
		f := float64(k) * pitch
		weight := resonance(f, formant[0], 90) + 0.6*resonance(f, formant[1], 130) + 0.15*resonance(f, 2700, 200)
		power += weight * weight / 2
		// Quadratic phases spread the harmonics' peaks, which keeps the crest low.
		phase, step := math.Pi*float64(k*k)/12, 2*math.Pi*f/voiceRate
		// A sine by recurrence: a fifth of the cost of math.Sin, and exact enough
		// for a few thousand samples.
		turn, x, last := 2*math.Cos(step), math.Sin(phase), math.Sin(phase-step)
		for i := range sum {
			sum[i] += weight * x
			x, last = turn*x-last, x
		}
	}
	gain := voiceLevel / math.Sqrt(power)
	out := make([]int16, len(sum))
	for i := range out {
		at := float64(i) / float64(len(out))
		breath := 0.03 * (2*noise.Float64() - 1) * max(0, 1-5*at)
		out[i] = int16(math.Round(math.MaxInt16 * bend((gain*sum[i]+breath)*envelope(at))))
	}
	return out
}

func resonance(f, centre, width float64) float64 {
	d := (f - centre) / width
	return 1 / (1 + d*d)
}

// envelope rises over the first 15 % and falls over the last 30 %.
func envelope(at float64) float64 {
	x := min(1, at/0.15, (1-at)/0.3)
	return 0.5 - 0.5*math.Cos(math.Pi*x)
}

// bend keeps peaks below voicePeak.
func bend(x float64) float64 { return voicePeak * math.Tanh(x/voicePeak) }

func samples(d time.Duration) int { return int(d * voiceRate / time.Second) }

// playtime is how long that much PCM plays.
func playtime(pcm []byte) time.Duration {
	return time.Duration(len(pcm)/2) * time.Second / voiceRate
}

func appendPCM(pcm []byte, samples []int16) []byte {
	for _, x := range samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(x))
	}
	return pcm
}
