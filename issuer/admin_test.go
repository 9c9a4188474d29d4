package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/wasm/live"
)

const adminToken = "CANARY-admin-token"

// office is the admin handler under test.
type office struct {
	desk
	evidence *disk
}

func openOffice(t *testing.T, access Access, change func(*AdminConfig)) office {
	t.Helper()
	guard, err := NewGuard(GuardConfig{Hosts: Loopback()})
	if err != nil {
		t.Fatal(err)
	}
	log, evidence := &journal{}, &disk{}
	c := AdminConfig{
		Guard: guard, Token: live.NewSecret(adminToken), Access: access, Record: Record{Audit: audit.New(evidence)},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }),
		Logger:  slog.New(slog.NewJSONHandler(log, nil)),
	}
	if change != nil {
		change(&c)
	}
	h, err := NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	return office{desk{h, log}, evidence}
}

// ask asks as an operator does; change may spoil that.
func (o office) ask(method, path string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Result()
}

func TestOnlyOperatorsReachTheAdminEndpoints(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   code
	}{
		"without a token":              {func(r *http.Request) { r.Header.Del("Authorization") }, unauthenticated},
		"with an empty token":          {set("Authorization", "Bearer "), unauthenticated},
		"with a wrong token":           {set("Authorization", "Bearer "+adminToken+"x"), unauthenticated},
		"with the beginning of it":     {set("Authorization", "Bearer "+adminToken[:8]), unauthenticated},
		"with a token in another way":  {set("Authorization", "Basic "+adminToken), unauthenticated},
		"under a rebound name":         {func(r *http.Request) { r.Host = "evil.example" }, hostNotAllowed},
		"from a page elsewhere":        {set("Sec-Fetch-Site", "cross-site"), originNotAllowed},
		"from a page of another port":  {set("Sec-Fetch-Site", "same-site"), originNotAllowed},
		"through a tunnel":             {set("X-Forwarded-For", "203.0.113.7"), proxiedAnonymous},
		"with a token in the question": {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery += "&token=" + adminToken }, unauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			var s store.Memory
			o := openOffice(t, &s, nil)
			for path, method := range map[string]string{"/metrics": "GET", "/admin/leases?user=ada": "GET", "/admin/users/key:ada/revocation": "POST"} {
				if got := codeOf(t, o.ask(method, path, c.change)); got != c.want {
					t.Errorf("%s gives %s", path, got)
				}
			}
			if revoked, _ := s.Revoked(t.Context(), "key:ada"); revoked {
				t.Error("it was done all the same")
			}
			if strings.Contains(o.log.String(), "CANARY") || o.evidence.String() != "" {
				t.Errorf("log %s, evidence %s", o.log, o.evidence)
			}
		})
	}
}

func TestAccessIsTakenAndGivenBack(t *testing.T) {
	for path, user := range map[string]string{
		"key:shop":                      "key:shop",
		"jwt:https%3A%2F%2Fid.test%2F7": "jwt:https://id.test/7",
		"proxy:Ada%20L.":                "proxy:Ada L.",
	} {
		t.Run(path, func(t *testing.T) {
			var s store.Memory
			o := openOffice(t, &s, nil)
			for _, c := range []struct {
				method string
				want   bool
			}{{"POST", true}, {"POST", true}, {"DELETE", false}, {"DELETE", false}} {
				if res := o.ask(c.method, "/admin/users/"+path+"/revocation", nil); res.StatusCode != http.StatusNoContent {
					t.Errorf("%s gives %s", c.method, codeOf(t, res))
				}
				if revoked, err := s.Revoked(t.Context(), user); revoked != c.want || err != nil {
					t.Errorf("after %s it is %v, %v", c.method, revoked, err)
				}
			}
			got := o.evidence.lines(t)
			if len(got) != 4 || got[0]["decision"] != "revoked" || got[0]["user"] != user || got[0]["caller"] != "admin" || got[3]["decision"] != "unrevoked" {
				t.Errorf("on record is\n%s", o.evidence)
			}
		})
	}
}

