//go:build bundle && engines

package engines_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/livevalet/livevalet/scripts/engines"
)

// talk holds a conversation by voice.
func (s suite) talk() {
	s.run("a click begins it, and the model's voice is played", func(s suite) {
		s.page.Eval(s.t, fmt.Sprintf("offerToTalk(%d)", engines.Tone))
		s.page.Click(s.t, "#talk")
		s.page.Eval(s.t, "until(() => session)")
		s.want("session.speaker.blocked", false)
		turn := s.turn(`session.sendRealtimeInput({ text: "my name is Ada" }).then(answer)`)
		if turn.Level < 0.01 {
			s.t.Errorf("the loudest of it was %g", turn.Level)
		}
		const nearly = 50 // ms
		if turn.Of < 500 || turn.MS < turn.Of-nearly || turn.MS > turn.Of+nearly {
			s.t.Errorf("%g ms were heard of %g", turn.MS, turn.Of)
		}
	})
	s.run("a tone in place of a microphone arrives as it is", func(s suite) { s.wantTone("echoOfSource()") })
	s.run("the silence after it is heard as such", func(s suite) {
		s.page.Eval(s.t, "until(() => session.microphone.level.rms === 0)")
	})
	s.run("silence in place of a microphone is heard, too", func(s suite) { s.want("hearSilence()", "on") })
	s.run("the tone that the browser's own microphone hears arrives as it is", func(s suite) { s.wantTone("echoOfMicrophone()") })
	s.run("a microphone that is not there is told as such", func(s suite) {
		s.want(`session.microphone.use("nowhere").catch(({ code }) => code)`, "microphone_missing")
	})
	s.run("its end lets go of the sound", func(s suite) {
		s.want("session.close().then(() => [session.state, session.microphone.state, session.speaker.playing])", []any{"closed", "off", false})
	})
}

// wantTone has the emulator's model say back what it hears.
func (s suite) wantTone(echo string) {
	s.t.Helper()
	const rate = 24_000 // of the model's voice
	samples := s.turn(echo).samples()
	hz, share := frequency(samples, rate)
	seconds := float64(len(samples)) / rate
	fmt.Fprintf(s.t.Output(), "%.1f Hz, %.0f %% of %.2f s\n", hz, 100*share, seconds)
	if math.Abs(hz-engines.Tone) > engines.Tone/100 {
		s.t.Errorf("a tone of %d Hz arrives as one of %.1f", engines.Tone, hz)
	}
	if share*seconds < 0.5 { // a busy machine may hold up a device, but not all the time
		s.t.Error("not even half a second of the tone arrived")
	}
}

// A turn is what was played of one of the model's.
type turn struct {
	Sound  [][]byte // little endian PCM16
	Level  float64  // RMS of the loudest piece, 1 is full scale
	MS, Of float64  // what was heard of it, and what came
}

func (s suite) turn(expression string) (heard turn) {
	s.t.Helper()
	if err := json.Unmarshal(s.page.Eval(s.t, expression), &heard); err != nil {
		s.t.Fatal(err)
	}
	return heard
}

func (t turn) samples() (samples []float64) {
	pcm := slices.Concat(t.Sound...)
	for ; len(pcm) >= 2; pcm = pcm[2:] {
		samples = append(samples, float64(int16(binary.LittleEndian.Uint16(pcm))))
	}
	return samples
}

// frequency is a sound's, in Hz, by the median of its periods, and the share of
// the sound that has such periods, to 5 %.
func frequency(samples []float64, rate float64) (hz, share float64) {
	var periods []float64 // in samples
	last := math.NaN()
	for i := range len(samples) - 1 {
		if before, after := samples[i], samples[i+1]; before < 0 && after >= 0 {
			at := float64(i) + before/(before-after)
			if !math.IsNaN(last) {
				periods = append(periods, at-last)
			}
			last = at
		}
	}
	if len(periods) == 0 {
		return 0, 0
	}
	slices.Sort(periods)
	median := periods[len(periods)/2]
	for _, p := range periods {
		if math.Abs(p-median) < 0.05*median {
			share += p / float64(len(samples))
		}
	}
	return rate / median, share
}

func TestFrequency(t *testing.T) {
	const rate = 24_000
	tone := func(hz, seconds float64) (samples []float64) {
		for i := range int(seconds * rate) {
			samples = append(samples, 8_000*math.Sin(2*math.Pi*hz*float64(i)/rate))
		}
		return samples
	}
	for _, tt := range []struct {
		name      string
		samples   []float64
		hz, share float64
	}{
		{"a tone", tone(1_000, 1), 1_000, 1},
		{"one that is 2 % higher", tone(1_020, 1), 1_020, 1},
		{"a third of it is silence", slices.Concat(tone(1_000, 0.5), make([]float64, rate/4)), 1_000, 2. / 3},
		{"silence", make([]float64, rate), 0, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if hz, share := frequency(tt.samples, rate); math.Abs(hz-tt.hz) > 1 || math.Abs(share-tt.share) > 0.01 {
				t.Errorf("%.1f Hz in %.2f of it, want %.1f in %.2f", hz, share, tt.hz, tt.share)
			}
		})
	}
}
