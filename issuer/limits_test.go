package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// limited is an issuer that believes callers who they are, has a profile with these
// limits, and counts what is minted.
func limited(t *testing.T, l profile.Limits, change func(*Config)) (desk, *atomic.Int64) {
	t.Helper()
	var minted atomic.Int64
	return open(t, func(c *Config) {
		c.Authenticator = named{}
		c.Profiles = []profile.Profile{made(t, profile.Spec{Limits: l})}
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			return live.NewSecret(fmt.Sprintf("auth_tokens/%d", minted.Add(1))), nil
		})
		c.Logger = nil
		if change != nil {
			change(c)
		}
	}), &minted
}

func as(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", name) }
}

func at(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// refused checks a 429 with what it tells of waiting.
func refused(t *testing.T, res *http.Response, want code, retryAfter, policy, rateLimit string) {
	t.Helper()
	h := res.Header
	if c := codeOf(t, res); c != want || h.Get("Retry-After") != retryAfter || h.Get("RateLimit-Policy") != policy || h.Get("RateLimit") != rateLimit {
		t.Errorf("%s, Retry-After %q, RateLimit-Policy %q, RateLimit %q", c, h.Get("Retry-After"), h.Get("RateLimit-Policy"), h.Get("RateLimit"))
	}
}

func TestACallersRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, minted := limited(t, profile.Limits{PerCaller: limit.Rate{Count: 2, Per: time.Minute}, Concurrent: 100}, func(c *Config) {
			c.Limits.PerAddress = limit.Rate{Count: 60, Per: time.Minute}
		})
		first := d.ask("/v1/token", "", as("ada"))
		if got, want := first.Header.Get("RateLimit-Policy"), `"caller";q=2;w=60, "address";q=60;w=60`; got != want {
			t.Errorf("RateLimit-Policy is %s", got)
		}
		if got, want := first.Header.Get("RateLimit"), `"caller";r=1;t=30, "address";r=59;t=1`; got != want {
			t.Errorf("RateLimit is %s", got)
		}
		a := d.read(t, first)
		time.Sleep(9*time.Minute + 500*time.Millisecond)
		for n := range 2 { // a renewal costs what a token costs
			res := d.ask("/v1/token/renew", renewing(a, "refused"), as("ada"))
			if res.StatusCode != http.StatusOK {
				t.Fatal(codeOf(t, res))
			}
			if got, want := res.Header.Get("RateLimit"), fmt.Sprintf(`"caller";r=%d;t=30, "address";r=%d;t=1`, 1-n, 59-n); got != want {
				t.Errorf("RateLimit is %s, want %s", got, want)
			}
		}
		for _, path := range []string{"/v1/token", "/v1/token/renew"} {
			body := ""
			if path != "/v1/token" {
				body = renewing(a, "refused")
			}
			refused(t, d.ask(path, body, as("ada")), rateLimited, "30", `"caller";q=2;w=60`, `"caller";r=0;t=30`)
		}
		if res := d.ask("/v1/token", "", as("bob")); res.StatusCode != http.StatusOK {
			t.Errorf("another gets %s", codeOf(t, res))
		}
		time.Sleep(30 * time.Second)
		if res := d.ask("/v1/token/renew", renewing(a, "refused"), as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("after Retry-After it gives %s", codeOf(t, res))
		}
		if minted.Load() != 5 {
			t.Errorf("%d were minted", minted.Load())
		}
	})
}

func TestACallersLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, minted := limited(t, profile.Limits{PerCaller: plenty.PerCaller}, nil) // 3 at once
		var held []grantAnswer
		for range 3 {
			held = append(held, d.read(t, d.ask("/v1/token", "", as("ada"))))
			time.Sleep(time.Second)
		}
		tooMany := func(wait string) {
			t.Helper()
			refused(t, d.ask("/v1/token", "", as("ada")), tooManyLeases, wait, `"leases";q=3;qu="concurrent-requests"`, `"leases";r=0;t=`+wait)
		}
		tooMany("717")
		d.ask("/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, held[0].LeaseID), as("ada"))
		tooMany("717") // its token is still good

		// All three go on, over the time in which each has two tokens.
		time.Sleep(9 * time.Minute)
		for _, a := range held[1:] {
			if res := d.ask("/v1/token/renew", renewing(a, "renew"), as("ada")); res.StatusCode != http.StatusOK {
				t.Errorf("a renewal gives %s", codeOf(t, res))
			}
		}
		time.Sleep(3*time.Minute - 3*time.Second) // the first token expires: 4 are good
		tooMany("2")                              // and of them 2 must expire
		time.Sleep(2 * time.Second)
		if res := d.ask("/v1/token", "", as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("after Retry-After it gives %s", codeOf(t, res))
		}
		if minted.Load() != 6 {
			t.Errorf("%d were minted", minted.Load())
		}
	})
}

func TestACallersMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight UTC
		d, _ := limited(t, profile.Limits{PerCaller: plenty.PerCaller, Concurrent: 100, MinutesPerDay: 30}, nil)
		a := d.read(t, d.ask("/v1/token", "", as("ada"))) // 12
		time.Sleep(9 * time.Minute)
		if res := d.ask("/v1/token/renew", renewing(a, "renew"), as("ada")); res.StatusCode != http.StatusOK { // 9 more
			t.Fatal(codeOf(t, res))
		}
		refused(t, d.ask("/v1/token", "", as("ada")), budgetExhausted, "85860", ``, `"minutes";r=0;t=85860`)
		time.Sleep(9 * time.Minute)
		if res := d.ask("/v1/token/renew", renewing(a, "renew"), as("ada")); res.StatusCode != http.StatusOK { // 9: all
			t.Fatal(codeOf(t, res))
		}
		time.Sleep(9 * time.Minute)
		if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "renew"), as("ada"))); c != budgetExhausted {
			t.Errorf("it gives %s", c)
		}
		time.Sleep(24 * time.Hour)
		if res := d.ask("/v1/token", "", as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("the next day gives %s", codeOf(t, res))
		}
	})
}

func TestOfManyAtOnceAsManyGetATokenAsMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := limited(t, profile.Limits{PerCaller: plenty.PerCaller, Concurrent: 3}, func(c *Config) {
			c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
				time.Sleep(time.Second)
				return live.NewSecret("auth_tokens/x"), nil
			})
		})
		var got [600]atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { got[d.ask("/v1/token", "", as("ada")).StatusCode].Add(1) })
		}
		all.Wait()
		if got[http.StatusOK].Load() != 3 || got[http.StatusTooManyRequests].Load() != 47 {
			t.Errorf("%d got one, %d did not", got[http.StatusOK].Load(), got[http.StatusTooManyRequests].Load())
		}
	})
}

func TestAFarmOfBotsIsHeldByTheLimitForAll(t *testing.T) {
	for name, l := range map[string]Limits{
		"of the profile": {PerProfile: limit.Rate{Count: 100, Per: time.Minute}},
		"of all":         {Global: limit.Rate{Count: 100, Per: time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, minted := limited(t, profile.Limits{}, func(c *Config) { c.Authenticator, c.Limits = authn.Anonymous{}, l })
				a := d.grant(t, "/v1/token", "")
				for minute := range int64(10) {
					if minute > 0 {
						time.Sleep(time.Minute)
					}
					for n := range 1000 {
						d.ask("/v1/token", "", at(fmt.Sprintf("10.0.%d.%d:1234", n/250, n%250)))
					}
					if want := 80 * (minute + 1); minted.Load() != want { // the rest is for renewals
						t.Fatalf("%d were minted by minute %d, want %d", minted.Load(), minute, want)
					}
				}
				d.grant(t, "/v1/token/renew", renewing(a, "renew"))
			})
		})
	}
}

