package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// disk is where the audit is written. A full one has no room.
type disk struct {
	strings.Builder
	full bool
}

func (d *disk) Write(b []byte) (int, error) {
	if d.full {
		return 0, errors.New("no space left")
	}
	return d.Builder.Write(b)
}

// lines are what is on record.
func (d *disk) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for text := range strings.Lines(d.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, line)
	}
	return all
}

var tokenKey = live.NewSecret("CANARY-token-key")

func hashed(token string) string {
	return fmt.Sprintf("%x", audit.HashOf(tokenKey, live.NewSecret(token)))
}

func TestEveryDecisionIsOnRecord(t *testing.T) { synctest.Test(t, testEveryDecision) } // so that no second ends meanwhile

func testEveryDecision(t *testing.T) {
	var evidence disk
	var counted []string
	d := open(t, func(c *Config) {
		c.Authenticator = ada{}
		c.Record = Record{TokenKey: tokenKey, Audit: audit.New(&evidence), Counted: func(e audit.Entry) {
			counted = append(counted, fmt.Sprintf("%s/%s/%s", e.Decision, e.Code, e.Profile))
		}}
	})
	a := d.grant(t, "/v1/token", "")
	for _, c := range []struct {
		path, body string
		change     func(*http.Request)
	}{
		{path: "/v1/token/renew", body: renewing(a, "refused")},
		{path: "/v1/token/renew", body: renewing(a, "renew")},
		{path: "/v1/token", body: `{"profile":"other"}`},
		{path: "/v1/token", change: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		{path: "/v1/token", change: func(r *http.Request) { r.Header.Set("Authorization", "no") }},
		{path: "/v1/token", change: func(r *http.Request) { r.Method = http.MethodGet }},
		{path: "/v1/token", change: func(r *http.Request) { r.Method = http.MethodOptions }}, // decides nothing
		{path: "/v1/token/release", body: fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID)},
	} {
		d.ask(c.path, c.body, c.change)
	}

	lease := fmt.Sprintf("%x", store.KeyOf(live.NewSecret(a.LeaseID)))
	want := []map[string]any{
		{"decision": "granted", "caller": "ada", "profile": "default", "lease": lease, "token": hashed("auth_tokens/1")},
		{"decision": "renewed", "caller": "ada", "profile": "default", "lease": lease, "token": hashed("auth_tokens/2")},
		{"decision": "refused", "code": "too_early", "caller": "ada", "profile": "default", "lease": lease},
		{"decision": "refused", "code": "unknown_profile", "caller": "ada"},
		{"decision": "refused", "code": "origin_not_allowed"},
		{"decision": "refused", "code": "unauthenticated"},
		{"decision": "refused", "code": "method_not_allowed"},
		{"decision": "released", "caller": "ada", "lease": lease},
	}
	got := evidence.lines(t)
	if len(got) != len(want) || len(counted) != len(want) {
		t.Fatalf("there are %d lines and %d counts of %d decisions:\n%s", len(got), len(counted), len(want), &evidence)
	}
	for n, line := range got {
		if line["time"] == nil || line["requestId"] == nil || line["address"] != "192.0.2.1" {
			t.Errorf("line %d does not say when and whence: %v", n, line)
		}
		if !strings.Contains(d.log.String(), fmt.Sprint(line["requestId"])) {
			t.Errorf("line %d is of no request in the log", n)
		}
		if given := line["token"] != nil; given != (line["expires"] == a.ExpireTime.Format(time.RFC3339)) {
			t.Errorf("line %d has a token and no end of it, or the other way: %v", n, line)
		}
		delete(line, "expires")
		delete(line, "time")
		delete(line, "requestId")
		delete(line, "address")
		if fmt.Sprint(line) != fmt.Sprint(want[n]) {
			t.Errorf("line %d is\n%v, want\n%v", n, line, want[n])
		}
	}
	if counted[0] != "granted//default" || counted[2] != "refused/too_early/default" || counted[3] != "refused/unknown_profile/" {
		t.Errorf("counted are %v", counted)
	}
}

