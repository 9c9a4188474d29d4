package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/browser"
)

// site is a page for each thing that can go wrong, under a strict policy.
func site(t *testing.T) string {
	pages := map[string]string{
		"console":   `console.log("harmless", 1); console.error("console words", new Error("inner words"));`,
		"exception": `throw new Error("exception words");`,
		"rejection": `Promise.reject(new Error("rejection words"));`,
		"policy":    `eval("1");`,
		"missing":   `fetch("/nowhere");`,
		"refused":   `fetch("http://127.0.0.1:1/refused").catch(() => {});`,
		"cancelled": `const c = new AbortController(); fetch("/slow", { signal: c.signal }).catch(() => {}).then(() => console.log("cancelled")); setTimeout(() => c.abort(), 50);`,
		"socket":    `new WebSocket("ws://" + location.host + "/nowhere?access_token=secret");`,
		"worker":    `new Worker("/own-worker.js", { type: "module" });`,
		"quiet":     `document.title = "quiet";`,
	}
	mux := http.NewServeMux()
	for name, source := range pages {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src *")
			fmt.Fprintf(w, `<!doctype html><title>t</title><button id="b" disabled>press</button><input id="i"><script src="/%s.js"></script>`, name)
		})
		mux.HandleFunc("/"+name+".js", script(source))
	}
	mux.HandleFunc("/own-worker.js", script(`console.error("worker words"); setTimeout(() => { throw new Error("late worker words"); }, 100);`))
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func script(source string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, source)
	}
}

func TestWatch(t *testing.T) {
	url := site(t)
	chromium := browser.Launch(t)
	tests := []struct {
		name, page string
		want       []string // kind and words of problems that are heard
	}{
		{"an error on the console is heard, with every argument", "console", []string{"console error: console words Error: inner words"}},
		{"an uncaught exception is heard", "exception", []string{"exception error: Uncaught Error: exception words"}},
		{"an unhandled rejection is heard", "rejection", []string{"exception error: Uncaught (in promise) Error: rejection words"}},
		{"a violation of the policy is heard", "policy", []string{"policy error: script-src forbids eval"}},
		{"an answer of 404 is heard", "missing", []string{"chromium error: Failed to load resource: the server responded with a status of 404"}},
		{"a request without an answer is heard, with its address", "refused", []string{"network error: net::ERR_", "http://127.0.0.1:1/refused"}},
		{"Chromium's own line about a socket is heard", "socket", []string{"chromium error: WebSocket connection to"}},
		{"a worker is heard, from its first word on", "worker", []string{"console error: worker words", "exception error: Uncaught Error: late worker words"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := chromium.Open(url + "/" + tt.page).With(t)
			for _, want := range tt.want {
				eventually(t, want, func() (bool, string) {
					problems, _ := page.Problems()
					text := fmt.Sprint(problems)
					return strings.Contains(text, want), text
				})
			}
		})
	}
	t.Run("what the page says without complaint is kept, and is no problem", func(t *testing.T) {
		page := chromium.Open(url + "/cancelled").With(t)
		eventually(t, "cancelled", func() (bool, string) { return strings.Contains(page.String(), "console log: cancelled"), page.String() })
		if problems, _ := page.Problems(); len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
	})
	t.Run("the socket line can be allowed, and is counted", func(t *testing.T) {
		page := chromium.Open(url + "/socket").With(t)
		eventually(t, "the line", func() (bool, string) {
			_, n := page.Problems(browser.SocketLine)
			return n == 1, page.String()
		})
		if problems, _ := page.Problems(browser.SocketLine); len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
	})
	t.Run("a page is seen, so that it draws", func(t *testing.T) {
		page := chromium.Open(url + "/quiet").With(t)
		page.Wait(`document.visibilityState === "visible"`)
		browser.Eval[any](page, `new Promise((drawn) => requestAnimationFrame(() => drawn(null)))`)
	})
	t.Run("a page is driven as a person does it", func(t *testing.T) {
		page := chromium.Open(url + "/quiet").With(t)
		browser.Eval[any](page, `setTimeout(() => (b.disabled = false), 100); b.onclick = (e) => (b.textContent = "pressed " + e.isTrusted); null`)
		page.Click("#b")
		page.Wait(`b.textContent === "pressed true"`)
		page.Type("#i", "typed")
		if got := browser.Eval[string](page, "Promise.resolve(i.value)"); got != "typed" {
			t.Errorf("typed %q", got)
		}
		if got := page.Text("#b"); got != "pressed true" {
			t.Errorf("button says %q", got)
		}
		if problems, _ := page.Problems(); len(problems) > 0 {
			t.Errorf("problems: %v", problems)
		}
	})
}

// eventually waits for the browser, which no bubble contains.
func eventually(t *testing.T, what string, holds func() (ok bool, seen string)) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		ok, seen := holds()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never heard %s, only:\n%s", what, seen)
		}
	}
}
