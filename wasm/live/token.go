package live

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Need says why a token is wanted. It is what a token source gets.
type Need struct {
	Reason  Reason
	Profile string
	// Lease and RenewURL name the lease to renew; both are zero for ReasonStart.
	Lease    Secret
	RenewURL string
	// Handle is set only when the lease's lock is [LockFull]: the issuer mints
	// it into the token, because the service then ignores the client's own.
	Handle Secret
}

// Reason is why a token is wanted.
type Reason string

const (
	// ReasonStart asks for a new lease.
	ReasonStart Reason = "start"
	// ReasonRenew asks for the lease's next token, from Token.RenewAfter on.
	ReasonRenew Reason = "renew"
	// ReasonRefused asks for the lease's next token early, because the service
	// refused the present one. The issuer grants it twice per lease.
	ReasonRefused Reason = "refused"
)

// LockFull is the lock whose tokens replace the client's whole setup, its
// resumption handle included.
const LockFull = "full"

const (
	// LockMasked is the lock whose tokens replace all fields of the client's setup
	// but those that the issuer allows.
	LockMasked = "masked"
	// LockNone is the lock of tokens that leave the whole setup to the client.
	LockNone = "none"
)

// Token is one grant of the issuer: the credential, what it is good for, and
// where to renew it. Durations count from the moment the grant was asked for
// unless they say otherwise, so a page with a wrong clock reckons the same as any other.
type Token struct {
	Secret  Secret // the ephemeral token's name, "auth_tokens/…"
	Lease   Secret
	Profile string
	Model   string   // "models/…"
	Lock    string   // LockMasked, LockFull or LockNone
	Allow   []string // fields of the setup that a masked lock leaves to the client, such as "tools"

	ExpiresIn           time.Duration // messages are refused afterwards
	NewSessionExpiresIn time.Duration // no new session starts afterwards; resuming may
	RenewAfter          time.Duration // renewal is accepted and wanted from here on, counted from the answer; 0: nobody said

	URL        string // the constrained endpoint, without the token
	Param      string // query parameter that carries the token
	RenewURL   string // absolute; "" when the grant cannot be renewed
	ReleaseURL string // absolute; "" when there is no lease to end

	Capabilities Capabilities
	Limits       Limits
}

// Capabilities is the dialect of the granted model. The zero value is the most
// conservative one.
type Capabilities struct {
	Text       string   // carrier of typed text: "realtimeInput", also if it is empty, or "clientContent"
	Turns      string   // when clientContent is taken: "anytime"; empty: while a session is seeded
	Seed       string   // how history may be seeded; "" means one summarising turn
	Modalities []string // what the model answers with, such as "AUDIO"
	Tools      string   // "blocking" or "nonBlocking"
}

// Limits are the bounds of one conversation. Zero means that the issuer named none.
type Limits struct {
	Capped         bool // the context window is not compressed, so that the service ends a session after some minutes of sound
	ManualActivity bool // the client marks speech with activityStart and activityEnd
	Connection     time.Duration
	Max            time.Duration
	Idle           time.Duration
}

// Leaves reports whether the client may set that field of the setup. Where the
// issuer does not say so, it may not: the service then passes over the field in
// silence.
func (t Token) Leaves(field string) bool {
	return t.Lock == LockNone || t.Lock == LockMasked && slices.Contains(t.Allow, field)
}

// Check reports what makes a grant unusable. The message never holds the token.
func (t Token) Check() error {
	switch {
	case t.Secret.IsZero():
		return errors.New("grant has no token: check what the token endpoint answers")
	case !plainToken(t.Secret.Reveal()):
		return errors.New("grant's token has characters that no ephemeral token has: check what the token endpoint answers")
	case t.URL == "":
		return errors.New("grant has no websocketUrl: check what the token endpoint answers")
	case t.ExpiresIn <= 0:
		return fmt.Errorf("grant expires in %v: ask the issuer for a longer one", t.ExpiresIn)
	}
	return nil
}

// plainToken reports whether name can stand in a query without escaping. Both
// the raw and the escaped slash work (observed); raw is what the official
// SDK sends, so anything that would need more than that is refused.
func plainToken(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '/', c == '_', c == '-', c == '.', c == '~':
		default:
			return false
		}
	}
	return true
}

// TokenError is why the issuer gave no token.
type TokenError struct {
	Code       string        // the issuer's code, or "network", "protocol", "timeout"
	Status     int           // HTTP status; 0 when nothing answered
	Detail     string        // for people; may be empty
	RetryAfter time.Duration // the issuer's advice; 0 when it gave none
}

func (e *TokenError) Error() string {
	text := "no token: " + e.Code
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}
