package conformance

import (
	"bytes"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"time"
)

// longer is worth an answer that can be interrupted, also by a probe that is late
// by seconds.
const longer = "Please tell me a long story about a lighthouse keeper and the ships that pass by night, " +
	"and do not leave out the storm, the old boat, the lost dog and the morning after. " +
	"Tell me what he cooks in the evening and whom he writes to, which of the ships he knows by their lights, " +
	"and how the fog came in on the last day of October, when the lamp would not burn and nobody answered the bell. " +
	"Then tell me of the girl who rowed out to him with the letter, of what was in it, and of the three words " +
	"that he carved above the door before he left. Let the sea have a voice of its own, and take your time over it."

const argument = "Request contains an invalid argument."

// clock is a function that a model may call.
func clock(behavior string) object {
	return object{"tools": []object{{"functionDeclarations": []object{{
		"name": "get_time", "description": "Tells the time of day.", "behavior": behavior,
	}}}}}
}

const callClock = "Please call the tool get_time and tell me what it says."

// loud is 75 ms of something to hear, still as much of silence.
var (
	loud  = object{"mimeType": "audio/pcm;rate=16000", "data": strings.Repeat("ACAA4AAg", 400)}
	still = object{"mimeType": "audio/pcm;rate=16000", "data": strings.Repeat("AAAA", 800)}
)

// picture is a grey frame of video.
var picture = func() object {
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		panic(err)
	}
	return object{"mimeType": "image/jpeg", "data": jpg.Bytes()}
}()

// conversationFacts are those of what is said in a session.
var conversationFacts = []Fact{
	{Number: 51, Sentence: "realtimeInput.mediaChunks gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.send(object{"realtimeInput": object{"mediaChunks": []object{loud}}})
		s.closes("realtime_input.media_chunks is deprecated. Use audio, video, or text instead.", 1007)
	}},
	{Number: 52, Sentence: "activityStart and activityEnd under automatic detection give 1007", Evidence: []Label{Documented, Assumed}, check: func(p *probe) {
		for _, mark := range []string{"activityStart", "activityEnd"} {
			s := p.live(keyPath(p.target.Key), p.audio())
			s.send(object{"realtimeInput": object{mark: object{}}})
			s.closes("", 1007)
		}
		manual := object{"realtimeInputConfig": object{"automaticActivityDetection": object{"disabled": true}}}
		s := p.live(keyPath(p.target.Key), p.audio(manual))
		s.send(object{"realtimeInput": object{"activityStart": object{}}})
		s.stays("activityStart without automatic detection")
	}},
	{Number: 53, Sentence: "audioStreamEnd is accepted under automatic detection, and audio may go on after it", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		for range 2 {
			s.send(object{"realtimeInput": object{"audio": loud}})
			s.send(object{"realtimeInput": object{"audioStreamEnd": true}})
		}
		s.stays("audioStreamEnd")
	}},
	{Number: 54, Sentence: "sound comes as audio/pcm;rate=24000 with an even number of bytes", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.say("hello")
		total := 0
		for _, e := range s.turn() {
			mimes, pcm := e.sound(p)
			if total += len(pcm); len(pcm)%2 != 0 || slices.ContainsFunc(mimes, func(m string) bool { return m != "audio/pcm;rate=24000" }) {
				p.fail("%d bytes of %q", len(pcm), mimes)
			}
		}
		if total == 0 {
			p.fail("there is no sound")
		}
	}},
	{Number: 55, Sentence: "a turn is content, generationComplete, then turnComplete with usageMetadata", Evidence: []Label{Recorded}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.say("hello")
		events := s.turn()
		said := slices.IndexFunc(events, func(e event) bool { return e.content()["modelTurn"] != nil })
		done := slices.IndexFunc(events, func(e event) bool { return e.is("generationComplete") })
		last := events[len(events)-1]
		usage, _ := last.body["usageMetadata"].(object)
		switch {
		case said < 0 || done < said:
			p.fail("content is message %d, generationComplete %d of %d", said+1, done+1, len(events))
		case usage["promptTokenCount"] == nil || usage["responseTokenCount"] == nil || usage["totalTokenCount"] == nil:
			p.fail("turnComplete comes without counts of tokens")
		}
	}},
	{Number: 56, Sentence: "an interrupted turn is interrupted, then turnComplete, without generationComplete; its pending calls are cancelled", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.say(longer)
		s.speaks()
		s.say("stop")
		s.interrupted()

		s = p.live(keyPath(p.target.Key), p.audio(clock("BLOCKING")))
		s.say(callClock)
		id := s.call()
		s.say("stop")
		cancelled := func(e event) bool {
			cancellation, _ := e.body["toolCallCancellation"].(object)
			ids, _ := cancellation["ids"].([]any)
			return slices.Contains(ids, any(id))
		}
		if !slices.ContainsFunc(s.interrupted(), cancelled) {
			p.fail("the call that waited is not cancelled")
		}
	}},
	{Number: 57, Sentence: "turnComplete is held back to about the end of playback", Evidence: []Label{Observed}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.say("hello")
		var first time.Time
		var played time.Duration
		events := s.turn()
		for _, e := range events {
			_, pcm := e.sound(p)
			if len(pcm) > 0 && first.IsZero() {
				first = e.at
			}
			played += time.Duration(len(pcm)/2) * time.Second / 24000
		}
		took := events[len(events)-1].at.Sub(first)
		if played == 0 || took < played/2 || took > played+2*time.Second {
			p.fail("%s of sound, turnComplete after %s", played.Round(time.Millisecond), took.Round(time.Millisecond))
		}
	}},
	{Number: 58, Sentence: "clientContent with turnComplete interrupts a running answer", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.say(longer)
		s.speaks()
		s.send(object{"clientContent": object{"turns": []object{{"role": "user", "parts": []object{{"text": "stop"}}}}, "turnComplete": true}})
		s.interrupted()
	}},
	{Number: 59, Sentence: "a toolResponse with an unknown id gives 1007", Evidence: []Label{Assumed}, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(clock("NON_BLOCKING")))
		s.send(toolResponse("no-such-call"))
		s.closes(argument, 1007)
	}},
	{Number: 60, Sentence: "after a blocking call nothing more of the turn comes until the response", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(clock("BLOCKING")))
		s.say(callClock)
		id := s.call()
		for until := time.Now().Add(4 * quiet); ; {
			e, ok := s.within(time.Until(until))
			if !ok {
				break
			}
			if e.ended || e.content() != nil {
				p.fail("before the response comes %s", e)
			}
		}
		s.send(toolResponse(id))
		s.turn()
	}},
	{Number: 61, Sentence: "transcriptions come only if asked for, those of the output in fragments", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		for _, asked := range []bool{false, true} {
			more := object{}
			if asked {
				more["outputAudioTranscription"] = object{}
			}
			s := p.live(keyPath(p.target.Key), p.audio(more))
			s.say("hello, how are you?")
			fragments := 0
			for _, e := range s.turn() {
				if e.content()["outputTranscription"] != nil {
					fragments++
				}
			}
			if asked && fragments < 2 || !asked && fragments > 0 {
				p.fail("%d fragments come, asked for: %t", fragments, asked)
			}
		}
	}},
	{Number: 62, Sentence: "the role function in clientContent gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.send(object{"clientContent": object{"turns": []object{{"role": "function", "parts": []object{{"text": "x"}}}}}})
		s.closes("", 1007)
	}},
	{Number: 63, Sentence: "{} and messages with an unknown key may come at any time", Evidence: []Label{Observed}, Paid: true, alone: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		p.control("fault", object{"kind": "unknown-field"})
		p.control("fault", object{"kind": "empty"})
		s.say("hello")
		events := s.turn()
		empty := slices.ContainsFunc(events, func(e event) bool { return e.body != nil && len(e.body) == 0 })
		unknown := slices.ContainsFunc(events, event.unknown)
		switch {
		case !empty && !unknown:
			p.unseen("no such message came, and none need come")
		case !empty:
			p.remark = "{} did not come"
		case !unknown:
			p.remark = "an unknown key did not come"
		}
	}},
	{Number: 64, Sentence: "one message may carry sound and transcription together", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(object{"outputAudioTranscription": object{}}))
		s.say("hello")
		if !slices.ContainsFunc(s.turn(), func(e event) bool { return e.content()["modelTurn"] != nil && e.transcript() != "" }) {
			p.unseen("each came by itself, which is as right")
		}
	}},
}

