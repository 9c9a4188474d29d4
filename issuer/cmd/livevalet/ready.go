package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/livevalet/livevalet/issuer"
)

const (
	readyFor  = time.Second     // how long an answer holds: anybody may ask
	readySoon = 2 * time.Second // how long a dependency may take
)

// need is something without which there are no tokens.
type need struct {
	name  string // as /readyz tells it
	check func(context.Context) error
	some  bool // callers get tokens without it, those that need it apart
}

// readiness looks at what is needed. Its methods may be called from anywhere.
type readiness struct {
	log   *slog.Logger
	needs []need

	mu      sync.Mutex
	looked  time.Time
	failing []string
	unready bool // one of them is needed by all
}

// missing names what does not work, as of a moment ago, and says whether anybody gets
// tokens. Why, the log tells when it changes.
func (r *readiness) missing(ctx context.Context) (failing []string, unready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < readyFor {
		return r.failing, r.unready
	}
	// The answer is for others, too, who do not leave when this one does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readySoon)
	defer cancel()
	errs := make([]error, len(r.needs))
	var all sync.WaitGroup // at once, or a slow one would take the others' time
	for i, n := range r.needs {
		all.Go(func() { errs[i] = n.check(ctx) })
	}
	all.Wait()
	for i, n := range r.needs {
		if err := errs[i]; err != nil {
			failing = append(failing, n.name)
			unready = unready || !n.some
			if !slices.Contains(r.failing, n.name) {
				r.log.Error("a dependency fails", "dependency", n.name, "error", err)
			}
		}
	}
	if len(failing) == 0 && len(r.failing) > 0 {
		r.log.Info("all dependencies work again")
	}
	r.looked, r.failing, r.unready = time.Now(), failing, unready
	return failing, unready
}

// ready answers /readyz.
func (s *routes) ready(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status  string   `json:"status"`
		Failing []string `json:"failing,omitempty"`
	}{Status: "ready"}
	unready := false
	if s.readiness != nil {
		answer.Failing, unready = s.readiness.missing(r.Context())
	}
	switch {
	case s.stopping.Load():
		answer.Status = "stopping"
	case unready:
		answer.Status = "unready"
	default:
		issuer.WriteJSON(w, http.StatusOK, "application/json", answer)
		return
	}
	w.Header().Set("Retry-After", "5")
	issuer.WriteJSON(w, http.StatusServiceUnavailable, "application/json", answer)
}
