package web_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestDemo walks through the demo page with the fake engine behind it.
func TestDemo(t *testing.T) {
	site := newSite(t, bundle(t))
	page := openPage(t, site.url)
	page.Do(chromedp.WaitVisible("#emulator"))
	expect(t, page, "it says that nothing is connected, and to which service it talks",
		`$("#status").dataset.state === "idle" && $("#service").textContent === "Emulator" && $("#text").disabled && $("#goaway").disabled`)

	page.Click("#typing")
	expect(t, page, "it is live and shows profile, model, token and connection",
		`$("#status").dataset.state === "live" && $("#status").textContent === "Live" && $("#connect").textContent === "End"
		 && $("#profile").textContent === "default" && $("#model").textContent === "fake-live"
		 && /^1[12]:\d\d$/.test($("#token-left").textContent) && $("#connection-age").textContent.endsWith(" of 10:00")`)
	expect(t, page, "the clocks tick", `$("#token-left").textContent !== "12:00" && $("#connection-age").textContent !== "0:00 of 10:00"`)

	page.Type("#text", "my name is Ada\r")
	expect(t, page, "each turn is one line of captions",
		`$("#captions").children.length === 2 && $("[data-who=user] span").textContent === "my name is Ada"
		 && $("[data-who=model] span").textContent === "You said: my name is Ada" && $("[data-who=model]").ariaBusy === null`)
	expect(t, page, "a screen reader is told the whole of it, once",
		`[...$("#aloud").children].filter((e) => e.textContent === "Model: You said: my name is Ada").length === 1 && $("#aloud").role === "log" && !$("#captions").closest("[aria-live], [role=log]")`)
	expect(t, page, "the answer sounds", `$("#level").dataset.heardMs === "300" && Number($("#level").dataset.peak) > 0.1`)

	page.Type("#text", "!cut\r")
	expect(t, page, "an answer that is given again takes the place of the one that was cut",
		`$("#captions").children.length === 3 && $("#captions p:last-child span").textContent === "Once more, whole." && !$("#captions small:not(:empty)")`)

	page.Click("#quiet")
	expect(t, page, "quiet is a toggle", `$("#quiet").ariaPressed === "true"`)
	page.Click("#mute")
	expect(t, page, "whoever typed so far is told that there is no microphone, and stays in the conversation",
		`$("#problem").textContent.startsWith("There is no microphone.") && $("#mute").ariaPressed === "true" && $("#status").dataset.state === "live"`)

	page.Type("#text", "hello\r")
	expect(t, page, "that stays until the next attempt, whatever sounds meanwhile",
		`Number($("#level").dataset.heardMs) > 300 && $("#problem").textContent.startsWith("There is no microphone.")`)

	page.Type("#text", "!resume\r")
	expect(t, page, "a recovery is told in the status line and in the list",
		`$("#status").textContent === "Live, resumed with the same token after 84\u00a0ms"
		 && $("#events [data-kind=gap]").textContent.includes("gap of 84\u00a0ms after ")`)

	page.Type("#text", "!wait\r")
	expect(t, page, "a wait says for how long", `$("#status").textContent === "Waiting, next try in 2.0\u00a0s" && $("#status").dataset.state === "waiting"`)

	page.Type("#text", `!emit {"type":"idle","msLeft":12000,"ended":false}`+"\r")
	expect(t, page, "it counts down before it hangs up, and asks whether to stay",
		`$("#status").textContent === "Still there? Hangs up in 12\u00a0s" && $("#typing").textContent === "Stay" && $("#typing").checkVisibility({ visibilityProperty: true })`)
	page.Click("#typing")
	page.Type("#text", `!emit {"type":"idle","msLeft":0,"ended":true}`+"\r")
	expect(t, page, "who stays is in the conversation as before", `$("#status").textContent === "Live" && !$("#typing").checkVisibility({ visibilityProperty: true })`)

	for id, want := range map[string]string{
		"goaway": `{"kind":"goaway","session":"*","timeLeft":"10s"}`, "cut": `{"kind":"drop","session":"*"}`, "expire": `{"kind":"expire-token","session":"*"}`,
	} {
		page.Click("#" + id)
		for deadline := time.Now().Add(time.Minute); !site.saw("/__emulator/fault", want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the emulator did not get %s", want)
			}
		}
	}

	page.Type("#text", "!fail\r")
	expect(t, page, "an error says what to do, and the page can connect again",
		`!$("#problem").hidden && $("#problem").textContent.startsWith("The API key's quota is used up.")
		 && $("#status").dataset.state === "closed" && $("#connect").textContent === "Talk" && $("#text").disabled`)

	page.Do(chromedp.Focus("#typing"), chromedp.KeyEvent("\r"))
	expect(t, page, "the keyboard connects again, with a clean sheet", `$("#status").textContent === "Live" && $("#problem").hidden && $("#captions").children.length === 0`)
	page.Click("#connect")
	expect(t, page, "disconnect ends quietly", `$("#status").textContent === "Disconnected" && $("#problem").hidden && $("#token-left").textContent === "–"`)

	page.Click("#connect")
	expect(t, page, "who wants to talk is told that there is no microphone", `$("#problem").textContent.startsWith("There is no microphone.") && $("#status").dataset.state === "closed"`)

	if problems, _ := page.Problems(); len(problems) > 0 {
		t.Errorf("the browser complains: %v", problems)
	}
}

func TestDemoFitsEveryWidth(t *testing.T) {
	site := newSite(t, bundle(t))
	page := openPage(t, site.url+"/?profile=spare")
	page.Do(chromedp.WaitVisible("#emulator"))
	expect(t, page, "the profile is the address's", `$("#profile").textContent === "spare" && $("#doctor").href.endsWith("/doctor?profile=spare")`)
	page.Click("#typing")
	expect(t, page, "it is asked for", `$("#model").textContent === "fake-live" && $("#profile").textContent === "spare"`)
	for _, width := range []int64{360, 600, 864, 865, 1280} {
		page.Do(emulation.SetDeviceMetricsOverride(width, 800, 1, false))
		expect(t, page, "nothing is wider than the page", `document.documentElement.scrollWidth <= innerWidth`)
	}
}

// expect waits until a condition on the page holds; $ is querySelector.
func expect(t *testing.T, page *browser.Page, what, condition string) {
	t.Helper()
	t.Run(what, func(t *testing.T) {
		page.With(t).Wait("(($) => Boolean(" + condition + "))((q) => document.querySelector(q))")
	})
}

// saw tells whether a request with this JSON body came.
func (s *site) saw(path, body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.journal {
		if v.Path == path && string(v.Body) == body && v.ContentType == "application/json" {
			return true
		}
	}
	return false
}
