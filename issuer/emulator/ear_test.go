package emulator

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tone is a sine of that frequency in Hz and RMS level in dB below full scale.
func tone(rate int, hz, level float64, d time.Duration) []int16 {
	out := make([]int16, int(d*time.Duration(rate)/time.Second))
	for i := range out {
		out[i] = int16(math.Round(math.Sqrt2 * math.Pow(10, level/20) * math.MaxInt16 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return out
}

// sound joins loudness and length, "-20/500ms -60/1s", into one signal.
func sound(rate int, plan string) (pcm []int16) {
	for part := range strings.FieldsSeq(plan) {
		var level float64
		var length string
		fmt.Sscanf(part, "%f/%s", &level, &length)
		d, err := time.ParseDuration(length)
		if err != nil {
			panic(err)
		}
		pcm = append(pcm, tone(rate, 200, level, d)...)
	}
	return pcm
}

func pcmBytes(pcm []int16) (out []byte) {
	for _, x := range pcm {
		out = binary.LittleEndian.AppendUint16(out, uint16(x))
	}
	return out
}

func pcmSamples(b []byte) (out []int16) {
	for ; len(b) > 1; b = b[2:] {
		out = append(out, int16(binary.LittleEndian.Uint16(b)))
	}
	return out
}

func TestResampler(t *testing.T) {
	rms := func(pcm []int16) float64 { return level(pcm[len(pcm)/4 : len(pcm)*3/4]) }
	for _, rates := range [][2]int{{8000, 16000}, {11025, 16000}, {22050, 16000}, {44100, 16000}, {48000, 16000}, {96000, 16000}, {16000, 24000}, {16000, 16000}, {22051, 16000}} {
		from, to := rates[0], rates[1]
		convert := func(pcm []int16, piece int) (out []int16) {
			r := resampler{from: from, to: to}
			for part := range slices.Chunk(pcm, piece) {
				out = append(out, r.resample(part)...)
			}
			return append(out, r.flush()...)
		}
		t.Run(fmt.Sprintf("%d to %d keeps a tone's place, loudness and length", from, to), func(t *testing.T) {
			got, want := convert(tone(from, 440, -20, time.Second), from), tone(to, 440, -20, time.Second)
			if d := len(got) - len(want); d < -1 || d > 1 {
				t.Fatalf("%d samples, want %d", len(got), len(want))
			}
			worst := 0
			for i := 100; i < len(want)-100; i++ {
				worst = max(worst, int(got[i])-int(want[i]), int(want[i])-int(got[i]))
			}
			if worst > 40 { // of 4,600: 1 %
				t.Errorf("off by %d", worst)
			}
		})
		t.Run(fmt.Sprintf("%d to %d does not depend on how the stream is cut", from, to), func(t *testing.T) {
			pcm := tone(from, 440, -20, 100*time.Millisecond)
			if !slices.Equal(convert(pcm, 1), convert(pcm, len(pcm))) || !slices.Equal(convert(pcm, 37), convert(pcm, 160)) {
				t.Error("it does")
			}
		})
		if from > 2*10000 {
			t.Run(fmt.Sprintf("%d to %d lets nothing fold back", from, to), func(t *testing.T) {
				if got := rms(convert(tone(from, 10500, -6, time.Second), from)); got > -50 {
					t.Errorf("a tone that does not fit is heard with %.0f dB", got)
				}
			})
		}
	}
}

func TestEar(t *testing.T) {
	setting := func(start, end string, prefix, silence int64) tree {
		return tree{"startOfSpeechSensitivity": start, "endOfSpeechSensitivity": end, "prefixPaddingMs": prefix, "silenceDurationMs": silence}
	}
	const clip = "-90/200ms -20/500ms -90/1s"
	for _, tt := range []struct {
		sentence string
		setting  tree
		plan     string
		want     string
	}{
		{"speech begins and ends", nil, clip, "begins 200ms, ends 700ms after 500ms"},
		{"the end takes 800 ms of silence by default", nil, "-20/500ms -90/780ms", "begins 0s"},
		{"or as much as is set", tree{"silenceDurationMs": int64(100)}, "-20/500ms -90/120ms", "begins 0s, ends 500ms after 500ms"},
		{"a shorter pause is part of it", nil, "-20/500ms -90/600ms -20/200ms -90/1s", "begins 0s, ends 1.3s after 1.3s"},
		{"a click is no speech", nil, "-90/200ms -10/60ms -90/1s", ""},
		{"and many are none either", nil, "-10/60ms -90/100ms -10/60ms -90/100ms -10/60ms -90/1s", ""},
		{"unless the prefix is short", tree{"prefixPaddingMs": int64(20)}, "-90/200ms -10/60ms -90/1s", "begins 200ms, ends 260ms after 60ms"},
		{"or nothing", tree{"prefixPaddingMs": int64(0)}, "-90/200ms -10/20ms -90/1s", "begins 200ms, ends 220ms after 20ms"},
		{"a long prefix wants more", tree{"prefixPaddingMs": int64(600)}, clip, ""},
		{"soft speech is heard", nil, "-36/500ms -90/1s", "begins 0s, ends 500ms after 500ms"},
		{"but not with low start sensitivity", setting("START_SENSITIVITY_LOW", "", 100, 800), "-36/500ms -90/1s", ""},
		{"a hum ends it", nil, "-20/500ms -50/1s", "begins 0s, ends 500ms after 500ms"},
		{"but not with low end sensitivity", setting("", "END_SENSITIVITY_LOW", 100, 800), "-20/500ms -50/1s", "begins 0s"},
		{"silence is silence", nil, "-90/2s", ""},
	} {
		for _, rate := range []int{8000, 16000, 44100, 48000} {
			t.Run(fmt.Sprintf("%s, at %d Hz", tt.sentence, rate), func(t *testing.T) {
				mime := fmt.Sprintf("audio/pcm;rate=%d", rate)
				data := pcmBytes(sound(rate, tt.plan))
				for _, piece := range []int{len(data), 1024, 333} { // the last tears samples apart
					d, no := detectionOf(tt.setting)
					if no != nil {
						t.Fatal(no)
					}
					e := ear{detection: d}
					var got []string
					for part := range slices.Chunk(data, piece) {
						for _, m := range e.hear(mime, part) {
							got = append(got, inShort(m))
						}
					}
					if text := strings.Join(got, ", "); text != tt.want {
						t.Errorf("in pieces of %d bytes: %q, want %q", piece, text, tt.want)
					}
				}
			})
		}
	}
	t.Run("an offset is no sound", func(t *testing.T) {
		e := ear{detection: detection{start: -40}}
		pcm := make([]int16, earRate)
		for i := range pcm {
			pcm[i] = 5000
		}
		if got := e.hear("audio/pcm", pcmBytes(pcm)); len(got) > 0 {
			t.Errorf("heard %v", got)
		}
	})
	t.Run("negative settings are refused", func(t *testing.T) {
		if _, no := detectionOf(tree{"prefixPaddingMs": int64(-1)}); no == nil {
			t.Error("they are not")
		}
	})
	t.Run("what is kept of endless speech is bounded", func(t *testing.T) {
		e := ear{detection: detection{start: -40, end: -45}, record: true}
		second := pcmBytes(sound(earRate, "-20/1s"))
		for range 100 {
			e.hear("audio/pcm", second)
		}
		if len(e.sound) > maxRecord+earFrame || len(e.rest) > earFrame {
			t.Errorf("%d samples", len(e.sound))
		}
	})
}

// inShort rounds to the frame of 20 ms, within which a begin and an end cannot be
// placed, so that all rates agree.
func inShort(m moment) string {
	at, length := m.at.Round(20*time.Millisecond), m.length.Round(20*time.Millisecond)
	if m.begins {
		return fmt.Sprintf("begins %v", at)
	}
	return fmt.Sprintf("ends %v after %v", at, length)
}

// stream sends sound as a microphone does: 40 ms at a time, in real time.
func (c *client) stream(t *testing.T, plan string) {
	t.Helper()
	for part := range slices.Chunk(sound(earRate, plan), earRate/25) {
		c.send(t, audioMessage("audio/pcm;rate=16000", pcmBytes(part)))
		time.Sleep(40 * time.Millisecond)
	}
}

func audioMessage(mime string, data []byte) string {
	return `{"realtimeInput":{"audio":{"mimeType":"` + mime + `","data":"` + base64.StdEncoding.EncodeToString(data) + `"}}}`
}

func TestSpeechIsAnswered(t *testing.T) {
	const answered = "I heard 0.5 seconds of sound."
	const old = `"model":"models/gemini-2.5-flash-native-audio-preview-12-2025","outputAudioTranscription":{},"inputAudioTranscription":{}`
	const quick = `,"realtimeInputConfig":{"automaticActivityDetection":{"silenceDurationMs":100}}`
	whole := []string{"ACTIVITY_START 0.200s", "ACTIVITY_END 0.700s", "heard", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}
	for _, tt := range []struct {
		sentence, setup string
		speak           func(t *testing.T, c *client)
		order           []string
		heard           string
	}{
		{"3.10 A: after its end was heard", fullSetup + `,"inputAudioTranscription":{}`, func(t *testing.T, c *client) { c.stream(t, "-90/200ms -20/500ms -90/1s") }, whole, "(0.5 seconds of sound)"},
		{"6: in one long message", fullSetup + `,"inputAudioTranscription":{}`, func(t *testing.T, c *client) {
			c.send(t, audioMessage("audio/pcm;rate=48000", pcmBytes(sound(48000, "-90/200ms -20/500ms -90/1s"))))
		}, whole, "(0.5 seconds of sound)"},
		{"fact 61: without a transcript unless asked for", fullSetup, func(t *testing.T, c *client) { c.stream(t, "-90/200ms -20/500ms -90/1s") },
			[]string{"ACTIVITY_START 0.200s", "ACTIVITY_END 0.700s", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}, ""},
		{"3.9: older models do not signal activity", old + `,"sessionResumption":{}`, func(t *testing.T, c *client) { c.stream(t, "-20/500ms -90/1s") },
			[]string{"heard", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}, "(0.5 seconds of sound)"},
		{"3.6: at audioStreamEnd, without any silence", fullSetup, func(t *testing.T, c *client) {
			c.stream(t, "-20/500ms")
			c.send(t, `{"realtimeInput":{"audioStreamEnd":true}}`)
		}, []string{"ACTIVITY_START 0s", "ACTIVITY_END 0.500s", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}, ""},
		{"3.3.3: after the silence that was set", fullSetup + quick, func(t *testing.T, c *client) { c.stream(t, "-20/500ms -90/120ms") },
			[]string{"ACTIVITY_START 0s", "ACTIVITY_END 0.500s", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}, ""},
		{"3.10 D: at activityEnd, however loud it was", fullSetup + manual + `,"inputAudioTranscription":{}`, func(t *testing.T, c *client) {
			c.stream(t, "-20/1s")
			c.send(t, `{"realtimeInput":{"activityStart":{}}}`)
			c.stream(t, "-90/500ms")
			c.send(t, `{"realtimeInput":{"activityEnd":{}}}`)
			c.stream(t, "-20/1s")
		}, []string{"heard", "not resumable", "content", "generationComplete", "turnComplete", "resumable"}, "(0.5 seconds of sound)"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, tt.setup)
				tt.speak(t, c)
				a := c.turn(t, true)
				if !slices.Equal(a.order, tt.order) || a.transcript != answered || a.heard != tt.heard {
					t.Errorf("order %v, transcript %q, heard %q", a.order, a.transcript, a.heard)
				}
			})
		})
	}
	t.Run("3.6: audio may go on after audioStreamEnd, at another rate", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup)
			for range 2 {
				c.stream(t, "-20/500ms")
				c.send(t, `{"realtimeInput":{"audioStreamEnd":true}}`)
				c.turn(t, true)
				c.send(t, audioMessage("audio/pcm;rate=8000", pcmBytes(sound(8000, "-20/500ms -90/1s"))))
				if a := c.turn(t, true); a.transcript != answered {
					t.Errorf("got %q", a.transcript)
				}
			}
		})
	})
	t.Run("silence and what cannot be decoded are not answered", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup)
			c.stream(t, "-90/5s")
			c.send(t, audioMessage("audio/webm", pcmBytes(sound(16000, "-20/500ms -90/1s"))))
			c.send(t, `{"realtimeInput":{"audioStreamEnd":true}}`)
			time.Sleep(time.Minute)
			if synctest.Wait(); len(c.frames) > 0 {
				t.Errorf("got %s", c.next(t).data)
			}
		})
	})
	t.Run("fact 61: the input's transcript comes in fragments", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+`,"inputAudioTranscription":{}`)
			c.stream(t, "-20/500ms -90/1s")
			if got := compact(c.next(t).data); got != `{"serverContent":{"inputTranscription":{"text":"(0.5 "}}}` {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("usage counts the activity, or all that was sent", func(t *testing.T) {
		for coverage, want := range map[string]string{"TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO": `"tokenCount":32}`, "TURN_INCLUDES_ALL_INPUT": `"tokenCount":82}`} {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, textSetup+`,"realtimeInputConfig":{"turnCoverage":"`+coverage+`"}`)
				c.send(t, audioMessage("audio/pcm", pcmBytes(sound(16000, "-90/2s -20/500ms -90/800ms"))))
				a := c.turn(t, false)
				if got := compact(a.frames[len(a.frames)-1].data); !strings.Contains(got, `"modality":"AUDIO",`+want) {
					t.Errorf("%s: %s", coverage, got)
				}
			})
		}
	})
}

