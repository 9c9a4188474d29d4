//go:build !js

package session_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// The emulator's journal shows how long sound is, not what it says. So a numbered
// frame is as many samples longer as its number says.
const (
	frameRate    = 16000
	frameSamples = frameRate / 50
)

func frameLength(n int) time.Duration {
	return time.Duration(frameSamples+n) * time.Second / frameRate
}

// frame sends loud sound.
func (k *talk) frame(n int) {
	k.t.Helper()
	var pcm []byte
	for i := range frameSamples + n {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(8000*(1-i/8%2*2))))
	}
	k.input(map[string]any{"audio": map[string]any{"mimeType": fmt.Sprintf("audio/pcm;rate=%d", frameRate), "data": base64.StdEncoding.EncodeToString(pcm)}})
}

// frames sends numbered frames as a microphone does.
func (k *talk) frames(from, to int) {
	k.t.Helper()
	for n := from; n < to; n++ {
		k.frame(n)
		time.Sleep(frameLength(n))
	}
}

// input sends realtimeInput.
func (k *talk) input(realtime map[string]any) {
	k.t.Helper()
	in, err := edge.NewInput(map[string]any{"realtimeInput": realtime})
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.session.Send(in, func(error) {}); err != nil {
		k.t.Fatal(err)
	}
}

