// Package redisstore keeps what issuers must not forget in one Redis that many
// of them share. What each method means says store.Memory.
//
// A decision is one script, so it is taken whole or not at all, whoever races.
// Rates are counted by Redis's clock, which all issuers share; what is dated, a
// lease or a token, by the asker's. All keys but the
// revocations, and what keys handles, expire.
package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
)

// Store is a Redis of version 7 or newer. Its methods may be called from
// anywhere.
type Store struct {
	client *redis.Client

	// askersClock counts the rates by Ask.Now, too, so that tests need not wait.
	askersClock bool
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

// prefix begins every key. What is in braces has a cluster keep all of them in
// one place: a decision looks at limits of callers and of all together.
const prefix = "livevalet:{all}:"

const (
	revocations = prefix + "revoked"
	handleKey   = prefix + "handle-key"
)

func leaseKey(id string) string       { return prefix + "lease:" + id }
func callerKey(caller string) string  { return prefix + "caller:" + caller }
func slotsKey(s store.Slots) string   { return prefix + "slots:" + s.Key }
func budgetKey(b store.Budget) string { return prefix + "budget:" + b.Key }

// Grant decides about a token: see [store.Ask].
func (s *Store) Grant(ctx context.Context, a store.Ask) (store.Standing, error) {
	granted := a.Granted()
	in := grantNumbers{
		Now: a.Now.UnixMicro(), Was: none, Version: granted.Version, Released: number(granted.Released),
		Expire: granted.Expire.UnixMicro(), Handle: a.Handle != store.Key{}, MaxHandles: store.MaxHandles,
		TurnedBack: limit.TurnedBack.Microseconds(), Rates: []rateNumbers{}, Slots: max(a.Slots.Max, 1),
		Budget: a.Budget.Max.Microseconds(), Cost: cost(a.Budget), Ends: a.Budget.Ends.UnixMicro(),
		KeepLease:  lifetime(a.Now, granted.End.Add(store.KeepLease)),
		KeepHandle: lifetime(a.Now, granted.End.Add(store.KeepHandle)),
		KeepSlot:   lifetime(a.Now, granted.Expire),
		KeepBudget: lifetime(a.Now, a.Budget.Ends),
	}
	if a.Was != nil {
		in.Was = a.Was.Version
	}
	if s.askersClock {
		in.Clock = in.Now
	}
	id := idOf(granted.Key)
	keys := []string{
		revocations, leaseKey(id), callerKey(granted.Caller), prefix + "handle:" + idOf(a.Handle), prefix + "handles:" + id,
		slotsKey(a.Slots), budgetKey(a.Budget),
	}
	for _, r := range a.Rates {
		keys = append(keys, prefix+"rate:"+r.Key)
		in.Rates = append(in.Rates, rateNumbers{r.Interval().Microseconds(), r.Window().Microseconds(), r.Spare})
	}
	answer, err := s.run(ctx, grantScript, keys, in, granted.Caller, id, body(granted), a.Server).Slice()
	if err != nil {
		return store.Standing{}, wrap(err)
	}
	return standing(answer, granted)
}

// Undo takes back an Ask that was granted but led to no token: its lease is as it
// was, unless it was changed since, and slot and budget are given back.
func (s *Store) Undo(ctx context.Context, a store.Ask) error {
	granted, undone := a.Granted(), store.Lease{}
	in := undoNumbers{Granted: granted.Version, Undone: none, Cost: cost(a.Budget)}
	if a.Was != nil {
		undone = a.Undone()
		in.Undone, in.Released = undone.Version, number(undone.Released)
		in.KeepLease = lifetime(a.Now, undone.End.Add(store.KeepLease))
	}
	id := idOf(granted.Key)
	keys := []string{leaseKey(id), callerKey(granted.Caller), slotsKey(a.Slots), budgetKey(a.Budget)}
	return wrap(s.run(ctx, undoScript, keys, in, id, body(undone)).Err())
}

// Load finds a lease, ended or not, or says ErrNotFound.
func (s *Store) Load(ctx context.Context, k store.Key) (store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fields, err := s.client.HMGet(ctx, leaseKey(idOf(k)), leaseFields...).Result()
	if err != nil {
		return store.Lease{}, wrap(err)
	}
	return readLease(idOf(k), fields)
}

// Release ends a lease. It says ErrNotFound if there is none.
func (s *Store) Release(ctx context.Context, k store.Key) error {
	there, err := s.run(ctx, releaseScript, []string{leaseKey(idOf(k))}, struct{}{}).Bool()
	if err == nil && !there {
		return store.ErrNotFound
	}
	return wrap(err)
}

// Leases are those of a caller that are kept, in the order in which they end.
func (s *Store) Leases(ctx context.Context, caller string) ([]store.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ids, err := s.client.ZRange(ctx, callerKey(caller), 0, -1).Result()
	if err != nil {
		return nil, wrap(err)
	}
	var list []store.Lease
	for some := range slices.Chunk(ids, 1000) {
		var found []*redis.SliceCmd
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range some {
				found = append(found, p.HMGet(ctx, leaseKey(id), leaseFields...))
			}
			return nil
		})
		if err != nil {
			return nil, wrap(err)
		}
		for n, id := range some {
			switch l, err := readLease(id, found[n].Val()); {
			case err == nil && l.Caller == caller:
				list = append(list, l)
			case err != nil && !errors.Is(err, store.ErrNotFound): // it may have expired meanwhile
				return nil, err
			}
		}
	}
	slices.SortFunc(list, func(a, b store.Lease) int {
		return cmp.Or(a.End.Compare(b.End), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return list, nil
}

// Revoke lets a caller have no more tokens, until Unrevoke. It may be said twice.
func (s *Store) Revoke(ctx context.Context, caller string) error {
	if caller == "" {
		return store.ErrAnonymous
	}
	return wrap(s.run(ctx, revokeScript, []string{revocations}, struct{}{}, caller).Err())
}

// Unrevoke takes a revocation back. What the caller has used of limits stays used.
func (s *Store) Unrevoke(ctx context.Context, caller string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return wrap(s.client.SRem(ctx, revocations, caller).Err())
}

// Revoked reports whether a caller's access was revoked.
func (s *Store) Revoked(ctx context.Context, caller string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	revoked, err := s.client.SIsMember(ctx, revocations, caller).Result()
	return revoked, wrap(err)
}

// Revocations are the callers whose access was revoked, in the order of their names:
// those after that name, at most so many. A set has no order, so it is read whole.
func (s *Store) Revocations(ctx context.Context, after string, most int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := s.client.SMembers(ctx, revocations).Result()
	if err != nil {
		return nil, wrap(err)
	}
	list := slices.DeleteFunc(all, func(caller string) bool { return caller <= after })
	slices.Sort(list)
	return list[:min(most, len(list))], nil
}

// HandleKey is what keys the hashes of handles: 32 random bytes, drawn by the first
// that asks.
func (s *Store) HandleKey(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Read first, because a Redis whose memory is full takes no other command.
	key, err := s.client.Get(ctx, handleKey).Bytes()
	if !errors.Is(err, redis.Nil) {
		return key, wrap(err)
	}
	drawn := make([]byte, 32)
	rand.Read(drawn)
	key, err = s.client.SetArgs(ctx, handleKey, drawn, redis.SetArgs{Mode: "NX", Get: true}).Bytes()
	if errors.Is(err, redis.Nil) {
		return drawn, nil
	}
	return key, wrap(err)
}

// Ready says why the store could not decide now. It writes, as deciding does: a
// Redis that is a replica or whose disk is full still answers reads.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return wrap(s.client.Set(ctx, prefix+"ready", "", time.Minute).Err())
}

// wrap says what went wrong in the store's words.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "OOM"):
		return fmt.Errorf("%w: redis: %w", store.ErrFull, err)
	default:
		return fmt.Errorf("redis: %w", err)
	}
}
