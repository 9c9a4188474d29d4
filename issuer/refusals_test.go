package issuer

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
)

// busy counts what is asked of an authenticator and of a store.
type busy struct {
	store.Memory
	known, loaded int
}

func (b *busy) Authenticate(r *http.Request) (authn.Caller, error) {
	b.known++
	return ada{}.Authenticate(r)
}

func (b *busy) Load(ctx context.Context, k store.Key) (store.Lease, error) {
	b.loaded++
	return b.Memory.Load(ctx, k)
}

// watched is an issuer all of whose work is seen.
type watched struct {
	desk
	busy     busy
	evidence disk
	untraced int
}

func watch(t *testing.T, change func(*Config)) *watched {
	t.Helper()
	w := &watched{}
	w.desk = open(t, func(c *Config) {
		c.Authenticator, c.Store = &w.busy, &w.busy
		c.Record = Record{TokenKey: tokenKey, Audit: audit.New(&w.evidence), Untraced: func() { w.untraced++ }}
		c.Limits.Refusals = limit.Rate{Count: 60, Per: time.Minute, Burst: 120}
		if change != nil {
			change(c)
		}
	})
	return w
}

func TestWhoIsOnlyRefusedCostsLittle(t *testing.T) {
	for name, c := range map[string]struct {
		path, body string
		change     func(*http.Request)
		want       code
		known      int // how often the authenticator is asked
	}{
		"without a credential":     {path: "/v1/token", change: as("no"), want: unauthenticated, known: 500},
		"with a guessed lease":     {path: "/v1/token/renew", body: `{"leaseId":"x"}`, want: leaseNotFound, known: 500},
		"with a body that is none": {path: "/v1/token", body: "{", want: invalidRequest, known: 500},
		"by the wrong method":      {path: "/v1/token", change: func(r *http.Request) { r.Method = http.MethodGet }, want: methodNotAllowed},
		"from another page":        {path: "/v1/token", change: fields("Origin", "https://evil.example"), want: originNotAllowed},
		"under another name":       {path: "/v1/token", change: fields("Host", "evil.example"), want: hostNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const traced, all = 120, 500
				w := watch(t, nil)
				for n := range all {
					res := w.ask(c.path, c.body, c.change)
					if n >= traced {
						refused(t, res, rateLimited, "1", `"refusals";q=120;w=120`, `"refusals";r=0;t=1`)
					} else if got := codeOf(t, res); got != c.want {
						t.Fatalf("the first are refused by %s", got)
					}
				}
				if lines := len(w.evidence.lines(t)); lines != traced {
					t.Errorf("%d lines are on record", lines)
				}
				if lines := strings.Count(w.log.String(), "\n"); lines != traced {
					t.Errorf("%d lines are in the log", lines)
				}
				if w.untraced != all-traced {
					t.Errorf("%d are counted as untraced", w.untraced)
				}
				if w.busy.known != c.known || w.busy.loaded > traced {
					t.Errorf("the authenticator was asked %d times, the store %d times", w.busy.known, w.busy.loaded)
				}

				time.Sleep(refusalReport)
				synctest.Wait()
				if text := w.log.String(); strings.Count(text, "\n") != traced+1 || !strings.Contains(text, fmt.Sprintf(`"requests":%d`, all-traced)) {
					t.Errorf("a minute later the log ends with %s", text[strings.LastIndex(text[:len(text)-1], "\n"):])
				}
			})
		})
	}
}

// A machine of the same office that cannot mend itself takes nothing from the others.
func TestOthersAtAnAddressThatIsRefusedGetTheirTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		flood := func() {
			for range 1000 {
				w.ask("/v1/token", "", as("no"))
			}
		}
		flood()
		if res := w.ask("/v1/token", "", at("198.51.100.1:1")); res.StatusCode != http.StatusOK {
			t.Errorf("another address gets %s", codeOf(t, res))
		}
		for range 10 {
			flood()
			for range 20 { // tokens are no refusals
				if res := w.ask("/v1/token", "", nil); res.StatusCode != http.StatusOK {
					t.Fatalf("it gives %s", codeOf(t, res))
				}
			}
			time.Sleep(time.Second)
		}
	})
}

