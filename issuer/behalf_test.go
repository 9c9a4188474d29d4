package issuer

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
)

// backend is an issuer with the limits that it has by itself, and a server that
// asks it for tokens.
type backend struct {
	desk
	store    store.Memory
	evidence disk
}

// serversAndUsers knows servers by their keys and believes all others who they are.
type serversAndUsers struct{ keys *authn.APIKeys }

func (s serversAndUsers) Authenticate(r *http.Request) (authn.Caller, error) {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return s.keys.Authenticate(r)
	}
	return named{}.Authenticate(r)
}

func openBackend(t *testing.T, change func(*Config)) *backend {
	t.Helper()
	keys, err := authn.ParseAPIKeys(strings.NewReader(fmt.Sprintf("shop:%x", sha256.Sum256([]byte("sesame")))))
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{}
	b.desk = open(t, func(c *Config) {
		c.Authenticator = serversAndUsers{keys}
		c.Store, c.Record = &b.store, Record{TokenKey: tokenKey, Audit: audit.New(&b.evidence)}
		c.Profiles, c.Limits = nil, Limits{}
		if change != nil {
			change(c)
		}
	})
	return b
}

// send asks for a user, or for nobody in particular.
func (b *backend) send(path, user, body string) *http.Response {
	members := strings.Trim(body, "{}")
	if user != "" {
		members = strings.Trim(fmt.Sprintf(`"user":%q,%s`, user, members), ",")
	}
	return b.ask(path, "{"+members+"}", as("Bearer sesame"))
}

func TestEachUserOfAServerHasTheirOwnLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBackend(t, nil)
		const users = 150 // whose tokens are more than one address may have
		for n := range users {
			user := fmt.Sprintf("user-%d@shop.example", n)
			for range 3 {
				res := b.send("/v1/token", user, "")
				if policy := res.Header.Get("RateLimit-Policy"); res.StatusCode != http.StatusOK || policy != `"caller";q=6;w=60` {
					t.Fatalf("%s gets %s, %s", user, codeOf(t, res), policy)
				}
			}
			if c := codeOf(t, b.send("/v1/token", user, "")); c != tooManyLeases {
				t.Fatalf("%s gets %s beyond", user, c)
			}
		}

		// Whom it does not name are one, from one address.
		for range 3 {
			res := b.send("/v1/token", "", "")
			if policy := res.Header.Get("RateLimit-Policy"); res.StatusCode != http.StatusOK || policy != `"caller";q=6;w=60, "address";q=30;w=60` {
				t.Fatalf("nobody in particular gets %s, %s", codeOf(t, res), policy)
			}
		}
		if c := codeOf(t, b.send("/v1/token", "", "")); c != tooManyLeases {
			t.Errorf("nobody in particular gets %s beyond", c)
		}
		lines := b.evidence.lines(t)
		if first, last := lines[0], lines[len(lines)-1]; first["caller"] != "key:shop/user-0@shop.example" || last["caller"] != "key:shop" {
			t.Errorf("on record are %v and %v", first, last)
		}
	})
}

func TestALeaseIsTheUsersWhomTheServerNamed(t *testing.T) {
	b := openBackend(t, nil)
	a := b.read(t, b.send("/v1/token", "ada", ""))
	for _, other := range []string{"", "bob", "ada/", "key:shop/ada"} {
		for _, path := range []string{"/v1/token/renew", "/v1/token/release"} {
			if c := codeOf(t, b.send(path, other, fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID))); c != leaseNotFound {
				t.Errorf("%s by %q gives %s", path, other, c)
			}
		}
	}
	b.read(t, b.send("/v1/token/renew", "ada", renewing(a, "refused")))
	if res := b.send("/v1/token/release", "ada", fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID)); res.StatusCode != http.StatusNoContent {
		t.Errorf("its release gives %s", codeOf(t, res))
	}
}

