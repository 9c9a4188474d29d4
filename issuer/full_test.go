package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

func resuming(a grantAnswer, handle string) string {
	return fmt.Sprintf(`{"leaseId":%q,"reason":"refused","handle":%q}`, a.LeaseID, handle)
}

func made(t *testing.T, s profile.Spec) profile.Profile {
	t.Helper()
	p, err := profile.New("default", s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asked is a Minter that keeps what it was asked for.
type asked struct{ requests []upstream.Request }

func (a *asked) Mint(_ context.Context, r upstream.Request) (live.Secret, error) {
	a.requests = append(a.requests, r)
	return live.NewSecret(fmt.Sprintf("auth_tokens/%d", len(a.requests))), nil
}

func TestAFullLockGetsATokenForEachConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var minted asked
		d := open(t, func(c *Config) {
			c.Profiles, c.Minter = []profile.Profile{made(t, profile.Spec{Lock: profile.Full, Limits: plenty})}, &minted
		})
		a := d.grant(t, "/v1/token", "")
		if a.Lock != "full" || a.Allow != nil {
			t.Errorf("lock %s, allow %v", a.Lock, a.Allow)
		}
		// Lines are cut at any time, more often than a token is renewed.
		for n := range 10 {
			time.Sleep(5 * time.Second)
			handle := fmt.Sprintf("CANARY-%d", n)
			a = d.grant(t, "/v1/token/renew", resuming(a, handle))
			resumption, _ := minted.requests[n+1].Setup["sessionResumption"].(map[string]any)
			if resumption["handle"] != handle || minted.requests[n+1].FieldMask != "" {
				t.Errorf("renewal %d is minted with %v", n, minted.requests[n+1])
			}
		}
		// Without a handle a token starts a session, so they stay few.
		for range profile.EarlyRenewals {
			d.grant(t, "/v1/token/renew", renewing(a, "refused"))
		}
		if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != tooEarly {
			t.Errorf("one start too many gives %s", c)
		}
		// The newest token lives to the lease's end, and the line is cut once more.
		time.Sleep(58 * time.Minute)
		a = d.grant(t, "/v1/token/renew", resuming(a, "CANARY-last"))
		time.Sleep(20 * time.Second)
		a = d.grant(t, "/v1/token/renew", resuming(a, "CANARY-last"))
		if a.ExpiresIn > 60 {
			t.Errorf("the last token lives %d s", a.ExpiresIn)
		}
		time.Sleep(time.Minute)
		if c := codeOf(t, d.ask("/v1/token/renew", resuming(a, "CANARY-last"), nil)); c != leaseEnded {
			t.Errorf("after the lease's end it gives %s", c)
		}
		if strings.Contains(d.log.String(), "CANARY") {
			t.Errorf("the log holds a handle: %s", d.log)
		}
	})
}

func TestAHandleIsRefused(t *testing.T) {
	full := func(c *Config) {
		c.Profiles = []profile.Profile{made(t, profile.Spec{Lock: profile.Full, Limits: plenty})}
	}
	d := open(t, full)
	first, second := d.grant(t, "/v1/token", ""), d.grant(t, "/v1/token", "")
	d.grant(t, "/v1/token/renew", resuming(first, "h1"))
	d.grant(t, "/v1/token/renew", resuming(first, "h1"))
	for name, c := range map[string]struct {
		body string
		want code
	}{
		"of another lease":          {resuming(second, "h1"), forbidden},
		"longer than any":           {resuming(second, strings.Repeat("x", maxHandle+1)), invalidRequest},
		"of a lease that is not":    {resuming(grantAnswer{LeaseID: "x"}, "h2"), leaseNotFound},
		"of the wrong kind of JSON": {`{"leaseId":"x","handle":7}`, invalidRequest},
	} {
		if got := codeOf(t, d.ask("/v1/token/renew", c.body, nil)); got != c.want {
			t.Errorf("a handle %s gives %s", name, got)
		}
	}
	masked := open(t, nil)
	if c := codeOf(t, masked.ask("/v1/token/renew", resuming(masked.grant(t, "/v1/token", ""), "h1"), nil)); c != invalidRequest {
		t.Errorf("a handle under a masked lock gives %s", c)
	}
}

func TestStoresKnowHandlesByTheirKeyedHash(t *testing.T) {
	one, other := &issuer{Config: Config{HandleKey: []byte("a")}}, &issuer{Config: Config{HandleKey: []byte("b")}}
	h := live.NewSecret("h1")
	if one.handleHash(h) != one.handleHash(live.NewSecret("h1")) || one.handleHash(h) == other.handleHash(h) || one.handleHash(h) == one.handleHash(live.NewSecret("h2")) {
		t.Error("the hash does not depend on handle and key alone")
	}
}

func TestWhatACallerChoseHoldsForTheWholeLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var minted asked
		one := 1.0
		d := open(t, func(c *Config) {
			c.Minter = &minted
			c.Profiles = []profile.Profile{made(t, profile.Spec{Allow: []profile.Allowance{{Path: "generationConfig.temperature", Max: &one}}})}
		})
		a := d.grant(t, "/v1/token", `{"overrides":{"generationConfig.temperature":0.5}}`)
		time.Sleep(10 * time.Minute)
		d.grant(t, "/v1/token/renew", renewing(a, "renew"))
		for n, r := range minted.requests {
			if g, _ := r.Setup["generationConfig"].(map[string]any); g["temperature"] != 0.5 {
				t.Errorf("token %d is minted with %v", n, r.Setup)
			}
		}
		for _, body := range []string{`{"overrides":{"generationConfig.temperature":1.5}}`, `{"overrides":{"tools":[]}}`, `{"overrides":[]}`} {
			if c := codeOf(t, d.ask("/v1/token", body, nil)); c != invalidRequest || len(minted.requests) != 2 {
				t.Errorf("%s gives %s", body, c)
			}
		}
	})
}

