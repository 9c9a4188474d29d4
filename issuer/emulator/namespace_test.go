package emulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestNamespacesAreWorldsApart(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		const resumable = textSetup + `,"sessionResumption":{}`
		call := func(method, name, body string) map[string]any {
			t.Helper()
			code, got := b.control(t, method, name, body)
			if code != 200 {
				t.Fatalf("%s: %d %v", name, code, got)
			}
			return got
		}
		mint := func(key string) string {
			t.Helper()
			_, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", key)
			_, rest, _ := strings.Cut(text, `"name": "`)
			name, _, ok := strings.Cut(rest, `"`)
			if !ok {
				t.Fatalf("mint: %s", text)
			}
			return name
		}
		call("POST", "reset?ns=a", "")
		call("GET", "tokens?ns=b", "")
		a := b.open(t, tokenPath+mint("emulator-a"), resumable)
		other := b.open(t, tokenPath+mint("emulator-b"), resumable)
		byKey := b.open(t, socketPath+"?key=emulator-a", resumable)
		mint("emulator-a.other")
		shared := b.open(t, tokenPath+mint("emulator-c"), resumable) // nobody named c

		for ns, want := range map[string]int{"?ns=a": 2, "?ns=b": 1, "": 1} {
			if got := len(call("GET", "tokens"+ns, "")["tokens"].([]any)); got != want {
				t.Errorf("there are %d tokens in %q", got, ns)
			}
		}

		// Time, faults and journal of one are not the others'.
		call("POST", "clock?ns=a", `{"advance":"12m"}`)
		a.closed(t)
		byKey.closed(t)
		if got := b.server.NowFor("emulator-a").Sub(b.server.Now()); got != 12*time.Minute {
			t.Errorf("its clock is %v ahead", got)
		}
		for key, ahead := range map[string]time.Duration{"emulator-a": 12 * time.Minute, "emulator-b": 0, "emulator-c": 0} {
			_, header, _ := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", key)
			if date, err := http.ParseTime(header.Get("Date")); err != nil || date.Sub(time.Now().Truncate(time.Second)) != ahead {
				t.Errorf("Date for %s is %s", key, header.Get("Date"))
			}
		}
		handle := other.ask(t, "my name is Ada", true).handle
		call("POST", "fault?ns=b", `{"kind":"mint-error","times":2}`)
		mint("emulator-a")
		mint("emulator-c")
		if code, _, _ := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", "emulator-b"); code != 503 {
			t.Errorf("its own mint gives %d", code)
		}
		with := textSetup + `,"sessionResumption":{"handle":"` + handle + `"}`
		if got := b.outcome(t, socketPath+"?key=emulator-a", with); got != "1008 BidiGenerateContent session not found" {
			t.Errorf("a handle from elsewhere gives %s", got)
		}
		for _, e := range call("GET", "journal?ns=b", "")["entries"].([]any) {
			if kind := e.(map[string]any)["kind"]; kind == "close" {
				t.Error("the journal tells of another's sockets")
			}
		}
		if got := b.outcome(t, socketPath+"?key=emulator-b.other", with); got != "1008 BidiGenerateContent session not found" {
			t.Errorf("another project's handle gives %s", got)
		}
		call("POST", "reset?ns=b", "")
		other.wantClosed(t, 1006, "")
		shared.ask(t, "hello", true)
	})
}

func TestNamespacesAreBounded(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		for _, bad := range []string{"a/b", "%20", strings.Repeat("x", 65)} {
			if code, got := b.control(t, "GET", "tokens?ns="+bad, ""); code != 400 || !strings.Contains(fmt.Sprint(got), "64 letters") {
				t.Errorf("%s gives %d %v", bad, code, got)
			}
		}
		for i := range maxNamespaces - 1 { // the shared one is there
			if _, err := b.server.open(fmt.Sprint("n", i)); err != nil {
				t.Fatal(err)
			}
		}
		if code, got := b.control(t, "GET", "tokens?ns=more", ""); code != 400 {
			t.Errorf("one more gives %d %v", code, got)
		}
		if code, _ := b.control(t, "GET", "tokens?ns=n7", ""); code != 200 {
			t.Errorf("one that is there gives %d", code)
		}
		b.mint(t, "")
	})
}
