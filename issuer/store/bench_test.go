package store_test

import (
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/store/storetest"
)

func BenchmarkMemoryOfOneCaller(b *testing.B) {
	storetest.Benchmark(b, func(testing.TB) func() storetest.Store {
		return func() storetest.Store { return &store.Memory{Max: 1 << 24} }
	})
}

func BenchmarkSQLiteOfOneCaller(b *testing.B) {
	storetest.Benchmark(b, func(b testing.TB) func() storetest.Store {
		return func() storetest.Store { return openSQLite(b, filepath.Join(b.TempDir(), "state.db")) }
	})
}

// A grant as the issuer asks for it, of 100,000 callers, 32 at a time on each core.
func BenchmarkGrant(b *testing.B) {
	var count atomic.Int64 // over all runs, as is the time
	for name, s := range map[string]storetest.Store{
		"memory": &store.Memory{Max: 1 << 24},
		"sqlite": openSQLite(b, filepath.Join(b.TempDir(), "state.db")),
	} {
		b.Run(name, func(b *testing.B) {
			plenty := limit.Rate{Count: 1_000_000, Per: time.Second}
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := int(count.Add(1))
					caller := strconv.Itoa(n % 100_000)
					a := leaseFor(n, storetest.Noon.Add(time.Duration(n)*100*time.Microsecond))
					a.Slots.Key, a.Slots.Max, a.Budget.Key = caller, 1<<20, caller
					a.Rates = []store.Rate{{Key: "caller/" + caller, Rate: plenty}, {Key: "address/" + caller, Rate: plenty}, {Key: "profile", Rate: plenty}, {Key: "all", Rate: plenty}}
					if _, err := s.Grant(b.Context(), a); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
