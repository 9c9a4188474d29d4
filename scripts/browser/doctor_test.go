//go:build bundle

package browser_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	permissions "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// fakeMicrophone beeps once a second, and nobody is asked.
var fakeMicrophone = []chromedp.ExecAllocatorOption{
	chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
}

// A doctor knows the doctor's page.
type doctor struct {
	*browser.Page
	t *testing.T
}

// finding is what a check shows.
type finding struct{ State, Word, Measured, Advice string }

// doctorChecks are the ids of all, in their order.
var doctorChecks = []string{"secure", "engine", "policy", "worklet", "microphone", "rates", "clock", "mint", "socket", "setup", "echo", "playback", "end"}

func (d doctor) examine() map[string]finding {
	d.t.Helper()
	d.Click("#start")
	for _, id := range doctorChecks { // each may take long on a busy machine
		d.Wait(fmt.Sprintf(`!["waiting", "running"].includes(document.getElementById(%q).dataset.state)`, id))
	}
	d.Wait(`!document.querySelector("#report").hidden && !document.querySelector("#start").ariaDisabled`)
	found := browser.Eval[map[string]finding](d.Page, `Object.fromEntries([...document.querySelectorAll("#checks li")].map((li) => {
		const text = (part) => li.querySelector(part).textContent;
		return [li.id, { State: li.dataset.state, Word: text(".state"), Measured: text(".measured"), Advice: text(".advice") }];
	}))`)
	if len(found) != len(doctorChecks) {
		d.t.Fatalf("it found %v", found)
	}
	return found
}

func (d doctor) permit(name string, setting permissions.PermissionSetting) {
	d.t.Helper()
	d.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		whole := cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
		return permissions.SetPermission(&permissions.PermissionDescriptor{Name: name}, setting).Do(whole)
	}))
}

func (d doctor) report() string {
	d.t.Helper()
	return browser.Eval[string](d.Page, `document.querySelector("#report-text").value`)
}

// expect fails for each check whose state is not that of want, or else "ok".
func (d doctor) expect(found map[string]finding, want map[string]string) {
	d.t.Helper()
	for _, id := range doctorChecks {
		state := want[id]
		if state == "" {
			state = "ok"
		}
		if found[id].State != state {
			d.t.Errorf("%s is %+v, want it %s", id, found[id], state)
		}
	}
}

