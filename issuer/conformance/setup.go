package conformance

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

const setupFirst = "setup must be the first message and only the first"

// setupFacts are those of the first message.
var setupFacts = []Fact{
	{Number: 26, Sentence: "a first message other than setup gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		s, status := p.dial(keyPath(p.target.Key))
		if s == nil {
			p.fail("the upgrade gives %d", status)
		}
		s.say("hello")
		s.closes(setupFirst, 1007)
	}},
	{Number: 27, Sentence: "a second setup gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		s.send(object{"setup": p.audio()})
		s.closes(setupFirst, 1007)
	}},
	{Number: 28, Sentence: "nothing precedes setupComplete, which comes pretty-printed in a binary frame", Evidence: []Label{Recorded, Inferred}, check: func(p *probe) {
		s, status := p.dial(keyPath(p.target.Key))
		if s == nil {
			p.fail("the upgrade gives %d", status)
		}
		if e, ok := s.within(quiet); ok {
			p.fail("before the setup comes %s", e)
		}
		s.send(object{"setup": p.audio()})
		if e := s.live(); !e.binary || string(e.raw) != "{\n  \"setupComplete\": {}\n}\n" {
			p.fail("it comes otherwise, in %d bytes, binary: %t", len(e.raw), e.binary)
		}
	}},
	{Number: 29, Sentence: "the service sends binary frames of one JSON object; it takes text and binary frames", Evidence: []Label{SDK, Inferred, Assumed}, check: func(p *probe) {
		s, status := p.dial(keyPath(p.target.Key))
		if s == nil {
			p.fail("the upgrade gives %d", status)
		}
		s.write(websocket.MessageBinary, object{"setup": p.audio()})
		all := []event{s.live()}
		if p.target.Paid {
			s.say("hello")
			all = append(all, s.turn()...)
		} else {
			p.remark = "of the service's messages only setupComplete was seen"
		}
		for _, e := range all {
			if !e.binary || e.body == nil {
				p.fail("%s comes with binary: %t", e, e.binary)
			}
		}
	}},
	{Number: 30, Sentence: "camelCase and snake_case keys are equivalent", Evidence: []Label{SDK}, check: func(p *probe) {
		in := func(modality string) object {
			return object{"model": p.target.Model, "generation_config": object{"response_modalities": []string{modality}}}
		}
		p.open(keyPath(p.target.Key), in("TEXT")).closes(noText, 1007)
		s := p.live(keyPath(p.target.Key), in("AUDIO"))
		s.send(object{"realtime_input": object{"media_chunks": []object{{"mime_type": "audio/pcm", "data": "AAAA"}}}})
		s.closes("media_chunks is deprecated", 1007)
	}},
	{Number: 31, Sentence: "an unknown field gives 1007 and is named", Evidence: []Label{Observed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.audio(object{"voice": "Kore"})).closes(`Invalid JSON payload received. Unknown name "voice"`, 1007)
		s := p.live(keyPath(p.target.Key), p.audio())
		s.send(object{"realtimeInput": object{"speech": "x"}})
		s.closes(`Unknown name "speech"`, 1007)
	}},
	{Number: 32, Sentence: "an unknown model gives 1008 and is named with the API version", Evidence: []Label{Observed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.audio(object{"model": "models/no-such"})).
			closes("models/no-such is not found for API version v1beta, or is not supported for bidiGenerateContent", 1008)
	}},
	{Number: 33, Sentence: "a model without models/ is refused", Evidence: []Label{Assumed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.audio(object{"model": strings.TrimPrefix(p.target.Model, "models/")})).closes("", 1007, 1008)
	}},
	{Number: 34, Sentence: "TEXT from a model that only speaks gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.inText()).closes(noText, 1007)
		if e := p.open(keyPath(p.target.Key), object{"model": p.target.Model}).next(); e.ended {
			p.answer("U13", "%d %q", e.code, e.reason)
		} else {
			p.answer("U13", "AUDIO on audio-only models")
		}
	}},
}

