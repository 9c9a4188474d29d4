//go:build bundle

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/scripts/browser"
)

const (
	consoleSetup = `"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"]},"outputAudioTranscription":{},
		"sessionResumption":{},"systemInstruction":{"parts":[{"text":"` + canaryInstruction + `"}]}`
	hostile = `<img src=x onerror="document.title='hacked'">`
)

// TestConsole does at the emulator's page what somebody does whose app talks to
// the emulator. Each sub-test goes on where the one before stopped.
func TestConsole(t *testing.T) {
	server := browser.Serve(t, "emulate", "--listen", "127.0.0.1:0")
	tab := browser.Launch(t).Open(server.URL)
	a := &app{t: t, url: server.URL, key: "emulator"}

	step := func(name string, do func(t *testing.T, c console)) {
		if !t.Failed() { // where one step fails, the next has nothing to stand on
			t.Run(name, func(t *testing.T) {
				a.t = t
				do(t, console{tab.With(t)})
			})
		}
	}
	step("the address of the ready line leads to the page, which says what to do", func(t *testing.T, c console) {
		c.holds(`$("#link").dataset.state === "live" && $("#welcome").checkVisibility() && $$("#help li").length > 10`)
		c.Screenshot("console-empty")
		if got := c.Text("#base") + " " + c.Text("#key"); got != server.URL+" emulator" {
			t.Errorf("an SDK is to be pointed at %q", got)
		}
	})
	var token string
	step("a conversation appears while it goes on", func(t *testing.T, c console) {
		token, _ = a.mint(`{"uses":0}`)
		c.holds(`$("#tokens code").textContent.length === 12 && !$("#welcome").checkVisibility()`)
		a.open(token, consoleSetup)
		c.holds(`$("#sessions [data-id=s1]").dataset.state === "open" && text("#sessions [data-id=s1]").includes("goAway in")`)
		a.say("hello " + hostile)
		c.holds(`text("#frames").includes("turnComplete")`)
	})
	step("what somebody sent stays text, in the line and in the message", func(t *testing.T, c console) {
		const line = `$$("#frames summary").find((s) => s.textContent.includes("realtimeInput.text"))`
		c.eval(line + `.click()`)
		c.holds(line + `.textContent.includes("<img src=x") && ` + line + `.parentElement.querySelector("pre").textContent.includes("<img src=x")`)
		c.holds(`$$("img").length === 1 && document.title === "LiveValet emulator"`)
	})
	step("audio is hidden until it is asked for", func(t *testing.T, c console) {
		const rows = `$$("#frames li").length`
		before := browser.Eval[int](c.Page, c.with(rows))
		c.holds(`/\(\d+\)/.test($("#audio").textContent)`)
		c.Click("#no-audio")
		c.holds(fmt.Sprintf(rows+" > %d", before))
		c.Click("#no-audio")
	})
	step("the button of a session announces its end", func(t *testing.T, c console) {
		c.Click(`#sessions [data-id=s1] [aria-label^="goaway"]`)
		if got := a.hear("goAway"); !strings.Contains(got, `"timeLeft": "50s"`) {
			t.Errorf("the client is told %s", got)
		}
		c.says("goaway: applied to 1", false)
	})
	step("the form sends the options that are filled in, and Enter in one of them sends it", func(t *testing.T, c console) {
		c.choose("goaway")
		c.Type(`[name=timeLeft]`, "7m\r")
		if got := a.hear("goAway"); !strings.Contains(got, `"timeLeft": "420s"`) {
			t.Errorf("the client is told %s", got)
		}
	})
	step("what is refused is told with its reason", func(t *testing.T, c console) {
		c.choose("close")
		c.Type(`[name=code]`, "1005\r")
		c.says("code is 1000 to 1014", true)
	})
	step("the keyboard alone makes trouble", func(t *testing.T, c console) {
		c.choose("drop")
		c.eval(`$("[value=drop]").focus()`)
		c.Do(chromedp.KeyEvent("\r"))
		a.ended()
		c.holds(`$("#sessions [data-id=s1]").dataset.state === "resumable" && text("#sessions [data-id=s1]").includes("can be resumed for 1 h 59 m")`)
		c.holds(`$$("#frames [data-kind=close]").some((e) => e.textContent.includes("1006"))`)
	})
	step("minting fails as it was ordered to", func(t *testing.T, c console) {
		c.choose("mint-error")
		c.holds(`!$("#target").checkVisibility()`)
		c.Do(chromedp.SetValue(`[name=status]`, "429", chromedp.ByQuery))
		c.Type(`[name=times]`, "2")
		c.Click("#inflict")
		c.says("mint-error: applied to 1", false)
		for _, want := range []int{429, 429, 200} {
			if _, got := a.mint("{}"); got != want {
				t.Errorf("minting gives %d, want %d", got, want)
			}
		}
		c.holds(`$$("#frames [data-kind=mint]").some((e) => e.textContent.includes("429")) && $$("#tokens li").length === 2`)
	})
	step("a token tells why it was refused", func(t *testing.T, c console) {
		c.Click(`[data-advance="30m"]`)
		c.says("It is now", false)
		c.holds(`text("#ahead").endsWith(", 30 m ahead")`)
		a.refused(token)
		c.holds(`$$("#tokens .refusals").some((e) => e.textContent.includes("expired Token has expired"))`)
	})
	step("the clock takes any duration, and says what is none", func(t *testing.T, c console) {
		c.Type("#advance", "soon\r")
		c.says("is no duration", true)
		c.eval(`$("#advance").value = ""`)
		c.Type("#advance", "90m\r")
		c.holds(`text("#ahead").endsWith(", 2 h ahead")`)
	})
	step("one session's frames can be looked at alone", func(t *testing.T, c console) {
		fresh, _ := a.mint("{}")
		a.open(fresh, consoleSetup)
		c.holds(`$("#sessions [data-id=s2]")`)
		c.Click(`#sessions [data-id=s2] .pick`)
		c.holds(`$("#target").value === "s2" && $("#only-session").value === "s2" && $$("#frames .who").length > 0 && $$("#frames .who").every((e) => e.textContent === "s2")`)
		c.Click(`#sessions [data-id=s2] .pick`)
		c.holds(`$("#target").value === "*" && $$("#frames .who").some((e) => e.textContent === "s1")`)
	})
	step("who pauses or reads is not disturbed, and the rows are bounded", func(t *testing.T, c console) {
		c.Click("#pause")
		before := browser.Eval[int](c.Page, c.with(`$$("#frames li").length`))
		for range 600 {
			a.send(`{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
		}
		a.say("hello")
		c.holds(`$("#pause").textContent.startsWith("Go on (")`)
		if got := browser.Eval[int](c.Page, c.with(`$$("#frames li").length`)); got != before {
			t.Errorf("%d rows became %d while paused", before, got)
		}
		c.Click("#pause")
		c.holds(`$$("#frames li").length === 500`)
		c.holds(`($("#frames").scrollTop = 100, $("#follow").checkVisibility())`)
		a.say("hello")
		c.holds(`$("#follow").textContent.includes("newer") && $("#frames").scrollTop === 100`)
		c.Click("#follow")
		c.holds(`!$("#follow").checkVisibility()`)
	})
	for _, scheme := range []string{"light", "dark"} {
		step("it fits every width, "+scheme, func(t *testing.T, c console) {
			own := browser.Eval[int](c.Page, "innerWidth")
			c.Do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
			for _, width := range []int64{320, 360, 768, 1280, 1920} {
				c.Do(emulation.SetDeviceMetricsOverride(width, 900, 1, false))
				c.holds(`document.documentElement.scrollWidth <= innerWidth`)
				c.Screenshot(fmt.Sprintf("console-%d-%s", width, scheme))
			}
			c.Do(emulation.ClearDeviceMetricsOverride())
			// Clicks go by where things are, so all must be back in its place.
			c.holds(fmt.Sprintf("innerWidth === %d", own))
			browser.Eval[any](c.Page, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
		})
	}
	step("a reset is asked about, and forgets all but the time", func(t *testing.T, c console) {
		c.Click("#reset")
		c.holds(`$("#sure").open && document.activeElement === $("#sure-no")`)
		c.Click("#sure-no")
		c.holds(`!$("#sure").open && $$("#sessions li").length > 0`)
		c.Click("#reset")
		c.Click("#sure-yes")
		c.says("All is forgotten.", false)
		c.holds(`$$("#sessions li, #tokens li, #frames li").length === 0 && $("#welcome").checkVisibility() && text("#ahead").endsWith(", 2 h ahead")`)
	})
	step("a reset by somebody else is noticed", func(t *testing.T, c console) {
		fresh, _ := a.mint("{}")
		a.open(fresh, consoleSetup)
		c.holds(`$$("#frames li").length > 3`)
		post(t, server.URL+"/__emulator/reset", "")
		a.mint("{}")
		c.holds(`$$("#sessions li").length === 0 && $$("#tokens li").length === 1 && $$("#frames li").length === 1`)
	})
	step("a namespace has a page of its own, and a key", func(t *testing.T, c console) {
		c.Do(chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := chromedp.RunResponse(ctx, chromedp.SendKeys("#ns", "shop\r", chromedp.ByQuery)) // waits for the page that it opens
			return err
		}))
		c.holds(`location.search === "?ns=shop" && $("#link").dataset.state === "live" && $("#welcome").checkVisibility()`)
		if got := c.Text("#key"); got != "emulator-shop" {
			t.Errorf("its key is %q", got)
		}
		theirs := &app{t: t, url: server.URL, key: "emulator-shop"}
		token, _ = theirs.mint("{}")
		c.holds(`$$("#tokens li").length === 1 && $$("#frames li").length === 1`)
	})
	step("no secret is on the page, and nothing went wrong but what was refused", func(t *testing.T, c console) {
		for _, secret := range newSecrets().find(browser.Eval[string](c.Page, "document.documentElement.outerHTML")) {
			t.Errorf("the page shows %s", secret)
		}
		refusals := regexp.MustCompile(`^Failed to load resource: the server responded with a status of 400 `)
		if problems, n := c.Problems(refusals); len(problems) > 0 || n != 2 {
			t.Errorf("%d refusals and problems: %v", n, problems)
		}
	})
}

// TestConsoleInDev sees what a page of the demo does.
func TestConsoleInDev(t *testing.T) {
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	chromium := browser.Launch(t)
	demo := walk{chromium.Open(server.URL), t}
	demo.Click("#typing")
	demo.waitLive()
	demo.Wait(`document.querySelector('#emulator a[href="/__emulator/"]').checkVisibility()`)
	c := console{chromium.Open(server.URL + "/__emulator/")}
	c.holds(`$("#sessions [data-id=s1]").dataset.state === "open" && text("#frames").includes("setupComplete")`)
	c.Click(`#sessions [data-id=s1] [aria-label^="drop"]`)
	c.holds(`$$("#frames [data-kind=open]").length === 2`)
	for _, secret := range newSecrets().find(browser.Eval[string](c.Page, "document.documentElement.outerHTML")) {
		t.Errorf("the page shows %s", secret)
	}
	if problems, _ := c.Problems(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// A console knows the emulator's page.
type console struct{ *browser.Page }

// with gives an expression the names $ and $$ for one and all elements of a
// selector, and text for the words in it.
func (c console) with(expression string) string {
	return `(($, $$, text) => (` + expression + `))((q) => document.querySelector(q), (q) => [...document.querySelectorAll(q)],
		(q) => document.querySelector(q).textContent.replaceAll("\u00a0", " "))`
}

// holds waits until an expression is true; what is not there yet is not.
func (c console) holds(expression string) {
	c.Wait("(() => { try { return Boolean(" + c.with(expression) + ") } catch { return false } })()")
}

func (c console) eval(expression string) { browser.Eval[any](c.Page, "("+c.with(expression)+", null)") }

// choose picks a kind of fault as a person does.
func (c console) choose(kind string) {
	c.Click(fmt.Sprintf("#kinds label:has([value=%s])", kind))
	c.holds(fmt.Sprintf(`$("#inflict").textContent === "Do %s"`, kind))
}

// says waits for the outcome of what was done.
func (c console) says(text string, bad bool) {
	c.holds(fmt.Sprintf(`$("#outcome").textContent.includes(%q) && $("#outcome").dataset.bad === "%v"`, text, bad))
}

// app is somebody's app: it talks to an emulator with a token of its own.
type app struct {
	t    testing.TB
	url  string
	key  string
	conn *websocket.Conn
}

const liveMethod = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained?access_token="

// mint gives the token's name, or the status of the refusal.
func (a *app) mint(body string) (name string, status int) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/v1alpha/auth_tokens", strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("X-Goog-Api-Key", a.key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct{ Name string }
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		a.t.Fatal(err)
	}
	return token.Name, answer.StatusCode
}

// open begins a session.
func (a *app) open(token, setup string) {
	a.t.Helper()
	a.dial(token)
	a.send(`{"setup":{` + setup + `}}`)
	a.hear("setupComplete")
}

func (a *app) dial(token string) {
	a.t.Helper()
	conn, _, err := websocket.Dial(a.t.Context(), strings.Replace(a.url, "http", "ws", 1)+liveMethod+token, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	a.conn = conn
}

func (a *app) send(message string) {
	a.t.Helper()
	if err := a.conn.Write(a.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		a.t.Fatal(err)
	}
}

// say types something and hears the whole answer.
func (a *app) say(text string) {
	a.t.Helper()
	message, _ := json.Marshal(map[string]any{"realtimeInput": map[string]any{"text": text}})
	a.send(string(message))
	a.hear("turnComplete")
}

// hear reads up to a message with these words and gives it.
func (a *app) hear(words string) string {
	a.t.Helper()
	for {
		_, frame, err := a.conn.Read(a.t.Context())
		if err != nil {
			a.t.Fatalf("waited for %s: %v", words, err)
		}
		if strings.Contains(string(frame), words) {
			return string(frame)
		}
	}
}

// ended waits for the end of the socket.
func (a *app) ended() {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	for {
		if _, _, err := a.conn.Read(ctx); ctx.Err() != nil {
			a.t.Fatal("the socket does not end")
		} else if err != nil {
			return
		}
	}
}

// refused tries a token that opens nothing.
func (a *app) refused(token string) {
	a.t.Helper()
	a.dial(token)
	a.send(`{"setup":{` + consoleSetup + `}}`)
	a.ended()
}
