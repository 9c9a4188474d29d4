package emulator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSessionLimit(t *testing.T) {
	const (
		silence = `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"AAAA"}}}`
		picture = `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`
		updates = audioSetup + `,"sessionResumption":{}`
		squeeze = `,"contextWindowCompression":{"slidingWindow":{}}`
	)
	for _, tt := range []struct {
		sentence, setup string
		messages        []string
		lasts           time.Duration // 0: for ever
	}{
		{"15 minutes of audio", audioSetup, []string{silence, silence}, 15 * time.Minute},
		{"2 minutes with video", audioSetup, []string{silence, picture}, 2 * time.Minute},
		{"any time of text", audioSetup, nil, 0},
		{"10 minutes of audio on the transcriber", textSetup, []string{silence, silence}, 10 * time.Minute},
		{"10 minutes there with compression too", textSetup + squeeze, []string{silence, picture}, 10 * time.Minute},
		{"any time with compression", audioSetup + squeeze, []string{silence, picture}, 0},
	} {
		t.Run("fact 76: a session lasts "+tt.sentence, func(t *testing.T) {
			bubble(t, &Server{ConnectionLifetime: -1}, func(t *testing.T, b *bench) {
				c := b.openKey(t, tt.setup)
				time.Sleep(time.Hour) // does not count
				start := time.Now()
				for _, m := range tt.messages {
					c.send(t, m)
				}
				if tt.lasts == 0 {
					time.Sleep(5 * time.Hour)
					c.ask(t, "hello", false)
					return
				}
				f := c.next(t)
				if got := compact(f.data); got != `{"goAway":{"timeLeft":"50s"}}` || f.at.Sub(start) != tt.lasts-50*time.Second {
					t.Errorf("%s after %v", got, f.at.Sub(start))
				}
				c.wantClosed(t, 1011, "Deadline expired before operation could complete.")
				if got := time.Since(start); got != tt.lasts {
					t.Errorf("it lasted %v", got)
				}
			})
		})
	}
	resume := func(setup, handle string) string {
		return strings.Replace(setup, `"sessionResumption":{}`, fmt.Sprintf(`"sessionResumption":{"handle":%q}`, handle), 1)
	}
	t.Run("fact 76: across resumptions, without the time between them, and for good", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, updates)
			start := time.Now()
			c.send(t, silence)
			handle := c.ask(t, "hello", true).handle
			time.Sleep(9 * time.Minute)
			c.conn.CloseNow()
			first := time.Since(start)
			time.Sleep(time.Hour)
			c = b.openKey(t, resume(updates, handle))
			start = time.Now()
			handle = c.ask(t, "hello", true).handle
			c.wantClosed(t, 1011, "Deadline expired before operation could complete.")
			if got := first + time.Since(start); got != 15*time.Minute {
				t.Errorf("it lasted %v", got)
			}
			c = b.dial(t, socketPath+"?key="+testKey)
			c.send(t, `{"setup":{`+resume(updates, handle)+`}}`)
			c.wantClosed(t, 1008, "BidiGenerateContent session not found")
		})
	})
	t.Run("fact 76: with compression it goes on, resumption after resumption", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, updates+squeeze)
			for range 6 {
				c.send(t, silence)
				handle := c.ask(t, "hello", true).handle
				time.Sleep(9 * time.Minute)
				c.conn.CloseNow()
				c = b.openKey(t, resume(updates+squeeze, handle))
			}
		})
	})
}

func TestOddMessages(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, textSetup)
		seen := map[string]int{}
		for range 2 * oddEvery {
			a := c.ask(t, "who am I", false)
			for _, f := range a.frames {
				seen[compact(f.data)]++
			}
			if a.text != "You have not told me your name yet." {
				t.Errorf("said %q", a.text)
			}
		}
		if seen[`{}`] != 2 || seen[`{"emulatorUnknownKey":{}}`] != 2 {
			t.Errorf("fact 63: saw %v", seen)
		}
	})
}
