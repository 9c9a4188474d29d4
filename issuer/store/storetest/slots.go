package storetest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/issuer/store"
)

// counted compares slots with a plain list of when they are free, of which every
// one is looked at each time. Tokens expire in any order, several at once, and
// bounds change.
func counted(t *testing.T, place Place) {
	rapid.Check(t, func(rt *rapid.T) {
		s, now := place(t)(), Noon
		defer s.Close()
		var taken []store.Ask
		for n := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "seconds")) * time.Second)
			taken = slices.DeleteFunc(taken, func(a store.Ask) bool { return !a.Lease.Expire.After(now) })
			if len(taken) > 0 && rapid.IntRange(0, 4).Draw(rt, "step") == 0 {
				which := rapid.IntRange(0, len(taken)-1).Draw(rt, "which")
				must(t, s.Undo(t.Context(), taken[which]))
				taken = slices.Delete(taken, which, which+1)
				continue
			}
			a := New(n)
			a.Now, a.Lease.Expire = now, now.Add(time.Duration(rapid.IntRange(1, 200).Draw(rt, "life"))*time.Second)
			a.Slots.Max = rapid.IntRange(1, 30).Draw(rt, "max")
			var want error
			if over := len(taken) - a.Slots.Max; over >= 0 {
				slices.SortFunc(taken, func(a, b store.Ask) int { return a.Lease.Expire.Compare(b.Lease.Expire) })
				want = &store.Limited{Limit: store.BySlots, Wait: taken[over].Lease.Expire.Sub(now)}
			}
			got, err := s.Grant(t.Context(), a)
			if !equalErrors(err, want) {
				rt.Fatalf("%v instead of %v, of %d taken", err, want, len(taken))
			}
			if err != nil {
				continue
			}
			taken = append(taken, a)
			if free := a.Slots.Max - len(taken); got.Slots != free {
				rt.Fatalf("%d are free instead of %d", got.Slots, free)
			}
		}
	})
}

// Benchmark measures decisions about a caller who holds few tokens, and about one
// who holds many, as a server does that asks for all its users: one expires when
// one is given. Neither may take longer for that.
func Benchmark(b *testing.B, place Place) {
	for _, live := range []struct {
		name string
		n    int
	}{{"5 live", 5}, {"5000 live", 5000}} {
		s := place(b)()
		next := 0
		ask := func() store.Ask {
			a := New(next)
			a.Now = Noon.Add(time.Duration(next) * time.Millisecond)
			a.Lease.Expire = a.Now.Add(time.Duration(live.n) * time.Millisecond)
			a.Lease.End = a.Lease.Expire
			a.Slots.Max, a.Budget.Max = live.n, store.MaxBudget
			return a
		}
		for ; next < live.n; next++ {
			grant(b, s, ask())
		}
		b.Run("granted, "+live.name, func(b *testing.B) {
			for b.Loop() {
				grant(b, s, ask())
				next++
			}
		})
		b.Run("refused, "+live.name, func(b *testing.B) {
			a := ask()
			a.Now = a.Now.Add(-time.Microsecond) // before one expires
			for b.Loop() {
				if _, err := s.Grant(b.Context(), a); err == nil {
					b.Fatal("granted")
				}
			}
		})
	}
}
