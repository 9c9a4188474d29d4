package edge

import (
	"fmt"
	"strings"

	"github.com/livevalet/livevalet/wasm/live"
)

// Announces reports whether the setup says that a history comes first.
func (Editor) Announces(setup live.Payload) bool {
	return nodeOf(setup).get("historyConfig").get("initialHistoryInClientContent").truth()
}

// Fit gives what was typed the form that a model with these capabilities takes
// while a conversation runs; anything else stays as it is. Where that form always
// asks, text that does not is made an aside; the asides before a question go in
// front of it. The error is [live.ErrUnsupported].
func (Editor) Fit(in live.Input, can live.Capabilities, before []live.Payload) (live.Input, error) {
	byTurns := can.Text == "clientContent"
	message := nodeOf(in.Body)
	typed := message.get("realtimeInput").get("text")
	var said []string
	for _, aside := range before {
		said = append(said, nodeOf(aside).get("realtimeInput").get("text").text())
	}
	switch {
	case in.Content && (byTurns || can.Turns == "anytime"), !in.Content && typed.absent():
		return in, nil
	case in.Content:
		words, err := words(message.get("clientContent").get("turns"))
		if err != nil {
			return in, err
		}
		if said = append(said, words...); len(said) == 0 {
			return in, fmt.Errorf("%w: clientContent without text: send the question with it", live.ErrUnsupported)
		}
	case byTurns:
		turns := content([]node{turn("user", typed.text())})
		in.Content, in.Body = true, turns.with("turnComplete", newTruth(true)).message("clientContent")
		return in, nil
	default:
		said = append(said, typed.text())
	}
	in.Content, in.Aside = false, !in.Asks
	in.Body = message.get("realtimeInput").with("text", newText(strings.Join(said, "\n\n"))).message("realtimeInput")
	return in, nil
}

// words are the texts of the turns, if they are the user's and nothing but text.
func words(turns node) (texts []string, err error) {
	for _, turn := range turns.items() {
		if role := turn.get("role").text(); role != "" && role != "user" {
			return nil, fmt.Errorf("%w: a turn that is not the user's: tell it at the start, announced by historyConfig", live.ErrUnsupported)
		}
		var parts []string
		for _, part := range turn.get("parts").items() {
			text := part.get("text")
			if text.absent() {
				return nil, fmt.Errorf("%w: a part that is not text: send pictures and sound as realtimeInput", live.ErrUnsupported)
			}
			parts = append(parts, text.text())
		}
		texts = append(texts, strings.Join(parts, "\n"))
	}
	return texts, nil
}
