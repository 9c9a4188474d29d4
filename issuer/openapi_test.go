package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/openapitest"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

const document = "../docs/openapi.yaml"

// shownLease is the lease of which the document's requests speak.
const shownLease = "YWp3zN2bV0s8kq5dJr1mHt6xCf9uGe4iLoPaQyRwTvE"

// exchange is the world in which one happens: a service, a store, an issuer with
// nothing wrong that has given ada a lease, and the issuer that is asked.
type exchange struct {
	service emulator.Server
	store   store.Memory
	sound   desk
	asked   desk
	lease   grantAnswer
}

// A way is how an answer comes about, beyond the request that is shown with it.
type way struct {
	config func(*Config) // of the issuer that is asked
	before func(*exchange)
	change func(*http.Request)
}

// ripen makes the lease wait until it may be renewed.
func ripen(x *exchange) { x.service.Advance(time.Duration(x.lease.RenewAfter) * time.Second) }

func mintFails(kind error) func(*Config) {
	return func(c *Config) {
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			return live.Secret{}, &upstream.Error{Kind: kind}
		})
	}
}

func bounded(l profile.Limits) func(*Config) {
	return func(c *Config) {
		p, err := profile.New(profile.DefaultName, profile.Spec{Limits: l})
		if err != nil {
			panic(err)
		}
		c.Profiles = []profile.Profile{p}
	}
}

// cutRelease cuts the body of a release short, of which no whole one is refused.
func cutRelease(r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/release") {
		r.Body = io.NopCloser(strings.NewReader(`{"leaseId":`))
	}
}

var ways = map[string]way{
	openapitest.Usual:        {before: ripen},
	"invalid_request":        {change: cutRelease},
	"unknown_profile":        {},
	"lease_not_found":        {},
	"too_early":              {},
	"lease_ended":            {before: func(x *exchange) { x.sound.ask("/v1/token/release", `{"leaseId":"`+x.lease.LeaseID+`"}`, nil) }},
	"method_not_allowed":     {change: func(r *http.Request) { r.Method = http.MethodGet }},
	"unsupported_media_type": {change: func(r *http.Request) { typed("text/plain")(r); r.Body = io.NopCloser(strings.NewReader("{}")) }},
	"body_too_large":         {change: func(r *http.Request) { r.Body = io.NopCloser(endless{}) }},
	"host_not_allowed":       {change: fields("Host", "evil.example")},
	"origin_not_allowed":     {change: fields("Origin", "https://evil.example")},
	"proxied_anonymous":      {change: fields("X-Forwarded-For", "203.0.113.7")},
	"unauthenticated":        {config: func(c *Config) { c.Authenticator = says{authn.ErrNoCredential} }},
	"forbidden":              {config: func(c *Config) { c.Authenticator = says{authn.ErrForbidden} }},
	"internal":               {config: func(c *Config) { c.Authenticator = says{errors.New("out of order")} }},
	"store_unavailable":      {config: func(c *Config) { c.Store = lost{errors.New("no route")} }},
	"upstream_refused":       {config: mintFails(upstream.ErrRefused), before: ripen},
	"upstream_unavailable":   {config: mintFails(upstream.ErrUnavailable), before: ripen},
	"audit_unavailable": {config: func(c *Config) {
		c.Record = Record{TokenKey: tokenKey, Audit: audit.New(&disk{full: true}), Required: true}
	}, before: ripen},
	"for_a_user":       {config: func(c *Config) { c.Authenticator = adasServer{} }, before: ripen},
	"too_many_refused": {config: func(c *Config) { c.Limits.Refusals = limit.Rate{Count: 1, Per: time.Hour} }, before: func(x *exchange) { x.asked.ask("/v1/token", "{", nil) }},
	"budget_exhausted": {config: bounded(profile.Limits{MinutesPerDay: 1}), before: ripen},

	"authenticator_unavailable": {config: func(c *Config) { c.Authenticator = says{authn.ErrUnavailable} }},
	"revoked": {before: func(x *exchange) {
		ripen(x)
		x.store.Revoke(context.Background(), "ada")
	}},
	"too_many_leases": {config: bounded(profile.Limits{Concurrent: 1}), before: func(x *exchange) {
		x.sound.ask("/v1/token", "", nil)
		ripen(x)
	}},
	"rate_limited": {config: func(c *Config) { c.Limits.Global = limit.Rate{Count: 1, Per: time.Hour} }, before: func(x *exchange) {
		ripen(x)
		x.asked.ask("/v1/token", "", nil)
	}},
}