// TestTheDoctorFindsNothingWrong has all checks in their order, with the emulator.
func TestTheDoctorFindsNothingWrong(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	d := doctor{browser.Launch(t, fakeMicrophone...).Open(server.URL + "/doctor"), t}
	d.Do(chromedp.WaitEnabled("#start", chromedp.ByQuery))
	d.Screenshot("doctor-1-start")
	listed := browser.Eval[[]string](d.Page, `[...document.querySelectorAll("#checks li")].map(({ id }) => id)`)
	if !slices.Equal(listed, doctorChecks) {
		t.Errorf("it lists %v", listed)
	}
	browser.Eval[any](d.Page, `globalThis.grants = [], globalThis.asked = fetch, globalThis.fetch = async (...request) => {
		const answer = await asked(...request);
		if (String(request[0]).endsWith("/v1/token")) grants.push(await answer.clone().json());
		return answer;
	}, null`)

	d.expect(d.examine(), nil)
	report := d.report()
	t.Log(report)
	grants := browser.Eval[[]struct{ Token, LeaseID string }](d.Page, "grants")
	if len(grants) == 0 || grants[0].Token == "" || grants[0].LeaseID == "" {
		t.Fatalf("it was granted %v", grants)
	}
	for _, grant := range grants {
		for _, secret := range []string{grant.LeaseID, strings.TrimPrefix(grant.Token, "auth_tokens/")} {
			if text := browser.Eval[string](d.Page, "document.documentElement.outerHTML"); strings.Contains(report+text, secret) {
				t.Errorf("the page or its report hold %s", secret)
			}
		}
	}
	for _, want := range []string{"Result: 13 ok\n", "upstream emulator", "HeadlessChrome", "The lease has ended", " Hz; microphone "} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	eventually(t, "no session is open", func() (bool, string) {
		sessions := get(t, server.URL+"/__emulator/sessions")
		return !strings.Contains(sessions, `"open"`), sessions
	})

	d.permit("clipboard-write", permissions.PermissionSettingGranted)
	d.Do(chromedp.Focus("#copy", chromedp.ByQuery), chromedp.KeyEvent("\r"))
	d.Wait(`document.querySelector("#copied").textContent === "Copied."`)
	d.Screenshot("doctor-2-done")

	for _, width := range []int64{320, 360, 600, 1280} {
		d.Do(emulation.SetDeviceMetricsOverride(width, 800, 1, false))
		d.Wait("document.documentElement.scrollWidth <= innerWidth")
	}
	d.expect(d.examine(), nil)
	if problems, _ := d.Problems(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// TestTheDoctorNamesWhatIsWrong has one thing wrong each time, and says what follows
// from it. Nobody is asked for the microphone, which takes a while.
func TestTheDoctorNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "livevalet.yaml")
	if err := os.WriteFile(config, []byte("hosts: [localhost]\nprofiles: {default: {limits: {concurrent: 100, perCaller: 600/m}}, gone: {model: gemini-0}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0", "--config", config)
	chromium := browser.Launch(t, noGesture)
	doctor{chromium.Open("about:blank"), t}.permit("microphone", permissions.PermissionSettingDenied)

	policy := func(text string) func(*http.Response) {
		return func(r *http.Response) { r.Header.Set("Content-Security-Policy", text) }
	}
	instead := func(path *regexp.Regexp, status int, media, body string) func(*http.Response) {
		return func(r *http.Response) {
			if path.MatchString(r.Request.URL.Path) {
				_ = r.Body.Close()
				r.StatusCode, r.ContentLength, r.Body = status, -1, io.NopCloser(strings.NewReader(body))
				r.Header = http.Header{"Content-Type": {media}}
			}
		}
	}
	wasm, worklets := regexp.MustCompile(`\.wasm$`), regexp.MustCompile(`worklets.*\.js$`)
	page := "<!doctype html><p>Sign in"
	noToken := map[string]string{"mint": "failed", "socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped", "end": "skipped"}
	noConversation := func(more ...string) map[string]string {
		want := map[string]string{"socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped"}
		for i := 0; i < len(more); i += 2 {
			want[more[i]] = more[i+1]
		}
		return want
	}
	for _, tt := range []struct {
		name             string
		profile          string
		fault            string // of the emulator
		change           func(*http.Response)
		want             map[string]string
		check            string
		measured, advice string
	}{
		{
			name: "a clock that is two hours off",
			change: func(r *http.Response) {
				r.Header.Set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))
			},
			want:  map[string]string{"clock": "warning"},
			check: "clock", measured: " s behind the server.", advice: "Let the system set the time",
		},
		{
			name: "a type that wasm does not have, and no worklets",
			change: func(r *http.Response) {
				instead(worklets, 404, "text/plain", "there is no such page")(r)
				if wasm.MatchString(r.Request.URL.Path) {
					r.Header.Set("Content-Type", "application/octet-stream")
				}
			},
			want:  map[string]string{"engine": "warning", "worklet": "failed", "playback": "skipped"},
			check: "engine", measured: "compiled after it had arrived", advice: "application/wasm",
		},
		{
			name: "a page in place of the engine", change: instead(wasm, 200, "text/html", page),
			want:  noConversation("engine", "failed"),
			check: "engine", measured: "text/html, not compressed; does not compile.", advice: "serve no page in place of a file",
		},
		{
			name: "an engine of another build", change: instead(wasm, 200, "application/wasm", "\x00asm\x01\x00\x00\x00"),
			want:  noConversation("engine", "failed"),
			check: "engine", measured: "the Worker did not start: Error crashed", advice: "deploy all files of the bundle together",
		},
		{
			name: "a policy that forbids WebAssembly", change: policy("script-src 'self'"),
			want:  noConversation("engine", "warning", "policy", "failed"),
			check: "policy", measured: "script-src forbids wasm-eval", advice: "'wasm-unsafe-eval'",
		},
		{
			name: "a policy that forbids Workers", change: policy("script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'"),
			want:  noConversation("engine", "warning", "policy", "failed"),
			check: "policy", measured: "worker-src forbids an address", advice: "worker-src 'self'",
		},
		{
			name: "a policy that forbids requests", change: policy("connect-src https://service.example"),
			want:  noConversation("engine", "warning", "policy", "failed", "clock", "failed", "mint", "failed", "end", "skipped"),
			check: "mint", measured: "Error forbidden_by_policy.", advice: "see the check of the policy",
		},
		{
			name: "a policy that forbids the socket alone", change: policy("connect-src http:"),
			want:  map[string]string{"socket": "failed", "setup": "skipped", "echo": "skipped", "playback": "skipped"},
			check: "socket", measured: "Error network, phase dial, close code 1006. connect-src forbids an address.", advice: "Add ws://127.0.0.1:",
		},
		{
			name: "a proxy that knows no WebSockets", change: instead(regexp.MustCompile("^/ws/"), 502, "text/html", page),
			want:  map[string]string{"socket": "failed", "setup": "skipped", "echo": "skipped", "playback": "skipped"},
			check: "socket", measured: "phase dial, close code 1006.", advice: "Let WebSockets to ws://127.0.0.1:",
		},
		{
			name: "a profile that the server does not have", profile: "nobody",
			want:  noToken,
			check: "mint", measured: "HTTP 404, unknown_profile.", advice: "Add the profile",
		},
		{
			name: "a token service that refuses", fault: `{"kind":"mint-error","status":403}`,
			want:  noToken,
			check: "mint", measured: "HTTP 502, upstream_refused.", advice: "livevalet check --mint",
		},
		{
			name: "a page in place of the token", change: instead(regexp.MustCompile("^/v1/token$"), 200, "text/html", page),
			want:  noToken,
			check: "mint", measured: "HTTP 200, not the issuer's answer.", advice: "does not reach the issuer",
		},
		{
			name: "a proxy that hides the issuer", change: instead(regexp.MustCompile("^/v1/token$"), 502, "text/html", page),
			want:  noToken,
			check: "mint", measured: "HTTP 502, not the issuer's answer.", advice: "does not reach the issuer",
		},
		{
			name: "a lease that nobody takes back, and a model that is gone", profile: "gone",
			change: instead(regexp.MustCompile("^/v1/token/release$"), 403, "text/html", page),
			want:   map[string]string{"setup": "failed", "echo": "skipped", "playback": "skipped", "end": "warning"},
			check:  "setup", measured: "Error model_unavailable, phase setup, close code 1008.", advice: "Name another model in the profile",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.fault != "" {
				post(t, server.URL+"/__emulator/fault", tt.fault)
			}
			url := before(t, server.URL, http.NewServeMux(), func(answer *http.Response) error {
				if tt.change != nil {
					tt.change(answer)
				}
				return nil
			})
			d := doctor{chromium.Open(url + "/doctor?profile=" + tt.profile).With(t), t}
			tt.want["microphone"] = "warning"
			found := d.examine()
			d.expect(found, tt.want)
			if got := found[tt.check]; !strings.Contains(got.Measured, tt.measured) || !strings.Contains(got.Advice, tt.advice) {
				t.Errorf("%s says %+v", tt.check, got)
			}
			if report := d.report(); strings.Contains(report, "127.0.0.1") || strings.Contains(report, "auth_tokens") {
				t.Errorf("the report has an address or a token:\n%s", report)
			}
			d.Screenshot("doctor-" + strings.ReplaceAll(tt.name, " ", "-"))
		})
	}
}

