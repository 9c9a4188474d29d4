package conformance

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// resumptionFacts are those of handles and of the end of a connection.
var resumptionFacts = []Fact{
	{Number: 65, Sentence: "sessionResumption asks for updates, without it none come", Evidence: []Label{Documented, Observed}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(resumable("")))
		s.say("hello")
		s.turn()
		s.handle()
		cadence := "after each turn"
		if e, ok := s.within(idle); ok && e.update() != nil {
			cadence = "more often"
		}

		// The constrained method was the one that sent them unasked.
		unasked := p.live(tokenPath(p.token(object{})), p.audio())
		unasked.say("hello")
		events := unasked.turn()
		if e, ok := unasked.within(quiet); ok {
			events = append(events, e)
		}
		if p.answer("U9", "no; %s", cadence); slices.ContainsFunc(events, func(e event) bool { return e.update() != nil }) {
			p.answer("U9", "yes; %s", cadence)
			p.fail("an update comes that nobody asked for")
		}
	}},
	{Number: 66, Sentence: "an update that is not resumable is {\"sessionResumptionUpdate\":{}}", Evidence: []Label{Inferred}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(resumable("")))
		s.say("hello")
		seen := false
		for _, e := range s.turn() {
			if u := e.update(); u != nil && u["resumable"] != true {
				if seen = true; len(u) != 0 {
					p.fail("such an update has %d fields", len(u))
				}
			}
		}
		if !seen {
			p.unseen("every update was resumable")
		}
	}},
	{Number: 67, Sentence: "every resumable update carries a handle, a later one supersedes it", Evidence: []Label{Documented}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(resumable("")))
		var handles []string
		for range 2 {
			s.say("hello")
			s.turn()
			handles = append(handles, s.handle())
		}
		if handles[0] == handles[1] {
			p.fail("two turns give the same handle")
		}
		s.close()
		p.live(keyPath(p.target.Key), p.audio(resumable(handles[1])))
	}},
	{Number: 68, Sentence: "a handle works with another token of the project, after its own expired too", Evidence: []Label{Observed}, Paid: true, alone: true, check: func(p *probe) {
		life := 2 * p.ahead()
		at := stamp(p.now().Add(life))
		name := p.token(object{"expireTime": at})
		handle := p.told(tokenPath(name), "My name is Ada.")
		if p.target.OtherKey != "" {
			other := p.nameOf(p.mintAs(p.target.OtherKey, object{}))
			p.open(tokenPath(other), p.audio(resumable(handle))).closes("", 1007, 1008)
		}
		p.mustElapse(life)
		p.open(tokenPath(name), p.audio(resumable(handle))).closes(expired, 1011)

		s := p.live(tokenPath(p.token(object{})), p.audio(resumable(handle), object{"outputAudioTranscription": object{}}))
		s.say("What is my name?")
		for said := ""; !strings.Contains(said, "Ada"); {
			e := s.next()
			if said += e.transcript(); e.ended || e.is("turnComplete") {
				p.fail("the conversation is forgotten: %q", said)
			}
		}
	}},
	{Number: 69, Sentence: "2 h after the session's last end its handle gives 1008", Evidence: []Label{Documented, Observed}, Paid: true, alone: true, check: func(p *probe) {
		p.needs(2 * time.Hour)
		handle := p.told(keyPath(p.target.Key), "hello")
		p.mustElapse(2*time.Hour - time.Minute)
		p.live(keyPath(p.target.Key), p.audio(resumable(handle))).close() // its last end is now
		p.mustElapse(2*time.Hour - time.Minute)
		p.live(keyPath(p.target.Key), p.audio(resumable(handle))).close()
		p.mustElapse(2*time.Hour + time.Minute)
		e := p.open(keyPath(p.target.Key), p.audio(resumable(handle))).next()
		if !e.ended {
			p.answer("U14", "more than 2 h")
			p.fail("the handle is still good")
		}
		p.answer("U14", "2 h")
		if e.code != 1008 || !strings.Contains(e.reason, "session not found") {
			p.fail("it gives %s", e)
		}
	}},
	{Number: 70, Sentence: "a handle that is none gives 1007", Evidence: []Label{Observed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.audio(resumable("garbage"))).closes("Invalid session handle", 1007)
		e := p.open(keyPath(p.target.Key), p.audio(resumable(noHandle))).closes("", 1007, 1008)
		if p.answer("U17", "uuid form: not found; else invalid"); e.code != 1008 {
			p.answer("U17", "uuid form: %s", e)
		}
	}},
	{Number: 71, Sentence: "resuming while the old socket is open gives 1011", Evidence: []Label{Observed}, Paid: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio(resumable("")))
		s.say("hello")
		s.turn()
		p.open(keyPath(p.target.Key), p.audio(resumable(s.handle()))).closes("", 1011)
		s.stays("a refused resume")
	}},
	{Number: 72, Sentence: "resuming with another model is refused", Evidence: []Label{Documented, Assumed}, Paid: true, check: func(p *probe) {
		handle := p.told(keyPath(p.target.Key), "hello")
		p.open(keyPath(p.target.Key), p.audio(resumable(handle), object{"model": p.target.OtherModel})).closes("", 1007, 1008)
		p.live(keyPath(p.target.Key), p.audio(resumable(handle)))
	}},
	{Number: 73, Sentence: "transparent gives 1007, and lastConsumedClientMessageIndex never comes", Evidence: []Label{SDK, Assumed}, check: func(p *probe) {
		p.open(keyPath(p.target.Key), p.audio(object{"sessionResumption": object{"transparent": true}})).closes("", 1007)
		if !p.target.Paid {
			p.remark = "no update was looked at, since a turn costs money"
			return
		}
		s := p.live(keyPath(p.target.Key), p.audio(resumable("")))
		s.say("hello")
		events := s.turn()
		for _, e := range append(events, s.next()) {
			if e.update()["lastConsumedClientMessageIndex"] != nil {
				p.fail("it comes")
			}
		}
	}},
	{Number: 74, Sentence: "goAway with a timeLeft comes near the end of a connection, which works on until it is closed", Evidence: []Label{Observed}, alone: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		// Up to here a lead of 50 s has begun, and the end has not come.
		p.mustElapse(max(p.target.Connection-30*time.Second, 0))
		e := s.nextWithin(min(p.target.Connection, 30*time.Second) + patience)
		if e.ended {
			p.answer("U10", "none; %s", e)
			p.fail("it ends without goAway: %s", e)
		}
		away, _ := e.body["goAway"].(object)
		text, _ := away["timeLeft"].(string)
		left, err := time.ParseDuration(text)
		if !wireDuration.MatchString(text) || err != nil {
			p.fail("timeLeft is %q, or it comes as %s", text, e)
		}
		s.stays("goAway")
		p.mustElapse(left + time.Second)
		end := s.nextWithin(left + patience)
		if !end.ended || !slices.Contains([]int{1000, 1006, 1008, 1011}, end.code) {
			p.fail("after goAway comes %s", end)
		}
		p.answer("U10", "%s; %s", left.Round(time.Second), end)
	}},
	{Number: 75, Sentence: "a connection may be cut without goAway", Evidence: []Label{Observed}, alone: true, check: func(p *probe) {
		s := p.live(keyPath(p.target.Key), p.audio())
		if !p.control("fault", object{"kind": "drop", "session": "*"}) {
			p.unseen("it happens by chance, or on request at an emulator")
		}
		if e := s.next(); !e.ended || e.code != 1006 {
			p.fail("a cut gives %s", e)
		}
	}},
	{Number: 76, Sentence: "without compression a session of sound ends after 15 min, one with video after 2, across resumptions too; with it, neither does", Evidence: []Label{Documented, Assumed}, Paid: true, alone: true, check: func(p *probe) {
		p.needs(8 * time.Minute)
		sound, video := object{"audio": still}, object{"video": picture}
		// The limits are reached in the second of two connections.
		p.limited(video, 90*time.Second)
		p.limited(sound, 8*time.Minute)
	}},
}

