package emulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// resumeGrace is how long a resume waits for the end of the old socket. A
// client may have seen the close before our own goroutine has.
const resumeGrace = 250 * time.Millisecond

// config is a setup that the model accepts, in the terms of a conversation.
type config struct {
	model           string
	handle          string // resumes, if not ""
	modality        string // AUDIO or TEXT
	voiceName       string
	can             capability
	detection       detection
	tools           toolset
	window          window // of the context; one that slides lets a session last
	thoughts        bool   // are shown
	inputTranscript bool
	allSound        bool // silence is input too
	allVideo        bool // and so are frames outside activity
	transcript      bool // of the output
	updates         bool // resumption updates are wanted
	manual          bool // the client marks activity itself
	barge           bool // activity interrupts
	seeding         bool // clientContent is history until its first turnComplete
	seedOnly        bool // and is refused later
}

// notLive are the fields of generationConfig that Live does not support
// (documented; that they are refused rather than ignored is assumed).
var notLive = []string{"stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseLogprobs", "logprobs"}

// configure judges an effective setup against its model.
func configure(setup tree, version string) (config, *refusal) {
	generation := setup.tree("generationConfig")
	input := setup.tree("realtimeInputConfig")
	resumption := setup.tree("sessionResumption")
	c := config{
		model:           setup.text("model"),
		thoughts:        generation.tree("thinkingConfig").flag("includeThoughts"),
		handle:          resumption.text("handle"),
		voiceName:       generation.tree("speechConfig").tree("voiceConfig").tree("prebuiltVoiceConfig").text("voiceName"),
		transcript:      setup.has("outputAudioTranscription"),
		inputTranscript: setup.has("inputAudioTranscription"),
		updates:         setup.has("sessionResumption"),
		manual:          input.tree("automaticActivityDetection").flag("disabled"),
		barge:           input.text("activityHandling") != "NO_INTERRUPTION",
		seeding:         setup.tree("historyConfig").flag("initialHistoryInClientContent"),
	}
	if c.model == "" {
		return c, errArgument()
	}
	can, known := models[c.model]
	if !known {
		return c, refuse(notFound, fmt.Sprintf("%s is not found for API version %s, or is not supported for "+
			"bidiGenerateContent. Call ListModels to see the list of available models and their supported methods.", cut(c.model, maxNamed), version))
	}
	c.seedOnly, c.can = can.seedOnly, can
	switch input.text("turnCoverage") {
	case "TURN_INCLUDES_ALL_INPUT":
		c.allSound, c.allVideo = true, true
	case "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO":
		c.allVideo = true
	case "TURN_INCLUDES_ONLY_ACTIVITY":
	default:
		c.allVideo = can.recent
	}
	var no *refusal
	if c.tools, no = toolsOf(setup.trees("tools"), can); no != nil {
		return c, no
	}
	if c.window, no = windowOf(setup); no != nil {
		return c, no
	}
	if c.detection, no = detectionOf(input.tree("automaticActivityDetection")); no != nil {
		return c, no
	}

	c.modality = can.modalities[0]
	if asked := generation.list("responseModalities"); len(asked) > 0 {
		c.modality, _ = asked[0].(string)
		if len(asked) > 1 || !slices.Contains(can.modalities, c.modality) {
			return c, refuse(invalidArgument, fmt.Sprintf("The requested combination of response modalities (%s) is not supported by the model",
				joined(asked)))
		}
	}

	level := generation.tree("thinkingConfig").text("thinkingLevel")
	proactive := setup.tree("proactivity").flag("proactiveAudio")
	expressive := can.expressive && version == "v1alpha"
	switch {
	case can.thinking == thinkingRequired && level == "":
		return c, refuse(invalidArgument, "Thinking level must be specified")
	case can.thinking == thinkingRequired && level == "MINIMAL", can.thinking == thinkingRefused && generation.has("thinkingConfig"):
		return c, refuse(invalidArgument, "Thinking level is not supported for this model")
	case can.proactive && setup.tree("proactivity").has("proactiveAudio") && !proactive,
		proactive && !can.proactive && !expressive,
		generation.flag("enableAffectiveDialog") && !expressive,
		generation.has("translationConfig") && !can.translates,
		resumption.flag("transparent"), // Vertex only; the close code is assumed
		slices.ContainsFunc(notLive, generation.has):
		return c, errArgument()
	}
	return c, nil
}

func joined(words []any) string {
	var out []string
	for _, w := range words {
		out = append(out, fmt.Sprint(w))
	}
	return strings.Join(out, ", ")
}

