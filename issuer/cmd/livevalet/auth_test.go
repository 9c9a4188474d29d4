package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/authn/authntest"
)

// serveFor starts serve for those who auth names.
func serveFor(t *testing.T, auth string, args ...string) (serve, google running) {
	t.Helper()
	google = start(t, nil, "emulate", "--listen", ":0")
	config := write(t, "listen: ':0'\nhosts: [localhost]\nauth:\n"+auth)
	args = append([]string{"serve", "--config", config, "--base-url", google.url}, args...)
	return start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, args...), google
}

func TestServeKnowsItsCallers(t *testing.T) {
	p := authntest.NewProvider(t)
	auth := fmt.Sprintf(`  jwt:
    issuer: %s
    audience: voice
    leeway: 10s
    requiredClaims: {groups: [staff, voice]}
    algorithms: [ES256]
  apiKeysFile: %s
  proxyHeader: {name: X-Forwarded-User, from: [127.0.0.0/8, "::1"]}
`, p.URL, write(t, "shop:"+hashOf("sesame")))
	r, google := serveFor(t, auth)
	good := p.Token(t, nil)
	for name, c := range map[string]struct {
		header []string
		query  string
		status int
		caller string
	}{
		"a user with a JWT":       {[]string{"Authorization", "Bearer " + good}, "", 200, "jwt:alice"},
		"a server with a key":     {[]string{"Authorization", "Bearer sesame"}, "", 200, "key:shop"},
		"a user of the proxy":     {[]string{"X-Forwarded-User", "bob"}, "", 200, "proxy:bob"},
		"nobody":                  {nil, "", 401, ""},
		"a JWT in the query":      {nil, "?access_token=" + good, 401, ""},
		"two credentials":         {[]string{"Authorization", "Bearer " + good, "X-Forwarded-User", "bob"}, "", 401, ""},
		"a JWT without the claim": {[]string{"Authorization", "Bearer " + p.Token(t, map[string]any{"groups": "CANARY"})}, "", 401, ""},
		"a JWT for others":        {[]string{"Authorization", "Bearer " + p.Token(t, map[string]any{"aud": "CANARY"})}, "", 401, ""},
		"a JWT beyond the leeway": {[]string{"Authorization", "Bearer " + p.Token(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})}, "", 401, ""},
		"a JWT that is huge":      {[]string{"Authorization", "Bearer " + p.Token(t, map[string]any{"CANARY": strings.Repeat("x", 13<<10)})}, "", 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(r.log.String())
			status, h, text := r.call(t, http.MethodPost, "/v1/token"+c.query, "", c.header...)
			if status != c.status {
				t.Errorf("%d %v %s", status, h, text)
			}
			if line := r.log.String()[before:]; c.caller != "" && !strings.Contains(line, `"caller":"`+c.caller+`"`) {
				t.Errorf("log is %s", line)
			}
			if strings.Contains(text, "CANARY") {
				t.Errorf("the answer quotes a claim: %s", text)
			}
		})
	}
	for _, secret := range []string{"CANARY", "sesame", good, strings.Split(good, ".")[2]} {
		if log := r.log.String() + google.log.String(); strings.Contains(log, secret) {
			t.Errorf("the log holds %s: %s", secret, log)
		}
	}
}

func TestServeRefusesAHeaderFromElsewhere(t *testing.T) {
	r, _ := serveFor(t, "  proxyHeader: {name: X-Forwarded-User, from: [192.0.2.0/24]}\n")
	if status, _, text := r.call(t, http.MethodPost, "/v1/token", "", "X-Forwarded-User", "bob", "X-Forwarded-For", "192.0.2.1"); status != 403 || !strings.Contains(text, `"code":"forbidden"`) {
		t.Errorf("%d %s", status, text)
	}
}

func TestServeWaitsForItsProvider(t *testing.T) {
	p := authntest.NewProvider(t)
	token := p.Token(t, nil)
	p.Close()
	r, _ := serveFor(t, fmt.Sprintf("  jwt: {issuer: %s, audience: voice}\n", p.URL))
	if !strings.Contains(r.log.String(), "nobody gets a token by JWT") {
		t.Errorf("log is %s", r.log)
	}
	status, h, text := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer "+token)
	if status != 503 || h.Get("Retry-After") == "" || !strings.Contains(text, `"code":"authenticator_unavailable"`) || strings.Contains(text, p.URL) {
		t.Errorf("%d %v %s", status, h, text)
	}
	if status, _, text := r.call(t, http.MethodPost, "/v1/token", ""); status != 401 {
		t.Errorf("nobody gets %d %s", status, text)
	}
}

func TestServeReadsItsCallersAgain(t *testing.T) {
	keys := write(t, "shop:"+hashOf("sesame"))
	r, _ := serveFor(t, "  apiKeysFile: "+keys)
	// Until the file is looked at again the old key is good; the new one only then.
	if err := os.WriteFile(keys, []byte("other-shop:"+hashOf("simsim")), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, _, text := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer simsim")
		if status == 200 {
			break
		}
		if status != 401 || time.Now().After(deadline) {
			t.Fatalf("%d %s", status, text)
		}
	}
	if status, _, _ := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer sesame"); status != 401 {
		t.Errorf("the key that was taken out gives %d", status)
	}
}

func TestServeTakesKnownCallersAndAnyone(t *testing.T) {
	r, _ := serveFor(t, "  anonymous: true\n  apiKeysFile: "+write(t, "shop:"+hashOf("sesame")), "--anonymous-anyone-can-spend-your-quota")
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"a known caller": {[]string{"Authorization", "Bearer sesame"}, 200},
		"nobody":         {nil, 200},
		"a wrong key":    {[]string{"Authorization", "Bearer other"}, 401},
	} {
		if status, _, text := r.call(t, http.MethodPost, "/v1/token", "", c.header...); status != c.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestReadinessNamesTheProvider(t *testing.T) {
	others := "\n  apiKeysFile: " + write(t, "shop:"+hashOf("sesame"))
	for name, c := range map[string]struct {
		others string
		late   bool // it goes down when its keys are known
		want   string
	}{
		"that was never there":                 {"", false, `{"status":"unready","failing":["jwt provider"]}`},
		"that some callers do without":         {others, false, `{"status":"ready","failing":["jwt provider"]}`},
		"but not one that is down for a while": {"", true, `{"status":"ready"}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := authntest.NewProvider(t)
			if !c.late {
				p.Close()
			}
			r, _ := serveFor(t, "  jwt: {issuer: '"+p.URL+"', audience: voice}"+c.others)
			p.Close()
			r.readyz(t, c.want)
			if status, _, text := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer "+p.Token(t, nil)); (status == http.StatusOK) != c.late {
				t.Errorf("it gives %d %s", status, text)
			}
		})
	}
}
