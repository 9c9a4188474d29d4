package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/profile"
)

// lookAtFile is how often the configuration is looked at. A change is believed
// when it is seen twice, because the first look may find half of it.
const lookAtFile = 2 * time.Second

// tokens is an issuer whose profiles and limits can be replaced while it serves.
// Requests under way keep those that they began with; leases go on under the new ones.
type tokens struct {
	config  issuer.Config // but for profiles and limits
	current atomic.Pointer[http.Handler]
}

// newTokens is an issuer that cannot be asked before use. What its leases go by
// outlives a change of profiles, of the API key, and of the process, as the store does.
func newTokens(ctx context.Context, c issuer.Config, held keeper) (*tokens, error) {
	key, err := held.HandleKey(ctx)
	if err != nil {
		return nil, err
	}
	c.Store, c.HandleKey = held, key
	return &tokens{config: c}, nil
}

func (t *tokens) use(profiles []profile.Profile, limits issuer.Limits) error {
	c := t.config
	c.Profiles, c.Limits = profiles, limits
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

// follow reads profiles and limits anew when the file changes or SIGHUP comes, until
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
				err = t.use(profiles, read.Limits.limits())
			}
			if err != nil {
				p.log.Error("profiles and limits are still those of before", "error", err)
				return
			}
			warn(p.log, profiles)
			p.log.Info("uses new profiles and limits", "file", c.Config, "profiles", len(profiles))
			if keys := f.changedSince(read); len(keys) > 0 {
				p.log.Warn("what has changed beside profiles and limits needs a restart", "file", c.Config, "keys", keys)
			}
		})
	})
	return func() {
		signal.Stop(hangUp)
		cancel()
		following.Wait()
	}
}

// changedSince names the keys that are not as they were, but for those that are
// read anew. A key is what is written there, comments included.
func (f *file) changedSince(read *file) (keys []string) {
	before, after := f.written(), read.written()
	for key := range before {
		if _, there := after[key]; !there {
			after[key] = ""
		}
	}
	for key, text := range after {
		if text != before[key] && key != "profiles" && key != "limits" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// written is the text of the file, by its keys.
func (f *file) written() map[string]string {
	text := map[string]string{}
	if root, ok := f.root.(ast.MapNode); ok {
		for pair := root.MapRange(); pair.Next(); {
			text[pair.Key().GetToken().Value] = pair.KeyValue().String()
		}
	}
	return text
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
