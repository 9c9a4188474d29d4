package emulator

import (
	"encoding/binary"
	"flag"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var render = flag.Bool("render", false, "let espeak-ng (1.51) speak the clips anew")

const (
	clipLoudness = -18 // dBFS, RMS of what is louder than clipSilence
	clipSilence  = -45 // dBFS, of 10 ms
)

func TestClips(t *testing.T) {
	if *render {
		var sounds []byte
		for phrase := range strings.Lines(clipPhrases) {
			pcm := speak(t, phrase)
			sounds = binary.LittleEndian.AppendUint32(sounds, uint32(len(pcm)))
			sounds = append(sounds, encode(pcm)...)
		}
		if err := os.WriteFile("clips/phrases.adpcm", sounds, 0o644); err != nil {
			t.Fatal(err)
		}
		clipSounds = string(sounds)
	}
	if len(clipSounds) > 250<<10 {
		t.Errorf("they take %d bytes", len(clipSounds))
	}
	if got, want := len(clips()), strings.Count(clipPhrases, "\n"); got != want {
		t.Errorf("%d phrases sound like %d", want, got)
	}
	rest := len(clipSounds)
	for phrase, clip := range clips() {
		rest -= 4 + len(clip.nibbles)
		pcm := clip.decode()
		if got := loudness(pcm); math.Abs(got-clipLoudness) > 1 {
			t.Errorf("%q has %.1f dBFS", phrase, got)
		}
		// All letters take some time, even those of the longest word.
		if perLetter := float64(len(pcm)) / clipRate / float64(len(phrase)); perLetter < 0.03 || perLetter > 0.5 {
			t.Errorf("%q takes %.3f s for each letter", phrase, perLetter)
		}
		const edge = 200 // about -44 dBFS
		if first, last := pcm[0], pcm[len(pcm)-1]; max(first, -first) > edge || max(last, -last) > edge {
			t.Errorf("%q begins with %d and ends with %d", phrase, first, last)
		}
	}
	if rest != 0 {
		t.Errorf("%d bytes belong to no phrase", rest)
	}
}

func TestADPCM(t *testing.T) {
	sine := func(hertz, level float64) []int16 {
		pcm := make([]int16, clipRate+1)
		for i := range pcm {
			pcm[i] = int16(level * math.MaxInt16 * math.Sin(2*math.Pi*hertz*float64(i)/clipRate))
		}
		return pcm
	}
	for _, tt := range []struct {
		sentence string
		pcm      []int16
		noise    float64 // dB below the sound, at least
	}{
		{"a low tone", sine(200, 0.3), 30},
		{"a high one", sine(1500, 0.3), 18},
		{"a loud one", sine(300, 1), 28},
		{"a quiet one", sine(300, 0.01), 24},
		{"speech", clips()["this is a long story"].decode(), 18},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			var sound, noise float64
			for i, x := range (adpcm{string(encode(tt.pcm)), len(tt.pcm)}).decode() {
				sound += float64(tt.pcm[i]) * float64(tt.pcm[i])
				noise += math.Pow(float64(x)-float64(tt.pcm[i]), 2)
			}
			if got := 10 * math.Log10(sound/noise); got < tt.noise {
				t.Errorf("the noise is %.1f dB below it, want %.0f", got, tt.noise)
			}
		})
	}
}

// encode picks for each sample the nibble that comes nearest.
func encode(pcm []int16) []byte {
	out := make([]byte, (len(pcm)+1)/2)
	var state adpcmState
	for i, x := range pcm {
		change := int(x) - state.sample
		nibble := byte(min(abs(change)*4/adpcmSteps[state.step], 7))
		if change < 0 {
			nibble |= 8
		}
		state.next(nibble)
		out[i/2] |= nibble << (i % 2 * 4)
	}
	return out
}

func abs(x int) int { return max(x, -x) }

// speak is the recipe of a clip: spoken by espeak-ng, brought to clipRate, cut to
// what is not silence, with soft edges, and as loud as all others.
func speak(t *testing.T, phrase string) []int16 {
	t.Helper()
	wav, err := exec.Command("espeak-ng", "-v", "en-gb", "-s", "178", "-p", "58", "--stdout", strings.TrimSpace(phrase)).Output()
	if err != nil {
		t.Fatalf("espeak-ng: %v", err)
	}
	change := resampler{from: int(binary.LittleEndian.Uint32(wav[24:])), to: clipRate}
	const header = 44
	pcm := make([]int16, (len(wav)-header)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(wav[header+2*i:]))
	}
	pcm = append(change.resample(pcm), change.flush()...)

	const frame = clipRate / 100
	heard := func(pcm []int16) bool { return level(pcm) > clipSilence }
	for len(pcm) > frame && !heard(pcm[:frame]) {
		pcm = pcm[frame:]
	}
	for len(pcm) > frame && !heard(pcm[len(pcm)-frame:]) {
		pcm = pcm[:len(pcm)-frame]
	}
	out := make([]int16, len(pcm))
	gain := 1.0
	for range 4 { // since bending the peaks takes some loudness
		for i, x := range pcm {
			fade := min(1, float64(i)/(frame/2), float64(len(pcm)-1-i)/frame)
			out[i] = int16(math.MaxInt16 * bend(gain*fade*float64(x)/math.MaxInt16))
		}
		gain *= math.Pow(10, (clipLoudness-loudness(out))/20)
	}
	return out
}

// loudness is the RMS in dBFS of what is heard of a clip.
func loudness(pcm []int16) float64 {
	var power float64
	n := 0
	for part := range slices.Chunk(pcm, clipRate/100) {
		if level := level(part); level > clipSilence {
			power += math.Pow(10, level/10)
			n++
		}
	}
	return 10 * math.Log10(power/float64(n))
}
