//go:build bundle && engines

package engines_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/scripts/browser"
	"github.com/livevalet/livevalet/scripts/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEngines has each engine hold conversations, and open the pages that people do.
// Each sub-test goes on where the one before stopped.
func TestEngines(t *testing.T) {
	for _, engine := range engines.All {
		t.Run(engine.Name, func(t *testing.T) {
			site := serveSite(t)
			t.Run("with devices of 44.1 kHz", func(t *testing.T) {
				s := suite{engine.Launch(t, 44_100), t}
				s.open(site, 44_100)
				for _, mode := range []struct {
					name     string
					inWorker bool
				}{{"in a Worker", true}, {"on the main thread", false}} {
					t.Run(mode.name, func(t *testing.T) {
						suite{s.page, t}.converse(mode.inWorker)
					})
				}
				t.Run("by voice", func(t *testing.T) { suite{s.page, t}.talk() })
				s.run("messages keep their order, and the end comes last", func(s suite) {
					s.want("order()", ordered())
				})
				s.run("nothing was forbidden, and nothing complained", suite.quiet)
				s.run("it would have been heard", func(s suite) { s.complain(engine.Mute) })
			})
			t.Run("with devices of 48 kHz", func(t *testing.T) {
				s := suite{engine.Launch(t, 48_000), t}
				s.open(site, 48_000)
				t.Run("by voice", func(t *testing.T) { suite{s.page, t}.talk() })
				s.run("nothing was forbidden, and nothing complained", suite.quiet)
				s.run("the doctor finds nothing wrong", func(s suite) { s.doctor(site, engine.Hasty) })
				s.run("the demo page takes a text and shows the answer", func(s suite) { s.demo(site) })
			})
		})
	}
}

// A suite is what one page is tested for; see testdata/suite.js.
type suite struct {
	page engines.Page
	t    *testing.T
}

func (s suite) run(name string, test func(s suite)) {
	s.t.Helper()
	if !s.t.Failed() { // where one fails, the next has nothing to stand on
		s.t.Run(name, func(t *testing.T) { test(suite{s.page, t}) })
	}
}

// want evaluates an expression.
func (s suite) want(expression string, want any) {
	s.t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := s.page.Eval(s.t, expression); string(got) != string(text) {
		s.t.Errorf("%s is %s, want %s", expression, got, text)
	}
}

func (s suite) converse(inWorker bool) {
	s.run("a conversation begins, and text is answered", func(s suite) {
		s.page.Eval(s.t, fmt.Sprintf("begin(%t)", inWorker))
		s.want("conversation.session.state", "live")
		s.want("open()", 1)
	})
	for _, fault := range []struct{ name, kind, cause string }{
		{"it goes on after goAway", "goaway", "goaway"},
		{"it goes on after a cut", "drop", "cut"},
		{"it goes on with another token when the first has expired", "expire-token", "token"},
	} {
		s.run(fault.name, func(s suite) {
			tokens := s.page.Eval(s.t, "tokens")
			s.want(fmt.Sprintf("suffer(%q)", fault.kind), fault.cause)
			if renewed := string(s.page.Eval(s.t, "tokens")) != string(tokens); renewed != (fault.kind == "expire-token") {
				s.t.Errorf("another token was received: %t", renewed)
			}
		})
	}
	s.run("each text was answered once", func(s suite) {
		s.want(`conversation.recall().then(() => conversation.recalled)`,
			"I remember that 4, and that 3, and that 2, and that 1.")
		s.want("conversation.wrong", []string{})
	})
	s.run("its end is the service's too", func(s suite) {
		s.want("conversation.session.close().then(() => conversation.session.state)", "closed")
		s.want("open()", 0)
	})
}

// open opens the tests' own page, where sound has a rate in Hz, and says what it is
// that has it.
func (s suite) open(site string, rate int) {
	s.t.Helper()
	s.page.Open(s.t, site+"/page.html")
	fmt.Fprintf(s.t.Output(), "%s; %s\n", s.page.Eval(s.t, "navigator.userAgent"), s.page.Eval(s.t, fmt.Sprintf("soundAt(%d)", rate)))
}

// complain has the page do what must be heard, so that nobody takes a deaf test for
// a quiet page.
func (s suite) complain(mute bool) {
	s.page.Eval(s.t, "complain()")
	if mute {
		fmt.Fprintln(s.t.Output(), "by the page alone: this driver does not tell what is on the console")
		return
	}
	for end := time.Now().Add(time.Minute); len(s.page.Complaints()) < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("on the console: %q", s.page.Complaints())
		}
	}
}

// quiet holds if the page and the browser had nothing to complain about so far.
func (s suite) quiet() {
	s.t.Helper()
	s.want("complaints", []string{})
	if got := s.page.Complaints(); len(got) > 0 {
		s.t.Errorf("on the console: %q", got)
	}
}