// TestTheDoctorIsNoCaller has the issuer of a real page, where callers have keys:
// there is a doctor only if the file says so, and it has no key.
func TestTheDoctorIsNoCaller(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t)
	for _, demo := range []bool{false, true} {
		dir := t.TempDir()
		callers, config := filepath.Join(dir, "callers"), filepath.Join(dir, "livevalet.yaml")
		for name, text := range map[string]string{
			callers: fmt.Sprintf("shop:%x\n", sha256.Sum256([]byte("key"))),
			config:  fmt.Sprintf("hosts: [localhost]\ndemo: %t\nauth: {apiKeysFile: callers}\nprofiles: {default: {}}\n", demo),
		} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		server := browser.ServeWith(t, []string{"GEMINI_API_KEY=emulator"}, "serve", "--config", config, "--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:9")
		if !demo {
			for _, path := range []string{"/", "/doctor"} {
				answer, err := http.Get(server.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusNotFound {
					t.Errorf("without demo, %s is answered with %s", path, answer.Status)
				}
			}
			continue
		}
		d := doctor{chromium.Open(server.URL + "/doctor"), t}
		d.permit("microphone", permissions.PermissionSettingDenied)
		found := d.examine()
		d.expect(found, map[string]string{"microphone": "warning", "mint": "failed", "socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped", "end": "skipped"})
		if got := found["mint"]; got.Measured != "HTTP 401, unauthenticated." || !strings.Contains(got.Advice, "what your cookies show") {
			t.Errorf("without a key: %+v", got)
		}
	}
}

// TestTheDoctorGoesOnWithoutAMicrophone has the four errors: denied, missing, busy, and
// a page that is not secure.
func TestTheDoctorGoesOnWithoutAMicrophone(t *testing.T) {
	t.Parallel()
	const name = "insecure.example"
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0", "--host="+name)
	chromium := browser.Launch(t, chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("host-resolver-rules", "MAP "+name+" 127.0.0.1"))

	d := doctor{chromium.Open(server.URL + "/doctor"), t}
	d.permit("microphone", permissions.PermissionSettingDenied)
	found := d.examine()
	d.expect(found, map[string]string{"microphone": "warning"})
	if got := found["microphone"]; got.Measured != "Error microphone_denied." || !strings.HasPrefix(got.Advice, "Allow the microphone") {
		t.Errorf("a microphone that is denied: %+v", got)
	}

	for exception, code := range map[string]string{"NotFoundError": "microphone_missing", "NotReadableError": "microphone_busy"} {
		d = doctor{chromium.Open(server.URL + "/doctor?profile=nobody"), t} // which ends soon
		browser.Eval[any](d.Page, fmt.Sprintf(`navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", %q)), null`, exception))
		if got := d.examine()["microphone"]; got.State != "warning" || got.Measured != "Error "+code+"." || got.Advice == "" {
			t.Errorf("a microphone with %s: %+v", exception, got)
		}
	}

	d = doctor{chromium.Open("http://" + name + server.URL[strings.LastIndex(server.URL, ":"):] + "/doctor"), t}
	found = d.examine()
	d.expect(found, map[string]string{"secure": "failed", "worklet": "skipped", "microphone": "warning", "playback": "skipped"})
	if got := found["microphone"].Measured; got != "Error insecure_context." {
		t.Errorf("a page without TLS: %s", got)
	}
}
