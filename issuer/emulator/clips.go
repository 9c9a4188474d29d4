package emulator

import (
	_ "embed"
	"encoding/binary"
	"regexp"
	"strings"
	"sync"
)

// Clips are phrases that espeak-ng spoke once; TestClips has the recipe. It is
// needed only after a change of phrases.txt, which names them, and whose order
// is theirs. (espeak-ng is under the GPL, the sound it makes is not.)
//
//go:generate go test -run ^TestClips$ -render .

//go:embed clips/phrases.txt
var clipPhrases string

// clipSounds holds for each phrase the number of samples, uint32 little endian,
// and the samples as IMA ADPCM, the first of each byte in its lower half.
//
//go:embed clips/phrases.adpcm
var clipSounds string

const (
	clipRate  = 8000 // samples/s
	clipPitch = 106  // Hz, the median of the speaker's
)

// clips finds a phrase's sound, still encoded, by its words.
var clips = sync.OnceValue(func() map[string]adpcm {
	found, rest := map[string]adpcm{}, clipSounds
	for phrase := range strings.Lines(clipPhrases) {
		samples := int(binary.LittleEndian.Uint32([]byte(rest[:4])))
		end := 4 + (samples+1)/2
		found[spelling(phrase)] = adpcm{rest[4:end], samples}
		rest = rest[end:]
	}
	return found
})

// clipWords is how many words the longest phrase has.
var clipWords = sync.OnceValue(func() (most int) {
	for phrase := range strings.Lines(clipPhrases) {
		most = max(most, len(strings.Fields(phrase)))
	}
	return most
})

var (
	letters = regexp.MustCompile(`[\pL\pM'’]+|[0-9]+`)
	decimal = regexp.MustCompile(`([0-9])\.([0-9])`)
)

// spelling is what of a text matters to how it sounds.
func spelling(text string) string {
	text = decimal.ReplaceAllString(strings.ToLower(text), "$1 point $2")
	return strings.Join(letters.FindAllString(text, -1), " ")
}

// adpcm is sound in four bits a sample, each the difference to what was
// expected, in steps that follow the loudness (IMA ADPCM).
type adpcm struct {
	nibbles string
	samples int
}

func (a adpcm) decode() []int16 {
	pcm := make([]int16, a.samples)
	var state adpcmState
	for i := range pcm {
		pcm[i] = state.next(a.nibbles[i/2] >> (i % 2 * 4) & 15)
	}
	return pcm
}

// adpcmState is what decoder and encoder expect.
type adpcmState struct {
	sample int
	step   int // an index of adpcmSteps
}

var (
	adpcmSteps = [...]int{
		7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
		130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
		1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
		7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
	}
	adpcmTurns = [...]int{-1, -1, -1, -1, 2, 4, 6, 8} // of the step, by magnitude
)

// next takes a nibble: sign, and magnitude in quarters of a step.
func (s *adpcmState) next(nibble byte) int16 {
	magnitude := int(nibble & 7)
	change := adpcmSteps[s.step] * (2*magnitude + 1) / 8
	if nibble&8 != 0 {
		change = -change
	}
	s.sample = min(max(s.sample+change, -1<<15), 1<<15-1)
	s.step = min(max(s.step+adpcmTurns[magnitude], 0), len(adpcmSteps)-1)
	return int16(s.sample)
}
