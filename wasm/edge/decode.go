package edge

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
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
		case "voiceActivity":
			m.UserSpeaks = value.get("type").text() == "ACTIVITY_START"
		case "usageMetadata":
			m.Usage = usage(value)
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
		case "modelTurn":
			m.Content = true
			text, more := written(n.get(key))
			m.Written = text
			m.Output = m.Output || text != "" || more
		case "outputTranscription": // may trail its turn, so it begins none
			m.Said = n.get(key).get("text").text()
			m.Output = m.Output || m.Said != ""
		case "inputTranscription":
			m.Heard = n.get(key).get("text").text()
		case "interrupted":
			m.Interrupted = n.get(key).truth()
		case "generationComplete":
			m.GenerationComplete = n.get(key).truth()
		case "turnComplete":
			m.TurnComplete = n.get(key).truth()
		case "turnCompleteReason":
			m.TurnReason = n.get(key).text()
		case "waitingForInput":
			m.Waits = m.Waits || n.get(key).truth()
		case "interactionStatus":
			m.Waits = m.Waits || n.get(key).text() == "IN_PROGRESS"
		}
	}
}

// written joins the text parts of a content, thoughts left out, and tells whether
// there is sound or a picture beside them. Messages with sound are many, so it
// looks at their parts once.
func written(content node) (text string, more bool) {
	for _, part := range content.get("parts").items() {
		if !part.get("inlineData").absent() {
			more = true
		} else if t := part.get("text").text(); t != "" && !part.get("thought").truth() {
			text += t
		}
	}
	return text, more
}

func usage(n node) (u live.Usage) {
	for _, key := range n.keys() {
		count := func(to *int) { *to = int(n.get(key).number()) }
		switch key {
		case "promptTokenCount":
			count(&u.Prompt)
		case "cachedContentTokenCount":
			count(&u.Cached)
		case "responseTokenCount":
			count(&u.Response)
		case "toolUsePromptTokenCount":
			count(&u.ToolUse)
		case "thoughtsTokenCount":
			count(&u.Thoughts)
		case "totalTokenCount":
			count(&u.Total)
		}
	}
	return u
}

// input reads the fields of a client message that steer a session.
func input(n node) (live.Input, error) {
	keys := n.present()
	if len(keys) != 1 {
		return live.Input{}, errors.New("a client message holds exactly one of clientContent, realtimeInput, toolResponse")
	}
	in, value := live.Input{Body: n.body()}, n.get(keys[0])
	switch keys[0] {
	case "clientContent":
		in.Content, in.Asks = true, value.get("turnComplete").truth()
		for _, turn := range value.get("turns").items() {
			if text, _ := written(turn); text != "" {
				in.Lines = append(in.Lines, live.Line{Model: turn.get("role").text() == "model", Text: text})
			}
		}
	case "realtimeInput":
		for _, key := range value.present() {
			switch key {
			case "text":
				in.Asks = true
				in.Lines = []live.Line{{Text: value.get(key).text()}}
			case "activityStart":
				in.ActivityStart = true
			case "activityEnd":
				in.Asks, in.ActivityEnd = true, true
			case "audio":
				in.Stream = true
				in.Audio, in.Level = sound(value.get(key))
				in.Quiet = in.Level == 0
			case "video":
				in.Stream = true
			case "audioStreamEnd":
				in.StreamEnd = true
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

// fullScale is the level of sound that cannot be read: somebody may be heard in it.
const fullScale = 1 << 15

// changeable are the fields of the setup that an update may change.
var changeable = []string{"systemInstruction", "tools"}

// update reads a change of the setup.
func update(n node) (live.Update, error) {
	fields := n.keys()
	if len(fields) == 0 || slices.ContainsFunc(fields, func(field string) bool { return !slices.Contains(changeable, field) }) {
		return live.Update{}, errors.New("an update holds systemInstruction, tools or both, and nothing else")
	}
	return live.Update{Fields: fields, Body: n.body()}, nil
}

// sound tells how long a blob of 16-bit mono PCM plays, at least 1 ms, so that it
// is never taken for another kind of input, and its level.
func sound(blob node) (length time.Duration, loud float64) {
	rate := 16000
	if _, after, ok := strings.Cut(blob.get("mimeType").text(), "rate="); ok {
		if r, err := strconv.Atoi(after); err == nil && r > 0 {
			rate = r
		}
	}
	text := blob.get("data").text()
	samples := len(text) * 3 / 4 / 2
	loud = fullScale
	if pcm, err := base64.StdEncoding.DecodeString(text); err == nil {
		samples = len(pcm) / 2
		loud = level(pcm)
	}
	return max(time.Millisecond, time.Duration(samples)*time.Second/time.Duration(rate)), loud
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
