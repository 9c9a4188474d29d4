package emulator

import "time"

// Switches choose between answers to questions about the service that nobody has
// measured, or that were measured both ways. The zero value is the likelier
// answer to each. Numbers are those of the questions in the documentation; what
// it counts as U10 and U14 are GoAwayLead, FinalClose and HandleLifetime of
// [Server].
type Switches struct {
	// GateResumption lets newSessionExpireTime refuse resumptions too (U1).
	GateResumption bool

	// HonourHandle takes the handle of the client's setup although a full lock
	// ignores the rest of it (U2).
	HonourHandle bool

	// StrictMask accepts only the mask paths that were seen to be accepted:
	// model, responseModalities and maxOutputTokens of generationConfig,
	// generationConfig and systemInstruction (U3).
	StrictMask bool

	// MergeParents lets a mask path that names a message replace only those of
	// its fields that the token sets, not all of it (U4).
	MergeParents bool

	// UnknownToken ends a socket with a well-formed token that does not exist
	// (U5). Code zero is 1011 "Token not found".
	UnknownToken CloseFrame

	// JudgeOnOpen refuses a bad credential when the socket opens, before the
	// setup (U6).
	JudgeOnOpen bool

	// SpendOnOpen counts a token's use when the socket opens, whatever becomes of
	// it, and gives it back to a resumption (U7).
	SpendOnOpen bool

	// MintEchoes answers a mint with the whole token, not its name alone (U8).
	MintEchoes bool

	// UnaskedUpdates sends sessionResumptionUpdate to clients that did not ask
	// for it (U9).
	UnaskedUpdates bool

	// UpdateEvery sends a handle as often as this between the turns, beside the
	// one after each turn, and never more often than [MinUpdateEvery]. Zero, or
	// less, does not (U9).
	UpdateEvery time.Duration

	// KeyOnConstrained accepts an API key on the method for tokens (U11).
	KeyOnConstrained bool

	// AcceptLockedUpdate lets contextUpdate change what the token locks (U12).
	AcceptLockedUpdate bool

	// DefaultText takes a setup without responseModalities to ask for TEXT, which
	// models that only speak refuse (U13).
	DefaultText bool

	// AcceptPastTimes mints tokens that have expired already (U15).
	AcceptPastTimes bool

	// IgnoreLockedHistory takes historyConfig from the client, never from the
	// token (U16).
	IgnoreLockedHistory bool

	// UnknownHandle is how a handle that does not exist is refused (U17).
	UnknownHandle UnknownHandle
}

// MinUpdateEvery is the least that UpdateEvery can be; less counts as this. A
// conversation that gives handles all the time has none for its client, and
// [Server.Advance] goes from one to the next.
const MinUpdateEvery = 100 * time.Millisecond

// UnknownHandle is a way to refuse a handle.
type UnknownHandle string

// Ways to refuse a handle that does not exist.
const (
	HandleByForm   UnknownHandle = ""          // not found if it looks like a handle, else invalid
	HandleNotFound UnknownHandle = "not-found" // 1008 "BidiGenerateContent session not found"
	HandleInvalid  UnknownHandle = "invalid"   // 1007 "Invalid session handle"
)

// strictPaths are the mask paths that were seen to be accepted; the last two
// only weakly.
var strictPaths = map[string]bool{
	"model": true, "generationConfig.responseModalities": true, "generationConfig.maxOutputTokens": true,
	"generationConfig": true, "systemInstruction": true,
}

// complete adds to a setup what the service is taken to add.
func (s Switches) complete(setup tree) tree {
	generation := setup.tree("generationConfig")
	text := s.DefaultText && len(generation.list("responseModalities")) == 0
	updates := s.UnaskedUpdates && !setup.has("sessionResumption")
	if !text && !updates {
		return setup
	}
	setup = clone(setup).(tree)
	if text {
		assign(setup, []string{"generationConfig", "responseModalities"}, []any{"TEXT"})
	}
	if updates {
		setup["sessionResumption"] = tree{}
	}
	return setup
}

// unknownHandle refuses a handle that does not exist. The boundary between the
// two is assumed.
func (s Switches) unknownHandle(handle string) *refusal {
	if s.UnknownHandle == HandleNotFound || s.UnknownHandle == HandleByForm && uuidForm.MatchString(handle) {
		return errNoSession()
	}
	return refuse(invalidArgument, "Invalid session handle")
}

// unknownToken refuses a token that does not exist.
func (s Switches) unknownToken() *refusal {
	if s.UnknownToken.Code == 0 {
		return refuse(internal, "Token not found")
	}
	return refuse(status{internal.name, internal.http, s.UnknownToken.Code}, s.UnknownToken.Reason)
}
