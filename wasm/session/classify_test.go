package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestEveryEndHasItsConsequence(t *testing.T) {
	setup, pump := live.PhaseSetup, live.PhaseLive
	for _, end := range []struct {
		code   int
		reason string
		phase  live.Phase
		do     action
		as     string
	}{
		{1011, "Token has been used too many times", setup, newToken, CodeConfig},
		{1011, "Token has expired", setup, newToken, CodeConfig},
		{1011, "auth token has expired", pump, newToken, CodeConfig},
		{1011, "new_session_expire_time deadline exceeded", setup, newToken, CodeConfig},
		{1008, "BidiGenerateContent session not found", setup, restart, CodeConfig},
		{1008, "Requested entity was not found.", phaseResume, restart, CodeModel},
		{1008, "Requested entity was not found.", setup, stop, CodeModel},
		{1007, "Invalid session handle", phaseResume, restart, CodeConfig},
		{1007, "Request contains an invalid argument.", phaseResume, restart, CodeConfig},
		{1008, "Operation is not implemented, or supported, or enabled.", phaseResume, restart, CodeConfig},
		{1011, "Internal error encountered.", phaseResume, again, CodeUnavailable},
		{1011, "You exceeded your current quota, please check", setup, stop, CodeQuota},
		{1011, "You exceeded your current quota, please check", pump, stop, CodeQuota},
		{1007, "User location is not supported for the API use.", setup, stop, CodeRegion},
		{1008, "models/x is not found for API version v1alpha, or is not supported for bidiGenerateContent.", setup, stop, CodeModel},
		{1008, "Method doesn't allow unregistered callers (callers without established identity).", setup, stop, CodeConfig},
		{1008, "Your API key was reported as leaked.", setup, stop, CodeConfig},
		{1008, "The operation was aborted.", pump, again, CodeNetwork},
		{1008, "The operation was aborted.", setup, again, CodeNetwork},
		{1011, "Deadline expired before operation could complete.", pump, again, CodeUnavailable},
		{1011, "Internal error encountered.", setup, again, CodeUnavailable},
		{1011, "The service is currently unavailable.", pump, again, CodeUnavailable},
		{1007, "Request contains an invalid argument.", setup, stop, CodeConfig},
		{1007, "Request contains an invalid argument.", pump, stop, CodeProtocol},
		{1007, "Thinking level must be specified", setup, stop, CodeConfig},
		{1007, "Thinking level is not supported for this model", setup, stop, CodeConfig},
		{1007, "setup must be the first message and only the first", pump, stop, CodeProtocol},
		{1007, `Invalid JSON payload received. Unknown name "x" at 'setup': Cannot find field.`, setup, stop, CodeConfig},
		{1007, `Invalid JSON payload received. Unknown name "x" at 'client_content': Cannot find field.`, pump, stop, CodeProtocol},
		{1007, "Precondition check failed.", setup, stop, CodeConfig},
		{1007, "API key not valid. Please pass a valid API key.", setup, stop, CodeConfig},
		{1007, "The requested combination of response modalities (TEXT) is not supported by the model", setup, stop, CodeConfig},
		{1007, "realtime_input.media_chunks is deprecated. Use audio, video, or text instead.", pump, stop, CodeProtocol},
		{1007, "CONTENT_TYPE_AUDIO input is not supported for this model configuration", pump, stop, CodeProtocol},
		{1007, "Token-based requests cannot use project-scoped features such as tuned models.", setup, stop, CodeConfig},
		{1011, "keepalive ping timeout", pump, again, CodeUnavailable},
		{1008, "Operation is not implemented, or supported, or enabled.", setup, stop, CodeConfig},
		{1008, "Operation is not implemented, or supported, or enabled.", pump, again, CodeNetwork},
		{1000, "", pump, again, CodeNetwork},
		{1001, "", pump, again, CodeNetwork},
		{1005, "", pump, again, CodeNetwork},
		{1006, "", live.PhaseDial, again, CodeNetwork},
		{1006, "", pump, again, CodeNetwork},
		{1013, "try again later", pump, again, CodeNetwork},
		{4711, "never seen", setup, again, CodeNetwork},
	} {
		v := classify(&live.CloseError{Code: end.code, Reason: end.reason}, end.phase)
		if v.do != end.do || v.code != end.as {
			t.Errorf("%d %q in phase %s: %v as %s, want %v as %s", end.code, end.reason, end.phase, v.do, v.code, end.do, end.as)
		}
		if retryable := end.do != stop || end.as == CodeQuota; v.retryable != retryable {
			t.Errorf("%d %q in phase %s: retryable is %v", end.code, end.reason, end.phase, v.retryable)
		}
	}
}

