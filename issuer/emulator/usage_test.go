package emulator

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		in, out  usage
		want     string
	}{
		{"nothing is omitted", usage{}, usage{}, `{}`},
		{"25 tokens for a second of audio", usage{audio: 2 * time.Second}, usage{audio: 4 * time.Second},
			`{"promptTokenCount":50,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":50}],"responseTokenCount":100,"responseTokensDetails":[{"modality":"AUDIO","tokenCount":100}],"totalTokenCount":150}`},
		{"258 for a picture, by modality", usage{text: 1, images: 1, frames: 2}, usage{},
			`{"promptTokenCount":775,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1},{"modality":"IMAGE","tokenCount":258},{"modality":"VIDEO","tokenCount":516}],"totalTokenCount":775}`},
		{"what functions returned and thoughts are apart", usage{tools: 3}, usage{text: 2, thoughts: 4},
			`{"responseTokenCount":2,"responseTokensDetails":[{"modality":"TEXT","tokenCount":2}],"thoughtsTokenCount":4,"toolUsePromptTokenCount":3,"toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":3}],"totalTokenCount":9}`},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			if got, _ := json.Marshal(report(tt.in, tt.out)); string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	last := func(a answer) string {
		for i := len(a.frames) - 1; ; i-- {
			if text := compact(a.frames[i].data); strings.Contains(text, "turnComplete") {
				return text
			}
		}
	}
	t.Run("an interrupted answer counts as far as it was sent", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, audioSetup)
			c.say(t, "help")
			time.Sleep(100 * time.Millisecond)
			c.say(t, "empty turn")
			a := c.turn(t, false)
			var m struct {
				UsageMetadata struct{ ResponseTokenCount int }
			}
			if err := json.Unmarshal([]byte(last(a)), &m); err != nil {
				t.Fatal(err)
			}
			if got, want := m.UsageMetadata.ResponseTokenCount, audioTokens(playtime(a.pcm)); got != want || got == 0 {
				t.Errorf("counted %d, want %d", got, want)
			}
		})
	})
	t.Run("video frames and images are told apart", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.send(t, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
			c.send(t, `{"clientContent":{"turns":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"text":"empty turn"}]}],"turnComplete":true}}`)
			if got := last(c.turn(t, false)); !strings.Contains(got, `{"modality":"IMAGE","tokenCount":258},{"modality":"VIDEO","tokenCount":258}`) {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("3.3.3: frames without activity count on newer models, or if asked for", func(t *testing.T) {
		const old, recent = `"model":"models/gemini-2.5-flash-native-audio-latest"`, `"model":"models/gemini-3.8-live"`
		for _, tt := range []struct {
			setup string
			want  bool
		}{
			{recent, true},
			{recent + `,"realtimeInputConfig":{"turnCoverage":"TURN_INCLUDES_ONLY_ACTIVITY"}`, false},
			{old, false},
			{old + `,"realtimeInputConfig":{"turnCoverage":"TURN_INCLUDES_ALL_INPUT"}`, true},
			{old + `,"realtimeInputConfig":{"turnCoverage":"TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"}`, true},
		} {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, tt.setup)
				c.send(t, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
				if got := last(c.ask(t, "empty turn", false)); strings.Contains(got, `"VIDEO"`) != tt.want {
					t.Errorf("%s: %s", tt.setup, got)
				}
			})
		}
	})
	t.Run("and with activity on all", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, `"model":"models/gemini-2.5-flash-native-audio-latest","realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}`)
			c.send(t, `{"realtimeInput":{"activityStart":{}}}`)
			c.send(t, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
			c.send(t, `{"realtimeInput":{"text":"empty turn","activityEnd":{}}}`)
			if got := last(c.turn(t, false)); !strings.Contains(got, `"VIDEO"`) {
				t.Errorf("got %s", got)
			}
		})
	})
	prompt := func(t *testing.T, c *client, updates bool) int {
		t.Helper()
		var m struct {
			UsageMetadata struct{ PromptTokenCount, ResponseTokenCount, TotalTokenCount int }
		}
		if err := json.Unmarshal([]byte(last(c.ask(t, "who am I", updates))), &m); err != nil {
			t.Fatal(err)
		}
		if u := m.UsageMetadata; u.TotalTokenCount != u.PromptTokenCount+u.ResponseTokenCount {
			t.Errorf("the total of %v is wrong", u)
		}
		return m.UsageMetadata.PromptTokenCount
	}
	const asks, answers = 2, 9 // tokens of "who am I" and of its answer
	t.Run("each turn counts what was said before it, over resumptions too", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+`,"sessionResumption":{}`)
			handle := c.ask(t, "who am I", true).handle
			if got := prompt(t, c, true); got != asks+answers+asks {
				t.Errorf("the second prompt has %d tokens", got)
			}
			c.conn.CloseNow()
			c = b.openKey(t, textSetup+`,"sessionResumption":{"handle":"`+handle+`"}`)
			for n := 2; n < 4; n++ { // the handle knows the first turn
				if got := prompt(t, c, true); got != n*asks+(n-1)*answers {
					t.Errorf("prompt %d has %d tokens", n, got)
				}
			}
		})
	})
	t.Run("a window that slides cuts what was said", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+`,"contextWindowCompression":{"triggerTokens":"30","slidingWindow":{"targetTokens":"10"}}`)
			for i, want := range []int{asks, 2*asks + answers, 3*asks + 2*answers, 10 + asks, 10 + answers + 2*asks} {
				if got := prompt(t, c, false); got != want {
					t.Errorf("prompt %d has %d tokens, want %d", i+1, got, want)
				}
			}
		})
	})
}

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		setup string
		want  window // {0, 1}: refused
	}{
		{`{}`, window{}},
		{`{"contextWindowCompression":{}}`, window{104857, 52428}},
		{`{"contextWindowCompression":{"slidingWindow":{}}}`, window{104857, 52428}},
		{`{"contextWindowCompression":{"triggerTokens":"25600","slidingWindow":{}}}`, window{25600, 12800}},
		{`{"contextWindowCompression":{"triggerTokens":25600,"slidingWindow":{"targetTokens":"8000"}}}`, window{25600, 8000}},
		{`{"contextWindowCompression":{"triggerTokens":8000,"slidingWindow":{"targetTokens":8000}}}`, window{0, 1}},
		{`{"contextWindowCompression":{"triggerTokens":-1}}`, window{0, 1}},
	} {
		t.Run(tt.setup, func(t *testing.T) {
			message, no := read(clientMessage, []byte(`{"setup":`+tt.setup+`}`), "")
			if no != nil {
				t.Fatal(no)
			}
			got, no := windowOf(message.tree("setup"))
			if refused := no != nil; refused != (tt.want.target == 1) || !refused && got != tt.want {
				t.Errorf("got %v, %v", got, no)
			}
		})
	}
	t.Run("all kinds get less, to the target", func(t *testing.T) {
		w := window{1000, 500}
		said := usage{text: 400, audio: 20 * time.Second, images: 1} // 1158 tokens
		if got := w.slide(said, usage{}).tokens(); got > 500 || got < 500-pictureTokens {
			t.Errorf("%d are left", got)
		}
		if got := w.slide(usage{text: 400}, usage{text: 700}); got.text != 400 {
			t.Errorf("%d are left of less than the target", got.text)
		}
	})
}
