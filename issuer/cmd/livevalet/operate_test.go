package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const adminCanary = "CANARY-admin-0123456789"

// operated is a server with all that operators have.
type operated struct {
	running
	google        running
	dir           string
	config, audit string
	op            *http.Client // reaches the admin listener
}

// operate serves with an audit and an admin listener on a socket. The words are
// more of the file.
func operate(t *testing.T, words string) operated {
	t.Helper()
	o := operated{dir: t.TempDir()}
	o.google = start(t, nil, "emulate", "--listen", ":0")
	o.audit = filepath.Join(o.dir, "audit.jsonl")
	o.config = write(t, fmt.Sprintf(`
listen: 127.0.0.1:0
hosts: [localhost]
auth: {apiKeysFile: %s}
audit: {file: %s, keyFile: %s, required: true}
admin: {listen: 'unix:%s', tokenFile: %s}
%s`, write(t, "shop:"+hashOf("CANARY-bearer")), o.audit, write(t, "CANARY-key-of-the-audit"), o.socket(), write(t, adminCanary+"\n"), words))
	o.running = start(t, map[string]string{"GEMINI_API_KEY": "emulator-CANARY-key"}, "serve", "--config", o.config, "--base-url", o.google.url)
	o.op = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", o.socket())
	}}}
	return o
}

func (o operated) socket() string { return filepath.Join(o.dir, "admin.sock") }

// shop is a known caller.
var shop = []string{"Authorization", "Bearer CANARY-bearer"}

// scrape gives the metrics.
func (o operated) scrape(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminCanary)
	res, err := o.op.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", res.StatusCode, text, err)
	}
	return string(text)
}

func TestOperatorsSeeAllAndNoSecret(t *testing.T) {
	o := operate(t, `
profiles:
  default: {setup: {systemInstruction: {parts: [{text: CANARY-instruction}]}}}
`)
	g := o.token(t, shop...)
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/token/renew", fmt.Sprintf(`{"leaseId":%q,"reason":"refused"}`, g.LeaseID), 200},
		{"/v1/token", `{"profile":"CANARY-profile"}`, 404},
		{"/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, g.LeaseID), 204},
	} {
		if status, _, text := o.call(t, http.MethodPost, c.path, c.body, shop...); status != c.want {
			t.Errorf("%s gives %d %s", c.path, status, text)
		}
	}
	if status, _, _ := o.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer CANARY-wrong"); status != 401 {
		t.Errorf("nobody gets %d", status)
	}

	text, err := os.ReadFile(o.audit)
	if err != nil {
		t.Fatal(err)
	}
	var decisions []string
	for line := range strings.Lines(string(text)) {
		var l struct{ Decision, Code, Caller, Profile string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		decisions = append(decisions, strings.Join([]string{l.Decision, l.Code, l.Caller, l.Profile}, "/"))
	}
	if want := []string{"started///", "granted//key:shop/default", "renewed//key:shop/default", "refused/unknown_profile/key:shop/",
		"released//key:shop/", "refused/unauthenticated//"}; !slices.Equal(decisions, want) {
		t.Errorf("on record are %q", decisions)
	}

	metrics := o.scrape(t)
	for _, want := range []string{
		`livevalet_decisions_total{code="",decision="granted",profile="default"} 1`,
		`livevalet_decisions_total{code="unknown_profile",decision="refused",profile=""} 1`,
		`livevalet_decisions_total{code="unauthenticated",decision="refused",profile=""} 1`,
		`livevalet_upstream_seconds_count{result="ok"} 2`,
		`livevalet_build_info{go="go`,
		"go_goroutines ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, metrics)
		}
	}
	for _, secret := range []string{"CANARY", g.Token, g.LeaseID} {
		for name, said := range map[string]string{"audit": string(text), "log": o.log.String(), "metrics": metrics} {
			if strings.Contains(said, secret) {
				t.Errorf("the %s holds %s", name, secret)
			}
		}
	}
	for _, path := range []string{"/metrics", "/admin/leases?user=key:shop"} {
		if status, _, _ := o.call(t, http.MethodGet, path, "", "Authorization", "Bearer "+adminCanary); status != 404 {
			t.Errorf("%s is on the public listener: %d", path, status)
		}
	}
}

// readyz waits until /readyz says that, since it remembers its answer for a while.
func (r running) readyz(t *testing.T, want string) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, _, text := r.call(t, http.MethodGet, "/readyz", "")
		if text = strings.TrimSpace(text); text == want {
			return
		} else if time.Now().After(limit) {
			t.Fatalf("/readyz says %s, want %s", text, want)
		}
	}
}

