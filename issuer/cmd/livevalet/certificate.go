package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookAgain is how often a certificate's files are looked at, at most.
const lookAgain = time.Second

// certificate is a pair of files that may be replaced while they are served. The
// handshakes look for a change: between two of them nobody needs to know.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate // the newest that was good
	seen   [2]fs.FileInfo   // what was last read, good or not
	looked time.Time
}

// readCertificate reads a pair that must be good.
func readCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	_, err := c.refresh()
	return c, err
}

// config serves the pair, and whatever replaces it.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

// current is the newest pair that is good. Of a bad one the log tells once.
func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch changed, err := c.refresh(); {
	case err != nil:
		c.log.Error("keeps the old certificate: the new one is no good", "error", err)
	case changed:
		c.log.Info("serves a new certificate", "expires", c.pair.Leaf.NotAfter)
	}
	return c.pair
}

// refresh reads the files if they have changed.
func (c *certificate) refresh() (changed bool, err error) {
	now := time.Now()
	if now.Sub(c.looked) < lookAgain {
		return false, nil
	}
	c.looked = now
	seen := [2]fs.FileInfo{}
	for n, name := range []string{c.cert, c.key} {
		seen[n], _ = os.Stat(name) // reading says what is wrong
	}
	if c.pair != nil && unchanged(seen[0], c.seen[0]) && unchanged(seen[1], c.seen[1]) {
		return false, nil
	}
	c.seen = seen // before it is read, so that a change meanwhile is found later
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return false, fmt.Errorf("tls: %w", err)
	}
	c.pair = &pair
	return true, nil
}

// unchanged reports whether a file is as it was, or still not there.
func unchanged(a, b fs.FileInfo) bool { return a == nil && b == nil || same(a, b) }
