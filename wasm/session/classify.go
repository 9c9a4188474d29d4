package session

import (
	"errors"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// action is what follows the end of an attempt.
type action int

const (
	again    action = iota // same token and handle, as far as they are still good
	newToken               // the service refused the token: drop it, keep the handle
	newLease               // the issuer knows the lease no more: ask afresh, keep the handle
	restart                // the handle is dead: drop it
	stop                   // nothing would change by trying again
)

func (a action) String() string {
	return [...]string{"again", "new token", "new lease", "restart", "stop"}[a]
}

// verdict is an action and, should the session end here, the code it ends with.
type verdict struct {
	do        action
	code      string
	retryable bool
	wait      time.Duration // the issuer's advice, before the next attempt
}

// rule is one row of the table of ends. A zero code, an empty reason or an empty
// phase matches anything; reasons match as substrings, whatever their case.
type rule struct {
	code   int
	reason string
	phase  live.Phase // or phaseResume
	do     action
	as     string
}

// phaseResume is live.PhaseSetup of a connection that resumes. A setup that was
// good for the session before can then only be refused for its handle.
const phaseResume live.Phase = "resume"

// ends is the table of socket ends: the first row that matches decides. None of
// the reasons is documented by the service as a contract; all were observed, so
// what matches nothing is tried again, a limited number of times.
var ends = []rule{
	// The token is spent, late or expired; the conversation is not.
	{live.CloseInternal, "token has been used", "", newToken, CodeConfig},
	{live.CloseInternal, "token has expired", "", newToken, CodeConfig}, // also "auth token has expired"
	{live.CloseInternal, "new_session_expire_time", "", newToken, CodeConfig},
	// The handle is dead.
	{live.ClosePolicy, "session not found", "", restart, CodeConfig},
	{live.ClosePolicy, "entity was not found", live.PhaseSetup, stop, CodeModel}, // without a handle it is the model
	{live.ClosePolicy, "entity was not found", "", restart, CodeModel},
	{live.CloseInvalid, "invalid session handle", "", restart, CodeConfig},
	// Trying again would change nothing.
	{live.CloseInternal, "quota", "", stop, CodeQuota},
	{live.CloseInvalid, "user location is not supported", "", stop, CodeRegion},
	{live.ClosePolicy, "is not found for api version", "", stop, CodeModel},
	{live.ClosePolicy, "unregistered callers", "", stop, CodeConfig},
	{live.ClosePolicy, "leaked", "", stop, CodeConfig},
	// The connection's time is over, or the service stumbled.
	{live.ClosePolicy, "aborted", "", again, CodeNetwork},
	{live.CloseInternal, "deadline expired", "", again, CodeUnavailable},
	{live.CloseInternal, "", "", again, CodeUnavailable},
	// A setup that is refused stays refused; what is refused later was input.
	{live.CloseInvalid, "", live.PhaseSetup, stop, CodeConfig},
	{live.ClosePolicy, "", live.PhaseSetup, stop, CodeConfig},
	{live.CloseInvalid, "", phaseResume, restart, CodeConfig},
	{live.ClosePolicy, "", phaseResume, restart, CodeConfig},
	{live.CloseInvalid, "", "", stop, CodeProtocol},
	{0, "", "", again, CodeNetwork},
}

// classify decides what follows an attempt that ended in phase, or in
// phaseResume, with err.
func classify(err error, phase live.Phase) verdict {
	if closed, ok := errors.AsType[*live.CloseError](err); ok {
		reason := strings.ToLower(closed.Reason)
		for _, r := range ends {
			if (r.code == 0 || r.code == closed.Code) && (r.phase == "" || r.phase == phase) && strings.Contains(reason, r.reason) {
				return verdict{do: r.do, code: r.as, retryable: r.do != stop || r.as == CodeQuota}
			}
		}
	}
	if refused, ok := errors.AsType[*live.TokenError](err); ok {
		return classifyRefusal(refused)
	}
	if _, ok := errors.AsType[*timeoutError](err); ok {
		return verdict{do: again, code: CodeTimeout, retryable: true}
	}
	if _, ok := errors.AsType[*idleError](err); ok {
		return verdict{do: stop, code: CodeIdle, retryable: true}
	}
	if isPanic(err) {
		return verdict{do: stop, code: CodeCrashed, retryable: true}
	}
	if errors.Is(err, live.ErrNotJSON) {
		return verdict{do: stop, code: CodeConfig}
	}
	return verdict{do: again, code: CodeProtocol, retryable: true}
}

// closeCode is the code that a socket was closed with, 0 if err is no such end.
func closeCode(err error) int {
	if closed, ok := errors.AsType[*live.CloseError](err); ok {
		return closed.Code
	}
	return 0
}

// passing are the issuer's codes that the same request may not meet again.
var passing = map[string]bool{
	CodeNetwork: true, CodeTimeout: true, CodeUnavailable: true,
	"rate_limited": true, "store_unavailable": true, "audit_unavailable": true,
	"too_early": true, // our clock is ahead of the issuer's
}

// classifyRefusal decides what follows when the issuer gave no token.
func classifyRefusal(e *live.TokenError) verdict {
	v := verdict{do: stop, code: e.Code, wait: e.RetryAfter}
	switch {
	case e.Code == "lease_not_found", e.Code == "lease_ended":
		v.do = newLease
	case passing[e.Code], e.Status == 429, e.Status == 503:
		v.do, v.retryable = again, true
	}
	return v
}

// lastWord reports whether a refused renewal takes access back. What a broken
// gateway or issuer says does not: the present token is still good.
func lastWord(v verdict) bool {
	return v.do == stop && v.code != CodeProtocol && v.code != "internal" && v.code != "upstream_refused"
}

// fail makes the error that a session ends with.
func fail(err error, phase live.Phase, v verdict) *Error {
	e := &Error{Code: v.code, Phase: phase, Retryable: v.retryable}
	if closed, ok := errors.AsType[*live.CloseError](err); ok {
		e.CloseCode, e.Reason = closed.Code, closed.Reason
	} else if refused, ok := errors.AsType[*live.TokenError](err); ok {
		e.Reason = refused.Detail
	} else {
		e.Reason = err.Error()
		e.panic, _ = errors.AsType[*live.Panic](err)
	}
	return e
}
