package session

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestSpeechIsToldFromTheNoiseOfARoom(t *testing.T) {
	const frame = 20 * time.Millisecond
	decibel := func(db float64) float64 { return 32768 * math.Pow(10, db/20) }
	// speech has syllables of 200 ms and 60 ms between them, in a room.
	speech := func(voice, room float64) func(at time.Duration) float64 {
		return func(at time.Duration) float64 {
			if at%(260*time.Millisecond) < 200*time.Millisecond {
				return decibel(voice)
			}
			return decibel(room)
		}
	}
	steady := func(db float64) func(time.Duration) float64 {
		return func(time.Duration) float64 { return decibel(db) }
	}
	for name, c := range map[string]struct {
		level func(at time.Duration) float64
		heard float64 // the part of 20 s after 5 s
	}{
		"digital silence":              {func(time.Duration) float64 { return 0 }, 0},
		"a quiet room":                 {steady(-65), 0},
		"a fan":                        {steady(-45), 0},
		"a loud fan":                   {steady(-38), 0},
		"a tone, which is no noise":    {steady(-20), 1},
		"speech":                       {speech(-25, -65), 200. / 260},
		"speech far from a microphone": {speech(-42, -65), 200. / 260},
		"speech beside a fan":          {speech(-25, -45), 200. / 260},
	} {
		t.Run(name, func(t *testing.T) {
			var h hearing
			heard, frames := 0, 0
			for at := time.Duration(0); at < 25*time.Second; at += frame {
				quiet := h.quiet(c.level(at), frame)
				if at < 5*time.Second {
					continue
				}
				if frames++; !quiet {
					heard++
				}
			}
			if got := float64(heard) / float64(frames); math.Abs(got-c.heard) > 0.02 {
				t.Errorf("somebody is heard for %.2f of the time, want %.2f", got, c.heard)
			}
		})
	}
}

func TestTheNoiseOfARoomDoesNotHoldUpARotation(t *testing.T) {
	st := tell(t, func(st *story) {
		p := st.begin()
		for range 500 {
			_ = st.session.Send(live.Input{Stream: true, Audio: 20 * time.Millisecond, Level: 200}, func(error) {})
			time.Sleep(20 * time.Millisecond)
		}
		p.messages <- live.Message{GoAway: true, TimeLeft: 50 * time.Second}
		st.goLive("h1")
	})
	if got := strings.Join(st.log, "\n"); !strings.Contains(got, "10s\tconnecting goaway") || !strings.Contains(got, "lost 0s, replayed 0") {
		t.Errorf("the connection is not changed at once, or noise is sent again:\n%s", got)
	}
	if len(st.truths) > 0 {
		t.Errorf("told: %v", st.truths)
	}
}