func TestBargeIn(t *testing.T) {
	for _, tt := range []struct {
		sentence, setup string
		order           []string // of the first turn
	}{
		{"3.10 B: speech stops the answer", "", []string{"not resumable", "content", "ACTIVITY_START 0s", "interrupted", "turnComplete", "resumable"}},
		{"3.3.3: not if it is told so", `,"realtimeInputConfig":{"activityHandling":"NO_INTERRUPTION"}`,
			[]string{"not resumable", "content", "ACTIVITY_START 0s", "content", "ACTIVITY_END 0.500s", "content", "generationComplete", "turnComplete", "resumable"}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, fullSetup+tt.setup)
				c.say(t, "help")
				time.Sleep(200 * time.Millisecond)
				start := time.Now()
				c.stream(t, "-20/500ms -90/1s")
				a := c.turn(t, true)
				if !slices.Equal(a.order, tt.order) {
					t.Errorf("order %v", a.order)
				}
				i := slices.IndexFunc(a.frames, func(f frame) bool { return strings.Contains(string(f.data), "ACTIVITY_START") })
				if got := a.frames[i].at.Sub(start); got > 120*time.Millisecond {
					t.Errorf("noticed after %v", got)
				}
				if a := c.turn(t, true); a.transcript != "I heard 0.5 seconds of sound." {
					t.Errorf("then said %q", a.transcript)
				}
			})
		})
	}
	t.Run("3.10 B: activityStart stops it too", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup+`,"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}`)
			c.say(t, "help")
			time.Sleep(200 * time.Millisecond)
			c.send(t, `{"realtimeInput":{"activityStart":{}}}`)
			if a := c.turn(t, true); !slices.Contains(a.order, "interrupted") {
				t.Errorf("order %v", a.order)
			}
		})
	})
}