func toolResponse(id string) object {
	return object{"toolResponse": object{"functionResponses": []object{{"id": id, "name": "get_time", "response": object{"output": "12:05"}}}}}
}

// interrupted expects the end of an interrupted turn, and gives what came until
// then.
func (s *socket) interrupted() (events []event) {
	stopped := false
	for {
		e := s.next()
		events = append(events, e)
		switch {
		case e.ended:
			s.p.fail("the turn ends with %s", e)
		case e.is("generationComplete"):
			s.p.fail("generationComplete comes in an interrupted turn")
		case e.is("turnComplete") && !stopped && !e.is("interrupted"):
			s.p.fail("turnComplete comes without interrupted")
		case e.is("turnComplete"):
			return events
		case e.is("interrupted"):
			stopped = true
		}
	}
}

// call waits for a function call and gives its id.
func (s *socket) call() string {
	for {
		e := s.next()
		calls, _ := e.body["toolCall"].(object)
		list, _ := calls["functionCalls"].([]any)
		switch {
		case e.ended:
			s.p.fail("the socket ends with %s", e)
		case e.is("turnComplete"):
			s.p.unseen("the model calls no function")
		case len(list) > 0:
			one, _ := list[0].(object)
			id, _ := one["id"].(string)
			if id == "" {
				s.p.fail("a call has no id")
			}
			return id
		}
	}
}

// envelope are the keys of a service message that are known.
var envelope = []string{
	"setupComplete", "serverContent", "toolCall", "toolCallCancellation", "goAway", "sessionResumptionUpdate",
	"voiceActivity", "voiceActivityDetectionSignal", "usageMetadata", "error",
}

// unknown reports whether a message has a key that nobody knows.
func (e event) unknown() bool {
	for key := range e.body {
		if !slices.Contains(envelope, key) {
			return true
		}
	}
	return false
}
