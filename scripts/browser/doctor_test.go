//go:build bundle

package browser_test

import (
	"context"
	"fmt"
	"net/http"
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
var doctorChecks = []string{"secure", "engine", "policy", "worklet", "microphone", "rates", "clock", "mint", "socket", "setup", "echo", "playback"}

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
	for _, want := range []string{"Result: 12 ok\n", "upstream emulator", "HeadlessChrome", "lease released", " Hz; microphone "} {
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

// TestTheDoctorNamesWhatIsWrong has one thing wrong each time.
func TestTheDoctorNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	chromium := browser.Launch(t, fakeMicrophone...)
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) {
			if h.Get(name) != "" {
				h.Set(name, value)
			}
		}
	}
	for _, tt := range []struct {
		name, path       string
		change           func(http.Header)
		want             map[string]string
		check            string
		measured, advice string
	}{
		{
			"a profile that the server does not have", "/doctor?profile=nobody", func(http.Header) {},
			map[string]string{"mint": "failed", "socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped"},
			"mint", "HTTP 404, unknown_profile.", "Add the profile",
		},
		{
			"a clock that is two hours off", "/doctor", set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat)),
			map[string]string{"clock": "warning"},
			"clock", " s behind the server.", "Let the system set the time",
		},
		{
			"a policy that forbids WebAssembly", "/doctor", set("Content-Security-Policy", "script-src 'self'"),
			map[string]string{"engine": "warning", "policy": "failed", "socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped"},
			"policy", "script-src forbids wasm-eval", "'wasm-unsafe-eval'",
		},
		{
			"a policy that forbids Workers", "/doctor", set("Content-Security-Policy", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'"),
			map[string]string{"policy": "failed", "socket": "skipped", "setup": "skipped", "echo": "skipped", "playback": "skipped"},
			"policy", "worker-src forbids an address", "worker-src 'self'",
		},
		{
			"a type that wasm does not have", "/doctor", func(h http.Header) {
				if h.Get("Content-Type") == "application/wasm" {
					h.Set("Content-Type", "application/octet-stream")
				}
			},
			map[string]string{"engine": "warning"},
			"engine", "compiled after it had arrived", "application/wasm",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := before(t, server.URL, http.NewServeMux(), func(answer *http.Response) error {
				tt.change(answer.Header)
				return nil
			})
			d := doctor{chromium.Open(url + tt.path).With(t), t}
			found := d.examine()
			d.expect(found, tt.want)
			if got := found[tt.check]; !strings.Contains(got.Measured, tt.measured) || !strings.Contains(got.Advice, tt.advice) {
				t.Errorf("%s says %+v", tt.check, got)
			}
			d.Screenshot("doctor-" + tt.check)
		})
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