func TestEcho(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, fullSetup)
		handle := c.ask(t, "echo", true).handle
		c.conn.Close(1000, "")
		c = b.openKey(t, strings.Replace(fullSetup, `"sessionResumption":{}`, `"sessionResumption":{"handle":"`+handle+`"}`, 1))

		// A tone is itself after resampling, so it can be compared.
		c.send(t, audioMessage("audio/pcm;rate=48000", pcmBytes(sound(48000, "-90/100ms -20/600ms -90/1s"))))
		a := c.turn(t, true)
		if a.transcript != "(0.6 seconds of sound)" {
			t.Errorf("transcript %q", a.transcript)
		}
		got, want := pcmSamples(a.pcm), tone(voiceRate, 200, -20, 600*time.Millisecond)
		if d := len(got) - len(want); d < -samples(20*time.Millisecond) || d > samples(20*time.Millisecond) {
			t.Fatalf("%d samples, want %d", len(got), len(want))
		}
		// 20 ms are four periods of it, so the phase is known.
		for i := 2000; i < len(want)-2000; i++ {
			if d := int(got[i]) - int(want[i]); d < -100 || d > 100 {
				t.Fatalf("sample %d is %d, want %d", i, got[i], want[i])
			}
		}
		c.ask(t, "stop echo", true)
		c.stream(t, "-20/500ms -90/1s")
		if a := c.turn(t, true); a.transcript != "I heard 0.5 seconds of sound." {
			t.Errorf("then said %q", a.transcript)
		}
	})
}