func TestALeaseWhoseOverridesAreNoLongerAllowedEnds(t *testing.T) {
	var leases store.Memory
	one := 1.0
	before := open(t, func(c *Config) {
		c.Store = &leases
		c.Profiles = []profile.Profile{made(t, profile.Spec{Allow: []profile.Allowance{{Path: "generationConfig.temperature", Max: &one}}})}
	})
	a := before.grant(t, "/v1/token", `{"overrides":{"generationConfig.temperature":0.5}}`)
	after := open(t, func(c *Config) { c.Store = &leases })
	if c := codeOf(t, after.ask("/v1/token/renew", renewing(a, "refused"), nil)); c != leaseEnded {
		t.Errorf("it gives %s", c)
	}
}

// claimed knows everybody, by the groups in a header.
type claimed struct{}

func (claimed) Authenticate(r *http.Request) (authn.Caller, error) {
	return authn.Caller{ID: "ada", Claims: map[string]any{"groups": []any{r.Header.Get("X-Groups")}}}, nil
}

func TestAProfileIsForThoseWithItsClaims(t *testing.T) {
	d := open(t, func(c *Config) {
		c.Authenticator = claimed{}
		c.Profiles = []profile.Profile{made(t, profile.Spec{Who: map[string][]any{"groups": {"voice"}}})}
	})
	as := func(group string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Groups", group) }
	}
	if c := codeOf(t, d.ask("/v1/token", "", as("staff"))); c != forbidden {
		t.Errorf("without the claim it gives %s", c)
	}
	a := d.read(t, d.ask("/v1/token", "", as("voice")))
	// A claim that was taken away is missed at the next renewal.
	if c := codeOf(t, d.ask("/v1/token/renew", renewing(a, "refused"), as("staff"))); c != forbidden {
		t.Errorf("without the claim a renewal gives %s", c)
	}
	if res := d.ask("/v1/token/renew", renewing(a, "refused"), as("voice")); res.StatusCode != http.StatusOK {
		t.Errorf("with the claim a renewal gives %s", codeOf(t, res))
	}
	anybody := open(t, func(c *Config) {
		c.Profiles = []profile.Profile{made(t, profile.Spec{Who: map[string][]any{"groups": {"voice"}}})}
	})
	if c := codeOf(t, anybody.ask("/v1/token", "", nil)); c != forbidden {
		t.Errorf("an anonymous caller gets %s", c)
	}
}

func TestAnswersNameTheLock(t *testing.T) {
	for name, c := range map[string]struct {
		spec profile.Spec
		want string
	}{
		"masked": {profile.Spec{}, "masked []"},
		"allow":  {profile.Spec{Allow: []profile.Allowance{{Path: "tools"}, {Path: "generationConfig.topK"}}}, "masked [generationConfig.topK tools]"},
		"none":   {profile.Spec{Lock: profile.None}, "none []"},
		"full":   {profile.Spec{Lock: profile.Full, Limits: plenty}, "full []"},
	} {
		a := open(t, func(c2 *Config) { c2.Profiles = []profile.Profile{made(t, c.spec)} }).grant(t, "/v1/token", "")
		if got := fmt.Sprint(a.Lock, " ", a.Allow); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// strict is a Minter that takes none of these paths.
func strict(refuses ...string) mint {
	return func(_ context.Context, r upstream.Request) (live.Secret, error) {
		for _, path := range refuses {
			if strings.Contains(","+r.FieldMask+",", ","+path+",") {
				return live.Secret{}, &upstream.Error{Kind: upstream.ErrRefused, HTTP: http.StatusBadRequest}
			}
		}
		return live.NewSecret("auth_tokens/x"), nil
	}
}

func TestATrialNamesTheRefusedPaths(t *testing.T) {
	bad := &upstream.Error{Kind: upstream.ErrRefused, HTTP: http.StatusBadRequest}
	down := &upstream.Error{Kind: upstream.ErrUnavailable, HTTP: http.StatusServiceUnavailable}
	always := func(err error) mint {
		return func(context.Context, upstream.Request) (live.Secret, error) { return live.Secret{}, err }
	}
	together := mint(func(_ context.Context, r upstream.Request) (live.Secret, error) {
		if strings.Count(r.FieldMask, ",") > 3 {
			return live.Secret{}, bad
		}
		return live.NewSecret("auth_tokens/x"), nil
	})
	misdated := 0
	for name, c := range map[string]struct {
		minter mint
		want   string
		kind   error
	}{
		"nothing refused":        {strict(), "", nil},
		"two paths refused":      {strict("tools", "labels"), "refuses the mask path tools, labels:", upstream.ErrRefused},
		"many paths refused":     {together, "though each path", upstream.ErrRefused},
		"anything refused":       {always(bad), "mint with profile", upstream.ErrRefused},
		"a service that is down": {always(down), "mint with profile", upstream.ErrUnavailable},
		"a clock that moved": {func(context.Context, upstream.Request) (live.Secret, error) {
			if misdated++; misdated == 1 {
				return live.Secret{}, &upstream.Error{Kind: upstream.ErrMisdated, HTTP: http.StatusBadRequest}
			}
			return live.NewSecret("auth_tokens/x"), nil
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := Try(t.Context(), c.minter, profile.Default(), time.Now)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("it says %v", err)
			}
		})
	}
}
