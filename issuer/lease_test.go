package issuer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

func renewing(a grantAnswer, reason string) string {
	return fmt.Sprintf(`{"leaseId":%q,"reason":%q}`, a.LeaseID, reason)
}

func TestALeaseOverAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, nil)
		a := d.grant(t, "/v1/token", "")
		begin := time.Now()
		for n := 2; n < 10; n++ {
			time.Sleep(time.Duration(a.RenewAfter) * time.Second)
			res := d.ask("/v1/token/renew", renewing(a, "renew"), nil)
			if res.StatusCode != http.StatusOK {
				if c, at := codeOf(t, res), time.Since(begin); c != leaseEnded || at < 55*time.Minute || n != 8 {
					t.Errorf("renewal %d after %v gives %s", n, at, c)
				}
				break
			}
			lease := a.LeaseID
			a = d.read(t, res)
			if a.Token != fmt.Sprintf("auth_tokens/%d", n) || a.LeaseID != lease || a.NewSessionExpiresIn != 120 {
				t.Errorf("renewal %d gives %+v", n, a)
			}
			if a.ExpireTime.After(begin.Add(time.Hour)) {
				t.Errorf("token %d outlives the lease: %v", n, a.ExpireTime)
			}
		}
		time.Sleep(time.Hour)
		if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != leaseEnded {
			t.Errorf("after its end it gives %s", c)
		}
	})
}

func TestAShorterMaxSessionHoldsForLeasesThatThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &store.Memory{}
		with := func(most time.Duration) desk {
			return open(t, func(c *Config) {
				c.Store, c.Profiles = memory, []profile.Profile{made(t, profile.Spec{MaxSession: most, Limits: plenty})}
			})
		}
		long, short := with(24*time.Hour), with(time.Hour)
		a := long.grant(t, "/v1/token", "")
		time.Sleep(5 * time.Hour)
		var last time.Duration
		begin := time.Now()
		for time.Since(begin) < 2*time.Hour {
			res := short.ask("/v1/token/renew", renewing(a, "renew"), nil)
			if res.StatusCode != http.StatusOK {
				if c := codeOf(t, res); c != leaseEnded {
					t.Error(c)
				}
				break
			}
			last = short.read(t, res).ExpireTime.Sub(begin)
			time.Sleep(9 * time.Minute)
		}
		if last != time.Hour {
			t.Errorf("its last token ends %v after the profile changed", last)
		}
	})
}

func (d desk) read(t *testing.T, res *http.Response) grantAnswer {
	t.Helper()
	return desk{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(res.StatusCode)
		_, _ = fmt.Fprint(w, body(t, res))
	})}.grant(t, "/", "")
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := res.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
	return text
}

func TestARenewalBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, nil)
		a := d.grant(t, "/v1/token", "")
		time.Sleep(9*time.Minute - 2*time.Second)

		res := d.ask("/v1/token/renew", renewing(a, "renew"), nil)
		if c, wait := codeOf(t, res), res.Header.Get("Retry-After"); c != tooEarly || wait != "2" {
			t.Errorf("it gives %s, Retry-After %q", c, wait)
		}
		for n := range profile.EarlyRenewals {
			if res := d.ask("/v1/token/renew", renewing(a, "refused"), nil); res.StatusCode != http.StatusOK {
				t.Errorf("refused token %d gives %s", n, codeOf(t, res))
			}
		}
		if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != tooEarly {
			t.Errorf("one refused token too many gives %s", c)
		}
		time.Sleep(9 * time.Minute)
		if res := d.ask("/v1/token/renew", renewing(a, "refused"), nil); res.StatusCode != http.StatusOK {
			t.Errorf("a refused token in its time gives %s", codeOf(t, res))
		}
	})
}

func TestAReleasedLeaseIsOverAndMayBeReleasedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, nil)
		a := d.grant(t, "/v1/token", "")
		for range 2 {
			if res := d.ask("/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID), nil); res.StatusCode != http.StatusNoContent || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("release gives %d %v", res.StatusCode, res.Header)
			}
		}
		time.Sleep(10 * time.Minute)
		for _, reason := range []string{"renew", "refused"} {
			if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, reason), nil)); c != leaseEnded {
				t.Errorf("%s gives %s", reason, c)
			}
		}
	})
}

func TestAMintThatFailedCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down error
		mints := coins()
		d := open(t, func(c *Config) {
			c.Minter = mint(func(ctx context.Context, r upstream.Request) (live.Secret, error) {
				if down != nil {
					return live.Secret{}, down
				}
				return mints(ctx, r)
			})
		})
		a := d.grant(t, "/v1/token", "")
		down = &upstream.Error{Kind: upstream.ErrUnavailable}
		for range 2 * profile.EarlyRenewals {
			if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != upstreamUnavailable {
				t.Fatalf("without the service it gives %s", c)
			}
		}
		down = nil
		for n := range profile.EarlyRenewals {
			if res := d.ask("/v1/token/renew", renewing(a, "refused"), nil); res.StatusCode != http.StatusOK {
				t.Errorf("renewal %d afterwards gives %s", n, codeOf(t, res))
			}
		}
	})
}

func TestAMintThatFailedLeavesNoLease(t *testing.T) {
	leases, fails := &store.Memory{Max: 1}, true
	d := open(t, func(c *Config) {
		c.Store = leases
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			if fails {
				return live.Secret{}, &upstream.Error{Kind: upstream.ErrRefused}
			}
			return live.NewSecret("auth_tokens/x"), nil
		})
	})
	if c := codeOf(t, d.ask("/v1/token", "", nil)); c != upstreamRefused {
		t.Fatalf("it gives %s", c)
	}
	fails = false
	d.grant(t, "/v1/token", "") // there is room for one
}

func TestALeaseIsItsCallersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, func(c *Config) { c.Authenticator = named{} })
		as := func(name string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("Authorization", name) }
		}
		a := d.read(t, d.ask("/v1/token", "", as("ada")))
		time.Sleep(10 * time.Minute)
		for _, path := range []string{"/v1/token/renew", "/v1/token/release"} {
			for _, other := range []string{"bob", ""} {
				if c := codeOf(t, d.ask(path, fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID), as(other))); c != leaseNotFound {
					t.Errorf("%s by %q gives %s", path, other, c)
				}
			}
		}
		if res := d.ask("/v1/token/renew", renewing(a, "renew"), as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("its caller gets %s", codeOf(t, res))
		}
	})
}

// named believes everybody.
type named struct{}

func (named) Authenticate(r *http.Request) (authn.Caller, error) {
	return authn.Caller{ID: r.Header.Get("Authorization")}, nil
}

func TestOneOfManyRenewalsAtOnceIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := mint(func(context.Context, upstream.Request) (live.Secret, error) {
			time.Sleep(time.Second)
			return live.NewSecret("auth_tokens/x"), nil
		})
		d := open(t, func(c *Config) { c.Minter, c.Logger = slow, nil })
		a := d.grant(t, "/v1/token", "")
		time.Sleep(9 * time.Minute)
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 20 {
			all.Go(func() {
				status := d.ask("/v1/token/renew", renewing(a, "renew"), nil).StatusCode
				mu.Lock()
				defer mu.Unlock()
				codes[status]++
			})
		}
		all.Wait()
		if codes[http.StatusOK] != 1 || codes[statusOf[tooEarly]] != 19 {
			t.Errorf("statuses are %v", codes)
		}
	})
}

func TestLeaseIDsAreLongAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newLeaseID().Reveal()
		if len(id) != 43 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestARequestIsLoggedOnceWithWhatOperatorsNeed(t *testing.T) {
	d := open(t, func(c *Config) { c.Authenticator = named{} })
	d.ask("/v1/token?access_token=CANARY", `{"clientReference":"visit-7"}`, func(r *http.Request) { r.Header.Set("Authorization", "ada") })
	for _, want := range []string{`"msg":"request"`, `"requestId":"`, `"method":"POST"`, `"route":"/v1/token"`, `"status":200`, `"caller":"ada"`, `"profile":"default"`, `"clientReference":"visit-7"`, `"microseconds":`} {
		if !strings.Contains(d.log.String(), want) {
			t.Errorf("log has no %s: %s", want, d.log)
		}
	}
	if strings.Count(d.log.String(), "\n") != 1 || strings.Contains(d.log.String(), "CANARY") {
		t.Errorf("log is %s", d.log)
	}
}

func TestAPanicInTheMiddleOfAnAnswerIsLogged(t *testing.T) {
	d := open(t, nil)
	h := Observe(d.slog(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("CANARY")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if log := d.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "panic with a value of type string") || strings.Contains(log, "CANARY") {
		t.Errorf("log is %s", log)
	}
}