func TestAnAddressCountsForAllThatItsOwnerHas(t *testing.T) {
	proxy, err := authn.NewProxyHeader("X-Real-Ip", []string{"192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	header := func(peer, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = peer
			r.Header.Set("X-Real-Ip", value)
		}
	}
	for name, c := range map[string]struct {
		first, second func(*http.Request)
		want          code // "": it is another address
	}{
		"one address":                       {at("198.51.100.1:1"), at("198.51.100.1:2"), rateLimited},
		"two addresses":                     {at("198.51.100.1:1"), at("198.51.100.2:1"), ""},
		"two of one IPv6 network":           {at("[2001:db8::1]:1"), at("[2001:db8::ffff:1]:1"), rateLimited},
		"two IPv6 networks":                 {at("[2001:db8::1]:1"), at("[2001:db8:0:1::1]:1"), ""},
		"one in both forms":                 {at("198.51.100.1:1"), at("[::ffff:198.51.100.1]:1"), rateLimited},
		"one that the proxy tells twice":    {header("192.0.2.7:1", "198.51.100.1"), header("192.0.2.7:2", "198.51.100.1"), rateLimited},
		"two that the proxy tells":          {header("192.0.2.7:1", "198.51.100.1"), header("192.0.2.7:1", "198.51.100.2"), ""},
		"one that is told and one that is":  {header("192.0.2.7:1", "198.51.100.1"), at("198.51.100.1:1"), rateLimited},
		"one that somebody else tells":      {at("198.51.100.1:1"), header("198.51.100.1:1", "198.51.100.2"), forbidden},
		"one that is none":                  {at("198.51.100.1:1"), header("192.0.2.7:1", "unknown"), forbidden},
		"a list of them":                    {at("198.51.100.1:1"), header("192.0.2.7:1", "198.51.100.2, 198.51.100.3"), forbidden},
		"the proxy's own, if it tells none": {at("192.0.2.7:1"), at("192.0.2.7:2"), rateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, func(c *Config) {
				c.Guard, err = NewGuard(GuardConfig{Hosts: Loopback(), Proxied: true})
				c.Limits.PerAddress = limit.Rate{Count: 1, Per: time.Hour}
				c.Address = AddressFrom(proxy)
			})
			if res := d.ask("/v1/token", "", c.first); res.StatusCode != http.StatusOK {
				t.Fatal(codeOf(t, res))
			}
			res := d.ask("/v1/token", "", c.second)
			if c.want == "" && res.StatusCode != http.StatusOK || c.want != "" && codeOf(t, res) != c.want {
				t.Errorf("the second gets %d", res.StatusCode)
			}
		})
	}
}

func TestAFailedMintGivesBackAllButTheRate(t *testing.T) {
	fails := true
	d, _ := limited(t, profile.Limits{PerCaller: limit.Rate{Count: 4, Per: time.Hour}, Concurrent: 1, MinutesPerDay: 12}, func(c *Config) {
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			if fails {
				return live.Secret{}, &upstream.Error{Kind: upstream.ErrUnavailable}
			}
			return live.NewSecret("auth_tokens/x"), nil
		})
	})
	for range 3 {
		if c := codeOf(t, d.ask("/v1/token", "", as("ada"))); c != upstreamUnavailable {
			t.Fatal(c)
		}
	}
	fails = false
	if res := d.ask("/v1/token", "", as("ada")); res.StatusCode != http.StatusOK {
		t.Errorf("it gives %s", codeOf(t, res))
	}
	if c := codeOf(t, d.ask("/v1/token", "", as("ada"))); c != rateLimited {
		t.Errorf("it gives %s", c)
	}
}

func TestAClockThatIsSetBackStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off time.Duration
		d, _ := limited(t, profile.Limits{}, func(c *Config) {
			c.Now = func() time.Time { return time.Now().Add(off) }
			c.Limits = Limits{}
		})
		for range 3 { // each time by a clock that is further back
			for _, caller := range []string{"ada", "bob"} {
				if res := d.ask("/v1/token", "", as(caller)); res.StatusCode != http.StatusOK {
					t.Errorf("%s gets %s, Retry-After %s", caller, codeOf(t, res), res.Header.Get("Retry-After"))
				}
			}
			off -= 45 * time.Minute
		}
	})
}

