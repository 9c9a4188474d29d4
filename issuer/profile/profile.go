// Package profile says what a token may do: its lifetimes, its uses, the setup
// it locks and the mask that locks it. It is pure: values in, values out, and
// the time is an argument.
//
// Invariants:
//
//   - A value that is missing is the shortest default, never "more"; one that is
//     too large is an error.
//   - What the mask does not name is open to the page, so the mask names every
//     field that we know of, whether the profile sets it or not, but for what the
//     profile leaves to the page on purpose.
//   - A profile sets nothing that its token does not fix: it would have no effect.
package profile

import (
	"cmp"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// DefaultName is the profile that a request without a name gets.
const DefaultName = "default"

const (
	defaultModel      = "gemini-3.8-live"
	defaultLeash      = 12 * time.Minute // just above a connection's life, so that renewal rides on a rotation that happens anyway
	defaultNewSession = time.Minute
	defaultMaxSession = time.Hour
	defaultUses       = 1

	minLeash      = 10 * time.Second
	minNewSession = 5 * time.Second
	maxLife       = 20 * time.Hour // of a token: it must be less (documented)
	maxSession    = 24 * time.Hour
	maxUses       = 10

	// renewedSession is how long the token of a renewal may start a session. It
	// is not needed for one, because resuming is not a use, but if the handle
	// proves dead the page has to begin anew with that token.
	renewedSession = 2 * time.Minute
)

// Spec is a profile as people write it. The zero Spec is the built-in default.
type Spec struct {
	// Model is a model id, with or without "models/". Empty is gemini-3.8-live.
	Model string

	// Setup is laid over the built-in setup, field by field of the top level, in
	// the vocabulary of the Live API: what it names replaces, null unsets. If
	// generationConfig then has no responseModalities, it gets AUDIO: a token
	// without them was seen to be refused (observed).
	Setup map[string]any

	// NewFields are paths of Setup that the service knows and this package does not
	// yet: fields of the setup, or of what is in it, without the numbers of list
	// items. What is in them is not checked. Those that a mask can name are in it.
	NewFields []string

	// Lock is how Setup binds the page: [Masked], [Full], [None] or [Listed].
	// Empty is Masked.
	Lock string

	// Locked are the paths of [Listed]: fields of the setup and children of
	// generationConfig.
	Locked []string

	// Allow are the exceptions from the lock. Empty is none.
	Allow []Allowance

	// Who are the claims that a caller must have: for each, the values one of
	// which it must be. Empty lets every caller in that the server knows.
	Who map[string][]any

	// Limits bound one caller.
	Limits Limits

	// Uses is how many sessions a token may start. Zero is 1; at most 10. A
	// resumption is not a use (documented).
	Uses int

	// Leash is how long a token lives, and so how long a caller who lost the
	// right to renew can go on. Zero is 12 minutes; 10 seconds to 20 hours.
	Leash time.Duration

	// NewSession is how long a lease's first token may start a session. Zero is
	// 1 minute; at least 5 seconds and at most Leash.
	NewSession time.Duration

	// MaxSession is how long a lease can be renewed. Zero is 1 hour, or Leash if
	// that is longer; at least Leash and at most 24 hours.
	MaxSession time.Duration
}

// Profile is a Spec that was found good. It is immutable and may be shared.
type Profile struct {
	name  string
	model string         // "models/…"
	setup map[string]any // without the model; what the token does not fix is not in it
	mask  []string       // paths that the token fixes; nil unless the lock is Masked or Listed
	spec  Spec           // with the defaults filled in
}

// New checks a spec. Its errors are [Mistakes], all that there are.
func New(name string, s Spec) (Profile, error) {
	s.Model = strings.TrimPrefix(cmp.Or(s.Model, defaultModel), "models/")
	s.Lock = cmp.Or(s.Lock, Masked)
	s.Uses = cmp.Or(s.Uses, defaultUses)
	s.Leash = cmp.Or(s.Leash, defaultLeash)
	s.NewSession = cmp.Or(s.NewSession, min(defaultNewSession, s.Leash))
	s.MaxSession = cmp.Or(s.MaxSession, max(defaultMaxSession, s.Leash))
	s.Limits = s.Limits.filled()

	var wrong Mistakes
	if !namePattern.MatchString(name) {
		wrong.note("", "a name has up to 64 letters, digits, '-', '_' and '.'")
	}
	if !namePattern.MatchString(s.Model) {
		wrong.note("model", "write a model id such as %s", defaultModel)
	}
	if s.Uses < 1 || s.Uses > maxUses {
		wrong.note("uses", "choose 1 to %d", maxUses)
	}
	switch {
	case s.Leash < minLeash || s.Leash >= maxLife:
		wrong.note("leash", "choose at least %s and less than %s", short(minLeash), short(maxLife))
	case s.NewSession < minNewSession || s.NewSession > s.Leash:
		wrong.note("newSession", "choose %s to %s, the leash", short(minNewSession), short(s.Leash))
	}
	if s.MaxSession < s.Leash || s.MaxSession > maxSession {
		wrong.note("maxSession", "choose %s, the leash, to %s", short(s.Leash), short(maxSession))
	}
	s.checkNewFields(&wrong)
	s.checkLock(&wrong)
	open := s.checkAllow(&wrong)
	s.checkWho(&wrong)
	s.Limits.check(&wrong)
	p := Profile{name: name, model: "models/" + s.Model, mask: s.maskNew(mask(s.Lock, s.Locked, open)), spec: s}
	p.setup = p.overlay(&wrong)
	p.checkBounds(&wrong)
	if len(wrong) > 0 {
		for i := range wrong {
			wrong[i].Profile = name
		}
		return Profile{}, wrong
	}
	return p, nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Default is the built-in profile.
func Default() Profile {
	p, err := New(DefaultName, Spec{})
	if err != nil {
		panic(err) // the defaults are constants
	}
	return p
}

// Name is what a request calls the profile.
func (p Profile) Name() string { return p.name }

// Model is the model's resource name, "models/…".
func (p Profile) Model() string { return p.model }

// Uses is how many sessions a token may start, never 0, which the service takes
// for "no limit".
func (p Profile) Uses() int { return p.spec.Uses }

// Leash is how long a token lives.
func (p Profile) Leash() time.Duration { return p.spec.Leash }

// MaxSession is how long a lease lasts.
func (p Profile) MaxSession() time.Duration { return p.spec.MaxSession }

// Setup is the value of the token's bidiGenerateContentSetup, nil if the lock
// is [None]. A handle is minted into it if the lock is [Full]: the service takes
// no other then. The caller owns the map, but not what is in it.
func (p Profile) Setup(handle live.Secret) map[string]any {
	if p.spec.Lock == None {
		return nil
	}
	setup := maps.Clone(p.setup)
	if p.fixes("model") {
		setup["model"] = p.model
	}
	if p.spec.Lock == Full {
		// Without it there would be no handle for the next connection.
		resumption := map[string]any{}
		if !handle.IsZero() {
			resumption["handle"] = handle.Reveal()
		}
		setup["sessionResumption"] = resumption
	}
	return setup
}

// Compressed reports whether the context window is compressed, so that the
// service does not end the session after 15 minutes (documented). What the token
// leaves to the page is taken for not compressed.
func (p Profile) Compressed() bool { return p.setup["contextWindowCompression"] != nil }

// ManualActivity reports whether the page has to say when speech begins and ends.
func (p Profile) ManualActivity() bool {
	input, _ := p.setup["realtimeInputConfig"].(map[string]any)
	detection, _ := input["automaticActivityDetection"].(map[string]any)
	disabled, _ := detection["disabled"].(bool)
	return disabled
}

// Modalities are what the model answers with, such as AUDIO. They are empty if
// the page chooses.
func (p Profile) Modalities() []string { return modalities(p.setup) }