// ada knows everybody as ada, but for those who say no.
type ada struct{}

func (ada) Authenticate(r *http.Request) (authn.Caller, error) {
	if r.Header.Get("Authorization") == "no" {
		return authn.Caller{}, authn.ErrBadCredential
	}
	return authn.Caller{ID: "ada"}, nil
}

func TestNoSecretIsOnRecord(t *testing.T) {
	var evidence disk
	secret, err := profile.New("default", profile.Spec{Setup: map[string]any{"systemInstruction": map[string]any{"parts": []any{map[string]any{"text": "CANARY"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	d := open(t, func(c *Config) {
		c.Profiles = []profile.Profile{secret}
		c.Record.TokenKey, c.Record.Audit = tokenKey, audit.New(&evidence)
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			if n++; n > 2 {
				return live.Secret{}, errors.New("CANARY")
			}
			return live.NewSecret(fmt.Sprintf("auth_tokens/CANARY%d", n)), nil
		})
	})
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer CANARY") }
	a := d.grant(t, "/v1/token", "")
	for path, body := range map[string]string{
		"/v1/token?key=CANARY": `{"clientReference":"CANARY"}`,
		"/v1/token/CANARY":     "",
		"/v1/token":            `{"CANARY":"CANARY"}`,
		"/v1/token/renew":      renewing(a, "refused"),
		"/api/token":           `{"profile":"CANARY"}`,
		"/v1/token/release":    fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID),
	} {
		d.ask(path, body, bearer)
	}
	if got := evidence.String(); strings.Count(got, "\n") != 7 || strings.Contains(got, "CANARY") || strings.Contains(got, a.LeaseID) {
		t.Errorf("on record is\n%s", got)
	}
}

func TestWhatCannotBePutOnRecordIsNotGiven(t *testing.T) {
	evidence, leases, minted := &disk{full: true}, &store.Memory{}, 0
	d := open(t, func(c *Config) {
		c.Store = leases
		c.Record = Record{TokenKey: tokenKey, Audit: audit.New(evidence), Required: true}
		next := coins()
		c.Minter = mint(func(ctx context.Context, r upstream.Request) (live.Secret, error) { minted++; return next(ctx, r) })
	})
	refused := func(path, body string) {
		t.Helper()
		if c := codeOf(t, d.ask(path, body, nil)); c != auditUnavailable {
			t.Errorf("%s %s gives %s", path, body, c)
		}
	}
	refused("/v1/token", "")
	if left, _ := leases.Leases(t.Context(), ""); len(left) != 0 {
		t.Errorf("what was not given is kept: %+v", left)
	}
	for range 3 {
		refused("/v1/token", "")
		refused("/v1/token", `{"profile":"other"}`)
	}
	if minted > 1 {
		t.Errorf("%d tokens were made in vain", minted)
	}

	evidence.full = false
	a := d.grant(t, "/v1/token", "")
	if got := evidence.lines(t); len(got) != 2 || got[0]["decision"] != "resumed" || got[0]["lost"] != 8.0 || got[1]["decision"] != "granted" {
		t.Errorf("on record is\n%s", evidence)
	}

	evidence.full = true
	refused("/v1/token/renew", renewing(a, "refused"))
	evidence.full = false
	for range 2 { // what was not given is not counted
		if res := d.ask("/v1/token/renew", renewing(a, "refused"), nil); res.StatusCode != http.StatusOK {
			t.Errorf("a renewal gives %s", codeOf(t, res))
		}
	}
}

func TestARecordThatIsNotRequiredIsMissedInTheLog(t *testing.T) {
	d := open(t, func(c *Config) { c.Record.TokenKey, c.Record.Audit = tokenKey, audit.New(&disk{full: true}) })
	d.grant(t, "/v1/token", "")
	if !strings.Contains(d.log.String(), `"audit":"write the audit: no space left"`) {
		t.Errorf("the log is %s", d.log)
	}
}
