package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// lookAtKey is how often a key file is read. A change is believed when it is
// seen twice, because the first look may find half of it.
const lookAtKey = time.Second

// tend asks the service for its time and follows the key's file, if the key is
// from one, until stop is called.
func (s service) tend(ctx context.Context, p *program, key live.Secret, from string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.client.ReadClock(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("cannot ask the token service for its time", "service", s.name, "error", err)
		}
	})
	if strings.HasSuffix(from, fileSuffix) {
		all.Go(func() {
			followKey(ctx, p.log, from, p.getenv(from), key, func(key live.Secret) error {
				err := s.client.SetKey(key)
				if err == nil {
					announce(p.log, key, from, s.name)
				}
				return err
			})
		})
	}
	return func() { cancel(); all.Wait() }
}

// followKey hands each new key of a file to use, until ctx ends. Whatever is
// wrong with one, the old one stays, and that is said once.
func followKey(ctx context.Context, log *slog.Logger, variable, name string, held live.Secret, use func(live.Secret) error) {
	type look struct{ key, trouble string }
	settled := look{key: held.Reveal()}
	last := settled
	ticker := time.NewTicker(lookAtKey)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		key, err := readKey(variable, name)
		now := look{key: key.Reveal()}
		if err != nil {
			now.trouble = err.Error()
		}
		if now == settled || now != last {
			last = now
			continue
		}
		settled = now
		if err == nil {
			err = use(key)
		}
		if err != nil {
			log.Error("the API key is still the one of before", "variable", variable, "error", err)
		}
	}
}
