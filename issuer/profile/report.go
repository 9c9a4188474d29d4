package profile

import (
	"fmt"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
)

// Freedom is something that a page with a token of the profile, or the caller who
// asks for one, still decides.
type Freedom struct {
	What string // a path of the setup, or "a field that Google adds later"
	Who  string // "the page", unchecked, or "the caller", within bounds
	How  string // how far it goes, in plain words
}

// meaning tells what a page does with a field that is left to it.
var meaning = map[string]string{
	"model":                    "any model of the key, at its price",
	"generationConfig":         "voice, temperature, length and kind of the answers",
	"systemInstruction":        "any instruction: the model is then the page's, not yours",
	"tools":                    "any tool, those that cost money too",
	"realtimeInputConfig":      "when the model listens and whether speech interrupts it",
	"contextWindowCompression": "how much is remembered, and so what each turn costs",
	"inputAudioTranscription":  "whether the user's speech is written down",
	"outputAudioTranscription": "whether the model's speech is written down",
	"proactivity":              "whether the model speaks unasked",
	"avatarConfig":             "whether the model has a picture, at its price",
	"safetySettings":           "what the model refuses to say",
	"labels":                   "under which labels the use is billed",
}

// Freedoms are all that is not fixed, in the order of the setup.
func (p Profile) Freedoms() []Freedom {
	const page, caller = "the page", "the caller"
	if p.spec.Lock == None {
		return []Freedom{{"everything", page, "model, instruction, tools and all else: the token is good for whatever the key is"}}
	}
	var all []Freedom
	for _, path := range p.Allow() {
		how := meaning[path]
		if how == "" {
			how = "any value"
		}
		all = append(all, Freedom{path, page, how})
	}
	for _, a := range p.spec.Allow {
		if a.bounded() {
			all = append(all, Freedom{a.Path, caller, a.String() + ", asked for with the token"})
		}
	}
	if p.spec.Lock == Full {
		return append(all, Freedom{"sessionResumption.handle", caller, "any session whose handle it holds, asked for with the token"})
	}
	return append(all,
		Freedom{"sessionResumption", page, "any session of the key's project whose handle it holds"},
		Freedom{"historyConfig", page, "a history of its own to begin with"},
		Freedom{"fields that Google adds later", page, "open until this program knows them; closed under the lock " + Full},
	)
}

// Bound is the most that one caller can have, however hostile, who keeps every
// token and says nothing of its leases.
type Bound struct {
	// Starts is how many sessions it can begin in any time of Leash. To go on with
	// one is no start, so it can have all open at once that it ever began.
	Starts  int
	Leash   time.Duration // how long they go on once the caller may have no more
	Minutes int           // of leases in a day; 0: no limit
	Rate    limit.Rate    // how often it can ask
}

// Bound follows from limits, uses and times.
//
// A session is begun with a token that was given in the same time, or by as much
// before as a token can wait. Those of them that are still good in the end have a
// slot each. Those that are not have lived for a leash, and had a slot each at the
// beginning; or they are the short ones of a lease's end. Of these a lease has one,
// and its early renewals; and when it began it had one of the slots for new leases.
func (p Profile) Bound() Bound {
	l, leash := p.spec.Limits, p.spec.Leash
	span := leash + min(max(p.spec.NewSession, renewedSession), leash)
	life := leash - time.Second // the shortest, since times have whole seconds
	lives := int((span + life - 1) / life)
	tokens := min(lives*(l.Renewing()+l.Concurrent*(1+EarlyRenewals)), l.PerCaller.Quota()+int(span/l.PerCaller.Interval()))
	return Bound{Starts: tokens * p.spec.Uses, Leash: leash, Minutes: l.MinutesPerDay, Rate: l.PerCaller}
}

// String is one sentence.
func (b Bound) String() string {
	day := "all day"
	if b.Minutes > 0 {
		day = "for " + short(time.Duration(b.Minutes)*time.Minute) + " of leases a day"
	}
	return fmt.Sprintf("%d sessions begun in any %s, %s, from at most %v tokens, and all that it began open at once; once it may have no more, they go on for %s",
		b.Starts, short(b.Leash), day, b.Rate, short(b.Leash))
}

// short writes a duration without the zeros at its end.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Warnings tell what works, and will surprise. Connection is how long the service
// keeps one.
func (p Profile) Warnings(connection time.Duration) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if p.spec.Lock == None {
		warn("lock %s: whoever holds a token has the key for %s; use it where you trust the page", None, short(p.spec.Leash))
		return all
	}
	if p.spec.Leash < connection {
		warn("leash %s is shorter than a connection (%s): each connection is changed before its time", short(p.spec.Leash), short(connection))
	}
	if p.spec.Uses > 1 {
		warn("uses %d: one token opens as many sessions at once, and a renewed one again", p.spec.Uses)
	}
	if !p.fixes("model") {
		warn("the list leaves the model to the page")
	}
	if !p.Compressed() {
		warn("no contextWindowCompression: the service ends a session after 15 minutes of sound, 2 with video (documented)")
	}
	for _, side := range []string{"input", "output"} {
		if name := side + "AudioTranscription"; p.fixes(name) && p.setup[name] == nil {
			warn("no %s: what is lost with a connection that cannot be resumed is not told to the next", name)
		}
	}
	if _, known := p.Dialect(); !known {
		warn("this program does not know the model %s: pages speak to it in the most careful way", p.model)
	}
	switch minutes := time.Duration(p.spec.Limits.MinutesPerDay) * time.Minute; {
	case minutes == 0:
		warn("no limits.minutesPerDay: a caller can talk all day")
	case minutes < p.spec.Leash:
		warn("limits.minutesPerDay %d: nobody gets a token, because each takes the leash, %s", p.spec.Limits.MinutesPerDay, short(p.spec.Leash))
	default:
		warn("limits.minutesPerDay %d: a page can be loaded %d times a day, because each token takes the leash, %s, and gives nothing back",
			p.spec.Limits.MinutesPerDay, minutes/p.spec.Leash, short(p.spec.Leash))
	}
	return all
}
