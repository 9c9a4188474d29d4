//go:build bundle

package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/livevalet/livevalet/scripts/browser"
)

// openDemo is the demo page, ready for a click or a key.
func openDemo(t *testing.T, url string, chromium *browser.Browser) walk {
	t.Helper()
	w := walk{chromium.Open(url), t}
	w.Wait(`document.querySelector("#emulator[data-known]")`)
	return w
}

// marks waits until the lifeline shows so many marks of a kind, and not fewer.
func (w walk) marks(kind string, atLeast int) {
	w.t.Helper()
	w.Wait(fmt.Sprintf(`document.querySelectorAll("#lifeline [data-kind='%s'] *").length >= %d`, kind, atLeast))
}

func (w walk) ended() {
	w.t.Helper()
	w.Wait(`document.querySelector("#status").dataset.state === "closed"`)
}

// TestTheKeyboardTalks holds a conversation without a pointer.
func TestTheKeyboardTalks(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t, fakeDevices...))
	key := func(name string) { w.Do(chromedp.KeyEvent(name)) }
	focused := func(selector string) {
		t.Helper()
		w.Wait(fmt.Sprintf("document.activeElement === document.querySelector(%q)", selector))
	}

	key(" ")
	w.waitLive()
	w.marks("speech", 1) // Chromium's microphone beeps
	key("m")
	w.Wait(`document.querySelector("#mute").ariaPressed === "true"`)
	key("/")
	focused("#text")
	key("my name is Ada m\r") // an m that is typed mutes nothing
	w.Wait(`[...document.querySelectorAll("#captions [data-who=user]")].some((e) => e.innerText.includes("Ada m"))`)
	w.Wait(`document.querySelector("#mute").ariaPressed === "true"`)
	key(kb.Escape)
	focused("body")
	w.waitLive()
	key("?")
	w.Wait(`document.querySelector("#keys").matches(":popover-open")`)
	held := input.DispatchKeyEvent(input.KeyDown).WithKey("Escape").WithCode("Escape").WithWindowsVirtualKeyCode(27)
	w.Do(held)
	w.Wait(`!document.querySelector("#keys").matches(":popover-open")`)
	w.Do(held.WithAutoRepeat(true)) // closes no more than that
	w.waitLive()

	// With push-to-talk, Space is heard while it is held.
	browser.Eval[any](w.Page, `document.querySelector("#mode").value = "push-to-talk", document.querySelector("#mode").dispatchEvent(new Event("change")), null`)
	key("m")
	w.Wait(`document.querySelector("#connect").textContent === "Hold to speak"`)
	space := input.DispatchKeyEvent(input.KeyDown).WithKey(" ").WithCode("Space").WithWindowsVirtualKeyCode(32).WithText(" ")
	before := browser.Eval[int](w.Page, `document.querySelectorAll("#lifeline [data-kind=speech]").length`)
	w.Do(space)
	w.Wait(`document.querySelector("#connect").hasAttribute("data-held")`)
	w.marks("speech", before+1)
	space.Type = input.KeyUp
	w.Do(space)
	w.Wait(`!document.querySelector("#connect").hasAttribute("data-held") && !document.querySelector("#lifeline [data-kind=speech][data-open]")`)
	w.waitLive()

	w.Do(chromedp.Focus("#lifeline"))
	key(kb.Home)
	w.Wait(`document.querySelector("#mark").textContent.includes("connecting")`)
	key(kb.ArrowRight)
	w.Wait(`!/^$|connecting/.test(document.querySelector("#mark").textContent)`)
	key(kb.ArrowLeft)
	w.Wait(`document.querySelector("#mark").textContent.includes("connecting")`)
	key(kb.Escape)
	w.ended()
	if problems, _ := w.Problems(browser.SocketLine); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// TestOneTabOfTheDemoHasTheMicrophone lets another take it.
func TestOneTabOfTheDemoHasTheMicrophone(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	chromium := browser.Launch(t, fakeDevices...)
	first := openDemo(t, server.URL, chromium)
	first.Click("#connect")
	first.waitLive()
	second := openDemo(t, server.URL, chromium)
	second.Click("#connect")
	second.Wait(`document.querySelector("#status").dataset.state === "elsewhere" && document.querySelector("#connect").textContent === "Take over"
		&& document.querySelector("#problem").textContent.startsWith("Another tab")`)
	second.Click("#connect")
	second.waitLive()
	first.Wait(`document.querySelector("#mute").ariaPressed === "true" && document.querySelector("#status").dataset.state === "live"`)
}

