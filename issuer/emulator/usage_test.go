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
}
