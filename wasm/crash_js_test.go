package main

import (
	"strings"
	"syscall/js"
	"testing"
)

// Whatever breaks in a page, the engine says so once, lets go of all that the page
// could call, closes its socket, and serves the next conversation.
func TestACrashIsToldOnceAndLeavesNothingBehind(t *testing.T) {
	const secret = "what somebody said"
	throwing := js.Global().Call("eval", `(f, when) => function (...args) {
		const result = f.apply(this, args);
		if (when(args[0])) throw new Error("`+secret+`");
		return result;
	}`)
	// on makes a function of an object throw once it has done its work and when
	// its first argument is such.
	on := func(t *testing.T, of js.Value, name, when string) {
		whole := of.Get(name)
		of.Set(name, throwing.Invoke(whole, js.Global().Call("eval", when)))
		t.Cleanup(func() { of.Set(name, whole) })
	}
	prototype := func(class string) js.Value { return js.Global().Get(class).Get("prototype") }
	tests := []struct {
		name     string
		sabotage func(*testing.T, *page)
		then     func(*page) // once it is live; nil: it does not come to that
		phase    string
		message  string
	}{
		{"its options are none", func(_ *testing.T, p *page) { p.open(js.Undefined()) }, nil, "", "panic of type *js.ValueError"},
		{"the host throws when asked for a token", func(t *testing.T, p *page) { on(t, p.host, "token", "() => true") }, nil, "token", "panic of type js.Error"},
		{"the host throws at news", func(t *testing.T, p *page) { on(t, p.host, "emit", "(e) => e.type === 'token'") }, nil, "", "panic of type js.Error"},
		{"the browser throws at a frame", func(t *testing.T, p *page) {
			on(t, prototype("TextDecoder"), "decode", "(data) => data instanceof ArrayBuffer")
		}, nil, "setup", "panic of type js.Error"},
		{"the browser throws at a close", func(t *testing.T, p *page) { on(t, prototype("WebSocket"), "close", "() => true") },
			func(p *page) { p.session.Call("close") }, "live", "panic of type js.Error"},
		{"the host throws at an answer", func(t *testing.T, p *page) { on(t, p.host, "emit", "(e) => e.message?.serverContent") },
			func(p *page) { p.session.Call("send", 1, object("realtimeInput", object("text", "hello"))) }, "live", "panic of type js.Error"},
		{"a call lacks its arguments", func(*testing.T, *page) {},
			func(p *page) { p.session.Call("send") }, "live", "panic: runtime error: index out of range [0] with length 0"},
		{"the host throws at the release of the lease", func(t *testing.T, p *page) { on(t, p.host, "release", "() => true") },
			func(p *page) { p.session.Call("close") }, "live", "panic of type js.Error"},
	}
	openPage(t, "/v1/token").close() // the program's own callbacks are there now
	running := runningGo(t)
	before := running.callbacks()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sockets := watchSockets(t)
			p := newPage(t, "/v1/token")
			tt.sabotage(t, p)
			if p.session.IsUndefined() {
				p.open(object("profile", "default", "setup", newObject()))
			}
			if tt.then != nil {
				p.wantState("live")
				tt.then(p)
			}
			crash := p.want("crashed")
			closed := p.want("closed")
			for _, part := range []js.Value{crash, closed} {
				if strings.Contains(asJSON(part), secret) {
					t.Errorf("the page is told %s", asJSON(part))
				}
			}
			if message := crash.Get("message").String(); message != tt.message {
				t.Errorf("it says %q, want %q", message, tt.message)
			}
			if stack := crash.Get("stack").String(); !strings.Contains(stack, "_js.go:") || strings.Contains(stack, "0x") {
				t.Errorf("its stack is\n%s", stack)
			}
			failure := closed.Get("failure")
			if failure.Get("code").String() != "crashed" || tt.phase != "" && failure.Get("phase").String() != tt.phase || !failure.Get("retryable").Bool() {
				t.Errorf("closed with %s", asJSON(failure))
			}
			for sockets.Length() > 0 {
				if state := sockets.Call("pop").Get("readyState").Int(); state < 2 {
					t.Errorf("a socket is in state %d", state)
				}
			}
			p.events <- closed // for close
			p.close()
			if len(p.events) > 0 {
				t.Errorf("after the end comes %s", asJSON(<-p.events))
			}
		})
		if now := running.callbacks(); now != before {
			t.Errorf("after %q JavaScript can call %d functions, before %d", tt.name, now, before)
		}
	}
	p := openPage(t, "/v1/token")
	p.wantState("live")
	if answer := p.say("my name is Ada"); !strings.Contains(answer, "Ada") {
		t.Errorf("the next session answers %q", answer)
	}
	p.close()
	if now := running.callbacks(); now != before {
		t.Errorf("after a session that was closed JavaScript can call %d functions, before %d", now, before)
	}
}

// watchSockets is the list of the WebSockets that are made until the test's end.
func watchSockets(t *testing.T) js.Value {
	plain := js.Global().Get("WebSocket")
	t.Cleanup(func() { js.Global().Set("WebSocket", plain) })
	return js.Global().Call("eval", `(() => {
		const made = [];
		globalThis.WebSocket = class extends WebSocket { constructor(...args) { super(...args); made.push(this); } };
		return made;
	})()`)
}
