package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/store/redisstore"
	"github.com/livevalet/livevalet/issuer/store/storetest"
	"github.com/livevalet/livevalet/scripts/redistest"
)

// client talks to a server as no store does.
func client(t testing.TB, server *redistest.Server) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// emptied is a place in a Redis that is emptied each time.
func emptied(t testing.TB, server *redistest.Server) storetest.Place {
	admin := client(t, server)
	return func(t testing.TB) func() storetest.Store {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return func() storetest.Store {
			s := open(t, server.URL())
			s.UseAskersClock()
			return s
		}
	}
}

func TestRedisIsAStore(t *testing.T) { storetest.Test(t, emptied(t, redistest.Start(t))) }

func BenchmarkOfOneCaller(b *testing.B) { storetest.Benchmark(b, emptied(b, redistest.Start(b))) }

// everything is an Ask that has all that one may have, for a lease that was.
func everything(was *store.Lease) store.Ask {
	a := storetest.New(1)
	if was != nil {
		a = storetest.Renew(*was, storetest.Noon)
	}
	a.Handle = store.Key{1}
	a.Rates = []store.Rate{{Key: "ada", Rate: limit.Rate{Count: 10, Per: time.Hour}}, {Key: "all", Rate: limit.Rate{Count: 10, Per: time.Hour}}}
	return a
}

func grant(t *testing.T, s *redisstore.Store, a store.Ask) store.Standing {
	t.Helper()
	standing, err := s.Grant(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return standing
}

// must are steps of which none may fail.
func must(t *testing.T, steps ...error) {
	t.Helper()
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
}

func TestAUserNeedsNoMoreThanTheDocumentedRights(t *testing.T) {
	server := redistest.Start(t, aUser)
	s := open(t, as(t, server, "voice"))
	lease := grant(t, s, everything(nil)).Lease
	renewal := everything(&lease)
	grant(t, s, renewal)
	must(t, s.Undo(t.Context(), renewal), s.Release(t.Context(), lease.Key), s.Revoke(t.Context(), "ada"), s.Unrevoke(t.Context(), "ada"), s.Ready(t.Context()))
	if _, err := s.Revoked(t.Context(), "ada"); err != nil {
		t.Error(err)
	}
	if _, err := s.HandleKey(t.Context()); err != nil {
		t.Error(err)
	}
	if list, err := s.Leases(t.Context(), "ada"); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAllButRevocationsAndTheHandleKeyExpires(t *testing.T) {
	server := redistest.Start(t)
	s, c := open(t, server.URL()), client(t, server)
	lease := grant(t, s, everything(nil)).Lease
	renewal := everything(&lease)
	grant(t, s, renewal)
	must(t, s.Undo(t.Context(), renewal), s.Release(t.Context(), lease.Key), s.Revoke(t.Context(), "eve"), s.Ready(t.Context()))
	if _, err := s.HandleKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 11 {
		t.Errorf("the keys are %q", keys)
	}
	for _, key := range keys {
		life, err := c.TTL(t.Context(), key).Result()
		forever := strings.HasSuffix(key, ":revoked") || strings.HasSuffix(key, ":handle-key")
		if err != nil || (life < 0) != forever || life > 13*time.Hour {
			t.Errorf("%s is kept for %v, %v", key, life, err)
		}
		if !strings.HasPrefix(key, "livevalet:{all}:") {
			t.Errorf("%s is not in the place of the others", key)
		}
	}
}

func TestRatesGoByTheClockThatAllShare(t *testing.T) {
	s := open(t, redistest.Start(t).URL())
	for n, off := range []time.Duration{0, -30 * time.Hour, 30 * time.Hour} {
		a := storetest.New(n)
		a.Now = a.Now.Add(off)
		a.Rates = []store.Rate{{Key: "all", Rate: limit.Rate{Count: 2, Per: 24 * time.Hour}}}
		_, err := s.Grant(t.Context(), a)
		limited, ok := errors.AsType[*store.Limited](err)
		if n < 2 && err != nil || n == 2 && (!ok || limited.Limit != store.ByRate || limited.Wait > 12*time.Hour) {
			t.Errorf("token %d by a clock that is %v off: %v", n, off, err)
		}
	}
	for n := range 2 {
		a := storetest.New(10 + n)
		a.Rates = []store.Rate{{Key: "fast", Rate: limit.Rate{Count: 1, Per: time.Millisecond}}}
		grant(t, s, a)
		time.Sleep(5 * time.Millisecond) // for Redis, whatever the askers say
	}
}

func TestAKilledRedisForgetsNothing(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL())
	a := everything(nil)
	a.Slots.Max = 1
	grant(t, s, a)
	must(t, s.Revoke(t.Context(), "eve"))
	eve, second := storetest.New(2), storetest.New(3)
	eve.Lease.Caller, second.Slots.Max = "eve", 1
	for range 2 { // the second time, it read what it wrote about itself
		server.Kill()
		if err := s.Ready(t.Context()); err == nil {
			t.Error("it is ready while there is no Redis")
		}
		var limited *store.Limited
		if _, err := s.Grant(t.Context(), second); err == nil || errors.As(err, &limited) || errors.Is(err, store.ErrRevoked) {
			t.Errorf("without a Redis it decides: %v", err)
		}
		server.Restart()
		must(t, s.Ready(t.Context()))
		if _, err := s.Grant(t.Context(), eve); !errors.Is(err, store.ErrRevoked) {
			t.Errorf("who was revoked: %v", err)
		}
		if _, err := s.Grant(t.Context(), second); !errors.As(err, &limited) || limited.Limit != store.BySlots {
			t.Errorf("a slot too many: %v", err)
		}
		if got, err := s.Load(t.Context(), a.Lease.Key); err != nil || got != a.Granted() {
			t.Errorf("the lease is %+v, %v", got, err)
		}
	}
}

func TestAFrozenRedisIsNotWaitedForLong(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL())
	grant(t, s, storetest.New(0)) // so that Redis knows the script
	server.Freeze()
	_, err := s.Grant(t.Context(), storetest.New(1))
	server.Thaw()
	if err == nil {
		t.Error("a frozen Redis decides")
	}
	// It took the question all the same, and that counts.
	if _, err := s.Grant(t.Context(), storetest.New(1)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("asked again: %v", err)
	}
}