func TestWhoMayNotNameAUserIsToldSo(t *testing.T) {
	staff, err := profile.New("staff", profile.Spec{Who: map[string][]any{"staff": {true}}})
	if err != nil {
		t.Fatal(err)
	}
	b := openBackend(t, func(c *Config) { c.Profiles = []profile.Profile{profile.Default(), staff} })
	for name, c := range map[string]struct {
		who, path, body string
		want            code
	}{
		"a user":                     {"mallory", "/v1/token", `{"user":"ada"}`, invalidRequest},
		"a user, of themselves":      {"mallory", "/v1/token", `{"user":"mallory"}`, invalidRequest},
		"a user who renews":          {"mallory", "/v1/token/renew", `{"leaseId":"x","user":"ada"}`, invalidRequest},
		"a user who releases":        {"mallory", "/v1/token/release", `{"leaseId":"x","user":"ada"}`, invalidRequest},
		"nobody":                     {"", "/v1/token", `{"user":"ada"}`, invalidRequest},
		"a server, of no name":       {"Bearer sesame", "/v1/token", `{"user":""}`, invalidRequest},
		"a server, of two lines":     {"Bearer sesame", "/v1/token", `{"user":"ada\nbob"}`, invalidRequest},
		"a server, of a long name":   {"Bearer sesame", "/v1/token", `{"user":"` + strings.Repeat("x", 256) + `"}`, invalidRequest},
		"a server, of a number":      {"Bearer sesame", "/v1/token", `{"user":7}`, invalidRequest},
		"a server, by a field":       {"Bearer sesame", "/v1/token", `{"User-Id":"ada"}`, invalidRequest},
		"a server, of claimless ada": {"Bearer sesame", "/v1/token", `{"user":"ada","profile":"staff"}`, forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(t, b.ask(c.path, c.body, as(c.who))); got != c.want {
				t.Errorf("it gets %s", got)
			}
		})
	}
}

func TestWhoTakesAccessFromAServerTakesItFromItsUsers(t *testing.T) {
	b := openBackend(t, nil)
	held := map[string]grantAnswer{}
	for _, user := range []string{"ada", "bob"} {
		held[user] = b.read(t, b.send("/v1/token", user, ""))
	}
	check := func(user string, want code) {
		t.Helper()
		for path, body := range map[string]string{"/v1/token": "", "/v1/token/renew": renewing(held[user], "refused")} {
			res := b.send(path, user, body)
			if want == "" && res.StatusCode != http.StatusOK || want != "" && codeOf(t, res) != want {
				t.Errorf("%s of %s gives %d", path, user, res.StatusCode)
			}
		}
	}
	change := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change(b.store.Revoke(t.Context(), "key:shop/ada"))
	check("ada", revoked)
	check("bob", "")
	change(b.store.Revoke(t.Context(), "key:shop"))
	change(b.store.Unrevoke(t.Context(), "key:shop/ada"))
	check("ada", revoked)
	check("bob", revoked)
	if c := codeOf(t, b.send("/v1/token", "", "")); c != revoked {
		t.Errorf("the server itself gets %s", c)
	}
	change(b.store.Unrevoke(t.Context(), "key:shop"))
	check("ada", "")
}

// All of a server's users ask from its address, and one of them may be hostile.
func TestAUserWhoIsOnlyRefusedKeepsNoOtherOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBackend(t, func(c *Config) { c.Limits.Refusals = limit.Rate{Count: 10, Per: time.Minute} })
		for _, body := range []string{`{"leaseId":"x"}`, `{"leaseId":7}`} { // the second is refused before it says whose it is
			for range 100 {
				b.send("/v1/token/renew", "mallory", body)
			}
		}
		if c := codeOf(t, b.send("/v1/token", "mallory", "")); c != rateLimited {
			t.Errorf("mallory gets %s", c)
		}
		b.read(t, b.send("/v1/token", "ada", ""))
		if lines := len(b.evidence.lines(t)); lines != 21 {
			t.Errorf("%d lines are on record", lines)
		}
	})
}