func TestTypedTextTakesAlongTheSpeechBeforeIt(t *testing.T) {
	for _, tt := range []struct {
		sentence, before, after string
		then                    string // the next answer, "" for none
	}{
		{"in the pause after it", "-20/400ms -90/300ms", "-90/1s", ""},
		{"which goes on", "-20/400ms", "-20/500ms -90/1s", "I heard 0.5 seconds of sound."},
		{"which may not have been any", "-20/60ms", "-20/60ms -90/1s", ""},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, textSetup)
				c.stream(t, tt.before)
				a := c.ask(t, "my name is Ada", false)
				if a.text != "Hello Ada, nice to meet you." || slices.Contains(a.order, "interrupted") {
					t.Errorf("said %q, %v", a.text, a.order)
				}
				usage := compact(a.frames[len(a.frames)-1].data)
				if took := strings.Contains(usage, `"modality":"AUDIO"`); took != strings.Contains(tt.before, "400ms") {
					t.Errorf("its usage: %s", usage)
				}
				c.stream(t, tt.after)
				if tt.then != "" {
					if got := c.turn(t, false).text; got != tt.then {
						t.Errorf("then said %q", got)
					}
				}
				time.Sleep(time.Minute)
				if synctest.Wait(); len(c.frames) > 0 {
					t.Errorf("then came %s", c.next(t).data)
				}
			})
		})
	}
}

// Text that is typed in the pause after speech does not make the pause longer.
func TestSilenceBeforeTypedTextCounts(t *testing.T) {
	hearing, no := detectionOf(nil)
	if no != nil {
		t.Fatal(no)
	}
	e := ear{detection: hearing}
	hear := func(plan string) (told []string) {
		for _, m := range e.hear("audio/pcm;rate=16000", pcmBytes(sound(16000, plan))) {
			told = append(told, inShort(m))
		}
		return told
	}
	before := hear("-20/400ms -90/500ms")
	e.split()
	after := hear("-90/400ms")
	if len(before) != 1 || len(after) != 1 || e.active {
		t.Errorf("before the text %q, after it %q", before, after)
	}
}
