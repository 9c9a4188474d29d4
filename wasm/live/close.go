package live

import (
	"errors"
	"fmt"
	"strings"
)

// Phase is how far a connection had come.
type Phase string

const (
	PhaseToken Phase = "token" // asking the issuer
	PhaseDial  Phase = "dial"  // until the socket is open
	PhaseSetup Phase = "setup" // until setupComplete
	PhaseLive  Phase = "live"
	PhaseClose Phase = "close"
)

// Close codes of RFC 6455 that the service uses or a browser reports.
const (
	CloseNormal    = 1000
	CloseAbnormal  = 1006 // no close frame: a cut line, or HTTP refused the upgrade
	CloseInvalid   = 1007 // INVALID_ARGUMENT, FAILED_PRECONDITION (inferred)
	ClosePolicy    = 1008 // PERMISSION_DENIED, NOT_FOUND, UNIMPLEMENTED, ABORTED (inferred)
	CloseInternal  = 1011 // INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED, quota and token failures (inferred)
	maxCloseReason = 123  // bytes, RFC 6455 section 5.5
)

// CloseError is the end of a socket. Code and reason are the only error channel
// that a browser has.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("socket closed with %d", e.Code)
	}
	return fmt.Sprintf("socket closed with %d: %s", e.Code, e.Reason)
}

// Scrub returns e without the given secrets in its reason: whole, escaped as in a
// URL, without what stands before their last slash, or cut short at the end, as
// the service cuts reasons. A reason is no longer than a close frame can carry.
func (e *CloseError) Scrub(secrets ...Secret) *CloseError {
	reason := e.Reason
	for _, s := range secrets {
		value := s.Reveal()
		for _, form := range []string{value, strings.ReplaceAll(value, "/", "%2F"), value[strings.LastIndex(value, "/")+1:]} {
			if form == value || len(form) >= minPrefix {
				reason = scrub(reason, form)
			}
		}
	}
	if len(reason) > maxCloseReason {
		reason = strings.ToValidUTF8(reason[:maxCloseReason], "")
	}
	return &CloseError{Code: e.Code, Reason: reason}
}

// minPrefix is how much of a secret at the end of a text is taken for one.
const minPrefix = 8

func scrub(text, secret string) string {
	if secret == "" {
		return text
	}
	text = strings.ReplaceAll(text, secret, redacted)
	for n := min(len(secret), len(text)); n >= minPrefix; n-- {
		if rest, ok := strings.CutSuffix(text, secret[:n]); ok {
			return rest + redacted
		}
	}
	return text
}

var (
	// ErrMalformed is a server frame that holds no JSON object.
	ErrMalformed = errors.New("server frame is not a JSON object")
	// ErrNotJSON is a message, or a setup, that cannot be written as JSON.
	ErrNotJSON = errors.New("cannot be written as JSON: use plain objects, strings, numbers and booleans")
	// ErrUnsupported is input that the granted model has no form for.
	ErrUnsupported = errors.New("the granted model does not take this while a conversation runs")
	// ErrNotOpen is a send on a socket that is not open, or no longer.
	ErrNotOpen = errors.New("socket is not open")
)
