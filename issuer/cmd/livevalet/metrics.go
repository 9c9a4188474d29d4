package main

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// metrics are what Prometheus may scrape. Labels have few values, whatever
// callers send: decisions and codes are ours, profiles the configuration's.
type metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	mints     *prometheus.HistogramVec
	failures  *prometheus.CounterVec
	untraced  prometheus.Counter
	now       func() time.Time // by which tokens expire
	unexpired unexpired
}

// newMetrics begins at 0. Now is the time by which tokens are dated.
func newMetrics(now func() time.Time) *metrics {
	m := &metrics{
		now:      now,
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "livevalet_decisions_total",
			Help: "Decisions about tokens, by what was decided, the error code and the profile.",
		}, []string{"decision", "code", "profile"}),
		mints: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "livevalet_upstream_seconds",
			Help:    "How long the token service took for one token, all attempts together, by result.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 11), // to 10 s, the mint's time-out
		}, []string{"result"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "livevalet_store_errors_total",
			Help: "Operations that the store did not do because it is full or out of order.",
		}, []string{"operation"}),
		untraced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "livevalet_untraced_refusals_total",
			Help: "Requests answered 429 without a line in audit or log, because too many of the same address or user were refused.",
		}),
	}
	tokens := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "livevalet_lease_slots",
		Help: "Tokens of this process that have not expired: each takes a slot of those that its caller's leases have.",
	}, func() float64 { return float64(m.unexpired.count(m.now())) })
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "livevalet_build_info", Help: "1, by version."}, []string{"version", "go"})
	build.WithLabelValues(ownVersion(), runtime.Version()).Set(1)
	m.registry.MustRegister(m.decisions, m.mints, m.failures, m.untraced, tokens, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// decided counts a decision.
func (m *metrics) decided(e audit.Entry) {
	m.decisions.WithLabelValues(string(e.Decision), e.Code, e.Profile).Inc()
	if !e.Expires.IsZero() {
		m.unexpired.add(m.now(), e.Expires)
	}
}

// timed is a Minter whose time is taken.
func (m *metrics) timed(next issuer.Minter) issuer.Minter { return timed{next, m.mints} }

type timed struct {
	next  issuer.Minter
	mints *prometheus.HistogramVec
}

// Mint implements issuer.Minter.
func (t timed) Mint(ctx context.Context, r upstream.Request) (live.Secret, error) {
	begin := time.Now()
	token, err := t.next.Mint(ctx, r)
	t.mints.WithLabelValues(result(ctx, err)).Observe(time.Since(begin).Seconds())
	return token, err
}

func result(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case ctx.Err() != nil:
		return "given_up" // by the caller
	case errors.Is(err, upstream.ErrRefused):
		return "refused"
	default:
		return "unavailable"
	}
}

// watched is a store whose failures are counted.
func (m *metrics) watched(next keeper) keeper { return watched{next, m.failures} }

type watched struct {
	keeper
	failures *prometheus.CounterVec
}

// note counts an error that is no decision.
func (w watched) note(operation string, err error) error {
	for _, decision := range []error{nil, store.ErrNotFound, store.ErrConflict, store.ErrRevoked, store.ErrHandle, store.ErrAnonymous} {
		if errors.Is(err, decision) {
			return err
		}
	}
	if _, limited := errors.AsType[*store.Limited](err); !limited {
		w.failures.WithLabelValues(operation).Inc()
	}
	return err
}

// Grant implements issuer.Store, as the three that follow do.
func (w watched) Grant(ctx context.Context, a store.Ask) (store.Standing, error) {
	s, err := w.keeper.Grant(ctx, a)
	return s, w.note("grant", err)
}

func (w watched) Undo(ctx context.Context, a store.Ask) error {
	return w.note("undo", w.keeper.Undo(ctx, a))
}

func (w watched) Load(ctx context.Context, k store.Key) (store.Lease, error) {
	l, err := w.keeper.Load(ctx, k)
	return l, w.note("load", err)
}

func (w watched) Release(ctx context.Context, k store.Key) error {
	return w.note("release", w.keeper.Release(ctx, k))
}

// Revoke implements issuer.Access, as the four that follow do.
func (w watched) Revoke(ctx context.Context, caller string) error {
	return w.note("revoke", w.keeper.Revoke(ctx, caller))
}

func (w watched) Unrevoke(ctx context.Context, caller string) error {
	return w.note("unrevoke", w.keeper.Unrevoke(ctx, caller))
}

func (w watched) Revoked(ctx context.Context, caller string) (bool, error) {
	revoked, err := w.keeper.Revoked(ctx, caller)
	return revoked, w.note("revoked", err)
}

func (w watched) Revocations(ctx context.Context, after string, most int) ([]string, error) {
	list, err := w.keeper.Revocations(ctx, after, most)
	return list, w.note("revocations", err)
}

func (w watched) Leases(ctx context.Context, caller string) ([]store.Lease, error) {
	list, err := w.keeper.Leases(ctx, caller)
	return list, w.note("leases", err)
}
