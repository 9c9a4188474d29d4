package emulator

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
)

const (
	voiceRate = 24000 // samples/s of all output audio (documented)
	voiceMime = "audio/pcm;rate=24000"

	voiceLevel = 0.22 // RMS of a vowel, full scale 1: about -13 dBFS
	voicePeak  = 0.9  // samples are bent back softly before they reach this
)

// voice turns words into something that sounds like speech, without being it:
// one syllable for each group of vowels, a buzz shaped by the vowel's formants,
// a breath of noise before it. The same voice says the same words in the same
// samples.
type voice struct {
	pitch float64 // Hz
	seed  uint64
}

// newVoice picks the pitch from the voice's name.
func newVoice(name string, seed uint64) voice {
	h := fnv.New64a()
	h.Write([]byte(name))
	return voice{pitch: 105 + float64((h.Sum64()^seed)%95), seed: seed}
}

// formants are the first two resonances of each vowel in Hz, the average male
// speaker's.
var formants = map[rune][2]float64{
	'a': {730, 1090}, 'e': {530, 1840}, 'i': {270, 2290}, 'o': {570, 840}, 'u': {300, 870}, 'y': {270, 2100},
}

// word gives the samples of one word and the pause after it, PCM16 little
// endian. It begins and ends in silence, so words join without a click.
func (v voice) word(word string) []byte {
	h := fnv.New64a()
	h.Write([]byte(word))
	noise := rand.New(rand.NewPCG(h.Sum64(), v.seed))
	var pcm []byte
	syllables := vowels(word)
	for i, vowel := range syllables {
		// The pitch falls over a word, as in a statement.
		pitch := v.pitch * (1.08 - 0.16*float64(i)/float64(len(syllables)))
		pcm = appendSamples(pcm, syllable(formants[vowel], pitch, noise))
	}
	pause := 50 * time.Millisecond
	if strings.ContainsAny(word, ".,;:?!") {
		pause = 180 * time.Millisecond
	}
	return append(pcm, make([]byte, 2*samples(pause))...)
}

// vowels is the vowel of each syllable, at least one and at most six.
func vowels(word string) []rune {
	var out []rune
	inside := false
	for _, r := range strings.ToLower(word) {
		_, vowel := formants[r]
		switch {
		case unicode.IsDigit(r):
			out, inside = append(out, []rune("oueieaieei")[r%10]), false
		case vowel && !inside:
			out, inside = append(out, r), true
		case !vowel:
			inside = false
		}
	}
	if len(out) == 0 {
		out = []rune{'a'}
	}
	return out[:min(len(out), 6)]
}

// syllable is 140 ms of voice: harmonics of the pitch weighted by how near they
// lie to a formant, under an envelope that starts and ends at zero.
func syllable(formant [2]float64, pitch float64, noise *rand.Rand) []float64 {
	out := make([]float64, samples(140*time.Millisecond))
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
		for i := range out {
			out[i] += weight * x
			x, last = turn*x-last, x
		}
	}
	gain := voiceLevel / math.Sqrt(power)
	for i := range out {
		at := float64(i) / float64(len(out))
		breath := 0.03 * (2*noise.Float64() - 1) * max(0, 1-5*at)
		x := (gain*out[i] + breath) * envelope(at)
		out[i] = voicePeak * math.Tanh(x/voicePeak)
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

func samples(d time.Duration) int { return int(d * voiceRate / time.Second) }

// playtime is how long that much PCM plays.
func playtime(pcm []byte) time.Duration {
	return time.Duration(len(pcm)/2) * time.Second / voiceRate
}

func appendSamples(pcm []byte, samples []float64) []byte {
	for _, x := range samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(math.Round(x*math.MaxInt16))))
	}
	return pcm
}
