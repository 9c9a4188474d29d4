package emulator

import (
	"bytes"
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"strings"
	"testing"
	"time"
)

func speech(v voice, text string) []byte {
	var pcm []byte
	for one := range v.say(text) {
		pcm = append(pcm, one.pcm...)
	}
	return pcm
}

// forget lets all be spoken anew.
func (all *utterances) forget() {
	all.mu.Lock()
	defer all.mu.Unlock()
	clear(all.pcm)
	all.size = 0
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
				uttered.forget()
				if !bytes.Equal(pcm, speech(newVoice(name, 0), text)) {
					t.Error("the same words sound different")
				}
			})
		}
	}
	t.Run("what begins and ends is never loud, so that no join clicks", func(t *testing.T) {
		for one := range maps.Keys(clips()) {
			pcm := utterance{newVoice("Kore", 0), one, wordPause}.speak()
			if first := int16(binary.LittleEndian.Uint16(pcm)); first > 400 || first < -400 {
				t.Errorf("%q begins with %d", one, first)
			}
			last := int16(binary.LittleEndian.Uint16(pcm[len(pcm)-2*samples(wordPause)-2:]))
			if last > 400 || last < -400 {
				t.Errorf("%q ends with %d", one, last)
			}
		}
	})
	t.Run("the transcript comes word by word, each with its share of the sound", func(t *testing.T) {
		var words []string
		for one := range newVoice("", 0).say("I  heard 1.2 seconds of sound. Gnarly!") {
			words = append(words, one.text)
			if letter := playtime(one.pcm) / time.Duration(len(one.text)); letter < 20*time.Millisecond || letter > 350*time.Millisecond {
				t.Errorf("%q takes %v for each letter", one.text, letter)
			}
		}
		if got, want := strings.Join(words, "|"), "I| heard| 1.2| seconds| of| sound.| Gnarly!"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("a word of any length is bounded", func(t *testing.T) {
		for _, word := range []string{strings.Repeat("1", 500), strings.Repeat("ba", 500), strings.Repeat("a-", 500), strings.Repeat("help-", 500)} {
			if got := playtime(speech(newVoice("", 0), word)); got > 6*time.Second {
				t.Errorf("%.20q takes %v", word, got)
			}
		}
	})
	t.Run("what is kept is bounded", func(t *testing.T) {
		for i := range 5 {
			uttered.get(utterance{newVoice("", uint64(i)), "", time.Minute}) // 2.9 MB
		}
		if uttered.size == 0 || uttered.size > maxUttered {
			t.Errorf("it is %d bytes", uttered.size)
		}
	})
	t.Run("names of voices make them differ", func(t *testing.T) {
		speeds := map[float64]bool{}
		for _, name := range []string{"Puck", "Charon", "Kore", "Fenrir", "Aoede", "Leda", "Orus", "Zephyr"} {
			speeds[newVoice(name, 0).speed] = true
		}
		if len(speeds) < 5 {
			t.Errorf("8 names have %d voices", len(speeds))
		}
	})
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

func TestTheModelsOwnWordsAreClips(t *testing.T) {
	said := []string{helpAnswer, longStory, inWords(1200 * time.Millisecond), told(nil)}
	var m memory
	for _, heard := range []string{
		"", "what is my name", "what do you remember", "my name is Ada", "what is my name", "tea", "remember that the key is under the mat",
		"what do you remember", "help", "echo", "stop echo",
	} {
		var text string
		text, m = m.answer(heard)
		said = append(said, text)
	}
	c := conversation{}
	for _, can := range []capability{{}, {thinking: thinkingRefused}, {thinking: thinkingRequired}} {
		for _, tools := range []toolset{{}, {search: true, functions: []function{{name: "tea"}}}} {
			for _, heard := range []string{"call two tools", "call a non-blocking tool", "search for tea", "think about tea"} {
				c.config, c.pending = config{can: can, tools: tools}, heard
				said = append(said, c.react().text)
			}
		}
	}
	for _, text := range said {
		var words []string
		for word := range strings.FieldsSeq(text) {
			words = append(words, spelling(word))
		}
		for ; len(words) > 0; words = words[longest(words):] {
			for _, part := range parts.FindAllString(words[0], -1) {
				if _, known := clips()[part]; !known && longest(words) == 1 {
					t.Errorf("%q, in %q, has no clip", part, text)
				}
			}
		}
	}
}

func TestSpeechIsMadeAsItIsNeeded(t *testing.T) {
	uttered.forget()
	c := conversation{config: config{modality: "AUDIO"}, voice: newVoice("", 0)}
	next, stop := iter.Pull(c.script(reaction{text: "first second third"}, false))
	defer stop()
	if one, _ := next(); len(one.message) == 0 || len(uttered.pcm) != 1 {
		t.Errorf("after the first message %d words are made", len(uttered.pcm))
	}
}

// BenchmarkVoice tells what a second of speech costs.
func BenchmarkVoice(b *testing.B) {
	v := newVoice("Kore", 0)
	for name, text := range map[string]string{"clips": longStory, "syllables": "lorem ipsum dolor sit amet"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				uttered.forget()
				speech(v, text)
			}
			perSecond(b, v, text)
		})
		b.Run(name+" again", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range v.say(text) {
				}
			}
			perSecond(b, v, text)
		})
	}
}

func perSecond(b *testing.B, v voice, text string) {
	spoken := playtime(speech(v, text)) * time.Duration(b.N)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/spoken.Seconds(), "µs/s")
}
