package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/livevalet/livevalet/wasm/live"
)

// Codes of an [Error] that arise here; the issuer's codes pass through.
const (
	CodeNetwork     = "network"            // the line failed, again and again
	CodeTimeout     = "timeout"            // nobody answered in time
	CodeProtocol    = "protocol"           // the service or the issuer said what it should not
	CodeConfig      = "config_refused"     // the service refuses this setup
	CodeModel       = "model_unavailable"  // no such model, or not for Live
	CodeQuota       = "quota"              // the project's quota is used up
	CodeRegion      = "region_unsupported" // the visitor's location is not served
	CodeUnavailable = "upstream_unavailable"
	CodeIdle        = "idle"    // nothing happened for too long
	CodeCrashed     = "crashed" // a panic; the error unwraps to a *live.Panic
)

// Error is why a session ended by itself.
type Error struct {
	Code      string
	Phase     live.Phase
	CloseCode int    // the socket's, 0 if no socket was involved
	Reason    string // the socket's, or the issuer's detail; never holds a secret
	Retryable bool   // the same call may succeed later

	panic *live.Panic
}

// Unwrap gives what panicked, if that ended the session.
func (e *Error) Unwrap() error {
	if e.panic == nil {
		return nil
	}
	return e.panic
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "session ended in phase %s: %s", e.Phase, e.Code)
	if e.CloseCode != 0 {
		fmt.Fprintf(&b, " (close code %d)", e.CloseCode)
	}
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	return b.String()
}

func isPanic(err error) bool {
	_, ok := errors.AsType[*live.Panic](err)
	return ok
}

var (
	// ErrClosed is what input gets that will never be sent because the session ended.
	ErrClosed = errors.New("session is closed: start a new one")
	// ErrQueueFull is what input gets when too much waits to be sent.
	ErrQueueFull = errors.New("too much input is waiting: slow down, or wait for the state live")
	// ErrNoCall is what a response gets whose call was answered or withdrawn, or
	// never made.
	ErrNoCall = errors.New("no such function call waits for a response: it was answered, withdrawn or never made")
	// ErrOrphaned is what a response gets whose call the service forgot.
	ErrOrphaned = errors.New("the service forgot the function call over a cut and did not make it again")
	// ErrLocked is what an update gets of a field that the token's lock fixes.
	ErrLocked = errors.New("the token fixes this field of the setup: leave it to the page in the profile, or set it there")
	// ErrDropped is what sound gets that gave way to newer sound.
	ErrDropped = errors.New("sound dropped: it waited longer than the ring holds")
)

// timeoutError is a limit of ours that passed. It is not a context's error, so
// nobody can take it for being told to stop.
type timeoutError struct{ what string }

func (e *timeoutError) Error() string { return e.what + " took too long" }