// heard is what the service was told, by connection and in order.
func (k *talk) heard() (connections [][]string) {
	k.t.Helper()
	res, err := k.client.Get("http://emulator/__emulator/journal")
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	var journal struct {
		Entries []struct {
			Dir, Kind string
			Message   map[string]any
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&journal); err != nil {
		k.t.Fatal(err)
	}
	for _, e := range journal.Entries {
		if e.Dir != "in" || e.Kind != "recv" {
			continue
		}
		for kind, body := range e.Message {
			body, _ := body.(map[string]any)
			what := []string{kind}
			switch kind {
			case "setup":
				if resumption, _ := body["sessionResumption"].(map[string]any); resumption["handle"] != nil {
					what[0] = "resume"
				}
				connections = append(connections, nil)
			case "realtimeInput":
				what = nil
				for part, value := range body {
					what = append(what, inputPart(part, value))
				}
			}
			last := &connections[len(connections)-1]
			*last = append(*last, what...)
		}
	}
	return connections
}

// inputPart names a part of realtimeInput as the journal shows it.
func inputPart(part string, value any) string {
	switch part {
	case "text":
		return fmt.Sprint(value)
	case "audio":
		var bytes int
		sound, _ := value.(map[string]any)
		if _, err := fmt.Sscanf(fmt.Sprint(sound["data"]), "(%d bytes)", &bytes); err == nil {
			return frameName(bytes/2 - frameSamples)
		}
	}
	return part
}

func frameName(n int) string { return fmt.Sprint("frame ", n) }

// sequence is frames in order, between other things.
func sequence(before string, from, to int, after ...string) (all []string) {
	all = append(all, strings.Fields(before)...)
	for n := from; n < to; n++ {
		all = append(all, frameName(n))
	}
	return append(all, after...)
}

// What is said before the connection is there, or while it is changed, arrives in
// order: the marks of an activity around its sound, whatever the recovery.
func TestAnActivityStaysBetweenItsMarks(t *testing.T) {
	mark := func(k *talk, what string) { k.input(map[string]any{what: map[string]any{}}) }
	early := func(k *talk) session.TokenSource {
		return func(ctx context.Context, need live.Need) (live.Token, error) {
			if k.minted == 0 {
				mark(k, "activityStart")
				for n := range 30 { // 600 ms, before there is a token
					k.frame(n)
				}
			}
			tok, err := k.mint(ctx, need)
			tok.Limits.ManualActivity = true
			return tok, err
		}
	}
	manual := map[string]any{
		"realtimeInputConfig":      map[string]any{"automaticActivityDetection": map[string]any{"disabled": true}},
		"outputAudioTranscription": map[string]any{},
	}
	conversation{emulator: &emulator.Server{}, setup: manual, source: early, can: live.Capabilities{Turns: "anytime"}}.hold(t, func(k *talk) {
		time.Sleep(time.Second)
		k.frames(30, 35)
		mark(k, "activityEnd")
		<-k.turns
		time.Sleep(time.Second)

		// The answer is cut, so that the question is asked again.
		mark(k, "activityStart")
		k.frames(40, 50)
		mark(k, "activityEnd")
		time.Sleep(300 * time.Millisecond)
		k.fault(`{"kind":"drop"}`)
		<-k.turns
		time.Sleep(time.Second)

		// The question is cut.
		mark(k, "activityStart")
		k.frames(60, 70)
		k.fault(`{"kind":"drop"}`)
		k.frames(70, 80)
		mark(k, "activityEnd")
		<-k.turns
		time.Sleep(time.Second)

		// And again, by a service that forgets all else.
		mark(k, "activityStart")
		k.frames(90, 100)
		k.fault(`{"kind":"forget-handle"}`)
		k.fault(`{"kind":"drop"}`)
		k.frames(100, 110)
		mark(k, "activityEnd")
		<-k.turns

		got := k.heard()
		for i, want := range [][]string{
			slices.Concat(sequence("setup activityStart", 0, 35, "activityEnd"), sequence("activityStart", 40, 50, "activityEnd")),
			slices.Concat(sequence("resume activityStart", 40, 50, "activityEnd"), sequence("activityStart", 60, 70)),
			slices.Concat(sequence("resume activityStart", 60, 80, "activityEnd"), sequence("activityStart", 90, 100)),
			{"resume"}, // refused
			sequence("setup clientContent activityStart", 90, 110, "activityEnd"),
		} {
			if i >= len(got) || !slices.Equal(got[i], want) {
				t.Errorf("connection %d was told %v\nwant %v", i, got[min(i, len(got)-1)], want)
			}
		}
		if len(got) != 5 {
			t.Errorf("there were %d connections: %v", len(got), got)
		}
	})
}

// Somebody speaks on while the line is down. Nothing of it is missing and nothing is
// out of order, as far back as the ring reaches; and resumed tells of the rest.
func TestSpeechOverAGapIsWhole(t *testing.T) {
	for gap, lost := range map[time.Duration]bool{3 * time.Second: false, 15 * time.Second: true} {
		t.Run(fmt.Sprint("of ", gap), func(t *testing.T) {
			var down atomic.Bool
			line := func(c net.Conn) net.Conn {
				if down.Load() {
					_ = c.Close()
				}
				return c
			}
			conversation{emulator: &emulator.Server{}, lag: line}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				time.Sleep(time.Second)
				k.frames(0, 80)
				k.fault(`{"kind":"drop","after":"5ms"}`)
				down.Store(true)
				k.frames(80, 100)
				k.send("remember the gap")
				n := 100
				for began := time.Now(); time.Since(began) < gap; n++ {
					k.frames(n, n+1)
				}
				down.Store(false)
				k.session.Wake()
				k.frames(n, n+50)
				n += 50
				time.Sleep(time.Second)

				k.mu.Lock()
				resumed := slices.Clone(k.resumed)
				k.mu.Unlock()
				got := k.heard()
				if len(got) != 2 || len(resumed) != 1 || resumed[0].Rung != session.RungHandle {
					t.Fatalf("there were %d connections, resumed %+v", len(got), resumed)
				}
				before, after := got[0][2:], got[1][1:] // setup and the name, setup
				if want := sequence("", 0, len(before)); !slices.Equal(before, want) || len(before) < 80 {
					t.Errorf("before the gap arrived %v", before)
				}
				var first int
				if _, err := fmt.Sscanf(after[min(len(after)-1, slices.IndexFunc(after, isFrame))], "frame %d", &first); err != nil {
					t.Fatalf("after the gap arrived %v", after)
				}
				text := 0
				if first <= 100 {
					text = 100 - first
				}
				want := slices.Insert(sequence("", first, n), text, "remember the gap")
				// The model answers; what the engine marks then is not our matter.
				if !slices.Equal(after, want) {
					t.Errorf("after the gap arrived %v\nwant %v", after, want)
				}
				var missing time.Duration
				for n := range first {
					missing += frameLength(n)
				}
				if resumed[0].LostAudio != missing || (missing > 0) != lost {
					t.Errorf("resumed tells of %v of lost sound, %v was not sent again", resumed[0].LostAudio, missing)
				}
				if doubled := len(before) - first; doubled > resumed[0].Replayed {
					t.Errorf("%d frames arrived twice, resumed tells of %d", doubled, resumed[0].Replayed)
				}
			})
		})
	}
}

func isFrame(what string) bool { return strings.HasPrefix(what, "frame ") }
