//go:build bundle

package browser_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/livevalet/livevalet/scripts/browser"
)

// sabotage is put in front of the engine's host, in a Worker and on the page: at a
// word of the model's, the browser throws at the engine. In TextDecoder that is a
// panic in Go; in a getter, which Go's glue reads without a net, a trap.
const sabotage = `
(() => {
	const { decode } = TextDecoder.prototype;
	const { get } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "bufferedAmount");
	let trap = false;
	TextDecoder.prototype.decode = function (...args) {
		const text = decode.apply(this, args);
		if (args[0] instanceof ArrayBuffer && text.includes("falter")) throw new TypeError(text);
		if (args[0] instanceof ArrayBuffer && text.includes("capsize")) trap = true;
		return text;
	};
	Object.defineProperty(WebSocket.prototype, "bufferedAmount", {
		get() {
			if (!trap) return get.call(this);
			trap = false;
			throw new TypeError("capsized at " + this.url);
		},
	});
})();
`

// crash is a page that survives a crash: it gives what it was told, and an answer
// of the next conversation.
const crash = `async (word, options) => {
	const { connect, preload } = await import("/livevalet.js");
	if (options.worker) await preload();
	const told = [];
	const session = await connect({ ...options, callbacks: {
		onerror: ({ error }) => told.push("onerror " + error.code),
		onclose: () => told.push("onclose"),
	} });
	const ended = new Promise((resolve) => session.addEventListener("closed", resolve));
	let crash;
	session.addEventListener("crashed", ({ detail }) => { crash = detail; told.push("crashed"); });
	session.addEventListener("closed", ({ detail }) => told.push("closed " + detail.error.code));
	session.addEventListener("message", () => void (told.length > 0 && told.push("message")));
	await session.sendRealtimeInput({ text: word });
	await ended;
	const late = await session.sendRealtimeInput({ text: "late" }).catch(({ code }) => code);
	if (options.worker) await preload();
	return { told: told.join(), state: session.state, late, crash, next: await (` + converse + `)(options) };
}`

// TestACrashEndsOneConversationAndNothingElse crashes the built engine in a page.
func TestACrashEndsOneConversationAndNothingElse(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	var released atomic.Int64
	front := behind(t, server.URL, sabotage, &released)
	page := browser.Launch(t).Open(front)
	for _, tt := range []struct{ word, message, stack string }{
		{"falter", "panic of type js.Error", `(?m)^edge\.\(\*Socket\)\.decode \(socket_js\.go:\d+\)$`},
		{"capsize", "TypeError", `wasm`},
	} {
		for _, worker := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, with worker: %v", tt.word, worker), func(t *testing.T) {
				page := page.With(t)
				before := released.Load()
				got := browser.Eval[struct {
					Told, State, Late, Next string
					Crash                   struct{ Message, Stack string }
				}](page, fmt.Sprintf("(%s)(%q, { worker: %v })", crash, tt.word, worker))
				if got.Told != "crashed,onerror crashed,onclose,closed crashed" {
					t.Errorf("the page was told %s", got.Told)
				}
				if got.State != "closed" || got.Late != "aborted" {
					t.Errorf("the session is %s, late input is %s", got.State, got.Late)
				}
				if got.Crash.Message != tt.message || !regexp.MustCompile(tt.stack).MatchString(got.Crash.Stack) {
					t.Errorf("the crash is %q at\n%s", got.Crash.Message, got.Crash.Stack)
				}
				if text := fmt.Sprint(got); strings.Contains(text, tt.word) || strings.Contains(text, "auth_tokens") {
					t.Errorf("the page was told %s", text)
				}
				if !strings.HasPrefix(got.Next, "Your name is Ada. closed") {
					t.Errorf("the next conversation says %q", got.Next)
				}
				// The lease of this conversation, and of the next.
				page.Wait(fmt.Sprintf(`fetch("/released").then((r) => r.text()).then((n) => n == %d)`, before+2))
				page.Wait(`fetch("/__emulator/sessions").then((r) => r.json()).then(({ sessions }) => sessions.every(({ state }) => state !== "open"))`)
			})
		}
	}
	if problems, _ := page.Problems(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// behind serves what the server does, and the engine's host behind another script.
// It counts the leases that are released.
func behind(t *testing.T, server, first string, released *atomic.Int64) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /released", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, released.Load()) })
	return before(t, server, mux, func(r *http.Response) error {
		switch path := r.Request.URL.Path; {
		case path == "/v1/token/release" && r.StatusCode == http.StatusNoContent:
			released.Add(1)
		case strings.HasPrefix(path, "/livevalet-worker"):
			script, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			script = append([]byte(first), script...)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(script)), int64(len(script))
			r.Header.Set("Content-Length", strconv.Itoa(len(script)))
		}
		return nil
	})
}

// before serves what mux does, and all else as the server gives it and change, if
// there is one, leaves it.
func before(t *testing.T, server string, mux *http.ServeMux, change func(*http.Response) error) string {
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the issuer names its socket by it
			r.Out.Header.Del("Accept-Encoding")
			r.Out.Header.Del("If-None-Match")
		},
		ModifyResponse: change,
	})
	front := httptest.NewServer(mux)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL
}
