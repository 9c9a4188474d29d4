package emulator

import (
	"slices"
	"strings"
)

// maxPending bounds the typed text kept for the next answer, in bytes.
const maxPending = 64 << 10

// decode reads a client message, which has exactly one of its fields.
func (c *conversation) decode(frame []byte) (tree, *refusal) {
	message, no := read(clientMessage, frame, "")
	if no == nil && len(message) != 1 {
		no = errArgument()
	}
	if no != nil {
		c.record(entry{Dir: "in", Kind: "recv", Bytes: len(frame)}, nil)
	}
	return message, no
}

// receive handles every message after the first.
func (c *conversation) receive(frame []byte) *refusal {
	message, no := c.decode(frame)
	if no != nil {
		return no
	}
	c.received = c.record(entry{Dir: "in", Kind: "recv", Bytes: len(frame)}, message)
	c.taken = c.play != nil && c.offer(c.eventOf(message))
	switch {
	case message.has("clientContent"):
		no = c.clientContent(message.tree("clientContent"))
	case message.has("realtimeInput"):
		no = c.realtimeInput(message.tree("realtimeInput"))
	case message.has("contextUpdate"):
		no = c.contextUpdate(message.tree("contextUpdate"))
	case message.has("toolResponse"):
		no = c.toolResponse(message.tree("toolResponse").trees("functionResponses"))
	default:
		return errSetupFirst()
	}
	if no == nil {
		if c.taken {
			c.learn() // it is answered by the scenario
		}
		c.idle()
	}
	return no
}

func errSetupFirst() *refusal {
	return refuse(invalidArgument, "setup must be the first message and only the first")
}

// clientContent adds turns to the history and, with turnComplete, asks for an
// answer. Any of it interrupts (documented).
func (c *conversation) clientContent(content tree) *refusal {
	if c.seedOnly && !c.seeding {
		return errArgument() // documented as unsupported; the close code is assumed
	}
	for _, turn := range content.trees("turns") {
		if role := turn.text("role"); role != "" && role != "user" && role != "model" {
			return errArgument() // observed for the role "function"
		}
	}
	for _, turn := range content.trees("turns") {
		if turn.text("role") != "model" {
			c.learn()
			c.hear(turn.trees("parts"))
		}
	}
	asks := content.flag("turnComplete")
	if asks {
		c.overtake()
	}
	c.interrupt() // what interrupts an answer is not in its handle
	c.save()
	switch {
	case !asks:
	case c.seeding:
		c.seeding = false
		c.learn()
	case !c.taken:
		c.reply()
	}
	return nil
}

// hear takes in one content of the user's.
func (c *conversation) hear(parts []tree) {
	for _, part := range parts {
		if text := part.text("text"); text != "" {
			c.pending = cut(strings.TrimSpace(c.pending+" "+text), maxPending)
			c.heard.text += textTokens(text)
		}
		if blob := part.tree("inlineData"); blob != nil {
			c.media(blob)
		}
	}
}

// learn remembers what is pending, unanswered.
func (c *conversation) learn() { c.memory, c.pending = c.knows(), "" }

// knows is what the model knows with what is pending.
func (c *conversation) knows() memory {
	if c.pending == "" || slices.ContainsFunc(triggers, func(one trigger) bool { return one.words.MatchString(c.pending) }) {
		return c.memory
	}
	_, known := c.memory.answer(c.pending)
	return known
}

// realtimeInput takes whatever is streamed. Several fields at once are fine
// (assumed; the SDKs send one).
func (c *conversation) realtimeInput(input tree) *refusal {
	switch {
	case input.has("mediaChunks"):
		return refuse(invalidArgument, "realtime_input.media_chunks is deprecated. Use audio, video, or text instead.")
	case !c.manual && (input.has("activityStart") || input.has("activityEnd")),
		c.manual && input.has("audioStreamEnd"),
		input.has("audio") && !strings.HasPrefix(input.tree("audio").text("mimeType"), "audio/"),
		input.has("video") && !strings.HasPrefix(input.tree("video").text("mimeType"), "image/"):
		return errArgument() // the rules are documented, the close code is assumed
	}
	if input.has("activityStart") {
		c.activity = true
		c.ear.begin()
		c.notice([]moment{{begins: true}})
	}
	if blob := input.tree("audio"); blob != nil {
		c.listen(blob)
	}
	if input.has("video") {
		if c.allVideo || c.activity || c.ear.active {
			c.heard.frames++
		}
		c.streams(pictures)
	}
	if input.flag("audioStreamEnd") {
		c.notice(c.ear.finish())
	}
	text := input.text("text")
	if text != "" && !c.activity {
		c.learn() // typed text is an activity of its own (documented)
	}
	c.hear([]tree{{"text": text}})
	switch {
	case c.activity && input.has("activityEnd"):
		c.activity = false
		c.notice(c.ear.finish())
	case text != "" && !c.activity:
		c.overtake()
		c.ask(c.taken)
	}
	return nil
}

// overtake lets typed text take along what was said so far of speech that goes
// on, as its answer does. Otherwise no handle would contain the text before the
// speech ends, which in a noisy room is never.
func (c *conversation) overtake() {
	if c.manual {
		return // the client's marks say what belongs together
	}
	length := c.ear.split()
	if !c.allSound {
		c.heard.audio += length
	}
}

// media counts what is shown, or attached to a turn, which the scripted model
// cannot understand.
func (c *conversation) media(blob tree) {
	data, _ := blob["data"].([]byte)
	if strings.HasPrefix(blob.text("mimeType"), "audio/") {
		length := pcmLength(blob.text("mimeType"), len(data))
		c.heard.audio += length
		c.spoken.length += length
	} else if len(data) > 0 {
		c.heard.images++
	}
}

// contextUpdate is refused where the token locks what it changes (assumed,
// U12). Tools replace those there were, the scripted model follows no
// instruction.
func (c *conversation) contextUpdate(update tree) *refusal {
	for name := range update {
		if c.caller.token != nil && c.caller.token.lock.covers(name) {
			return errArgument()
		}
	}
	if !update.has("tools") {
		return nil
	}
	tools, no := toolsOf(update.tree("tools").trees("tools"), c.can)
	if no == nil {
		c.tools = tools
	}
	return no
}