// The service's clock is first 45 minutes ahead of this machine's, then right.
func TestTheServiceSetsTheClockBack(t *testing.T) {
	var ahead, right emulator.Server
	defer ahead.Close()
	defer right.Close()
	advance := httptest.NewRequest(http.MethodPost, "http://localhost/__emulator/clock", strings.NewReader(`{"advance":"45m"}`))
	advance.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if ahead.ServeHTTP(w, advance); w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	var service atomic.Pointer[emulator.Server]
	service.Store(&ahead)
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { service.Load().ServeHTTP(w, r) }))
	defer ts.Close()
	client, err := upstream.New(upstream.Config{APIKey: live.NewSecret("emulator-test"), BaseURL: ts.URL, SendKeyTo: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	d := open(t, func(c *Config) { c.Minter, c.Now, c.Limits = client, client.Now, Limits{} })
	for _, s := range []*emulator.Server{&ahead, &right, &right} { // who is right says so with the first token
		service.Store(s)
		d.grant(t, "/v1/token", "")
	}
	if off := time.Until(client.Now()).Abs(); off > 10*time.Second {
		t.Errorf("the clock is off by %v", off)
	}
}

// deaf is a store whose answers are lost.
type deaf struct{ *store.Memory }

func (d deaf) Grant(ctx context.Context, a store.Ask) (store.Standing, error) {
	_, _ = d.Memory.Grant(ctx, a)
	return store.Standing{}, errors.New("connection reset")
}

func TestWithoutTheStoresAnswerNothingIsMintedAndItCountsAsUsed(t *testing.T) {
	memory := &store.Memory{}
	silent, minted := limited(t, profile.Limits{Concurrent: 1}, func(c *Config) { c.Store = deaf{memory} })
	res := silent.ask("/v1/token", "", as("ada"))
	if c := codeOf(t, res); c != storeUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("it gives %s, %v", c, res.Header)
	}
	again, mintedAgain := limited(t, profile.Limits{Concurrent: 1}, func(c *Config) { c.Store = memory })
	if c := codeOf(t, again.ask("/v1/token", "", as("ada"))); c != tooManyLeases {
		t.Errorf("afterwards it gives %s", c)
	}
	if minted.Load()+mintedAgain.Load() != 0 {
		t.Error("something was minted")
	}
}

// leaving is a store whose askers go before it answers: meanwhile says what happens
// then.
type leaving struct {
	*store.Memory
	meanwhile func(context.Context, store.Ask)
}

func (l *leaving) Grant(ctx context.Context, a store.Ask) (store.Standing, error) {
	if l.meanwhile == nil {
		return l.Memory.Grant(ctx, a)
	}
	meanwhile := l.meanwhile
	l.meanwhile = nil
	meanwhile(ctx, a)
	return store.Standing{}, ctx.Err()
}

// departing asks as one who can go.
func departing() (change func(*http.Request), leave func()) {
	ctx, leave := context.WithCancel(context.Background())
	return func(r *http.Request) { *r = *r.WithContext(ctx) }, leave
}

func TestWhoGoesBeforeTheAnswerKeepsNoSlot(t *testing.T) {
	s := &leaving{Memory: &store.Memory{}}
	d, minted := limited(t, profile.Limits{Concurrent: 1, PerCaller: plenty.PerCaller}, func(c *Config) { c.Store = s })
	for range 3 { // reloads of a page
		client, leave := departing()
		s.meanwhile = func(ctx context.Context, a store.Ask) {
			if _, err := s.Memory.Grant(ctx, a); err != nil {
				t.Error(err)
			}
			leave()
		}
		if c := codeOf(t, d.ask("/v1/token", "", client)); c != storeUnavailable {
			t.Errorf("it gives %s", c)
		}
	}
	if minted.Load() != 0 {
		t.Error("something was minted")
	}
	d.grant(t, "/v1/token", "")
}

// Of two renewals at once the one that came to nothing must not take back the other's.
func TestWhoGoesBeforeTheAnswerUndoesNobodysRenewal(t *testing.T) {
	s := &leaving{Memory: &store.Memory{}}
	d, minted := limited(t, profile.Limits{Concurrent: 1, PerCaller: plenty.PerCaller}, func(c *Config) { c.Store = s })
	a := d.grant(t, "/v1/token", "")
	client, leave := departing()
	s.meanwhile = func(context.Context, store.Ask) {
		d.grant(t, "/v1/token/renew", renewing(a, "refused"))
		leave()
	}
	d.ask("/v1/token/renew", renewing(a, "refused"), client)
	if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != tooManyLeases || minted.Load() != 2 {
		t.Errorf("with two tokens that are good it gives %s; %d were minted", c, minted.Load())
	}
}

func TestAPeerWithoutAnAddressIsAnError(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.RemoteAddr = "@"
	if _, err := Peer(r); err == nil || !strings.Contains(err.Error(), "peer") {
		t.Errorf("%v", err)
	}
}