// limited streams to two sessions over two connections each, and expects the one
// without compression to end in the second.
func (p *probe) limited(input object, each time.Duration) {
	squeezed := object{"contextWindowCompression": object{"slidingWindow": object{}}}
	start := func(more object) string {
		s := p.live(keyPath(p.target.Key), p.audio(resumable(""), more))
		s.say("hello")
		s.turn()
		handle := s.handle()
		s.close()
		return handle
	}
	short, lasting := start(object{}), start(squeezed)
	resume := func() (a, b *socket) {
		a = p.live(keyPath(p.target.Key), p.audio(resumable(short)))
		b = p.live(keyPath(p.target.Key), p.audio(resumable(lasting), squeezed))
		for _, s := range []*socket{a, b} {
			s.send(object{"realtimeInput": input})
		}
		return a, b
	}
	a, b := resume()
	p.mustElapse(each)
	a.stays(each.String())
	b.stays(each.String() + " with compression")
	// Handles come while time passes, and only the newest need be good.
	short, lasting = cmp.Or(a.newest, short), cmp.Or(b.newest, lasting)
	a.close()
	b.close()
	a, b = resume()
	p.mustElapse(each)
	b.stays((2 * each).String() + " with compression")
	for {
		e, ok := a.within(4 * quiet)
		switch {
		case !ok:
			p.fail("after %s without compression the session goes on", 2*each)
		case e.ended:
			return
		}
	}
}

// wireDuration is proto3 JSON's form.
var wireDuration = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)

// nextWithin is next with another bound.
func (s *socket) nextWithin(d time.Duration) event {
	e, ok := s.within(d)
	if !ok {
		s.p.fail("nothing comes within %s", d)
	}
	return e
}
