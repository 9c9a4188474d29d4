package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// shown are the metrics that are ours, as Prometheus gets them.
func (m *metrics) shown() string {
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func (m *metrics) check(t *testing.T, lines ...string) {
	t.Helper()
	shown := m.shown()
	for _, want := range lines {
		if !strings.Contains(shown, "\n"+want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(shown)
	}
}

func TestTokensAreCountedUntilTheyExpire(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m := newMetrics(func() time.Time { return now })
	give := func(leash time.Duration) {
		m.decided(audit.Entry{Decision: audit.Granted, Profile: "default", Expires: now.Add(leash)})
	}
	for range 1000 {
		give(time.Minute)
		now = now.Add(100 * time.Millisecond)
	}
	// Those of the last minute, but for the second that is just over.
	m.check(t, "livevalet_lease_slots 590", `livevalet_decisions_total{code="",decision="granted",profile="default"} 1000`)
	if held := len(m.unexpired.at); held != 59 {
		t.Errorf("%d numbers are held", held)
	}
	m.decided(audit.Entry{Decision: audit.Refused, Code: "rate_limited"})
	now = now.Add(58 * time.Second)
	m.check(t, "livevalet_lease_slots 10")
	now = now.Add(time.Second)
	m.check(t, "livevalet_lease_slots 0", `livevalet_decisions_total{code="rate_limited",decision="refused",profile=""} 1`)
}

// minter is a Minter with one answer.
type minter struct{ err error }

func (m minter) Mint(context.Context, upstream.Request) (live.Secret, error) {
	return live.Secret{}, m.err
}

func TestMintsAreTimedByTheirResult(t *testing.T) {
	m := newMetrics(time.Now)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx context.Context
		err error
	}{
		{t.Context(), nil},
		{t.Context(), &upstream.Error{Kind: upstream.ErrRefused}},
		{t.Context(), &upstream.Error{Kind: upstream.ErrMisdated}},
		{t.Context(), &upstream.Error{Kind: upstream.ErrUnavailable}},
		{gone, context.Canceled},
	} {
		if _, err := m.timed(minter{c.err}).Mint(c.ctx, upstream.Request{}); !errors.Is(err, c.err) {
			t.Errorf("%v becomes %v", c.err, err)
		}
	}
	m.check(t,
		`livevalet_upstream_seconds_count{result="ok"} 1`, `livevalet_upstream_seconds_count{result="refused"} 2`,
		`livevalet_upstream_seconds_count{result="unavailable"} 1`, `livevalet_upstream_seconds_count{result="given_up"} 1`)
}

func TestFailuresOfTheStoreAreCountedAndDecisionsAreNot(t *testing.T) {
	m := newMetrics(time.Now)
	file, err := store.OpenSQLite(t.Context(), t.TempDir()+"/state.db")
	if err != nil {
		t.Fatal(err)
	}
	s := m.watched(file)
	key := store.KeyOf(live.NewSecret("x"))
	all := func() {
		_, _ = s.Grant(t.Context(), store.Ask{Now: time.Now(), Lease: store.Lease{Key: key, Caller: "ada"}, Was: &store.Lease{}})
		_ = s.Undo(t.Context(), store.Ask{})
		_, _ = s.Load(t.Context(), key)
		_ = s.Release(t.Context(), key)
		_ = s.Revoke(t.Context(), "")
		_ = s.Unrevoke(t.Context(), "ada")
		_, _ = s.Revoked(t.Context(), "ada")
		_, _ = s.Leases(t.Context(), "ada")
	}
	all() // of a lease that is not there
	if shown := m.shown(); strings.Contains(shown, "livevalet_store_errors_total{") {
		t.Errorf("a decision counts as a failure:\n%s", shown)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all()
	for _, operation := range []string{"grant", "undo", "load", "release", "unrevoke", "revoked", "leases"} {
		m.check(t, `livevalet_store_errors_total{operation="`+operation+`"} 1`)
	}
}
