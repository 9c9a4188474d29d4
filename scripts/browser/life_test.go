//go:build bundle

package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestAConversationInWhichNothingHappensEnds has it wait for four seconds, twice.
func TestAConversationInWhichNothingHappensEnds(t *testing.T) {
	t.Parallel()
	v := visit(t, http.NewServeMux())
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			v := v.with(t)
			told := browser.Eval[string](v.Page, fmt.Sprintf(`(async () => {
				const session = await connect({ worker: %t, idle: { after: 4000, warn: 2000 } });
				const told = [];
				session.addEventListener("idle", ({ detail: { msLeft, ended } }) => {
					told.push(ended ? "stays" : msLeft);
					if (told.length === 1) session.stay();
				});
				const closed = new Promise((resolve) => session.addEventListener("closed", ({ detail }) => resolve(detail.error)));
				const { code, phase, retryable } = await closed;
				return [...told, code, phase, retryable].join();
			})()`, mode.inWorker))
			if want := "2000,stays,2000,1000,idle,live,true"; told != want {
				t.Errorf("the page was told %q, want %q", told, want)
			}
			v.holds(0, mode.inWorker)
		})
	}
}

// TestOneTabHasTheMicrophone has two tabs of a site talk.
func TestOneTabHasTheMicrophone(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL
	chromium := browser.Launch(t, append(fakeDevices, noGesture)...)
	talk := func(tab *browser.Page, options string) string {
		return browser.Eval[string](tab, `(async () => {
			const { connect } = await import("/livevalet.js");
			try {
				globalThis.session = await connect({ microphone: `+options+` });
				session.microphone.addEventListener("taken", () => (globalThis.taken = true));
				await session.microphone.start();
				return session.microphone.state;
			} catch ({ code }) {
				return code;
			}
		})()`)
	}
	first, second := chromium.Open(server), chromium.Open(server)
	for _, step := range []struct {
		tab           *browser.Page
		options, want string
	}{
		{first, "true", "on"},
		{second, "true", "microphone_elsewhere"},
		{second, "{ takeOver: true }", "on"},
	} {
		step.tab.Do(page.BringToFront())
		if got := talk(step.tab, step.options); got != step.want {
			t.Fatalf("a microphone started with %s is %s, want %s", step.options, got, step.want)
		}
	}
	first.Wait("globalThis.taken")
	if got := browser.Eval[string](first, "session.microphone.state + session.state"); got != "offlive" {
		t.Errorf("the first tab's microphone and session are %s", got)
	}
	second.Do(page.Close())
	first.Do(page.BringToFront())
	eventually(t, "that the microphone is free", func() (bool, string) {
		got := browser.Eval[string](first, "session.microphone.start().then(() => session.microphone.state, ({ code }) => code)")
		return got == "on", got
	})
	browser.Eval[any](first, "session.close().then(() => null)")
}

// TestAPageThatIsLeftEndsItsConversation watches the issuer and the service.
func TestAPageThatIsLeftEndsItsConversation(t *testing.T) {
	t.Parallel()
	released := make(chan string, 10)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/token/release", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ LeaseID string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		released <- body.LeaseID
		w.WriteHeader(http.StatusNoContent)
	})
	server, _ := front(t, mux)
	chromium := browser.Launch(t)
	for _, mode := range modes {
		for _, left := range []struct {
			name string
			how  func(*browser.Page)
		}{
			{"reloaded", func(tab *browser.Page) { tab.Do(page.Reload()) }},
			{"closed", func(tab *browser.Page) { tab.Do(page.Close()) }},
		} {
			t.Run(left.name+", the engine "+mode.name, func(t *testing.T) {
				tab := chromium.Open(server + plain).With(t)
				lease := browser.Eval[string](tab, fmt.Sprintf(`(async () => {
					const { connect } = await import("/livevalet.js");
					let lease;
					const token = async () => {
						const grant = await (await fetch("/v1/token", { method: "POST" })).json();
						lease = grant.leaseId;
						return { ...grant, releaseUrl: location.origin + grant.releaseUrl };
					};
					globalThis.session = await connect({ worker: %t, token });
					return lease;
				})()`, mode.inWorker))
				left.how(tab)
				eventually(t, "the release", func() (bool, string) {
					select {
					case got := <-released:
						return got == lease, "another's"
					default:
						return false, "none"
					}
				})
				eventually(t, "the end of the socket", func() (bool, string) {
					sessions := get(t, server+"/__emulator/sessions")
					return !strings.Contains(sessions, `"state":"open"`), sessions
				})
			})
		}
	}
}
