package main

import (
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/livevalet/livevalet/issuer"
)

// routes is everything that is served on one listener. What is nil is not there.
type routes struct {
	log      *slog.Logger
	guard    *issuer.Guard
	token    http.Handler // guards and logs itself
	site     http.Handler
	emulator http.Handler
	upstream string // what /version says

	readiness *readiness // what /readyz says; nil: nothing is needed
	stopping  atomic.Bool
}

func (s *routes) handler() http.Handler {
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		issuer.WriteJSON(w, http.StatusOK, "application/json", status{"ok"})
	})
	open.HandleFunc("GET /readyz", s.ready)
	open.HandleFunc("GET /version", s.version)
	if s.site != nil {
		open.Handle("/", s.site)
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.guard.Wrap(open))
	if s.token != nil {
		mux.Handle("/v1/token", s.token)
		mux.Handle("/v1/token/", s.token)
		mux.Handle("/api/token", s.token)
	}
	handler := http.Handler(mux)
	if s.emulator != nil {
		mux.Handle("/__emulator/", s.guard.WrapControl(s.emulator))
		mux.Handle("GET /__emulator/{$}", s.guard.Wrap(s.emulator)) // its page, empty by itself, to which others may link
		mux.Handle("/v1alpha/", s.guard.Wrap(s.emulator))
		mux.Handle("/v1beta/", s.guard.Wrap(s.emulator))
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isSocket(r.URL.Path) {
				s.emulator.ServeHTTP(w, r)
				return
			}
			mux.ServeHTTP(w, r)
		})
	}
	// Outermost, so that no answer is without a request id, no-store unless it
	// says otherwise, and a line in the log; not even a mux's own.
	return issuer.Observe(s.log, s.guard.Host(handler))
}

// isSocket reports whether a path is one of the emulated Live socket, which any
// origin may open. A mux cannot tell: it redirects //ws/, which two of Google's
// SDKs ask for, and that breaks their WebSocket.
func isSocket(path string) bool {
	return strings.HasPrefix("/"+strings.TrimLeft(path, "/"), "/ws/")
}

type status struct {
	Status string `json:"status"`
}

func (s *routes) version(w http.ResponseWriter, _ *http.Request) {
	issuer.WriteJSON(w, http.StatusOK, "application/json", struct {
		Version  string `json:"version"`
		Commit   string `json:"commit,omitempty"`
		Go       string `json:"go"`
		Upstream string `json:"upstream"`
		Emulator bool   `json:"emulator"` // its control endpoints are here
	}{ownVersion(), commit(), runtime.Version(), s.upstream, s.emulator != nil})
}

// version is set by the build.
var version string

func ownVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// commit is what the toolchain noted, if it did.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
