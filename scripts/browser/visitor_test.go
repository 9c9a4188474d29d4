//go:build bundle

package browser_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/scripts/browser"
)

//go:embed testdata/visitor.js
var visitorScript string

// plain is a page without a script, under the policy that the server gives to all.
const plain = "/livevalet.d.ts"

// A visitor is a page without a script of its own.
type visitor struct {
	*browser.Page
	t      *testing.T
	server string
}

// visit opens a page of the server, which also has the paths of more.
func visit(t *testing.T, more *http.ServeMux) visitor {
	server, _ := front(t, more)
	page := browser.Launch(t, append(fakeDevices, noGesture)...).Open(server + plain)
	browser.Eval[any](page, "(async () => {"+visitorScript+"})().then(() => null)")
	return visitor{page, t, server}
}

// front puts the paths of more in front of a server, target.
func front(t *testing.T, more *http.ServeMux, args ...string) (server string, target *url.URL) {
	t.Helper()
	target, err := url.Parse(browser.Serve(t, append([]string{"dev", "--listen", "127.0.0.1:0"}, args...)...).URL)
	if err != nil {
		t.Fatal(err)
	}
	more.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the issuer names its socket by it
	}})
	front := httptest.NewServer(more)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL, target
}

func (v visitor) with(t *testing.T) visitor { return visitor{v.Page.With(t), t, v.server} }

// holds waits, for as long as a timer of Go's that is stopped may stay with the page (15 s),
// until nothing is left of all that the page began but that many
// sessions, each with one socket and one lease.
func (v visitor) holds(sessions int, inWorker bool) {
	v.t.Helper()
	want := fmt.Sprintf("%d sockets, %d leases", sessions, sessions)
	if inWorker {
		want += fmt.Sprintf(", %d workers", sessions)
	} else {
		want += fmt.Sprintf(", 0 workers, %d sockets of the page", sessions)
	}
	if sessions == 0 {
		want += ", 0 timers, 0 microphones"
	}
	eventually(v.t, want, func() (bool, string) {
		var emulator struct{ Sessions []struct{ State string } }
		if err := json.Unmarshal([]byte(get(v.t, v.server+"/__emulator/sessions")), &emulator); err != nil {
			v.t.Fatal(err)
		}
		open := 0
		for _, s := range emulator.Sessions {
			if s.State == "open" {
				open++
			}
		}
		got := fmt.Sprintf("%d sockets, %d leases, %d workers", open,
			browser.Eval[int](v.Page, "new Set(left.granted).difference(new Set(left.released)).size"), v.workers())
		if !inWorker {
			got += fmt.Sprintf(", %d sockets of the page", browser.Instances[int](v.Page, "WebSocket", "(all) => all.filter(({ readyState }) => readyState < 2).length"))
		}
		if sessions == 0 {
			got += browser.Eval[string](v.Page, "`, ${left.timers.size} timers, ${microphones()} microphones`")
		}
		return got == want, got
	})
}

// workers counts those of the browser, of which this page has all.
func (v visitor) workers() (n int) {
	v.t.Helper()
	v.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		targets, err := target.GetTargets().Do(cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser))
		for _, one := range targets {
			if one.Type == "worker" {
				n++
			}
		}
		return err
	}))
	return n
}

// favicon is what Chromium asks for by itself.
var favicon = regexp.MustCompile("^Failed to load resource: the server responded with a status of 404 ")

