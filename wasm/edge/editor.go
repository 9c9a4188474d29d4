package edge

import (
	"slices"

	"github.com/livevalet/livevalet/wasm/live"
)

// Editor writes and rewrites message bodies for a session. It leaves those it is
// given as they are.
type Editor struct{}

// Answer makes a toolResponse of the responses to call id in another one,
// addressed to the call as.
func (Editor) Answer(toolResponse live.Payload, id, as string) live.Payload {
	var mine []node
	for _, response := range nodeOf(toolResponse).get("toolResponse").get("functionResponses").items() {
		if response.get("id").text() == id {
			mine = append(mine, response.with("id", newText(as)))
		}
	}
	return newObject().with("functionResponses", newList(mine)).message("toolResponse")
}

// WithoutCalls is a toolCall without the calls of those ids.
func (Editor) WithoutCalls(toolCall live.Payload, ids []string) live.Payload {
	message := nodeOf(toolCall)
	calls := message.get("toolCall")
	rest := slices.DeleteFunc(calls.get("functionCalls").items(), func(call node) bool {
		return slices.Contains(ids, call.get("id").text())
	})
	return message.with("toolCall", calls.with("functionCalls", newList(rest))).body()
}

// Cancellation is a toolCallCancellation of other ids, the values in place of the
// keys.
func (Editor) Cancellation(cancellation live.Payload, ids map[string]string) live.Payload {
	message := nodeOf(cancellation)
	var known []node
	for _, id := range message.get("toolCallCancellation").get("ids").items() {
		known = append(known, newText(ids[id.text()]))
	}
	return message.with("toolCallCancellation", message.get("toolCallCancellation").with("ids", newList(known))).body()
}

// StreamEnd is audioStreamEnd.
func (Editor) StreamEnd() live.Payload {
	return newObject().with("audioStreamEnd", newTruth(true)).message("realtimeInput")
}

// History is a clientContent of what was said, as the service takes it before the
// first turn (historyConfig).
func (Editor) History(lines []live.Line) live.Payload {
	turns := make([]node, len(lines))
	for i, line := range lines {
		role := "user"
		if line.Model {
			role = "model"
		}
		turns[i] = turn(role, line.Text)
	}
	return content(turns).with("turnComplete", newTruth(true)).message("clientContent")
}

// Recap is a clientContent of one turn that sums up what was said, and asks nothing.
func (Editor) Recap(lines []live.Line) live.Payload {
	text := "So far in this conversation:"
	for _, line := range lines {
		who := "\nI said: "
		if line.Model {
			who = "\nYou said: "
		}
		text += who + line.Text
	}
	return content([]node{turn("user", text)}).message("clientContent")
}

// Merge is a setup with the fields of change in place of its own.
func (Editor) Merge(setup, change live.Payload) live.Payload {
	merged := nodeOf(setup)
	for _, field := range nodeOf(change).keys() {
		merged = merged.with(field, nodeOf(change).get(field))
	}
	return merged.body()
}

func content(turns []node) node { return newObject().with("turns", newList(turns)) }

func turn(role, text string) node {
	part := newObject().with("text", newText(text))
	return newObject().with("role", newText(role)).with("parts", newList([]node{part}))
}

// present are the keys of what is not null.
func (n node) present() []string {
	return slices.DeleteFunc(n.keys(), func(key string) bool { return n.get(key).absent() })
}

// message is a message of that kind with n in it.
func (n node) message(kind string) live.Payload { return newObject().with(kind, n).body() }

// with is a copy of an object with one key set.
func (n node) with(key string, v node) node {
	out := newObject()
	for _, k := range n.keys() {
		out.set(k, n.get(k))
	}
	out.set(key, v)
	return out
}
