package emulator

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"
)

func speech(v voice, text string) []byte {
	var pcm []byte
	for word := range strings.FieldsSeq(text) {
		pcm = append(pcm, v.word(word)...)
	}
	return pcm
}

func TestVoice(t *testing.T) {
	for _, name := range []string{"", "Kore", "Puck", "Charon"} {
		for _, text := range []string{"Hello Ada, nice to meet you.", "Your name is Ada.", "42 brrr 你好 …", helpAnswer} {
			t.Run(name+" says "+text, func(t *testing.T) {
				v := newVoice(name, 0)
				pcm := speech(v, text)
				var power float64
				var before, peak, jump int
				for i := 0; i < len(pcm); i += 2 {
					x := int(int16(binary.LittleEndian.Uint16(pcm[i:])))
					power += float64(x * x)
					peak, jump = max(peak, x, -x), max(jump, x-before, before-x)
					before = x
				}
				rms := 10 * math.Log10(power/float64(len(pcm)/2)/(math.MaxInt16*math.MaxInt16))
				if rms < -20 || rms > -12 {
					t.Errorf("loudness is %.1f dBFS, want -20 to -12", rms)
				}
				if limit := math.MaxInt16 * 95 / 100; peak > limit {
					t.Errorf("peak is %d, want at most %d", peak, limit)
				}
				// 3.6 kHz at full scale moves less than full scale in a sample; a click moves more.
				if jump > math.MaxInt16/2 {
					t.Errorf("a jump of %d between samples is a click", jump)
				}
				if first := int16(binary.LittleEndian.Uint16(pcm)); first > 100 || first < -100 || before != 0 {
					t.Errorf("begins with %d and ends with %d, want silence", first, before)
				}
				if !bytes.Equal(pcm, speech(newVoice(name, 0), text)) {
					t.Error("the same words sound different")
				}
			})
		}
	}
	t.Run("another seed sounds different", func(t *testing.T) {
		if bytes.Equal(speech(newVoice("Kore", 1), "hello"), speech(newVoice("Kore", 2), "hello")) {
			t.Error("it does not")
		}
	})
	t.Run("the longest answer takes less than a minute", func(t *testing.T) {
		m := memory{}
		for range maxFacts {
			_, m = m.answer("remember that a e i o u a e i o u")
		}
		answer, _ := m.answer("what do you remember?")
		if got := playtime(speech(newVoice("", 0), answer)); got > time.Minute {
			t.Errorf("%v", got)
		}
	})
}