func TestAFullRedisStillTakesAccessAway(t *testing.T) {
	server := redistest.Start(t, "maxmemory-policy noeviction")
	s, c := open(t, server.URL()), client(t, server)
	a, b := everything(nil), storetest.New(2)
	grant(t, s, a)
	must(t, c.ConfigSet(t.Context(), "maxmemory", "1").Err())
	if _, err := s.Grant(t.Context(), b); !errors.Is(err, store.ErrFull) {
		t.Errorf("a lease too many: %v", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("ready: %v", err)
	}
	must(t, s.Release(t.Context(), a.Lease.Key), s.Undo(t.Context(), a), s.Revoke(t.Context(), "ada"))
	must(t, c.ConfigSet(t.Context(), "maxmemory", "0").Err())
	if _, err := s.Grant(t.Context(), b); !errors.Is(err, store.ErrRevoked) {
		t.Errorf("who was revoked: %v", err)
	}
}

// A cluster refuses a script whose keys are in several of its slots.
func TestAClusterTakesAllKeysOfADecision(t *testing.T) {
	server := redistest.Start(t, "cluster-enabled yes")
	s, c := open(t, server.URL()), client(t, server)
	must(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	for end := time.Now().Add(20 * time.Second); s.Ready(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the cluster is never there")
		}
	}
	lease := grant(t, s, everything(nil)).Lease
	var renewal store.Ask
	for n := range store.MaxHandles + 1 { // so that one is dropped
		renewal = everything(&lease)
		renewal.Handle, renewal.Rates[0].Count, renewal.Rates[1].Count = store.Key{byte(2 + n)}, 100, 100
		lease = grant(t, s, renewal).Lease
	}
	must(t, s.Undo(t.Context(), renewal))
}

func TestAReplicaIsNotReady(t *testing.T) {
	s := open(t, redistest.Start(t, "replicaof 127.0.0.1 1").URL())
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("it says %v", err)
	}
}
