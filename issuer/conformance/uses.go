package conformance

import (
	"strings"
	"time"
)

// noHandle has the form of a handle and is none.
const noHandle = "00000000-0000-4000-8000-000000000000"

// useFacts are those of a token's uses and times.
var useFacts = []Fact{
	{Number: 42, Sentence: "with uses 1 a second new session gives 1011", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{"uses": 1})
		p.live(tokenPath(name), p.audio()).close()
		p.open(tokenPath(name), p.audio()).closes(spent, 1011)
	}},
	{Number: 43, Sentence: "the same token resumes with an unlocked handle again and again", Evidence: []Label{Documented, Observed}, Paid: true, check: func(p *probe) {
		name := p.token(object{"uses": 1})
		handle := p.told(tokenPath(name), "hello")
		for range 3 {
			p.live(tokenPath(name), p.audio(resumable(handle))).close()
		}
		p.open(tokenPath(name), p.audio()).closes(spent, 1011)
	}},
	{Number: 44, Sentence: "uses 2 allows two new sessions, at the same time too", Evidence: []Label{Documented, Assumed}, check: func(p *probe) {
		name := p.token(object{"uses": 2})
		p.live(tokenPath(name), p.audio())
		p.live(tokenPath(name), p.audio())
		p.open(tokenPath(name), p.audio()).closes(spent, 1011)
	}},
	{Number: 45, Sentence: "a new session after newSessionExpireTime gives 1011", Evidence: []Label{Observed}, alone: true, check: func(p *probe) {
		life := p.ahead()
		name := p.token(object{"uses": 0, "newSessionExpireTime": stamp(p.now().Add(life))})
		p.live(tokenPath(name), p.audio())
		p.mustElapse(life)
		p.open(tokenPath(name), p.audio()).closes(tooLate, 1011)
	}},
	{Number: 46, Sentence: "resuming after newSessionExpireTime and before expireTime is accepted", Evidence: []Label{Documented}, Paid: true, alone: true, check: func(p *probe) {
		life := p.ahead()
		name := p.token(object{"newSessionExpireTime": stamp(p.now().Add(life))})
		handle := p.told(tokenPath(name), "hello")
		p.mustElapse(life)
		e := p.open(tokenPath(name), p.audio(resumable(handle))).next()
		if e.ended && strings.Contains(e.reason, tooLate) {
			p.answer("U1", "yes")
		}
		if e.ended {
			p.fail("it gives %s", e)
		}
		p.answer("U1", "no")
	}},
	{Number: 47, Sentence: "an open socket is closed within about a second of expireTime, 1011", Evidence: []Label{Observed}, alone: true, check: func(p *probe) {
		life := p.ahead()
		name := p.token(object{"expireTime": stamp(p.now().Add(life))})
		s := p.live(tokenPath(name), p.audio())
		p.mustElapse(life / 2)
		s.stays("half of the token's life")
		p.mustElapse(life/2 + time.Second)
		for { // already, or in a moment
			e := s.nextWithin(2 * time.Second)
			if e.ended && e.code == 1011 && strings.Contains(e.reason, "auth token has expired") {
				return
			}
			if e.ended {
				p.fail("it ends with %s", e)
			}
		}
	}},
	{Number: 48, Sentence: "any connect after expireTime, with a handle or without, gives 1011", Evidence: []Label{Observed}, alone: true, check: func(p *probe) {
		life := p.ahead()
		at := stamp(p.now().Add(life))
		name := p.token(object{"uses": 0, "expireTime": at, "newSessionExpireTime": at})
		p.live(tokenPath(name), p.audio()).close()
		p.mustElapse(life)
		p.open(tokenPath(name), p.audio()).closes(expired, 1011)
		p.open(tokenPath(name), p.audio(resumable(noHandle))).closes(expired, 1011)
	}},
	{Number: 49, Sentence: "a use is spent when the setup is accepted, not at mint or upgrade", Evidence: []Label{Assumed}, check: func(p *probe) {
		name := p.token(object{"uses": 1})
		p.open(tokenPath(name), p.inText()).closes(noText, 1007)
		e := p.open(tokenPath(name), p.audio()).next()
		if e.ended && strings.Contains(e.reason, spent) {
			p.answer("U7", "on open")
		}
		if e.ended {
			p.fail("after a refused setup comes %s", e)
		}
		p.answer("U7", "on accepted setup")
	}},
	{Number: 50, Sentence: "the order of checks: expired, then the time for new sessions, uses, setup", Evidence: []Label{Assumed}, alone: true, check: func(p *probe) {
		life := p.ahead()
		at := stamp(p.now().Add(life))
		late := p.token(object{"newSessionExpireTime": at})
		dead := p.token(object{"newSessionExpireTime": at, "expireTime": at})
		full := p.token(object{})
		for _, name := range []string{late, dead, full} {
			p.live(tokenPath(name), p.audio()).close()
		}
		p.open(tokenPath(full), p.inText()).closes(spent, 1011)
		p.mustElapse(life)
		p.open(tokenPath(late), p.inText()).closes(tooLate, 1011)
		p.open(tokenPath(dead), p.inText()).closes(expired, 1011)
		p.open(tokenPath("auth_tokens/none"), p.inText()).closes("", 1008, 1011)
	}},
}