// adasServer is ada, who may name users.
type adasServer struct{}

func (adasServer) Authenticate(*http.Request) (authn.Caller, error) {
	return authn.Caller{ID: "ada", NamesUsers: true}, nil
}

func TestTheDocumentedExchangesHappen(t *testing.T) {
	for _, e := range openapitest.Read(t, document).Exchanges("token") {
		t.Run(e.String(), func(t *testing.T) {
			how, known := ways[e.Name]
			if !known {
				t.Fatal("no way is known to such an answer: add it")
			}
			var x exchange
			defer x.service.Close()
			ts := httptest.NewServer(&x.service)
			defer ts.Close()
			client, err := upstream.New(upstream.Config{APIKey: live.NewSecret("emulator"), BaseURL: ts.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()

			sound := func(c *Config) { c.Authenticator, c.Minter, c.Now, c.Store = ada{}, client, x.service.Now, &x.store }
			x.sound = open(t, sound)
			x.asked = open(t, func(c *Config) {
				if sound(c); how.config != nil {
					how.config(c)
				}
			})
			x.lease = x.sound.grant(t, "/v1/token", "")
			if how.before != nil {
				how.before(&x)
			}
			body := ""
			if e.Body != nil {
				text, err := json.Marshal(e.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = strings.ReplaceAll(string(text), shownLease, x.lease.LeaseID)
			}
			res := x.asked.ask(e.Path, body, how.change)
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			e.Check(t, res, text)
		})
	}
}

func TestTheDocumentedExchangesOfOperatorsHappen(t *testing.T) {
	for _, e := range openapitest.Read(t, document).Exchanges("admin") {
		t.Run(e.String(), func(t *testing.T) {
			var s store.Memory
			var access Access = &s
			record, change := Record{}, func(*http.Request) {}
			switch e.Name {
			case openapitest.Usual:
			case "unauthenticated":
				change = func(r *http.Request) { r.Header.Del("Authorization") }
			case "host_not_allowed", "origin_not_allowed", "proxied_anonymous":
				change = ways[e.Name].change
			case "invalid_request":
				change = func(r *http.Request) {
					r.URL.RawQuery = ""
					r.URL.Path = strings.Replace(r.URL.Path, "jwt:alice", "alice", 1)
				}
			case "store_unavailable":
				access = gone{}
			case "audit_unavailable":
				record = Record{Audit: audit.New(&disk{full: true}), Required: true}
			default:
				t.Fatal("no way is known to such an answer: add it")
			}
			now := time.Now().Truncate(time.Second).UTC()
			lease := store.Lease{Key: store.KeyOf(newLeaseID()), Caller: "jwt:alice", Profile: "default", End: now.Add(time.Hour), Expire: now.Add(time.Minute)}
			if _, err := s.Grant(t.Context(), store.Ask{Now: now, Lease: lease, Slots: store.Slots{Max: 1}}); err != nil {
				t.Fatal(err)
			}
			if err := s.Revoke(t.Context(), "key:shop"); err != nil {
				t.Fatal(err)
			}
			o := openOffice(t, access, func(c *AdminConfig) { c.Record = record })
			res := o.ask(e.Method, e.Path, change)
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			e.Check(t, res, text)
		})
	}
}

// Programs tell refusals apart by these.
func TestEveryCodeIsDocumentedWithItsStatus(t *testing.T) {
	d := openapitest.Read(t, document)
	shown := map[string]int{}
	for _, e := range d.Exchanges("token") {
		shown[e.Name] = e.Status
	}
	listed := d.Enum("components", "schemas", "Problem", "properties", "code")
	for c, status := range statusOf {
		if !slices.Contains(listed, string(c)) || shown[string(c)] != status {
			t.Errorf("%s with status %d: listed %v, shown with %d", c, status, listed, shown[string(c)])
		}
	}
	for _, c := range listed {
		if _, ours := statusOf[code(c)]; !ours {
			t.Errorf("%s is nowhere", c)
		}
	}
}
