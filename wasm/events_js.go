package main

import (
	"errors"
	"syscall/js"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

func newObject() js.Value { return js.Global().Get("Object").New() }

// object makes a JavaScript object of keys and values.
func object(pairs ...any) js.Value {
	o := newObject()
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// eventObject makes the EngineEvent of an event. None carries a token, a handle
// or a lease id.
func eventObject(e session.Event) js.Value {
	switch e := e.(type) {
	case session.Status:
		o := object("type", "status", "state", string(e.State), "cause", string(e.Cause))
		if e.RetryIn > 0 {
			o.Set("retryIn", ms(e.RetryIn))
		}
		return o
	case session.Received:
		return object("type", "message", "message", e.Message.Body)
	case session.GoAway:
		return object("type", "goaway", "timeLeft", ms(e.TimeLeft))
	case session.TokenNews:
		action := "received"
		if e.Opened {
			action = "opened"
		}
		o := object("type", "token", "action", action, "profile", e.Token.Profile, "model", e.Token.Model,
			"lock", e.Token.Lock, "expiresIn", ms(e.ExpiresIn), "renewIn", ms(e.RenewIn))
		if d := e.Token.Limits.Connection; d > 0 {
			o.Set("connectionFor", ms(d))
		}
		if e.LeaseFor > 0 {
			o.Set("leaseFor", ms(e.LeaseFor))
		}
		return o
	case session.Resumed:
		return object("type", "resumed", "rung", string(e.Rung), "restored", string(e.Restored), "replayed", e.Replayed, "uncertain", e.Uncertain,
			"lostAudioMs", ms(e.LostAudio), "gapMs", ms(e.Gap), "cause", string(e.Cause))
	case session.ToolCall:
		return object("type", "toolcall", "id", e.ID, "name", e.Name, "state", string(e.State), "repeated", e.Repeated)
	case session.Dropped:
		return object("type", "dropped", "ms", ms(e.Audio))
	case session.Utterance:
		o := object("type", "transcript", "id", e.ID, "who", string(e.Who), "text", e.Text, "final", e.Final)
		flag := func(name string, is bool) {
			if is {
				o.Set(name, true)
			}
		}
		flag("typed", e.Typed)
		flag("cut", e.Cut)
		flag("interrupted", e.Interrupted)
		if e.Regenerates != "" {
			o.Set("regenerates", e.Regenerates)
		}
		return o
	case session.Usage:
		return object("type", "usage", "reported", usageObject(e.Reported), "connection", usageObject(e.Connection), "conversation", usageObject(e.Conversation))
	case session.EmptyTurn:
		o := object("type", "emptyturn")
		if e.Reason != "" {
			o.Set("reason", e.Reason)
		}
		return o
	case session.Stalled:
		return object("type", "stalled", "ended", e.Ended, "waitedMs", ms(e.For))
	case session.SessionCap:
		return object("type", "sessioncap", "msLeft", ms(e.Left), "video", e.Pictures)
	case session.Idle:
		return object("type", "idle", "msLeft", ms(e.Left), "ended", e.Ended)
	case session.Crashed:
		return object("type", "crashed", "message", e.Panic.Error(), "stack", e.Panic.Stack)
	case session.Closed:
		o := object("type", "closed")
		if e.Err != nil {
			o.Set("failure", failureObject(e.Err))
		}
		return o
	}
	panic("events: an event without a form for the page")
}

// sentObject tells what became of the input, or the update, with the given id.
func sentObject(id js.Value, err error) js.Value {
	o := object("type", "sent", "id", id)
	if err == nil {
		return o
	}
	if refused, ok := errors.AsType[*session.Error](err); ok {
		o.Set("failure", failureObject(refused))
		return o
	}
	code, retryable := "invalid_request", false
	switch {
	case errors.Is(err, session.ErrLocked):
		code = "locked"
	case errors.Is(err, session.ErrClosed):
		code = "aborted"
	case errors.Is(err, session.ErrQueueFull):
		code, retryable = "rate_limited", true
	case errors.Is(err, session.ErrDropped):
		code = "timeout"
	}
	o.Set("failure", object("code", code, "phase", string(live.PhaseLive), "message", err.Error(), "retryable", retryable))
	return o
}

func failureObject(e *session.Error) js.Value {
	o := object("code", e.Code, "phase", string(e.Phase), "message", e.Error(), "retryable", e.Retryable)
	if e.CloseCode != 0 {
		o.Set("closeCode", e.CloseCode)
	}
	if e.Reason != "" {
		o.Set("reason", e.Reason)
	}
	return o
}

// usageObject has the names of usageMetadata.
func usageObject(u live.Usage) js.Value {
	return object("promptTokenCount", u.Prompt, "cachedContentTokenCount", u.Cached, "responseTokenCount", u.Response,
		"toolUsePromptTokenCount", u.ToolUse, "thoughtsTokenCount", u.Thoughts, "totalTokenCount", u.Total)
}

// ms makes whole milliseconds of d.
func ms(d time.Duration) int { return int(d.Milliseconds()) }