// TestEveryControlOfTheDemoIsReachedByTab goes round the page, and sees where it is.
func TestEveryControlOfTheDemoIsReachedByTab(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t))
	browser.Eval[any](w.Page, `(navigator.mediaDevices.getUserMedia = () => Promise.reject(window.asked = new Error("asked")), null)`)
	w.Click("#typing")
	w.waitLive()
	w.say("hello", "")
	if browser.Eval[bool](w.Page, `"asked" in window`) {
		t.Error("who types is asked for the microphone")
	}
	if unnamed := w.unnamed(); len(unnamed) > 0 {
		t.Errorf("without a name are %v", unnamed)
	}
	all := browser.Eval[[]string](w.Page, `(window.nameOf = (e) => e.id || e.dataset.span || e.textContent,
		[...document.querySelectorAll("main :is(button, input, a, [tabindex]), header button")].filter((e) => !e.disabled && e.checkVisibility({ visibilityProperty: true })).map(nameOf))`)
	reached := map[string]bool{}
	for range 2 * len(all) {
		w.Do(chromedp.KeyEvent(kb.Tab))
		got := browser.Eval[string](w.Page, `(() => {
			const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
			return document.activeElement === document.body ? "" : outlineStyle === "none" || parseFloat(outlineWidth) < 2 ? "no outline on " + nameOf(document.activeElement) : nameOf(document.activeElement);
		})()`)
		reached[got] = true
	}
	for _, name := range all {
		if !reached[name] {
			t.Errorf("%q is not reached, or does not show that it is; reached are %v", name, reached)
		}
	}
}

// unnamed gives the roles of what can be focused and has no name for a screen reader.
func (w walk) unnamed() (roles []string) {
	w.t.Helper()
	w.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		nodes, err := accessibility.GetFullAXTree().Do(ctx)
		for _, node := range nodes {
			focusable := slices.ContainsFunc(node.Properties, func(p *accessibility.Property) bool {
				return p.Name == accessibility.PropertyNameFocusable && string(p.Value.Value) == "true"
			})
			if focusable && !node.Ignored && (node.Name == nil || string(node.Name.Value) == `""`) {
				roles = append(roles, string(node.Role.Value))
			}
		}
		return err
	}))
	return roles
}

// TestAConversationCanBeKept saves what was said.
func TestAConversationCanBeKept(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t))
	browser.Eval[any](w.Page, `(window.saved = {}, addEventListener("click", (event) => {
		if (!event.target.download) return;
		event.preventDefault();
		fetch(event.target.href).catch(() => {});
	}, true), URL.createObjectURL = (blob) => (blob.text().then((text) => (saved[blob.type] = text)), "#"), null)`)
	w.Click("#typing")
	w.waitLive()
	w.say("my name is <Ada> --> & Co", "")
	w.say("what is my name?", "")
	w.Click("#save-text")
	w.Click("#save-vtt")
	w.Wait(`Object.keys(saved).length === 2`)
	text := browser.Eval[string](w.Page, `saved["text/plain"]`)
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 4 || !strings.HasSuffix(lines[0], "] You: my name is <Ada> --> & Co") || !strings.Contains(lines[3], "] Model: ") {
		t.Errorf("the text is %q", text)
	}
	vtt := browser.Eval[string](w.Page, `saved["text/vtt"]`)
	if !strings.HasPrefix(vtt, "WEBVTT\n\n00:00:0") || strings.Count(vtt, " --> ") != 4 || !strings.Contains(vtt, "<v You>my name is &lt;Ada&gt; --&gt; &amp; Co\n") {
		t.Errorf("the VTT is %q", vtt)
	}
}