func TestReadinessNamesWhatFails(t *testing.T) {
	o := operate(t, "")
	o.readyz(t, `{"status":"ready"}`)
	lose := func() error { return errors.Join(os.Rename(o.audit, o.audit+".1"), os.Mkdir(o.audit, 0o700)) }
	if err := lose(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status, _, text := o.call(t, http.MethodPost, "/v1/token", "", shop...); status != 503 || !strings.Contains(text, `"audit_unavailable"`) {
			t.Errorf("without records it gives %d %s", status, text)
		}
	}
	o.readyz(t, `{"status":"unready","failing":["audit"]}`)
	if err := os.Remove(o.audit); err != nil {
		t.Fatal(err)
	}
	o.readyz(t, `{"status":"ready"}`) // no request was needed to find out
	o.token(t, shop...)

	o.google.call(t, http.MethodPost, "/__emulator/fault?ns=CANARY-key", `{"kind":"mint-error","status":403}`)
	if status, _, text := o.call(t, http.MethodPost, "/v1/token", "", shop...); status != 502 {
		t.Errorf("a refused key gives %d %s", status, text)
	}
	o.readyz(t, `{"status":"unready","failing":["upstream key"]}`)
	o.token(t, shop...)
	o.readyz(t, `{"status":"ready"}`)
}

func TestReadinessAsksSeldomAndDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, log := 0, &output{}
		r := readiness{log: slog.New(slog.NewTextHandler(log, nil)), needs: []need{
			{name: "slow", check: func(ctx context.Context) error { asked++; <-ctx.Done(); return ctx.Err() }},
			{name: "good", check: func(ctx context.Context) error { return ctx.Err() }},
		}}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		for range 10 {
			if got, unready := r.missing(gone); !slices.Equal(got, []string{"slow"}) || !unready {
				t.Errorf("missing are %q, unready %v", got, unready)
			}
		}
		if asked != 1 || time.Since(begin) != readySoon {
			t.Errorf("it was asked %d times, for %v", asked, time.Since(begin))
		}
		time.Sleep(readyFor)
		r.missing(gone)
		r.needs[0].some = true
		time.Sleep(readyFor)
		if got, unready := r.missing(gone); len(got) != 1 || unready {
			t.Errorf("missing are %q, unready %v, though some get tokens", got, unready)
		}
		r.needs = r.needs[1:]
		time.Sleep(readyFor)
		if got, unready := r.missing(gone); len(got) != 0 || unready || asked != 3 {
			t.Errorf("missing are %q, unready %v, after %d", got, unready, asked)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d lines tell of it: %s", n, log)
		}
	})
}

func TestASocketIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := listenAdmin("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := listenAdmin("unix:" + path); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("a second one gets %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as one that is killed
	l.Close()
	again, err := listenAdmin("unix:" + path)
	if err != nil {
		t.Fatalf("what a killed process left: %v", err)
	}
	again.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin("unix:" + path); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("another file is replaced: %v", err)
	}
}

func TestUnsafeOperationsAreRefused(t *testing.T) {
	real := map[string]string{"GEMINI_API_KEY": canary}
	keys, token := write(t, "shop:"+hashOf("sesame")), write(t, adminCanary)
	open := write(t, adminCanary)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ words, want string }{
		"an admin listener for the network":        {"admin: {listen: '0.0.0.0:0', tokenFile: TOKEN}", "line 3: admin.listen: "},
		"an admin listener for the network's name": {"admin: {listen: 'voice.test:1', tokenFile: TOKEN}", "line 3: admin.listen: "},
		"an admin listener of no form":             {"admin: {listen: here, tokenFile: TOKEN}", "write host:port"},
		"an admin socket without a path":           {"admin: {listen: 'unix:', tokenFile: TOKEN}", "lacks a path"},
		"an admin listener without a token":        {"admin: {listen: ':0'}", "openssl rand"},
		"an admin token that everybody can read":   {"admin: {listen: ':0', tokenFile: " + open + "}", "chmod"},
		"an admin token that can be guessed":       {"admin: {listen: ':0', tokenFile: " + write(t, "CANARY") + "}", "at least 16 characters"},
		"an admin token that is several words":     {"admin: {listen: ':0', tokenFile: " + write(t, "CANARY CANARY CANARY") + "}", "one word"},
		"an admin token that is not there":         {"admin: {listen: ':0', tokenFile: /nowhere}", "no such file"},
		"an admin token without a listener":        {"admin: {tokenFile: TOKEN}", "admin.tokenFile does nothing"},
		"records that are required and nowhere":    {"audit: {required: true}", "line 3: audit.required needs audit.file"},
		"records in no directory":                  {"audit: {file: /nowhere/audit.jsonl, keyFile: TOKEN}", "line 3: audit.file: stat /nowhere: no such file or directory: make the folder first"},
		"required records on a full disk":          {"audit: {file: /dev/full, keyFile: TOKEN, required: true}", "no space left"},
		"records without a key":                    {"audit: {file: '-'}", "line 3: audit.keyFile: name a file, made with: openssl rand"},
		"records with a key that all can read":     {"audit: {file: '-', keyFile: " + open + "}", "line 3: audit.keyFile: everybody"},
		"a key without records":                    {"audit: {keyFile: TOKEN}", "line 3: audit.keyFile does nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+keys+"}\n"+strings.ReplaceAll(c.words, "TOKEN", token))
			if said := refused(t, real, "serve", "--listen", ":0", "--config", config); !strings.Contains(said, c.want) {
				t.Errorf("it says %s, want %s", said, c.want)
			}
		})
	}
}