func TestASlipOfThePenRevokesNobody(t *testing.T) {
	var s store.Memory
	o := openOffice(t, &s, nil)
	for _, path := range []string{"shop", "key:", "key", "Key:shop", "%20key:shop", "key:shop%20", "key:%20shop", "key:sh%0Aop", "anonymous", "anonymous:203.0.113.7", "admin", "key:" + strings.Repeat("x", 300)} {
		for _, method := range []string{"POST", "DELETE"} {
			if c := codeOf(t, o.ask(method, "/admin/users/"+path+"/revocation", nil)); c != invalidRequest {
				t.Errorf("%s %s gives %s", method, path, c)
			}
		}
	}
	if list, err := s.Revocations(t.Context(), "", 9); len(list) > 0 || err != nil || o.evidence.String() != "" {
		t.Errorf("revoked are %q, %v, on record is %s", list, err, o.evidence)
	}
	other := openOffice(t, &s, func(c *AdminConfig) { c.CheckID = func(string) error { return nil } })
	if res := other.ask("POST", "/admin/users/ada/revocation", nil); res.StatusCode != http.StatusNoContent {
		t.Errorf("a caller of another Authenticator gives %s", codeOf(t, res))
	}
}

func TestOperatorsSeeWhoseAccessWasTaken(t *testing.T) {
	var s store.Memory
	for n := range page + 1 {
		if err := s.Revoke(t.Context(), fmt.Sprintf("key:%04d", n)); err != nil {
			t.Fatal(err)
		}
	}
	o := openOffice(t, &s, nil)
	if got := body(t, o.ask("GET", "/admin/revocations", nil)); !strings.HasPrefix(got, `{"users":["key:0000","key:0001",`) || !strings.HasSuffix(got, "\"key:0999\"]}\n") {
		t.Errorf("the first are %.50s … %s", got, got[max(0, len(got)-50):])
	}
	for after, want := range map[string]string{"key:0999": `{"users":["key:1000"]}`, "key:1000": `{"users":[]}`} {
		if got := strings.TrimSpace(body(t, o.ask("GET", "/admin/revocations?after="+after, nil))); got != want {
			t.Errorf("after %s are %s", after, got)
		}
	}
}

func TestOperatorsSeeWhatACallerHolds(t *testing.T) {
	var s store.Memory
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	key := store.KeyOf(live.NewSecret("CANARY-lease"))
	lease := store.Lease{Key: key, Caller: "a&b", Profile: "default", End: at.Add(time.Hour), Expire: at}
	_, err := s.Grant(t.Context(), store.Ask{Now: at, Lease: lease, Slots: store.Slots{Max: 1}})
	if err := errors.Join(err, s.Release(t.Context(), key), s.Revoke(t.Context(), "a&b")); err != nil {
		t.Fatal(err)
	}
	o := openOffice(t, &s, nil)
	for query, want := range map[string]string{
		"a%26b": fmt.Sprintf(`{"user":"a&b","revoked":true,"leases":[{"lease":"%x","profile":"default","tokenExpires":"2026-11-21T12:00:00Z","end":"2026-11-21T13:00:00Z","released":true}]}`, key),
		"bob":   `{"user":"bob","revoked":false,"leases":[]}`,
	} {
		if got := strings.TrimSpace(body(t, o.ask("GET", "/admin/leases?user="+query, nil))); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if c := codeOf(t, o.ask("GET", "/admin/leases", nil)); c != invalidRequest {
		t.Errorf("nobody's leases give %s", c)
	}
}

// gone is an Access that cannot be reached.
type gone struct{}

var errGone = errors.New("no route")

func (gone) Revoke(context.Context, string) error          { return errGone }
func (gone) Unrevoke(context.Context, string) error        { return errGone }
func (gone) Revoked(context.Context, string) (bool, error) { return false, errGone }
func (gone) Revocations(context.Context, string, int) ([]string, error) {
	return nil, errGone
}
func (gone) Leases(context.Context, string) ([]store.Lease, error) { return nil, errGone }

func TestWhatAnOperatorCannotDoIsSaid(t *testing.T) {
	o := openOffice(t, gone{}, nil)
	for path, method := range map[string]string{"/admin/leases?user=ada": "GET", "/admin/revocations": "GET", "/admin/users/key:ada/revocation": "POST"} {
		if c := codeOf(t, o.ask(method, path, nil)); c != storeUnavailable {
			t.Errorf("%s gives %s", path, c)
		}
	}
	if o.evidence.String() != "" {
		t.Errorf("what was not done is on record: %s", o.evidence)
	}

	var s store.Memory
	full := openOffice(t, &s, func(c *AdminConfig) { c.Record = Record{Audit: audit.New(&disk{full: true}), Required: true} })
	if c := codeOf(t, full.ask("POST", "/admin/users/key:ada/revocation", nil)); c != auditUnavailable {
		t.Errorf("without records it gives %s", c)
	}
	if revoked, _ := s.Revoked(t.Context(), "key:ada"); !revoked {
		t.Error("access is not taken while there are no records")
	}
}
