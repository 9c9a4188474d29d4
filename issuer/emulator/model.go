package emulator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// capability is what one model can do (section "Models" of Google's
// documentation as of 2026-10, unless said).
type capability struct {
	modalities []string // what it may be asked for; the first is its default (U13)
	thinking   thinking
	seedOnly   bool // clientContent only seeds the history (documented)
	proactive  bool // proactive audio is always on, turning it off is an error (documented)
	expressive bool // affective dialog and proactive audio may be asked for, on v1alpha (documented; that all else refuses them is assumed)
	translates bool // takes translationConfig (documented; that all else refuses it is assumed)
	calling    behaviour
	noTools    []string      // tools that it does not have
	signals    bool          // tells of voice activity (observed)
	recent     bool          // 3.1 and later: one message may carry audio and its transcript, and all video is input (documented)
	limit      time.Duration // of a session, compressed or not; 0: none of its own
}

// calling is how a model calls functions that do not say how.
type behaviour int

const (
	blocking        behaviour = iota // and NON_BLOCKING is possible
	nonBlocking                      // and BLOCKING is possible
	onlyBlocking                     // whatever the declaration says (assumed: it is ignored)
	onlyNonBlocking                  // BLOCKING is refused
)

type thinking int

const (
	thinkingOptional thinking = iota
	thinkingRequired          // a level must be given, MINIMAL is none
	thinkingRefused
)

var not38 = []string{"codeExecution", "urlContext", "googleMaps"} // documented

var (
	speaks   = []string{"AUDIO"}
	native25 = capability{modalities: speaks, expressive: true}
)

// models is the per-model table; a withdrawn model is not in it. That the
// transcriber answers typed text at all is assumed: it is here so that TEXT can
// be asked for. The translator answers like all others, for want of an ear for
// words.
var models = map[string]capability{
	"models/gemini-3.8-live":                               {modalities: speaks, thinking: thinkingRefused, proactive: true, calling: nonBlocking, noTools: not38, signals: true, recent: true},
	"models/gemini-3.8-live-extended-thinking":             {modalities: speaks, thinking: thinkingRequired, proactive: true, calling: onlyNonBlocking, noTools: not38, signals: true, recent: true},
	"models/gemini-3.5-transcribe-live":                    {modalities: []string{"TEXT"}, recent: true, limit: 10 * time.Minute},
	"models/gemini-3.5-live-translate-preview":             {modalities: speaks, translates: true, recent: true},
	"models/gemini-3.1-flash-live-preview":                 {modalities: speaks, seedOnly: true, calling: onlyBlocking, signals: true, recent: true},
	"models/gemini-2.5-flash-native-audio-preview-12-2025": native25,
	"models/gemini-2.5-flash-native-audio-preview-09-2025": native25,
	"models/gemini-2.5-flash-native-audio-latest":          native25,
}

const (
	maxFacts = 64  // remembered things; the oldest go first
	maxHeard = 200 // bytes of what was said that are kept or said back
	maxReply = 500 // bytes, about half a minute of speech
)

// memory is what the scripted model knows of a conversation. It is a value:
// whoever holds a copy holds a snapshot.
type memory struct {
	name  string
	facts []string // never changed in place
	echo  bool     // says back what it hears
	said  usage    // in all turns so far, as far as it is in the context window
}

var (
	tellsName  = regexp.MustCompile(`(?i)\b(?:my name is|call me)\s+([\pL][\pL\pM'’-]*)`)
	asksName   = regexp.MustCompile(`(?i)\b(what('s|’s| is) my name|who am i)\b`)
	tellsFact  = regexp.MustCompile(`(?i)\bremember(?: that)?\s+(.+)`)
	asksFacts  = regexp.MustCompile(`(?i)\bdo you (remember|know)\b`)
	tellsEcho  = regexp.MustCompile(`(?i)^\W*echo\W*$`)
	endsEcho   = regexp.MustCompile(`(?i)^\W*(stop echo|echo off)\b`)
	asksHelp   = regexp.MustCompile(`(?i)^\W*help\b`)
	whitespace = regexp.MustCompile(`\s+`)
)

// answer is the whole model: what it says to what it heard, and what it knows
// from then on. Of several paragraphs it answers the last, in view of those before.
func (m memory) answer(heard string) (string, memory) {
	paragraphs := strings.Split(strings.TrimSpace(heard), "\n\n")
	last := len(paragraphs) - 1
	for _, before := range paragraphs[:last] {
		_, m = m.reply(before)
	}
	return m.reply(paragraphs[last])
}

// reply answers one thing that was heard.
func (m memory) reply(heard string) (string, memory) {
	heard = strings.TrimSpace(whitespace.ReplaceAllString(strings.ToValidUTF8(heard, ""), " "))
	switch name, fact := tellsName.FindStringSubmatch(heard), tellsFact.FindStringSubmatch(heard); {
	case heard == "":
		return "I did not hear any words. Say help to learn what I understand.", m
	case asksHelp.MatchString(heard):
		return helpAnswer, m
	case endsEcho.MatchString(heard):
		m.echo = false
		return "I no longer say back what I hear.", m
	case tellsEcho.MatchString(heard):
		m.echo = true
		return "From now on I say back what I hear, until you type: stop echo.", m
	case asksName.MatchString(heard) && m.name == "":
		return "You have not told me your name yet.", m
	case asksName.MatchString(heard):
		return "Your name is " + m.name + ".", m
	case name != nil:
		m.name = capitalised(cut(name[1], 40))
		return "Hello " + m.name + ", nice to meet you.", m
	case asksFacts.MatchString(heard):
		return m.list(), m
	case fact != nil:
		said := strings.TrimRight(cut(fact[1], maxHeard), " .!?")
		return "I will remember that " + said + ".", m.learnt(said)
	}
	return fmt.Sprintf("You said: %s. I remember %s.", strings.TrimRight(cut(heard, maxHeard), " .!?"), m.count()), m
}

// learnt is m with one more fact.
func (m memory) learnt(fact string) memory {
	m.facts = append(slices.Clone(m.facts[max(0, len(m.facts)-maxFacts+1):]), cut(fact, maxHeard))
	return m
}

func (m memory) list() string {
	known := slices.Clone(m.facts)
	slices.Reverse(known) // the newest first, since the answer may be cut
	if m.name != "" {
		known = append([]string{"your name is " + m.name}, known...)
	}
	if len(known) == 0 {
		return "I do not remember anything yet."
	}
	return cut("I remember that "+strings.Join(known, ", and that "), maxReply) + "."
}

func (m memory) count() string {
	n := len(m.facts)
	if m.name != "" {
		n++
	}
	if n == 1 {
		return "1 thing"
	}
	return fmt.Sprintf("%d things", n)
}

func capitalised(s string) string {
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}
