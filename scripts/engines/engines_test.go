//go:build bundle && engines

package engines_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/scripts/browser"
	"github.com/livevalet/livevalet/scripts/engines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEngines has each engine hold conversations. Each sub-test goes on where the
// one before stopped.
func TestEngines(t *testing.T) {
	for _, engine := range engines.All {
		t.Run(engine.Name, func(t *testing.T) {
			site := serveSite(t)
			page := engine.Launch(t)
			page.Open(t, site+"/page.html")
			fmt.Fprintf(t.Output(), "%s\n", page.Eval(t, "navigator.userAgent"))

			for _, mode := range []struct {
				name     string
				inWorker bool
			}{{"in a Worker", true}, {"on the main thread", false}} {
				t.Run(mode.name, func(t *testing.T) {
					suite{page, t}.converse(mode.inWorker)
				})
			}
			t.Run("by voice", func(t *testing.T) { suite{page, t}.talk() })
			suite{page, t}.run("nothing was forbidden, and nothing complained", func(s suite) {
				s.want("complaints", []string{})
				if got := page.Complaints(); len(got) > 0 {
					s.t.Errorf("on the console: %q", got)
				}
			})
			suite{page, t}.run("it would have been heard", func(s suite) {
				s.page.Eval(s.t, "complain()")
				if engine.Mute {
					fmt.Fprintln(s.t.Output(), "by the page alone: this driver does not tell what is on the console")
					return
				}
				for end := time.Now().Add(20 * time.Second); len(page.Complaints()) < 3; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						s.t.Fatalf("on the console: %q", page.Complaints())
					}
				}
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
	own.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
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
