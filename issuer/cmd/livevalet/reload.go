package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/wasm/live"
)

// lookAtFile is how often the configuration is looked at. A change is believed
// when it is seen twice, because the first look may find half of it.
const lookAtFile = 2 * time.Second

// tokens is an issuer whose profiles can be replaced while it serves. Requests
// under way keep those that they began with; leases go on under the new ones.
type tokens struct {
	config  issuer.Config // but for the profiles
	current atomic.Pointer[http.Handler]
}

// newTokens is an issuer without profiles. What its leases go by outlives a change
// of them, and a restart: handles belong to the project of the API key, so what they
// are hashed with comes from that.
func newTokens(c issuer.Config, apiKey live.Secret) *tokens {
	of := sha256.Sum256([]byte("resumption handles of " + apiKey.Reveal()))
	c.HandleKey = of[:]
	return &tokens{config: c}
}

func (t *tokens) use(profiles []profile.Profile) error {
	c := t.config
	c.Profiles = profiles
	h, err := issuer.New(c)
	if err == nil {
		t.current.Store(&h)
	}
	return err
}

// ServeHTTP implements http.Handler.
func (t *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*t.current.Load()).ServeHTTP(w, r)
}

// follow reads the profiles anew when the file changes or SIGHUP comes, until
// stop is called. What is wrong leaves those of before in use.
func (c *serveCommand) follow(ctx context.Context, p *program, s service, f *file, t *tokens) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	var following sync.WaitGroup
	following.Go(func() {
		followFile(ctx, c.Config, f.seen, hangUp, func() {
			read, profiles, err := c.load(p.getenv)
			if err == nil {
				profiles, err = s.tried(ctx, p.log, profiles, false)
			}
			if err == nil {
				err = t.use(profiles)
			}
			if err != nil {
				p.log.Error("the profiles are still those of before", "error", err)
				return
			}
			warn(p.log, profiles)
			p.log.Info("uses new profiles", "file", c.Config, "profiles", len(profiles))
			if f.otherKeys() != read.otherKeys() {
				p.log.Warn("only profiles are read anew: start again for what else has changed", "file", c.Config)
			}
		})
	})
	return func() {
		signal.Stop(hangUp)
		cancel()
		following.Wait()
	}
}

// otherKeys is what the file says beside its profiles.
func (f *file) otherKeys() string {
	var text strings.Builder
	if root, ok := f.root.(ast.MapNode); ok {
		for pair := root.MapRange(); pair.Next(); {
			if pair.Key().GetToken().Value != "profiles" {
				fmt.Fprintln(&text, pair.KeyValue())
			}
		}
	}
	return text.String()
}

// followFile calls changed, from one goroutine, after each change of a file since
// it was seen, and each signal, until ctx ends. A file that is gone has not
// changed.
func followFile(ctx context.Context, name string, seen os.FileInfo, signals <-chan os.Signal, changed func()) {
	look := func() os.FileInfo {
		info, _ := os.Stat(name)
		return info
	}
	settled, last := seen, seen
	ticker := time.NewTicker(lookAtFile)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			settled = look()
			changed()
		case <-ticker.C:
			now := look()
			if now != nil && !same(now, settled) && same(now, last) {
				settled = now
				changed()
			}
			last = now
		}
	}
}

// same reports whether a file is as it was.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
