//go:build bundle

package browser_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestNewcomersWalk does in a browser what a newcomer does after `make run`: the
// built page, issuer, engine and emulator together. Each sub-test goes on where
// the one before stopped.
func TestNewcomersWalk(t *testing.T) {
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	page := browser.Launch(t).Open(server.URL)

	step := func(name string, do func(t *testing.T, w walk)) {
		if !t.Failed() { // where one step fails, the next has nothing to stand on
			t.Run(name, func(t *testing.T) { do(t, walk{page.With(t), t}) })
		}
	}
	step("the page says that it talks to the emulator and offers its controls", func(t *testing.T, w walk) {
		w.Wait(`document.querySelector("#service").innerText === "Emulator"`)
		w.Wait(`["#goaway", "#cut", "#expire"].every((id) => document.querySelector(id).checkVisibility())`)
		w.Screenshot("walk-1-start")
	})
	step("connect goes from connecting to live, and the page shows profile, model, token and connection", func(t *testing.T, w walk) {
		browser.Eval[any](w.Page, `window.states = [], new MutationObserver(() => states.push(document.querySelector("#status").dataset.state))
			.observe(document.querySelector("#status"), { attributeFilter: ["data-state"] }), null`)
		w.Click("#typing")
		w.waitLive()
		if got := browser.Eval[string](w.Page, `states.filter((s, i) => s !== states[i - 1]).join()`); got != "connecting,live" {
			t.Errorf("states were %s, want connecting,live", got)
		}
		for selector, want := range map[string]string{
			"#profile": `^default$`, "#model": `^[a-z].*live`, "#token-left": `^\d+:[0-5]\d$`, "#connection-age": `^0:0\d`,
		} {
			if got := w.Text(selector); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s says %q, want %s", selector, got, want)
			}
		}
		w.Wait(`document.querySelector("#connection-age").innerText.startsWith("0:02")`)
	})
	step("the model answers in captions that grow and in audio that can be heard", func(t *testing.T, w walk) {
		browser.Eval[any](w.Page, `window.growth = new Set(), new MutationObserver(() =>
			growth.add(document.querySelector("#captions [data-who=model]:last-of-type")?.innerText.length ?? 0))
			.observe(document.querySelector("#captions"), { subtree: true, childList: true, characterData: true }), null`)
		w.say("my name is Ada", "")
		if n := browser.Eval[int](w.Page, "growth.size"); n < 2 {
			t.Errorf("the answer came in %d piece", n)
		}
		w.Wait(`Number(document.querySelector("#level").dataset.heardMs) > 200`)
		w.Wait(`Number(document.querySelector("#level").dataset.peak) > 0.01`)
	})
	step("the model remembers", func(t *testing.T, w walk) {
		w.say("what is my name?", "Ada")
		w.Screenshot("walk-2-talk")
	})
	step("so far nothing went wrong, not even a warning", func(t *testing.T, w walk) {
		if problems, _ := w.Problems(); len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
	})
	for i, fault := range []struct{ button, name string }{
		{"#goaway", "after GoAway the conversation goes on over a new connection"},
		{"#cut", "after a cut the conversation goes on"},
		{"#expire", "after the token expired a new one is fetched and the conversation goes on"},
	} {
		step(fault.name, func(t *testing.T, w walk) {
			tokens := w.events("good for ")
			w.Click(fault.button)
			w.Wait(fmt.Sprintf(`document.querySelectorAll("#events [data-kind=gap]").length === %d`, i+1))
			w.waitLive()
			if status := w.Text("#status"); !strings.Contains(status, "resumed") {
				t.Errorf("status says %q", status)
			}
			if got := w.events("good for "); fault.button == "#expire" && got <= tokens {
				t.Error("no new token was fetched")
			}
			w.say("what is my name?", "Ada")
			w.Screenshot("walk-3-after-" + fault.button[1:])
		})
	}
	step("disconnect ends the conversation", func(t *testing.T, w walk) {
		w.Click("#connect")
		w.Wait(`document.querySelector("#status").dataset.state === "closed"`)
	})
	step("at the end nothing went wrong but Chromium's own line about a socket", func(t *testing.T, w walk) {
		problems, lines := w.Problems(browser.SocketLine)
		if len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
		t.Logf("Chromium wrote %d lines about sockets", lines)
	})
}

// A walk knows the demo page.
type walk struct {
	*browser.Page
	t *testing.T
}

func (w walk) waitLive() {
	w.t.Helper()
	w.Wait(`document.querySelector("#status").dataset.state === "live"`)
}

// say types and waits for the end of an answer that contains want.
func (w walk) say(text, want string) {
	w.t.Helper()
	const lines = `document.querySelectorAll("#captions [data-who=model]:not([aria-busy])")`
	before := browser.Eval[int](w.Page, lines+".length")
	w.Type("#text", text)
	w.Click("#send")
	w.Wait(fmt.Sprintf("%s.length > %d", lines, before))
	if got := browser.Eval[string](w.Page, fmt.Sprintf("%s[%d].innerText", lines, before)); !strings.Contains(got, want) {
		w.t.Errorf("to %q the model said %q, want %q in it", text, got, want)
	}
}

// events counts the notes on the page that contain text.
func (w walk) events(text string) int {
	w.t.Helper()
	return browser.Eval[int](w.Page, fmt.Sprintf(`[...document.querySelectorAll("#events li")].filter((li) => li.innerText.includes(%q)).length`, text))
}