// arrive does what the service may do before the setup has come.
func (c *conversation) arrive(creds credentials) *refusal {
	switches := c.world.options.Switches
	if !switches.JudgeOnOpen && !switches.SpendOnOpen {
		return nil
	}
	who, no := c.world.authenticate(creds)
	if no != nil {
		if switches.JudgeOnOpen {
			c.caller = who
			return no
		}
		return nil // the setup is refused
	}
	if switches.SpendOnOpen && who.token != nil {
		c.spent = c.world.tokens.spend(who.token)
	}
	return nil
}

// setUp turns the first message into a session.
func (c *conversation) setUp(frame []byte, creds credentials) *refusal {
	message, no := c.decode(frame)
	if no != nil {
		return no
	}
	if message.has("setup") {
		no = c.admit(message.tree("setup"), creds)
	} else {
		no = errSetupFirst()
	}
	seq := c.record(entry{Dir: "in", Kind: "recv", Bytes: len(frame), coverage: c.saved.coverage}, message)
	if no != nil {
		return no
	}
	if c.received = c.saved.Contains; c.received == 0 {
		c.received = seq // a new session contains its setup
	}
	c.save()
	c.world.log.Info("session is live", "session", c.session.id, "model", c.model, "resumed", c.handle != "")
	if c.play = c.world.play.Load(); c.play != nil { // first, since the client may go on as soon as it hears
		opened := event{kind: connected}
		if c.handle != "" {
			opened.kind = resumed
		}
		c.offer(opened)
	}
	c.send(tree{"setupComplete": tree{}})
	c.scheduleGoAway()
	if c.world.rude != nil {
		c.beRude(c.world.rude.next())
	}
	if every := c.world.options.Switches.UpdateEvery; every > 0 && c.updates {
		c.offerHandles(every)
	}
	c.streams(c.world.sessions.streams(c.session)) // a resumed one may do already
	if t := c.caller.token; t != nil {
		c.cutShort = t.cutShort
		c.agenda.plan(c.world.tokens.expiry(t), "tokenExpiry", c.tokenExpired)
	}
	c.idle()
	return nil
}

// admit checks credential, token, setup and handle, in this order (assumed;
// each refusal by itself was observed), and opens the session.
func (c *conversation) admit(setup tree, creds credentials) *refusal {
	tokens, sessions := c.world.tokens, c.world.sessions
	who, no := c.world.authenticate(creds)
	c.caller = who // the journal shows a refused token too
	if no != nil {
		return no
	}
	t := who.token
	if t != nil {
		setup = t.lock.apply(setup)
	}
	starts := setup.tree("sessionResumption").text("handle") == "" // resuming is no use of the token
	switch {
	case t == nil:
	case !starts:
		no = tokens.resume(t)
	case !c.spent:
		no = tokens.start(t, false)
	}
	if no != nil {
		return no
	}
	if c.spent && !starts {
		tokens.giveBack(t)
	}
	setup = c.world.options.Switches.complete(setup)
	rule := "setup"
	config, no := configure(setup, c.version)
	if no == nil && !starts {
		rule, no = "handle", c.resume(who, config)
	}
	if t != nil && no != nil {
		tokens.note(t, rule, no)
	}
	if no != nil {
		return no
	}
	if t != nil && starts && !c.spent {
		// A use is spent when the setup is accepted (assumed); another socket may
		// have spent the last one meanwhile.
		if no := tokens.start(t, true); no != nil {
			return no
		}
	}
	if starts {
		if c.session, no = sessions.begin(c, who, config.model); no != nil {
			if t != nil {
				tokens.giveBack(t)
				tokens.note(t, "sessions", no)
			}
			return no
		}
	}
	c.config, c.voice = config, newVoice(config.voiceName, c.world.options.Seed)
	c.ear = ear{detection: config.detection, manual: config.manual}
	return nil
}

// resume takes the handle's session over and remembers what it remembered.
func (c *conversation) resume(who caller, config config) *refusal {
	snap, busy, no := c.world.sessions.resume(c, who, config.model, config.handle)
	if busy != nil {
		grace := c.world.clock.Pause(resumeGrace)
		defer grace.Stop()
		select {
		case <-busy.done:
		case <-grace.C:
		}
		snap, busy, no = c.world.sessions.resume(c, who, config.model, config.handle)
	}
	switch {
	case no != nil:
		return no
	case busy != nil:
		return errInternal()
	}
	c.session, c.memory, c.saved = snap.session, snap.memory, snap
	return nil
}
