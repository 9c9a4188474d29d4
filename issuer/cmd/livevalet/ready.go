package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	readyFor  = time.Second     // how long an answer holds: anybody may ask
	readySoon = 2 * time.Second // how long a dependency may take
)

// need is something without which there are no tokens.
type need struct {
	name  string // as /readyz tells it
	check func(context.Context) error
}

// readiness looks at what is needed. Its methods may be called from anywhere.
type readiness struct {
	log   *slog.Logger
	needs []need

	mu      sync.Mutex
	looked  time.Time
	failing []string
}

// missing names what does not work, as of a moment ago. Why, the log tells when
// it changes.
func (r *readiness) missing(ctx context.Context) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < readyFor {
		return r.failing
	}
	// The answer is for others, too, who do not leave when this one does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readySoon)
	defer cancel()
	var failing []string
	for _, n := range r.needs {
		if err := n.check(ctx); err != nil {
			failing = append(failing, n.name)
			if !slices.Contains(r.failing, n.name) {
				r.log.Error("is not ready", "dependency", n.name, "error", err)
			}
		}
	}
	if len(failing) == 0 && len(r.failing) > 0 {
		r.log.Info("is ready again")
	}
	r.looked, r.failing = time.Now(), failing
	return failing
}

// ready answers /readyz.
func (s *routes) ready(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status  string   `json:"status"`
		Failing []string `json:"failing,omitempty"`
	}{Status: "ready"}
	if s.readiness != nil {
		answer.Failing = s.readiness.missing(r.Context())
	}
	switch {
	case s.stopping.Load():
		answer.Status = "stopping"
	case len(answer.Failing) > 0:
		answer.Status = "unready"
	default:
		writeJSON(w, http.StatusOK, answer)
		return
	}
	w.Header().Set("Retry-After", "5")
	writeJSON(w, http.StatusServiceUnavailable, answer)
}