// constraintFacts are those of what a token locks. The model only speaks, so
// asking it for TEXT shows whose setup counts.
var constraintFacts = []Fact{
	{Number: 35, Sentence: "a token without setup and mask takes the client's setup, with any model", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{"uses": 0})
		p.live(tokenPath(name), p.audio())
		p.live(tokenPath(name), p.audio(object{"model": p.target.OtherModel}))
		p.open(tokenPath(name), p.inText()).closes(noText, 1007)
	}},
	{Number: 36, Sentence: "a token with a setup and no mask ignores the client's setup; {} will do", Evidence: []Label{Documented, Observed}, check: func(p *probe) {
		name := p.token(object{"uses": 0, "bidiGenerateContentSetup": p.audio()})
		p.live(tokenPath(name), object{})
		p.live(tokenPath(name), p.inText())
		p.live(tokenPath(name), object{"model": "models/no-such"})

		if !p.target.Paid {
			return
		}
		history := object{"historyConfig": object{"initialHistoryInClientContent": true}}
		s := p.live(tokenPath(p.token(object{"bidiGenerateContentSetup": p.audio(history)})), p.audio())
		s.send(object{"clientContent": object{"turns": []object{{"role": "user", "parts": []object{{"text": "hello"}}}}, "turnComplete": true}})
		if p.answer("U16", "yes"); s.answers(idle) {
			p.answer("U16", "no")
		}
	}},
	{Number: 37, Sentence: "the same token ignores a handle of the client's: a new session starts and takes a use", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{"bidiGenerateContentSetup": p.audio()})
		e := p.open(tokenPath(name), p.audio(resumable(noHandle))).next()
		if e.ended && (e.code == 1007 || e.code == 1008) { // about the handle, not the token
			p.answer("U2", "honoured")
		}
		if e.ended {
			p.fail("a handle gives %s, want a new session", e)
		}
		p.answer("U2", "ignored")
		p.open(tokenPath(name), p.audio(resumable(noHandle))).closes(spent, 1011)
	}},
	{Number: 38, Sentence: "a mask overwrites the client's value silently and honours what it does not name", Evidence: []Label{Documented, Observed}, check: func(p *probe) {
		p.live(tokenPath(p.token(p.masked("model,generationConfig.responseModalities"))), p.inText())
		p.open(tokenPath(p.token(p.masked("model"))), p.inText()).closes(noText, 1007)

		// A child that the token's parent lacks, and the model refuses.
		thinking := p.audio(object{"generationConfig": object{"responseModalities": []string{"TEXT"}, "thinkingConfig": object{"thinkingLevel": "LOW"}}})
		e := p.open(tokenPath(p.token(p.masked("model,generationConfig"))), thinking).next()
		if p.answer("U4", "yes, replaces the subtree"); e.ended {
			p.answer("U4", "no: %s", e)
		}
		told := p.audio(object{"systemInstruction": object{"parts": []object{{"text": "Be brief."}}}})
		r := p.mint(object{"bidiGenerateContentSetup": told, "fieldMask": "systemInstruction"})
		if r.status != http.StatusOK {
			return // such a mask is no fact
		}
		s := p.live(tokenPath(p.nameOf(r)), p.audio())
		s.send(object{"contextUpdate": object{"systemInstruction": object{"parts": []object{{"text": "Be long."}}}}})
		s.send(object{"setup": p.audio()}) // is refused in any case, so an answer comes
		e = s.closes("", 1007, 1008, 1011)
		if p.answer("U12", "refused %d", e.code); e.reason == setupFirst {
			p.answer("U12", "accepted")
		}
	}},
	{Number: 39, Sentence: "under a masked model a client that names one which does not exist still connects", Evidence: []Label{Observed}, check: func(p *probe) {
		p.live(tokenPath(p.token(p.masked("model"))), p.audio(object{"model": "models/no-such"}))
	}},
	{Number: 40, Sentence: "a masked field that the token's setup lacks is cleared", Evidence: []Label{Inferred}, check: func(p *probe) {
		r := p.mint(p.masked("model,sessionResumption"))
		if r.status == http.StatusBadRequest && r.message() == badMask {
			p.unseen("such a mask is refused")
		}
		p.live(tokenPath(p.nameOf(r)), p.audio(resumable(noHandle)))
	}},
	{Number: 41, Sentence: "a mask without sessionResumption honours the client's handle", Evidence: []Label{Observed}, check: func(p *probe) {
		body := p.masked("model,generationConfig.responseModalities")
		// A handle that was looked at is refused.
		p.open(tokenPath(p.token(body)), p.audio(resumable(noHandle))).closes("", 1007, 1008)
		if !p.target.Paid {
			p.remark = "seen from the refusal of a handle; a good one costs money"
			return
		}
		name := p.token(body)
		p.live(tokenPath(name), p.audio(resumable(p.told(tokenPath(name), "hello"))))
	}},
}
