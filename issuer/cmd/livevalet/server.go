package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// drain bounds a graceful stop.
	drain = 5 * time.Second

	// The server's time-outs. Writing is bounded by the slowest thing there is:
	// the module over a slow line. They do not bind WebSockets.
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// server is one listener and what it serves.
type server struct {
	listener net.Listener
	handler  http.Handler
	tls      *tls.Config // nil: plain text
	stop     func()      // called when the stop begins; ends what Shutdown does not know of

	// begin is called when requests are taken, before the ready line. Nil is nothing.
	begin func(context.Context)

	// notice is how long requests are still taken after that, so that whoever
	// sends them can learn from /readyz to send them elsewhere.
	notice time.Duration
}

// httpServer bounds what a client may take of us.
func (p *program) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
}

// strictTransport has browsers come back over TLS alone, for a year. Of other names in
// the same domain it says nothing: they are not ours.
func strictTransport(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		next.ServeHTTP(w, r)
	})
}

// serve prints the ready line and serves until ctx ends, then stops, after the
// notice within the bound: requests may end, sockets are closed.
func (p *program) serve(ctx context.Context, s server) error {
	h := p.httpServer(s.handler)
	h.TLSConfig = s.tls
	failed := make(chan error, 1)
	go func() {
		if s.tls != nil {
			failed <- h.ServeTLS(s.listener, "", "")
		} else {
			failed <- h.Serve(s.listener)
		}
	}()
	if s.begin != nil {
		s.begin(ctx)
	}
	p.log.Info("serves", "address", s.listener.Addr().String())
	if _, err := fmt.Fprintf(p.stdout, "livevalet: ready %s\n", browserURL(s.listener, s.tls != nil)); err != nil {
		p.log.Warn("nobody reads the ready line")
	}

	select {
	case err := <-failed:
		s.stop()
		return err
	case <-ctx.Done():
	}
	p.log.Info("stops")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	time.Sleep(s.notice)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := h.Shutdown(bounded); err != nil {
		h.Close()
		p.log.Warn("cut the requests that did not end in time")
	}
	<-failed
	select {
	case <-stopped:
	case <-bounded.Done():
		p.log.Warn("left sockets behind that did not close in time")
	}
	return nil
}