func TestEveryRowOfTheTableCanBeReached(t *testing.T) {
	for i, r := range ends {
		phase := r.phase
		if phase == "" {
			phase = live.PhaseLive
		}
		code := r.code
		if code == 0 {
			code = 4000
		}
		got := classify(&live.CloseError{Code: code, Reason: "… " + r.reason + " …"}, phase)
		if got.do != r.do || got.code != r.as {
			t.Errorf("row %d (%d %q) is hidden by an earlier one", i, r.code, r.reason)
		}
	}
}

func TestEveryRefusalOfTheIssuerHasItsConsequence(t *testing.T) {
	for _, refusal := range []struct {
		err *live.TokenError
		do  action
	}{
		{&live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: time.Minute}, again},
		{&live.TokenError{Code: "too_many_leases", Status: 429}, again},
		{&live.TokenError{Code: "upstream_unavailable", Status: 503}, again},
		{&live.TokenError{Code: "upstream_unavailable", Status: 502}, again},
		{&live.TokenError{Code: "store_unavailable", Status: 500}, again},
		{&live.TokenError{Code: "network"}, again},
		{&live.TokenError{Code: "timeout"}, again},
		{&live.TokenError{Code: "lease_not_found", Status: 404}, newLease},
		{&live.TokenError{Code: "lease_ended", Status: 409}, newLease},
		{&live.TokenError{Code: "revoked", Status: 403}, stop},
		{&live.TokenError{Code: "unauthenticated", Status: 401}, stop},
		{&live.TokenError{Code: "unknown_profile", Status: 404}, stop},
		{&live.TokenError{Code: "too_early", Status: 425, RetryAfter: time.Second}, again},
		{&live.TokenError{Code: "upstream_refused", Status: 502}, stop},
		{&live.TokenError{Code: "internal", Status: 500}, stop},
	} {
		v := classify(refusal.err, live.PhaseToken)
		if v.do != refusal.do || v.code != refusal.err.Code || v.wait != refusal.err.RetryAfter {
			t.Errorf("%v: %v as %s after %v, want %v", refusal.err, v.do, v.code, v.wait, refusal.do)
		}
	}
	if v := classify(fmt.Errorf("setup: %w", live.ErrNotJSON), live.PhaseSetup); v.do != stop || v.code != CodeConfig {
		t.Errorf("a setup that is no JSON: %v as %s", v.do, v.code)
	}
	if v := classify(live.ErrMalformed, live.PhaseLive); v.do != again || v.code != CodeProtocol {
		t.Errorf("a malformed frame: %v as %s", v.do, v.code)
	}
	if v := classify(errors.New("what is this"), live.PhaseDial); v.do != again {
		t.Errorf("an unknown error: %v", v.do)
	}
}

func TestDelay(t *testing.T) {
	for _, d := range []struct {
		name     string
		failures int
		advice   time.Duration
		random   float64
		want     time.Duration
	}{
		{"nothing after a connection that held", 0, 0, 1, 0},
		{"up to the first step after one failure", 1, 0, 1, firstDelay},
		{"none of it with luck", 1, 0, 0, 0},
		{"doubles", 4, 0, 1, 2 * time.Second},
		{"up to the cap", 50, 0, 1, maxDelay},
		{"half of the cap", 7, 0, 0.5, maxDelay / 2},
		{"the issuer's advice wins, with a little jitter", 9, time.Minute, 0.5, time.Minute + firstDelay/2},
		{"the issuer's advice counts for the first failure, too", 0, time.Second, 0, time.Second},
	} {
		t.Run(d.name, func(t *testing.T) {
			if got := delay(d.failures, d.advice, d.random); got != d.want {
				t.Errorf("delay(%d, %v, %v) = %v, want %v", d.failures, d.advice, d.random, got, d.want)
			}
		})
	}
}

func TestAttemptsThatLeadToNothingAreBounded(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if wait := p.wait(now); wait != 0 {
		t.Errorf("the first waits %v", wait)
	}
	made := 0
	for end := now.Add(time.Minute); ; made++ {
		if now = now.Add(p.wait(now)); !now.Before(end) {
			break
		}
		p.add(now)
	}
	if made != 29 {
		t.Errorf("%d attempts in less than a minute, want 29", made)
	}
	if wait := p.wait(now.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour one waits %v", wait)
	}
}