func TestRefusalsCountForAllThatTheirOwnerHas(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		spent         bool
	}{
		"one address":             {"198.51.100.1:1", "198.51.100.1:2", true},
		"two addresses":           {"198.51.100.1:1", "198.51.100.2:1", false},
		"two of one IPv6 network": {"[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true},
		"two IPv6 networks":       {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
	} {
		w := watch(t, func(c *Config) { c.Limits.Refusals = limit.Rate{Count: 1, Per: time.Hour} })
		for n, address := range []string{c.first, c.second} {
			res := w.ask("/v1/token", "", func(r *http.Request) { at(address)(r); as("no")(r) })
			if got := codeOf(t, res); (got == rateLimited) != (n == 1 && c.spent) {
				t.Errorf("%s: request %d gets %s", name, n, got)
			}
		}
	}

	t.Run("whoever lies about it", func(t *testing.T) {
		proxy, err := authn.NewProxyHeader("X-Real-Ip", []string{"192.0.2.7"})
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, func(c *Config) {
			c.Guard, err = NewGuard(GuardConfig{Hosts: Loopback(), Proxied: true})
			c.Address, c.Limits.Refusals = AddressFrom(proxy), limit.Rate{Count: 1, Per: time.Hour}
		})
		for n, want := range []code{forbidden, rateLimited} {
			lie := fields("X-Real-Ip", fmt.Sprintf("198.51.100.%d", n))
			if got := codeOf(t, w.ask("/v1/token", "", func(r *http.Request) { at("203.0.113.9:1")(r); lie(r) })); got != want {
				t.Errorf("request %d gets %s", n, got)
			}
		}
	})
}

// A network of more addresses than are counted fills neither disk nor memory, and
// takes no token from anybody.
func TestMoreRefusedAddressesThanAreCounted(t *testing.T) {
	f := refusals{rate: limit.Rate{Count: 60, Per: time.Minute, Burst: 120}, tats: map[string]time.Time{}}
	now := time.Now()
	for n := range maxRefused {
		if _, ok := f.take(fmt.Sprint(n), now); !ok {
			t.Fatalf("address %d leaves no trace", n)
		}
	}
	for n := range 1000 {
		if wait, ok := f.take(fmt.Sprint("more", n), now); ok || wait != time.Second {
			t.Fatalf("one more may leave a trace %v, in %v", ok, wait)
		}
		if wait := f.spent(fmt.Sprint("more", n), now); wait != 0 {
			t.Fatalf("one more may not ask for %v", wait)
		}
	}
	if _, ok := f.take("0", now); !ok || len(f.tats) != maxRefused {
		t.Errorf("one that is counted may leave a trace %v, of %d", ok, len(f.tats))
	}
	now = now.Add(time.Second) // what all but one were charged is earned back
	if _, ok := f.take("more", now); !ok || len(f.tats) != 2 {
		t.Errorf("later one more may leave a trace %v, of %d", ok, len(f.tats))
	}
}

// To end a lease may be said twice, and not for ever.
func TestALeaseThatIsOverIsReleasedOnRecordOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		a := w.grant(t, "/v1/token", "")
		status := map[int]int{}
		for range 1000 {
			status[w.ask("/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID), nil).StatusCode]++
		}
		if status[http.StatusNoContent] != 121 || status[http.StatusTooManyRequests] != 879 || w.busy.loaded != 121 {
			t.Errorf("%v, and the store was asked %d times", status, w.busy.loaded)
		}
		if lines := w.evidence.lines(t); len(lines) != 2 || lines[1]["decision"] != "released" {
			t.Errorf("on record is\n%s", &w.evidence)
		}
	})
}

// Pages look at codes, so they may read this one, too.
func TestAListedPageCanReadThatItIsTurnedAway(t *testing.T) {
	w := watch(t, func(c *Config) { c.Limits.Refusals = limit.Rate{Count: 1, Per: time.Hour} })
	page := fields("Origin", "https://app.example", "Authorization", "no")
	w.ask("/v1/token", "", page)
	res := w.ask("/v1/token", "", page)
	if c := codeOf(t, res); c != rateLimited || res.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("%s, %v", c, res.Header)
	}
}
