//go:build bundle

package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

const (
	canaryKey         = "emulator-canary-key-3b1f"
	canaryInstruction = "canary-instruction-9c2e"
)

// secrets is what must appear nowhere, by name: the marked key and instruction,
// and anything of the form of a token's name or a resumption handle. Lease ids
// have no form of their own and are learned.
type secrets map[string]*regexp.Regexp

func newSecrets() secrets {
	return secrets{
		"the API key":            regexp.MustCompile(canaryKey),
		"the system instruction": regexp.MustCompile(canaryInstruction),
		"a token":                regexp.MustCompile(`auth_tokens(/|%2F)[0-9a-f]{64}`),
		"a resumption handle":    regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
	}
}

// learn adds the lease of a grant, and returns it.
func (s secrets) learn(t *testing.T, answer string) (lease string) {
	var grant struct{ LeaseID string }
	if err := json.Unmarshal([]byte(answer), &grant); err != nil || grant.LeaseID == "" {
		t.Fatalf("the issuer answered no grant: %v", err)
	}
	s["lease "+strconv.Itoa(len(s))] = regexp.MustCompile(regexp.QuoteMeta(grant.LeaseID))
	return grant.LeaseID
}

// find names the secrets in text.
func (s secrets) find(text string) (found []string) {
	for name, pattern := range s {
		if pattern.MatchString(text) {
			found = append(found, name)
		}
	}
	return found
}

