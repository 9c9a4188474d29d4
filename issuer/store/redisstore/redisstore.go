// Package redisstore keeps leases, limits and revocations in one Redis, for many
// issuers that share them.
package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Store is a Redis of version 7 or newer. Its methods may be called from
// anywhere.
type Store struct {
	client *redis.Client
}

// Open connects to the Redis at a URL: redis://user:password@host:6379/0,
// rediss:// for TLS, whose certificate is checked against the system's
// authorities, or unix:///path/of/socket?db=0. It fails if there is none or it is
// too old. No error holds the password. The caller closes the store.
func Open(ctx context.Context, address string) (*Store, error) {
	o, err := options(address)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	s := &Store{client: redis.NewClient(o)}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := supported(ctx, s.client); err != nil {
		s.client.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.client.Close() }
