//go:build bundle

package browser_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// slowTimers makes a page's timers as late as a hidden page's may be.
const slowTimers = `for (const name of ["setTimeout", "setInterval"]) {
	const real = globalThis[name];
	globalThis[name] = (f, ms = 0, ...args) => real(f, Math.max(ms, 8_000), ...args);
}`

// TestAHiddenPageChangesItsConnectionInTime has connections of 20 s that end while
// the model owes an answer and nothing is said, so that only a timer of the
// engine's can tell that time is up. There are two of them, six with LONG_TESTS
// set. Both modes wait at the same time.
func TestAHiddenPageChangesItsConnectionInTime(t *testing.T) {
	t.Parallel()
	want := []string{"start", "goaway", "goaway"}
	if os.Getenv("LONG_TESTS") != "" {
		want = append(want, "goaway", "goaway", "goaway", "goaway")
	}
	chromium := browser.Launch(t, chromedp.Flag("disable-background-timer-throttling", false))
	var hidden []conversation
	for _, mode := range modes {
		// The engine wants to be gone 2.5 s before the end.
		server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0", "--emulator-connection=20s", "--emulator-goaway-lead=10s")
		tab := chromium.Open("about:blank")
		tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(slowTimers).Do(ctx)
			return err
		}), chromedp.Navigate(server.URL))
		c := startConversation(t, tab, mode.inWorker, false)
		hide(t, chromium, c)
		browser.Eval[any](c.Page, `conversation.session.sendRealtimeInput({ text: "say nothing" }).then(() => null)`)
		hidden = append(hidden, c)
	}
	for range want[1:] {
		for _, c := range hidden {
			c.do("next()")
		}
	}
	for i, c := range hidden {
		if got := c.causes(); !slices.Equal(got, want) {
			t.Errorf("%s: connections were dialled for %v, want %v", modes[i].name, got, want)
		}
		c.check()
	}
}

// hide puts another tab in front of the page.
func hide(t *testing.T, chromium *browser.Browser, c conversation) {
	t.Helper()
	chromium.Open("about:blank")
	hidden(t, c)
}

func hidden(t *testing.T, c conversation) {
	t.Helper()
	eventually(t, "that the page is hidden", func() (bool, string) {
		state := browser.Eval[string](c.Page, "document.visibilityState")
		return state == "hidden", state
	})
}

// TestAConversationOutlivesWhatHappensToItsPage stops pages in the middle of an
// answer. Whether the text before it is sent again or not, it is answered once.
func TestAConversationOutlivesWhatHappensToItsPage(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t)
	for _, event := range []struct {
		name   string
		happen func(t *testing.T, c conversation, server string)
	}{
		{"the page is frozen", func(t *testing.T, c conversation, server string) {
			hide(t, chromium, c)
			c.do("tell()")
			c.Do(page.SetWebLifecycleState(page.SetWebLifecycleStateStateFrozen))
			eventually(t, "the end of the second answer", func() (bool, string) {
				journal := get(t, server+"/__emulator/journal")
				return strings.Count(journal, `"turnComplete"`) == 2, journal
			})
			c.Do(page.SetWebLifecycleState(page.SetWebLifecycleStateStateActive), page.BringToFront())
		}},
		{"the page is left and come back to", func(t *testing.T, c conversation, server string) {
			c.do("tell()")
			c.Do(chromedp.Navigate(server + "/?elsewhere"))
			c.Back()
		}},
		{"the network goes and comes back, while the service gives the connection up", func(t *testing.T, c conversation, server string) {
			c.Do(offline(true))
			eventually(t, "that the engine is offline", func() (bool, string) {
				return browser.Eval[bool](c.engine, `fetch("/version").then(() => false, () => true)`), "an answer"
			})
			// Chromium may yet carry what an open socket sends.
			if res := post(t, server+"/__emulator/fault", `{"kind":"half-open","holds":"1s"}`); !strings.Contains(res, "1") {
				t.Errorf("no line is dead: %s", res)
			}
			c.do("tell()")
			eventually(t, "the end of the connection", func() (bool, string) {
				sessions := get(t, server+"/__emulator/sessions")
				return !strings.Contains(sessions, `"open"`), sessions
			})
			if journal := get(t, server+"/__emulator/journal"); strings.Contains(journal, "remember that 2") {
				t.Error("its text arrived over a dead line")
			}
			c.Do(offline(false))
		}},
		{"the machine sleeps", func(t *testing.T, c conversation, server string) {
			c.sleep(2 * time.Minute)
			c.do("say()")
		}},
	} {
		for _, mode := range modes {
			t.Run(event.name+", the engine "+mode.name, func(t *testing.T) {
				server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL
				c := startConversation(t, chromium.Open(server).With(t), mode.inWorker, true)
				event.happen(t, c, server)
				c.do("next()")
				c.do("hear()")
				// The page may tell of its return before the socket tells of its end.
				if causes := c.causes(); causes[1] != "cut" && causes[1] != "doubt" {
					t.Errorf("connections were dialled for %v", causes)
				}
				c.check(disconnected)
			})
		}
	}
}

// disconnected is what the browser writes about requests without a network.
var disconnected = regexp.MustCompile(`net::ERR_INTERNET_DISCONNECTED`)

// offline takes the page's network away, or gives it back.
func offline(is bool) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		if err := network.OverrideNetworkState(is, 0, -1, -1).Do(ctx); err != nil {
			return err
		}
		all := []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1}}
		_, err := network.EmulateNetworkConditionsByRule(is, all).Do(ctx)
		return err
	})
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAClockThatIsWrongByHoursChangesNothing begins a conversation on a machine whose
// clock was never set, and goes on with it over three connections more.
func TestAClockThatIsWrongByHoursChangesNothing(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t)
	for _, off := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		for _, mode := range modes {
			t.Run(fmt.Sprintf("by %v, the engine %s", off, mode.name), func(t *testing.T) {
				clock := fmt.Sprintf(`if (!globalThis.wrong) {
					globalThis.wrong = %d;
					const RealDate = Date;
					globalThis.Date = class extends RealDate {
						constructor(...args) { args.length ? super(...args) : super(RealDate.now() + wrong); }
						static now() { return RealDate.now() + wrong; }
					};
				}
				`, off.Milliseconds())
				var released atomic.Int64
				server := behind(t, browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL, clock, &released)
				p := chromium.Open("about:blank").With(t)
				p.Do(chromedp.ActionFunc(func(ctx context.Context) error {
					_, err := page.AddScriptToEvaluateOnNewDocument(clock).Do(ctx)
					return err
				}), chromedp.Navigate(server))
				c := startConversation(t, p, mode.inWorker, true)
				for _, where := range []*browser.Page{c.Page, c.engine} {
					now := time.UnixMilli(int64(browser.Eval[float64](where, "Date.now()")))
					if d := time.Until(now); (d - off).Abs() > time.Minute {
						t.Fatalf("its clock is wrong by %v", d)
					}
				}
				c.do("say()")
				for range 3 {
					c.do("rotate()")
				}
				if causes := c.causes(); len(causes) != 4 {
					t.Errorf("connections were dialled for %v", causes)
				}
				c.check()
			})
		}
	}
}
