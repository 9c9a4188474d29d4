package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9/logging"

	"github.com/livevalet/livevalet/issuer/store/redisstore"
)

// isRedis reports whether the store is one that issuers share.
func (s storeName) isRedis() bool {
	scheme, _, _ := strings.Cut(string(s), ":")
	return scheme == "redis" || scheme == "rediss" || scheme == "unix"
}

// openRedis opens a Redis. One that can forget who was revoked is refused unless
// volatile says that this is accepted.
func openRedis(ctx context.Context, p *program, address string, volatile bool) (*redisstore.Store, error) {
	logging.Disable() // what the client logs as bare text, it returns as well
	s, err := redisstore.Open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	warning, err := s.Durable(ctx)
	switch {
	case err != nil && !volatile:
		s.Close()
		return nil, fmt.Errorf("store: redis: %w, or accept it with --volatile-store", err)
	case err != nil:
		p.log.Warn("the store may forget who was revoked", "reason", err.Error())
	case warning != "":
		p.log.Warn("the store is durable but for one case", "reason", warning)
	}
	return s, nil
}