// doctor has it run all its checks. On a busy machine a hasty browser may hold back its
// sound, or the conversation's: then the doctor asks for another click, and gets it.
func (s suite) doctor(site string, hasty bool) {
	s.page.Open(s.t, site+"/doctor")
	s.page.Eval(s.t, `until(() => !document.querySelector("#start").disabled)`)
	s.page.Click(s.t, "#start")
	const asks = `document.querySelector("#progress").textContent.includes("click anywhere")`
	clicks := 0
	if hasty {
		clicks = 2
	}
	for {
		asked := string(s.page.Eval(s.t, `until(() => !document.querySelector("#report").hidden || `+asks+`).then(() => `+asks+`, () => {
			throw new Error("the doctor stands still: " + document.querySelector("#progress").textContent);
		})`))
		if asked != "true" {
			break
		}
		if clicks--; clicks < 0 {
			s.t.Fatal("it asks for more clicks than it needs")
		}
		s.page.Click(s.t, "h1")
	}
	var report string
	if err := json.Unmarshal(s.page.Eval(s.t, `document.querySelector("#report-text").value`), &report); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintln(s.t.Output(), report)
	if !strings.Contains(report, "\nResult: 13 ok\n") {
		s.t.Error("not all is well")
	}
	s.quiet()
}

// demo types to the demo page, and reads the answer there.
func (s suite) demo(site string) {
	s.page.Open(s.t, site)
	s.page.Click(s.t, "#typing")
	s.page.Eval(s.t, `until(() => !document.querySelector("#text").disabled)`)
	s.page.Eval(s.t, `Object.assign(document.querySelector("#text"), { value: "my name is Ada" }).form.requestSubmit()`)
	s.page.Eval(s.t, `until(() => document.querySelector("#captions").innerText.match(/Ada[^]*Ada/))`)
	s.quiet()
}

// numbered are as many messages as the socket of order sends.
const numbered = 40

// sendInOrder is the service of one setup, and then of messages by turns long and
// short, of text and of bytes, with the end right behind them.
func sendInOrder(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ctx := r.Context()
	if _, _, err := ws.Read(ctx); err != nil {
		return
	}
	_ = ws.Write(ctx, websocket.MessageBinary, []byte(`{"setupComplete":{}}`))
	for n := range numbered {
		kind := []websocket.MessageType{websocket.MessageText, websocket.MessageBinary}[n/2%2]
		size := []int{200_000, 0}[n%2]
		_ = ws.Write(ctx, kind, fmt.Appendf(nil, `{"serverContent":{"outputTranscription":{"text":"%d%s"}}}`, n, strings.Repeat(" ", size)))
	}
	_ = ws.Close(websocket.StatusInternalError, "quota")
}

// ordered is what a page hears of it.
func ordered() (heard []any) {
	for n := range numbered {
		heard = append(heard, n)
	}
	return append(heard, "1011 quota")
}

// serveSite serves the built page, issuer and emulator, and beside them the
// tests' own page under the same policy.
func serveSite(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL)
	if err != nil {
		t.Fatal(err)
	}
	own := http.NewServeMux()
	own.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the issuer names its socket by it
	}})
	own.HandleFunc("GET /order", sendInOrder)
	own.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, path := range []string{"/{$}", "/doctor"} {
		own.HandleFunc("GET "+path, withSuite(target))
	}
	policy := policyOf(t, target.String())
	for name, kind := range map[string]string{
		"testdata/page.html":                  "text/html",
		"testdata/suite.js":                   "text/javascript",
		"../browser/testdata/conversation.js": "text/javascript",
	} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		own.HandleFunc("GET /"+filepath.Base(name), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Security-Policy", policy)
			_, _ = w.Write(content)
		})
	}
	front := httptest.NewServer(own)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.URL
}

// withSuite serves a page of the server's as it is, but for a script that listens for
// complaints: not every driver tells of them.
func withSuite(server *url.URL) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(server.JoinPath(r.URL.Path).String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		page, _ := io.ReadAll(answer.Body)
		for _, name := range []string{"Content-Type", "Content-Security-Policy"} {
			w.Header().Set(name, answer.Header.Get(name))
		}
		_, _ = w.Write(bytes.Replace(page, []byte("<head>"), []byte(`<head><script src="/suite.js"></script>`), 1))
	}
}

// policyOf is the content security policy that the server gives its own page.
func policyOf(t *testing.T, server string) string {
	t.Helper()
	answer, err := http.Get(server)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	policy := answer.Header.Get("Content-Security-Policy")
	if policy == "" {
		t.Fatal("the server gives its page no policy")
	}
	return policy
}