// TestTheLifelineShowsWhatTheEngineDoes looks for a mark of each thing that befalls
// a conversation.
func TestTheLifelineShowsWhatTheEngineDoes(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t))
	w.Click("#typing")
	w.waitLive()
	resumed := 0
	strike := func(button string) {
		t.Helper()
		w.Click(button)
		resumed++
		w.Wait(fmt.Sprintf(`document.querySelectorAll("#events [data-kind=gap]").length === %d`, resumed))
		w.waitLive()
		w.marks("live", resumed+1)
		w.marks("gap", resumed)
	}
	w.say("my name is Ada", "")
	for _, kind := range []string{"minted", "opened", "live", "handle", "typed", "latency", "answer"} {
		w.marks(kind, 1)
	}
	strike("#goaway")
	w.marks("goaway", 1)
	strike("#cut")
	w.say("what is my name?", "Ada")
	strike("#expire")
	w.marks("expired", 1)
	w.marks("minted", 2)
	w.say("what is my name?", "Ada")

	w.Type("#text", "tell a long story\r")
	w.Wait(`document.querySelector("#lifeline [data-kind=answer][data-open]")`)
	w.Click("#interrupt")
	w.marks("barge-in", 1)

	w.Type("#text", "call get_time\r")
	w.Wait(`document.querySelector(".card[data-tool=get_time][data-state=answered]")?.textContent.includes("zone")`)
	w.Type("#text", "call set_theme\r")
	w.Click(".card .choice button:last-child:enabled") // no
	w.Wait(`document.querySelector(".card[data-tool=set_theme] .choice").textContent === "Not allowed" && !document.documentElement.dataset.theme`)
	w.Type("#text", "call set_theme\r")
	w.Click(".card .choice button:first-child:enabled")
	w.Wait(`document.documentElement.dataset.theme === "dark"`)
	w.marks("call", 3)

	w.Click("#revoke")
	w.ended()
	w.Wait(`!document.querySelector("#problem").hidden && document.querySelector("#lifeline [data-kind=end]") && !document.querySelector("#lifeline [data-open]")`)
	// The words of a mark, at the pointer. The picture stands still now.
	box := browser.Eval[[]float64](w.Page, `(document.querySelector("[data-span=Infinity]").click(), (({ x, y, width, height }) => [x + width / 2, y + height / 2])(document.querySelector("#lifeline [data-kind=goaway] path").getBoundingClientRect()))`)
	w.Do(chromedp.MouseEvent(input.MouseMoved, box[0], box[1]))
	w.Wait(`document.querySelector("#mark").textContent.includes("goAway")`)
	w.Click("#typing") // a new conversation is given a token
	w.waitLive()
	if problems, _ := w.Problems(browser.SocketLine); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// TestTheDialMakesTroubleByItself turns it, and the conversation goes on.
func TestTheDialMakesTroubleByItself(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t))
	w.Click("#typing")
	w.waitLive()
	w.Do(chromedp.Focus("#chaos"), chromedp.KeyEvent(kb.End))
	w.Wait(`document.querySelector("#chaos-says").textContent.startsWith("Rude")`)
	w.Wait(`document.querySelectorAll("#events [data-kind=fault]").length >= 3`)
	w.Do(chromedp.Focus("#chaos"), chromedp.KeyEvent(kb.Home))
	w.Wait(`document.querySelector("#chaos-says").textContent.startsWith("Calm")`)
	// What was announced meanwhile happens still.
	w.Wait(`((kinds) => kinds.lastIndexOf("goaway") <= kinds.lastIndexOf("gap"))([...document.querySelectorAll("#events [data-kind]")].map((e) => e.dataset.kind))`)
	w.waitLive()
	w.say("my name is Ada", "")
	for _, button := range []string{"#jitter", "#stall"} {
		w.Click(button)
	}
	w.Wait(`["every message is late", "says nothing for 10"].every((words) => [...document.querySelectorAll("#events [data-kind=fault]")].some((e) => e.innerText.includes(words)))`)
	w.marks("fault", 5)
	w.Click("#connect")
	w.ended()
}

// TestNothingMovesOnTheDemo watches for shifts of the layout through a conversation
// that is cut, and fails.
func TestNothingMovesOnTheDemo(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	chromium := browser.Launch(t, fakeDevices...)
	for _, width := range []int64{1280, 360} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			w := openDemo(t, server.URL, chromium)
			w.Do(emulation.SetDeviceMetricsOverride(width, 900, 1, false))
			settle(w)
			browser.Eval[any](w.Page, `(window.shifts = [], window.observer = new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value, sources }) =>
				value + " " + sources.map(({ node, previousRect, currentRect }) => (node?.id || node?.textContent) + JSON.stringify([previousRect, currentRect])).join()))), observer.observe({ type: "layout-shift" }), null)`)
			w.Click("#typing")
			w.waitLive()
			w.say("my name is Ada", "")
			w.Click("#cut")
			w.Wait(`document.querySelectorAll("#events [data-kind=gap]").length === 1`)
			w.waitLive()
			w.Type("#text", "call set_theme\r")
			w.Wait(`document.querySelector(".choice button")`)
			w.Click("#camera")
			w.Wait(`!document.querySelector("#preview").hidden`)
			w.say("what is my name?", "")
			if covered := browser.Eval[[]string](w.Page, `(() => {
				const box = document.querySelector("#preview").getBoundingClientRect();
				return [...document.querySelectorAll("#captions > *, button")].filter((e) => {
					const { left, right, top, bottom, width } = e.getBoundingClientRect();
					return width > 0 && left < box.right && right > box.left && top < box.bottom && bottom > box.top;
				}).map((e) => e.textContent.trim());
			})()`); len(covered) > 0 {
				t.Errorf("the preview covers %q", covered)
			}
			w.Click("#revoke")
			w.ended()
			w.Wait(`!document.querySelector("#problem").hidden`)
			settle(w)
			// A shift right after an input counts here, too: nothing is excused.
			if shifts := browser.Eval[[]string](w.Page, `(shifts.push(...observer.takeRecords().map(({ value }) => "" + value)), shifts)`); len(shifts) > 0 {
				t.Errorf("shifts: %q", shifts)
			}
		})
	}
}

