package edge

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// decode reads the fields of a server message that steer a session and takes
// the handle out of the body. Unknown fields pass: new ones appear without
// notice. Several fields may stand in one message (documented for 3.x models),
// so every key is looked at.
func decode(n node) (live.Message, error) {
	if !n.isObject() {
		return live.Message{}, live.ErrMalformed
	}
	m := live.Message{Body: n.body()}
	for _, key := range n.keys() {
		value := n.get(key)
		switch key {
		case "setupComplete":
			m.SetupComplete = true
		case "serverContent":
			decodeContent(value, &m)
		case "toolCall":
			for _, call := range value.get("functionCalls").items() {
				m.Calls = append(m.Calls, live.Call{ID: call.get("id").text(), Name: call.get("name").text(), Args: call.get("args").canonical()})
			}
		case "toolCallCancellation":
			for _, id := range value.get("ids").items() {
				m.Cancelled = append(m.Cancelled, id.text())
			}
		case "goAway":
			// A missing or odd timeLeft is no time at all.
			m.GoAway = true
			m.TimeLeft, _ = time.ParseDuration(value.get("timeLeft").text())
		case "sessionResumptionUpdate":
			// An absent resumable is false, and such an update has no handle.
			if value.get("resumable").truth() {
				m.Handle = live.NewSecret(value.get("newHandle").text())
			}
			value.remove("newHandle")
		}
	}
	return m, nil
}

func decodeContent(n node, m *live.Message) {
	for _, key := range n.keys() {
		switch key {
		case "modelTurn", "outputTranscription":
			m.Content = true
		case "interrupted":
			m.Interrupted = n.get(key).truth()
		case "generationComplete":
			m.GenerationComplete = n.get(key).truth()
		case "turnComplete":
			m.TurnComplete = n.get(key).truth()
		}
	}
}

// input reads the fields of a client message that steer a session.
func input(n node) (live.Input, error) {
	keys := n.keys()
	if len(keys) != 1 {
		return live.Input{}, errors.New("a client message holds exactly one of clientContent, realtimeInput, toolResponse")
	}
	in, value := live.Input{Body: n.body()}, n.get(keys[0])
	switch keys[0] {
	case "clientContent":
		in.Asks = value.get("turnComplete").truth()
	case "realtimeInput":
		for _, key := range value.keys() {
			switch key {
			case "text", "activityEnd":
				in.Asks = true
			case "audio":
				in.Stream = true
				in.Audio, in.Quiet = sound(value.get(key))
			case "video":
				in.Stream = true
			}
		}
	case "toolResponse":
		for _, answer := range value.get("functionResponses").items() {
			in.Answers = append(in.Answers, live.Answer{ID: answer.get("id").text(), More: answer.get("willContinue").truth()})
		}
	default:
		return live.Input{}, errors.New("a client message is one of clientContent, realtimeInput, toolResponse: there is no " + strconv.Quote(keys[0]))
	}
	return in, nil
}

// hush is the level, in the units of a sample, below which nobody can be heard:
// 50 dB below full scale.
const hush = 104

// sound tells how long a blob of 16-bit mono PCM plays, at least 1 ms, so that it
// is never taken for another kind of input, and whether nobody can be heard in it.
func sound(blob node) (length time.Duration, quiet bool) {
	rate := 16000
	if _, after, ok := strings.Cut(blob.get("mimeType").text(), "rate="); ok {
		if r, err := strconv.Atoi(after); err == nil && r > 0 {
			rate = r
		}
	}
	text := blob.get("data").text()
	samples := len(text) * 3 / 4 / 2
	if pcm, err := base64.StdEncoding.DecodeString(text); err == nil {
		samples = len(pcm) / 2
		quiet = level(pcm) < hush
	}
	return max(time.Millisecond, time.Duration(samples)*time.Second/time.Duration(rate)), quiet
}

// level is the root mean square of samples around their mean: what does not
// change cannot be heard.
func level(pcm []byte) float64 {
	var sum, squares, n float64
	for ; len(pcm) > 1; pcm = pcm[2:] {
		x := float64(int16(binary.LittleEndian.Uint16(pcm)))
		sum += x
		squares += x * x
		n++
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(max(0, squares/n-(sum/n)*(sum/n)))
}