// TestWhateverAPageDoesItHoldsWhatItHas begins and ends sessions as badly as a page
// can. Nothing waits for ever, and nothing stays behind.
func TestWhateverAPageDoesItHoldsWhatItHas(t *testing.T) {
	t.Parallel()
	v := visit(t, http.NewServeMux())
	for _, tt := range []struct {
		visit, told   string
		open, sockets int // sessions at the end, and sockets until then; 0: any number, some of which Chromium ends (1001)
	}{
		{"connect, abort and connect in one task", "aborted setup", 1, 1},
		{"mount, unmount and mount, as React does it", "aborted setup", 1, 1},
		{"mount, unmount and mount, with a microphone", "aborted setup,1", 1, 1},
		{"mount, and mount again before the other is unmounted", "done", 1, 2},
		{"abort in onopen", "aborted dial,open,close", 0, 1},
		{"abort at any time", "aborted", 0, 0},
		{"close twice", "done,closed", 0, 1},
		{"close in an event", "done", 0, 1},
		{"changes of connection, and a new session", "open,handle,handle,restart,1000", 0, 5}, // one refused
	} {
		for _, mode := range modes {
			t.Run(tt.visit+", the engine "+mode.name, func(t *testing.T) {
				v := v.with(t)
				ends := v.visit(tt.visit, tt.told, tt.open, tt.sockets, mode.inWorker)
				// The engine waits a second for a close. On a busy machine one may take longer,
				// and the Worker with its socket is gone: a close that is never told is lost again.
				if slices.Contains(ends, 1006) {
					ends = v.visit(tt.visit, tt.told, tt.open, tt.sockets, mode.inWorker)
				}
				if tt.sockets > 0 && slices.ContainsFunc(ends, func(code int) bool { return code != 1000 }) {
					t.Errorf("the server was told the close codes %v", ends)
				}
			})
		}
	}
	if problems, _ := v.Problems(browser.SocketLine, favicon); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// visit does what visits has of that name, checks what becomes of it, and gives the
// close codes that the server was told. No sockets: any number of them.
func (v visitor) visit(name, want string, open, sockets int, inWorker bool) (ends []int) {
	v.t.Helper()
	before, closes := v.sockets(), len(v.journal("close"))
	told := browser.Eval[string](v.Page, fmt.Sprintf("visits[%q]({ worker: %t }).then(({ told, open }) => (globalThis.open = open, told))", name, inWorker))
	if told != want {
		v.t.Errorf("the page was told %q, want %q", told, want)
	}
	v.holds(open, inWorker)
	if n := v.sockets() - before; sockets > 0 && n != sockets {
		v.t.Errorf("%d sockets were opened, want %d", n, sockets)
	}
	browser.Eval[any](v.Page, "Promise.all(open.map((s) => s.close())).then(() => null)")
	v.holds(0, inWorker)
	for _, e := range v.journal("close")[closes:] {
		if e.Dir == "in" {
			ends = append(ends, e.Message.Code)
		}
	}
	return ends
}

type journalEntry struct {
	Dir, Kind string
	Message   struct{ Code int }
}

func (v visitor) journal(kind string) (entries []journalEntry) {
	v.t.Helper()
	var journal struct{ Entries []json.RawMessage }
	if err := json.Unmarshal([]byte(get(v.t, v.server+"/__emulator/journal")), &journal); err != nil {
		v.t.Fatal(err)
	}
	for _, raw := range journal.Entries {
		var e journalEntry
		if json.Unmarshal(raw, &e) == nil && e.Kind == kind {
			entries = append(entries, e)
		}
	}
	return entries
}

func (v visitor) sockets() int { return len(v.journal("open")) }

// TestTheAPICanBeCalledFromAnywhere calls it where a wait would be for ever.
func TestTheAPICanBeCalledFromAnywhere(t *testing.T) {
	t.Parallel()
	v := visit(t, http.NewServeMux())
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			v := v.with(t)
			browser.Eval[any](v.Page, fmt.Sprintf("globalThis.told = undefined; callFromEverywhere({ worker: %t }).then((told) => (globalThis.told = told)), null", mode.inWorker))
			v.Click("#say")
			v.Wait("told")
			if told := browser.Eval[string](v.Page, "told"); told != strings.Repeat("done,", 7)+"invalid_request live" {
				t.Errorf("the calls ended with %s", told)
			}
			v.holds(0, mode.inWorker)
		})
	}
}

// TestAConnectThatFailsLeavesNothing has every kind of failure before a session is
// live.
func TestAConnectThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	dialled := make(chan struct{}, 1)
	mux.HandleFunc("GET /silent", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		select {
		case dialled <- struct{}{}:
		default:
		}
		for err == nil {
			_, _, err = ws.Read(r.Context())
		}
	})
	mux.HandleFunc("GET /dialled", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-dialled:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	v := visit(t, mux)
	socket := func(path string) string {
		return fmt.Sprintf(`token: async () => ({ ...await (await fetch("/v1/token", { method: "POST" })).json(), websocketUrl: "ws://" + location.host + %q })`, path)
	}
	failures := []struct{ name, options, told string }{
		{"the socket is refused", socket("/nowhere"), "network dial 1006"},
		{"the issuer is busy", `token: "/busy"`, "upstream_unavailable token"},
		{"the page gives up", socket("/silent") + `, signal: abortAfter(fetch("/dialled"))`, "aborted dial"},
		{"the service refuses the setup", `config: { realtimeInputConfig: { activityHandling: "SHRUG" } }`, "config_refused setup 1007"},
	}
	if os.Getenv("LONG_TESTS") != "" { // it takes 30 s
		failures = append(failures, struct{ name, options, told string }{"the setup is never answered", socket("/silent"), "timeout setup"})
	}
	for _, tt := range failures {
		for _, mode := range modes {
			t.Run(tt.name+", the engine "+mode.name, func(t *testing.T) {
				v := v.with(t)
				told := browser.Eval[string](v.Page, fmt.Sprintf("outcome(connect({ worker: %t, %s }))", mode.inWorker, tt.options))
				if told != tt.told {
					t.Errorf("connect ended with %q, want %q", told, tt.told)
				}
				v.holds(0, mode.inWorker)
			})
		}
	}
}