// settle waits until what was done is on the screen.
func settle(w walk) {
	w.t.Helper()
	browser.Eval[any](w.Page, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
}

// contrasts gives what of the page is too faint to read: less than 4.5 to 1 between
// a text and what is behind it, or 3 to 1 between a mark of the lifeline and its ground.
const contrasts = `(() => {
	const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
	const rgba = (color) => {
		context.clearRect(0, 0, 1, 1);
		context.fillStyle = color;
		context.fillRect(0, 0, 1, 1);
		return [...context.getImageData(0, 0, 1, 1).data];
	};
	const luminance = ([r, g, b]) => [r, g, b].reduce((sum, v, i) => {
		v /= 255;
		return sum + [0.2126, 0.7152, 0.0722][i] * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	}, 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const color = rgba(getComputedStyle(e).backgroundColor);
			if (color[3] === 255) return color;
		}
		return [255, 255, 255];
	};
	const between = (a, b) => {
		const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
		return (light + 0.05) / (dark + 0.05);
	};
	const faint = [];
	const check = (e, color, least) => {
		const got = between(rgba(color), ground(e));
		if (got < least) faint.push((e.id || e.className.baseVal || e.className || e.nodeName) + " " + (e.dataset.kind ?? e.textContent.trim().slice(0, 20)) + ": " + got.toFixed(2));
	};
	for (const e of document.querySelectorAll("body *:not(script, svg *)")) {
		const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== "");
		if (says && !e.disabled && !e.closest(":disabled") && e.checkVisibility({ visibilityProperty: true })) check(e, getComputedStyle(e).color, 4.5);
	}
	for (const e of document.querySelectorAll("#lifeline text")) check(e, getComputedStyle(e).fill, 4.5);
	for (const e of document.querySelectorAll("#lifeline .item :is(rect, circle, path)")) {
		const { fill, stroke } = getComputedStyle(e);
		check(e, stroke === "none" ? fill : stroke, e.closest("[data-kind=connecting], [data-kind=waiting]") ? 1 : 3);
	}
	return faint;
})()`

// TestTheDemoIsLegible checks contrast, width and stillness as a visitor's settings ask.
func TestTheDemoIsLegible(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	w := openDemo(t, server.URL, browser.Launch(t))
	w.Click("#typing")
	w.waitLive()
	w.say("my name is Ada", "")
	w.Click("#cut")
	w.Wait(`document.querySelectorAll("#events [data-kind=gap]").length === 1`)
	w.waitLive()
	w.Click("#expire")
	w.Wait(`document.querySelectorAll("#events [data-kind=gap]").length === 2`)
	w.waitLive()
	w.Type("#text", "call set_theme\r")
	w.Wait(`document.querySelector(".choice button")`)
	for _, scheme := range []string{"light", "dark"} {
		w.Do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}))
		settle(w)
		if faint := browser.Eval[[]string](w.Page, contrasts); len(faint) > 0 {
			t.Errorf("%s: too faint are %q", scheme, faint)
		}
		if moving := browser.Eval[[]string](w.Page, `document.getAnimations().map((a) => a.animationName ?? a.transitionProperty)`); len(moving) > 0 {
			t.Errorf("%s: although the visitor wants it still, these move: %q", scheme, moving)
		}
		for _, width := range []int64{320, 360, 540, 900, 1280, 1920} {
			w.Do(emulation.SetDeviceMetricsOverride(width, 900, 1, false))
			w.Wait(fmt.Sprintf(`innerWidth === %d && document.documentElement.scrollWidth <= innerWidth`, width))
			w.Screenshot(fmt.Sprintf("demo-%d-%s", width, scheme))
		}
	}
}
