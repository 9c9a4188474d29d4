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
	{Number: 45, Sentence: "a new session after newSessionExpireTime gives 1011", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{"uses": 0, "newSessionExpireTime": stamp(p.now().Add(soon))})
		p.live(tokenPath(name), p.audio())
		p.sleep(soon)
		p.open(tokenPath(name), p.audio()).closes(tooLate, 1011)
	}},
	{Number: 46, Sentence: "resuming after newSessionExpireTime and before expireTime is accepted", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		name := p.token(object{"newSessionExpireTime": stamp(p.now().Add(soon))})
		handle := p.told(tokenPath(name), "hello")
		p.sleep(soon)
		e := p.open(tokenPath(name), p.audio(resumable(handle))).next()
		if e.ended && strings.Contains(e.reason, tooLate) {
			p.answer("U1", "yes")
		}
		if e.ended {
			p.fail("it gives %s", e)
		}
		p.answer("U1", "no")
	}},
	{Number: 47, Sentence: "an open socket is closed within about a second of expireTime, 1011", Evidence: []Label{Observed}, check: func(p *probe) {
		now := p.now()
		asked := time.Now() // up to a second later at the service than now
		name := p.token(object{"expireTime": stamp(now.Add(soon))})
		e := p.live(tokenPath(name), p.audio()).closes("auth token has expired", 1011)
		if lived := e.at.Sub(asked); lived < soon-3*time.Second/2 || lived > soon+3*time.Second {
			p.fail("it is closed %s after the mint, want about %s", lived.Round(time.Millisecond), soon)
		}
	}},
	{Number: 48, Sentence: "any connect after expireTime, with a handle or without, gives 1011", Evidence: []Label{Observed}, check: func(p *probe) {
		at := stamp(p.now().Add(soon))
		name := p.token(object{"uses": 0, "expireTime": at, "newSessionExpireTime": at})
		p.live(tokenPath(name), p.audio()).close()
		p.sleep(soon)
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
	{Number: 50, Sentence: "the order of checks: expired, then the time for new sessions, uses, setup", Evidence: []Label{Assumed}, check: func(p *probe) {
		at := stamp(p.now().Add(soon))
		late := p.token(object{"newSessionExpireTime": at})
		dead := p.token(object{"newSessionExpireTime": at, "expireTime": at})
		full := p.token(object{})
		for _, name := range []string{late, dead, full} {
			p.live(tokenPath(name), p.audio()).close()
		}
		p.open(tokenPath(full), p.inText()).closes(spent, 1011)
		p.sleep(soon)
		p.open(tokenPath(late), p.inText()).closes(tooLate, 1011)
		p.open(tokenPath(dead), p.inText()).closes(expired, 1011)
		p.open(tokenPath("auth_tokens/none"), p.inText()).closes("", 1008, 1011)
	}},
}