// TestNoSecretLeaves has a whole conversation, and everything go wrong that can,
// with a marked key and instruction, and then searches all that anybody could
// have written down.
func TestNoSecretLeaves(t *testing.T) {
	s := newSecrets()
	emulator := browser.Serve(t, "emulate", "--listen", "127.0.0.1:0")
	config := filepath.Join(t.TempDir(), "livevalet.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(`
hosts: [localhost, 127.0.0.1]
demo: true
profiles:
  default: {model: gemini-3.8-live, setup: {systemInstruction: {parts: [{text: %s}]}}}
`, canaryInstruction)), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer := browser.ServeWith(t, []string{"GEMINI_API_KEY=" + canaryKey}, "serve", "--config", config, "--listen", "127.0.0.1:0", "--base-url", emulator.URL,
		"--anonymous-anyone-can-spend-your-quota")

	// What the page is answered is kept, so that lease ids are known.
	tab := browser.Launch(t).Open("about:blank")
	tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`window.answers = []; {
			const real = fetch;
			window.fetch = async (...args) => {
				const answer = await real(...args);
				if (String(args[0]).includes("/v1/token")) answers.push(await answer.clone().text());
				return answer;
			};
		}`).Do(ctx)
		return err
	}), chromedp.Navigate(issuer.URL))
	w := walk{tab, t}
	fault := func(body string) { post(t, emulator.URL+"/__emulator/fault", body) }
	resumed := func(n int) {
		t.Helper()
		w.Wait(fmt.Sprintf(`document.querySelectorAll("#events [data-kind=gap]").length === %d`, n))
		w.waitLive()
	}

	w.Click("#typing")
	w.waitLive()
	w.say("my name is Ada", "")
	for i, body := range []string{`{"kind":"goaway","timeLeft":"5s"}`, `{"kind":"drop"}`, `{"kind":"expire-token"}`} {
		fault(body)
		resumed(i + 1)
		w.say("what is my name?", "Ada")
	}
	// A resume that is refused, and a handle that is dead.
	fault(`{"kind":"refuse-resume"}`)
	fault(`{"kind":"drop"}`)
	resumed(4)
	fault(`{"kind":"forget-handle"}`)
	fault(`{"kind":"drop"}`)
	resumed(5)

	answers := browser.Eval[[]string](tab, "answers")
	answers = append(answers, post(t, issuer.URL+"/v1/token", ""))
	if len(answers) < 2 {
		t.Fatalf("%d grants were seen: the test looks at nothing", len(answers))
	}
	for _, answer := range answers { // before they hold what they may hold
		for _, secret := range s.find(answer) {
			if secret != "a token" {
				t.Errorf("a grant holds %s", secret)
			}
		}
	}
	var lease string
	for _, answer := range answers {
		lease = s.learn(t, answer)
	}
	// Requests that hold secrets and are refused, in every way.
	var replies []string
	for path, body := range map[string]string{
		"/v1/token?key=" + canaryKey: `{"profile":"` + canaryInstruction + `"}`,
		"/v1/token":                  `{"` + lease + `":1}`,
		"/v1/token/renew":            `{"leaseId":"` + lease + `","reason":"renew"}`,
		"/v1/token/release":          `{"leaseId":"` + lease,
		"/" + lease:                  `{}`,
	} {
		replies = append(replies, post(t, issuer.URL+path, body))
	}
	// The service goes away in the middle of it all: the engine has a good token
	// and a handle, dials, and Chromium writes its line.
	w.say("my name is Ada", "")
	eventually(t, "a session that can be resumed", func() (bool, string) {
		var report struct {
			Sessions []struct {
				State   string
				Handles int
			}
		}
		if err := json.Unmarshal([]byte(get(t, emulator.URL+"/__emulator/sessions")), &report); err != nil {
			t.Fatal(err)
		}
		last := report.Sessions[len(report.Sessions)-1]
		return last.State == "open" && last.Handles > 0, fmt.Sprintf("%+v", last)
	})
	if err := emulator.Stop(10 * time.Second); err != nil {
		t.Errorf("the emulator did not end well: %v", err)
	}
	replies = append(replies, post(t, issuer.URL+"/v1/token", ""))
	w.Wait(`document.querySelector("#status").dataset.state === "waiting"`)
	dials := w.events("connecting")
	browser.Eval[bool](tab, `dispatchEvent(new Event("online"))`) // ends the wait
	w.Wait(fmt.Sprintf(`document.querySelector("#status").dataset.state === "waiting" &&
		[...document.querySelectorAll("#events li")].filter((li) => li.innerText.includes("connecting")).length > %d`, dials))
	w.Click("#connect")
	w.Wait(`document.querySelector("#status").dataset.state === "closed"`)

	for _, reply := range replies {
		for _, secret := range s.find(reply) {
			t.Errorf("a refusal holds %s: %s", secret, reply)
		}
	}
	for name, log := range map[string]string{"issuer": issuer.Log(), "emulator": emulator.Log()} {
		if len(log) < 1000 {
			t.Errorf("the %s's log has %d bytes: the test looks at nothing", name, len(log))
		}
		for line := range strings.Lines(log) {
			for _, secret := range s.find(line) {
				t.Errorf("the %s's log holds %s: %s", name, secret, line)
			}
		}
	}
	for _, secret := range s.find(browser.Eval[string](tab, "document.documentElement.outerHTML")) {
		t.Errorf("the page shows %s", secret)
	}
	lines := 0
	for _, entry := range tab.Entries() {
		if entry.Kind == browser.Chromium && browser.SocketLine.MatchString(entry.Text) {
			lines++ // Chromium's own, the one exception
			continue
		}
		for _, secret := range s.find(entry.Text) {
			t.Errorf("the console holds %s: %s", secret, entry)
		}
	}
	if lines == 0 {
		t.Error("Chromium wrote no line about a socket that it could not open: are workers heard?")
	}
	t.Logf("searched %d grants, %d refusals, two logs, the page and its console; Chromium wrote %d lines of its own about sockets",
		len(answers), len(replies), lines)
}

// post sends body as JSON and returns the answer with its headers.
func post(t *testing.T, url, body string) string {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var headers bytes.Buffer
	_ = res.Header.Write(&headers)
	if res.StatusCode == http.StatusOK {
		return string(text)
	}
	return headers.String() + string(text)
}
