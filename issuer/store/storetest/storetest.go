// Package storetest says what a store of the issuer must do, as tests for every
// kind there is.
package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
)

// Store is everything that a store can do. store.Memory says what it means.
type Store interface {
	Grant(context.Context, store.Ask) (store.Standing, error)
	Undo(context.Context, store.Ask) error
	Load(context.Context, store.Key) (store.Lease, error)
	Release(context.Context, store.Key) error
	Leases(ctx context.Context, caller string) ([]store.Lease, error)
	Revoke(ctx context.Context, caller string) error
	Unrevoke(ctx context.Context, caller string) error
	Revoked(ctx context.Context, caller string) (bool, error)
	Revocations(ctx context.Context, after string, most int) ([]string, error)
	HandleKey(context.Context) ([]byte, error)
	Ready(context.Context) error
	Close() error
}

// Place makes an empty place to keep things in, and returns what opens it: each
// time as another process would, if the kind of store can be shared. What is
// opened is closed by the test's cleanup, where Close may come a second time.
type Place func(testing.TB) (open func() Store)

// Test runs the suite. What time it is says each Ask, so nothing is waited for;
// a store that drops things by a clock of its own must not do so early, when they
// are good for a minute or more.
func Test(t *testing.T, place Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"a lease lives":                              life,
		"a lease is changed from what it was":        changes,
		"times are kept to the microsecond":          precision,
		"a rate is charged per token":                rates,
		"what is spared of a rate is for others":     spared,
		"slots are taken until the token expires":    slots,
		"many slots are counted as in a plain list":  counted,
		"a budget is spent to the last second":       budgets,
		"a refusal costs nothing":                    refusals,
		"the first thing that is wrong is told":      order,
		"what was undone did not happen":             undone,
		"an undo undoes its own token alone":         undoneAlone,
		"a released lease keeps its slot":            released,
		"a handle belongs to one lease":              handles,
		"the newest handles of a lease are kept":     newestHandles,
		"handles have one key":                       handleKey,
		"a revoked caller gets nothing":              revoked,
		"leases are listed by caller":                listed,
		"another process sees the same":              shared,
		"many at once overshoot nothing":             races,
		"of many renewals at once one is granted":    renewals,
		"nothing is granted after a revocation":      revokedMeanwhile,
		"what was given up is not called done":       givenUp,
		"any sequence does what it does in memory":   same,
		"a clock that is turned back blocks nothing": backwards,
	} {
		t.Run(name, func(t *testing.T) { test(t, place) })
	}
}

// Noon is when the tests begin: to a whole second, as leases are dated.
var Noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) time.Time { return Noon.Add(d) }

func keyOf(n int) (k store.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n)+1)
	return k
}

// New is an Ask for lease n at Noon that nothing refuses in an empty store.
func New(n int) store.Ask {
	return store.Ask{
		Now: Noon,
		Lease: store.Lease{
			Key: keyOf(n), Caller: "ada", Profile: "default", Overrides: `{"model":"gemini-3.8-live"}`,
			End: in(time.Hour), Expire: in(12 * time.Minute), RenewAfter: in(9 * time.Minute),
		},
		Slots:  store.Slots{Key: "slots/ada", Max: 1000},
		Budget: store.Budget{Key: "budget/ada/2026-11-21", Ends: in(12 * time.Hour), Max: 1000 * time.Hour, Cost: 12 * time.Minute},
	}
}

// Renew is an Ask for the next token of a lease, later, that nothing refuses.
func Renew(was store.Lease, now time.Time) store.Ask {
	a := New(0)
	a.Now, a.Was, a.Lease = now, &was, was
	a.Lease.Expire, a.Lease.RenewAfter = now.Add(12*time.Minute), now.Add(9*time.Minute)
	return a
}

func grant(t testing.TB, s Store, a store.Ask) store.Standing {
	t.Helper()
	st, err := s.Grant(t.Context(), a)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return st
}

func refuse(t testing.TB, s Store, a store.Ask, want error) {
	t.Helper()
	if _, err := s.Grant(t.Context(), a); !errors.Is(err, want) {
		t.Fatalf("%v instead of %v", err, want)
	}
}

func limited(t testing.TB, s Store, a store.Ask, want store.Limited) {
	t.Helper()
	_, err := s.Grant(t.Context(), a)
	if got, ok := errors.AsType[*store.Limited](err); !ok || *got != want {
		t.Fatalf("%v instead of %v", err, &want)
	}
}

func load(t testing.TB, s Store, n int) store.Lease {
	t.Helper()
	l, err := s.Load(t.Context(), keyOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func life(t *testing.T, place Place) {
	s := place(t)()
	must(t, s.Ready(t.Context()))
	if _, err := s.Load(t.Context(), keyOf(1)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	first := grant(t, s, New(1))
	if want := New(1).Lease; first.Lease != want || load(t, s, 1) != want {
		t.Errorf("granted %+v, kept %+v", first.Lease, load(t, s, 1))
	}
	a := Renew(first.Lease, in(9*time.Minute))
	a.Lease.Early = 2
	want := a.Lease
	want.Version = 1
	if next := grant(t, s, a); next.Lease != want || load(t, s, 1) != want {
		t.Errorf("renewed %+v, kept %+v", next.Lease, load(t, s, 1))
	}
	must(t, s.Release(t.Context(), keyOf(1)))
	want.Released, want.Version = true, 2
	if got := load(t, s, 1); got != want {
		t.Errorf("released %+v", got)
	}
	must(t, s.Release(t.Context(), keyOf(1)))
	if got := load(t, s, 1); got != want {
		t.Errorf("released again %+v", got)
	}
	if err := s.Release(t.Context(), keyOf(2)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another: %v", err)
	}
}

func changes(t *testing.T, place Place) {
	s := place(t)()
	refuse(t, s, Renew(New(1).Lease, Noon), store.ErrNotFound)
	was := grant(t, s, New(1)).Lease
	refuse(t, s, New(1), store.ErrConflict)
	grant(t, s, Renew(was, in(9*time.Minute)))
	refuse(t, s, Renew(was, in(10*time.Minute)), store.ErrConflict)

	was = load(t, s, 1)
	must(t, s.Release(t.Context(), keyOf(1)))
	refuse(t, s, Renew(was, in(10*time.Minute)), store.ErrConflict)
}

func precision(t *testing.T, place Place) {
	s := place(t)()
	a := New(1)
	zone := time.FixedZone("", 3600)
	a.Now = Noon.Add(123456789).In(zone)
	a.Lease.End, a.Lease.Expire = a.Lease.End.Add(1999).In(zone), a.Lease.Expire.Add(999)
	a.Rates = []store.Rate{{Key: "r", Rate: limit.Rate{Count: 7, Per: time.Second, Burst: 1}}} // one in 142,858 µs
	st := grant(t, s, a)
	want := New(1).Lease
	want.End = want.End.Add(time.Microsecond)
	if st.Lease != want || load(t, s, 1) != want {
		t.Errorf("granted %+v, kept %+v", st.Lease, load(t, s, 1))
	}
	a.Lease.Key = keyOf(2)
	limited(t, s, a, store.Limited{Limit: store.ByRate, Wait: 142858 * time.Microsecond})
	a.Now = a.Now.Add(142857 * time.Microsecond)
	limited(t, s, a, store.Limited{Limit: store.ByRate, Wait: time.Microsecond})
	a.Now = a.Now.Add(time.Microsecond)
	grant(t, s, a)
}

func rates(t *testing.T, place Place) {
	s := place(t)()
	ask := func(n int, now time.Time) store.Ask {
		a := New(n)
		a.Now = now
		a.Rates = []store.Rate{
			{Key: "ada", Rate: limit.Rate{Count: 6, Per: time.Minute, Burst: 2}},
			{Key: "all", Rate: limit.Rate{Count: 3, Per: time.Minute}},
		}
		return a
	}
	for n, want := range [][]limit.Left{
		{{Remaining: 1, Reset: 10 * time.Second}, {Remaining: 2, Reset: 20 * time.Second}},
		{{Remaining: 0, Reset: 20 * time.Second}, {Remaining: 1, Reset: 40 * time.Second}},
	} {
		if got := grant(t, s, ask(n, Noon)).Rates; !reflect.DeepEqual(got, want) {
			t.Errorf("token %d leaves %+v", n, got)
		}
	}
	limited(t, s, ask(2, Noon), store.Limited{Limit: store.ByRate, Rate: 0, Wait: 10 * time.Second})
	grant(t, s, ask(2, in(10*time.Second)))
	other := ask(3, in(11*time.Second))
	other.Rates[0].Key = "bob" // has his own, but all together have one
	limited(t, s, other, store.Limited{Limit: store.ByRate, Rate: 1, Wait: 9 * time.Second})
	other.Now = in(20 * time.Second)
	grant(t, s, other)

	a := Renew(load(t, s, 0), in(21*time.Second))
	a.Rates = other.Rates[1:]
	limited(t, s, a, store.Limited{Limit: store.ByRate, Wait: 19 * time.Second})
}

func spared(t *testing.T, place Place) {
	s := place(t)()
	ask := func(n, spare int) store.Ask {
		a := New(n)
		a.Rates = []store.Rate{{Key: "all", Rate: limit.Rate{Count: 3, Per: time.Minute}, Spare: spare}}
		return a
	}
	grant(t, s, ask(1, 1))
	if got := grant(t, s, ask(2, 1)).Rates[0]; got != (limit.Left{Remaining: 1, Reset: 40 * time.Second}) {
		t.Errorf("%+v are left", got)
	}
	limited(t, s, ask(3, 1), store.Limited{Limit: store.ByRate, Wait: 20 * time.Second})
	grant(t, s, ask(3, 0))
	limited(t, s, ask(4, 0), store.Limited{Limit: store.ByRate, Wait: 20 * time.Second})
	limited(t, s, ask(4, 1), store.Limited{Limit: store.ByRate, Wait: 40 * time.Second})
	late := ask(4, 1)
	late.Now = in(40 * time.Second)
	grant(t, s, late)
}

func slots(t *testing.T, place Place) {
	s := place(t)()
	ask := func(n int, now, expire time.Duration) store.Ask {
		a := New(n)
		a.Now, a.Lease.Expire, a.Slots.Max = in(now), in(expire), 3
		return a
	}
	for n, free := range []int{2, 1, 0} {
		at := time.Duration(n) * time.Minute
		if got := grant(t, s, ask(n, at, 20*time.Minute-at)); got.Slots != free {
			t.Errorf("after %d %d are free", n, got.Slots)
		}
	}
	limited(t, s, ask(3, 5*time.Minute, time.Hour), store.Limited{Limit: store.BySlots, Wait: 13 * time.Minute})
	fewer := ask(3, 5*time.Minute, time.Hour)
	fewer.Slots.Max = 1 // all three must expire
	limited(t, s, fewer, store.Limited{Limit: store.BySlots, Wait: 15 * time.Minute})

	// A renewal is a token of its own.
	a := Renew(load(t, s, 0), in(17*time.Minute))
	a.Slots.Max = 3
	limited(t, s, a, store.Limited{Limit: store.BySlots, Wait: time.Minute})
	a.Slots.Max = 4
	grant(t, s, a)
	limited(t, s, ask(3, 18*time.Minute, time.Hour), store.Limited{Limit: store.BySlots, Wait: time.Minute})
	grant(t, s, ask(3, 19*time.Minute, time.Hour))

	other := ask(4, 19*time.Minute, time.Hour)
	other.Slots.Key = "slots/bob"
	if got := grant(t, s, other); got.Slots != 2 {
		t.Errorf("another has %d", got.Slots)
	}
}

func budgets(t *testing.T, place Place) {
	s := place(t)()
	ask := func(n int, cost time.Duration) store.Ask {
		a := New(n)
		a.Now = in(time.Hour)
		a.Budget.Max, a.Budget.Cost = 30*time.Minute, cost
		return a
	}
	if got := grant(t, s, ask(1, 12*time.Minute)); got.Time != 18*time.Minute {
		t.Errorf("%v are left", got.Time)
	}
	limited(t, s, ask(2, 18*time.Minute+time.Microsecond), store.Limited{Limit: store.ByBudget, Wait: 11 * time.Hour})
	if got := grant(t, s, ask(2, 18*time.Minute)); got.Time != 0 {
		t.Errorf("%v are left", got.Time)
	}
	grant(t, s, ask(3, 0)) // costs nothing
	limited(t, s, ask(4, time.Microsecond), store.Limited{Limit: store.ByBudget, Wait: 11 * time.Hour})
	none := ask(5, 12*time.Minute)
	none.Budget.Key, none.Budget.Max = "budget/bob", store.MaxBudget
	if got := grant(t, s, none); got.Time != store.MaxBudget-12*time.Minute {
		t.Errorf("%v are left", got.Time)
	}
	tomorrow := ask(4, 12*time.Minute)
	tomorrow.Budget.Key = "budget/ada/2026-11-22"
	grant(t, s, tomorrow)
}

// full is an Ask of which each limit can be made to refuse.
func full(n int) store.Ask {
	a := New(n)
	a.Rates = []store.Rate{{Key: "ada", Rate: limit.Rate{Count: 2, Per: time.Minute}}, {Key: "all", Rate: limit.Rate{Count: 2, Per: time.Minute}}}
	a.Slots.Max, a.Budget.Max = 2, 24*time.Minute
	return a
}

func refusals(t *testing.T, place Place) {
	for name, spoil := range map[string]func(*store.Ask){
		"by the first rate": func(a *store.Ask) { a.Rates[0] = store.Rate{Key: "spent", Rate: a.Rates[0].Rate} },
		"by the last rate":  func(a *store.Ask) { a.Rates[1] = store.Rate{Key: "spent", Rate: a.Rates[1].Rate} },
		"by slots":          func(a *store.Ask) { a.Slots = store.Slots{Key: "spent", Max: 2} },
		"by budget":         func(a *store.Ask) { a.Budget.Key = "spent" },
		"by handle":         func(a *store.Ask) { a.Handle = keyOf(1000) },
		"by revocation":     func(a *store.Ask) { a.Lease.Caller = "eve" },
		"by conflict":       func(a *store.Ask) { a.Lease.Key = keyOf(100) },
	} {
		t.Run(name, func(t *testing.T) {
			s := place(t)()
			must(t, s.Revoke(t.Context(), "eve"))
			for n := range 2 {
				a := full(100 + n)
				a.Handle = keyOf(1000 + n)
				a.Rates, a.Slots.Key, a.Budget.Key = []store.Rate{{Key: "spent", Rate: a.Rates[0].Rate}}, "spent", "spent"
				grant(t, s, a)
			}
			for range 3 {
				a := full(1)
				spoil(&a)
				if _, err := s.Grant(t.Context(), a); err == nil {
					t.Fatal("granted")
				}
			}
			for n := range 2 { // all is there
				grant(t, s, full(n))
			}
			limited(t, s, full(3), store.Limited{Limit: store.ByRate, Wait: 30 * time.Second})
		})
	}
}

func order(t *testing.T, place Place) {
	s := place(t)()
	for n := range 2 {
		a := full(n)
		a.Handle = keyOf(1000)
		a.Lease.Key = keyOf(0)
		if n > 0 {
			held := load(t, s, 0)
			a.Was = &held
		}
		grant(t, s, a)
	}
	must(t, s.Revoke(t.Context(), "eve"))
	a := full(0)
	a.Lease.Caller, a.Handle = "eve", keyOf(1000)
	refuse(t, s, a, store.ErrRevoked)
	a.Lease.Caller = "ada"
	refuse(t, s, a, store.ErrConflict)
	a.Lease.Key = keyOf(7)
	refuse(t, s, a, store.ErrHandle)
	a.Handle = store.Key{}
	limited(t, s, a, store.Limited{Limit: store.ByRate, Rate: 0, Wait: 30 * time.Second})
	a.Rates = a.Rates[1:]
	limited(t, s, a, store.Limited{Limit: store.ByRate, Rate: 0, Wait: 30 * time.Second})
	a.Rates = nil
	limited(t, s, a, store.Limited{Limit: store.BySlots, Wait: 12 * time.Minute})
	a.Slots.Max = 9
	limited(t, s, a, store.Limited{Limit: store.ByBudget, Wait: 12 * time.Hour})
	a.Budget.Max = time.Hour
	grant(t, s, a)
}

func undone(t *testing.T, place Place) {
	s := place(t)()
	ask := func(n int) store.Ask {
		a := full(n)
		a.Rates[0].Count, a.Rates[1].Count = 4, 4
		return a
	}
	grant(t, s, ask(1))
	for range 2 { // twice, and once more each: it counts once
		grant(t, s, ask(2))
		for range 2 {
			must(t, s.Undo(t.Context(), ask(2)))
		}
		if _, err := s.Load(t.Context(), keyOf(2)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the lease: %v", err)
		}
	}
	st := grant(t, s, ask(2))
	if st.Slots != 0 || st.Time != 0 {
		t.Errorf("slots or budget were given back twice, or not: %+v", st)
	}
	if st.Rates[0].Remaining != 0 {
		t.Errorf("the rate was given back: %+v", st)
	}

	// A renewal leaves the lease as it was, except that nothing granted before can
	// be undone later.
	was := load(t, s, 1)
	a := Renew(was, in(13*time.Minute))
	a.Lease.Early = 1
	grant(t, s, a)
	must(t, s.Undo(t.Context(), a))
	want := was
	want.Version += 2
	if got := load(t, s, 1); got != want {
		t.Errorf("%+v instead of %+v", got, want)
	}
	refuse(t, s, a, store.ErrConflict)
	grant(t, s, Renew(load(t, s, 1), in(14*time.Minute)))
}

func undoneAlone(t *testing.T, place Place) {
	s := place(t)()
	a := New(1)
	a.Slots.Max = 1
	b := New(2)
	b.Slots.Max = 1
	must(t, s.Undo(t.Context(), a)) // never granted
	grant(t, s, a)
	must(t, s.Undo(t.Context(), b))
	limited(t, s, b, store.Limited{Limit: store.BySlots, Wait: 12 * time.Minute})

	// It was released meanwhile, and so it stays.
	c := Renew(load(t, s, 1), in(9*time.Minute))
	grant(t, s, c)
	must(t, s.Release(t.Context(), keyOf(1)))
	must(t, s.Undo(t.Context(), c))
	if got := load(t, s, 1); !got.Released || got.Version != 2 {
		t.Errorf("%+v", got)
	}
	b.Now = in(12 * time.Minute) // the first token has expired, the second never was
	grant(t, s, b)
}

func released(t *testing.T, place Place) {
	s := place(t)()
	a := New(1)
	a.Slots.Max = 1
	grant(t, s, a)
	must(t, s.Release(t.Context(), keyOf(1)))
	b := New(2)
	b.Slots.Max, b.Now = 1, in(12*time.Minute-time.Second)
	limited(t, s, b, store.Limited{Limit: store.BySlots, Wait: time.Second})
	b.Now = in(12 * time.Minute)
	grant(t, s, b)
}

func handles(t *testing.T, place Place) {
	s := place(t)()
	first, second := grant(t, s, New(1)).Lease, grant(t, s, New(2)).Lease
	a := Renew(first, in(9*time.Minute))
	a.Handle = keyOf(50)
	first = grant(t, s, a).Lease
	b := Renew(second, in(9*time.Minute))
	b.Handle = keyOf(50)
	refuse(t, s, b, store.ErrHandle)
	b.Handle = keyOf(51)
	grant(t, s, b)
	a = Renew(first, in(10*time.Minute))
	a.Handle = keyOf(50) // its own, again
	grant(t, s, a)
}

func newestHandles(t *testing.T, place Place) {
	s := place(t)()
	first, second := grant(t, s, New(1)).Lease, grant(t, s, New(2)).Lease
	show := func(l *store.Lease, n int) error {
		a := Renew(*l, in(9*time.Minute))
		a.Handle = keyOf(50 + n)
		st, err := s.Grant(t.Context(), a)
		if err == nil {
			*l = st.Lease
		}
		return err
	}
	must(t, show(&second, 1000)) // before all of the first's
	for n := range store.MaxHandles {
		must(t, show(&first, n))
	}
	must(t, show(&first, 0)) // which is the newest now
	must(t, show(&first, store.MaxHandles))
	for n := range store.MaxHandles + 1 {
		var want error
		if n != 1 {
			want = store.ErrHandle
		}
		if err := show(&second, n); !errors.Is(err, want) {
			t.Errorf("handle %d of another lease: %v instead of %v", n, err, want)
		}
	}
	for _, n := range []int{1, 1000} {
		if err := show(&first, n); !errors.Is(err, store.ErrHandle) {
			t.Errorf("handle %d is no longer the second's: %v", n, err)
		}
	}
}

func handleKey(t *testing.T, place Place) {
	var mu sync.Mutex
	keys := map[string]bool{}
	at(t, place, func(n int, s Store) {
		key, err := s.HandleKey(t.Context())
		if err != nil || len(key) != 32 {
			t.Errorf("%d bytes, %v", len(key), err)
		}
		mu.Lock()
		defer mu.Unlock()
		keys[string(key)] = true
	})
	if len(keys) != 1 {
		t.Errorf("there are %d keys", len(keys))
	}
	if other, err := place(t)().HandleKey(t.Context()); err != nil || keys[string(other)] {
		t.Errorf("another place has the same, %v", err)
	}
}

func revoked(t *testing.T, place Place) {
	s := place(t)()
	was := grant(t, s, New(1)).Lease
	bob, nobody := New(2), New(3)
	bob.Lease.Caller, nobody.Lease.Caller = "bob", ""
	check := func(want bool) {
		t.Helper()
		if got, err := s.Revoked(t.Context(), "ada"); got != want || err != nil {
			t.Errorf("revoked: %v, %v", got, err)
		}
	}
	list := func(after string, most int, want ...string) {
		t.Helper()
		if got, err := s.Revocations(t.Context(), after, most); !slices.Equal(got, want) || err != nil {
			t.Errorf("revoked after %q are %q, %v", after, got, err)
		}
	}
	check(false)
	list("", 9)
	for range 2 {
		must(t, s.Revoke(t.Context(), "ada"))
		check(true)
	}
	refuse(t, s, New(4), store.ErrRevoked)
	refuse(t, s, Renew(was, in(9*time.Minute)), store.ErrRevoked)
	for _, caller := range []string{"zoë", "eve", "Eve"} {
		must(t, s.Revoke(t.Context(), caller))
	}
	list("", 9, "Eve", "ada", "eve", "zoë")
	list("", 2, "Eve", "ada")
	list("ada", 1, "eve")
	list("b", 9, "eve", "zoë")
	list("zoë", 9)
	grant(t, s, bob)
	grant(t, s, nobody)
	must(t, s.Release(t.Context(), keyOf(1)))
	if err := s.Revoke(t.Context(), ""); !errors.Is(err, store.ErrAnonymous) {
		t.Errorf("nobody: %v", err)
	}
	for range 2 {
		must(t, s.Unrevoke(t.Context(), "ada"))
		check(false)
	}
	list("", 9, "Eve", "eve", "zoë")
	grant(t, s, New(4))

	// Who takes access from a server takes it from all its users.
	users := func(n int, user string) store.Ask {
		a := New(n)
		a.Lease.Caller, a.Server = "key:shop/"+user, "key:shop"
		return a
	}
	held := grant(t, s, users(5, "eve")).Lease
	must(t, s.Revoke(t.Context(), "key:shop/eve"))
	refuse(t, s, users(6, "eve"), store.ErrRevoked)
	grant(t, s, users(6, "dan"))
	must(t, s.Revoke(t.Context(), "key:shop"))
	must(t, s.Unrevoke(t.Context(), "key:shop/eve"))
	refuse(t, s, users(7, "dan"), store.ErrRevoked)
	next := Renew(held, in(9*time.Minute))
	next.Server = "key:shop"
	refuse(t, s, next, store.ErrRevoked)
	must(t, s.Unrevoke(t.Context(), "key:shop"))
	grant(t, s, next)
}

func listed(t *testing.T, place Place) {
	s := place(t)()
	var want []store.Lease
	for n := range 3 {
		a := New(n)
		a.Lease.End = a.Lease.End.Add(-time.Duration(n) * time.Minute)
		want = append([]store.Lease{grant(t, s, a).Lease}, want...)
	}
	bob := New(3)
	bob.Lease.Caller = "bob"
	grant(t, s, bob)
	must(t, s.Release(t.Context(), keyOf(2)))
	want[0] = load(t, s, 2)
	if got, err := s.Leases(t.Context(), "ada"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Leases(t.Context(), "eve"); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func shared(t *testing.T, place Place) {
	open := place(t)
	s, other := open(), open()
	a := New(1)
	a.Slots.Max, a.Rates = 2, []store.Rate{{Key: "r", Rate: limit.Rate{Count: 2, Per: time.Minute}}}
	grant(t, s, a)
	if got, err := other.Load(t.Context(), keyOf(1)); err != nil || got != a.Lease {
		t.Errorf("%+v, %v", got, err)
	}
	a.Lease.Key = keyOf(2)
	if got := grant(t, other, a); got.Slots != 0 || got.Rates[0].Remaining != 0 {
		t.Errorf("it has %+v left", got)
	}
	must(t, other.Revoke(t.Context(), "ada"))
	refuse(t, s, New(3), store.ErrRevoked)
}

// at does something 50 times at once, by turns on two stores of one place.
func at(t *testing.T, place Place, do func(n int, s Store)) Store {
	t.Helper()
	open := place(t)
	stores := [2]Store{open(), open()}
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() { do(n, stores[n%2]) })
	}
	all.Wait()
	return stores[0]
}

func races(t *testing.T, place Place) {
	for name, c := range map[string]struct {
		spoil func(*store.Ask)
		want  int64
		limit store.Limit
	}{
		"for slots":  {func(a *store.Ask) { a.Slots.Max = 3 }, 3, store.BySlots},
		"for rates":  {func(a *store.Ask) { a.Rates = []store.Rate{{Key: "all", Rate: limit.Rate{Count: 7, Per: time.Hour}}} }, 7, store.ByRate},
		"for budget": {func(a *store.Ask) { a.Budget.Max = time.Hour }, 5, store.ByBudget},
	} {
		t.Run(name, func(t *testing.T) {
			var granted atomic.Int64
			at(t, place, func(n int, s Store) {
				a := New(n)
				c.spoil(&a)
				_, err := s.Grant(t.Context(), a)
				refused, ok := errors.AsType[*store.Limited](err)
				switch {
				case err == nil:
					granted.Add(1)
				case !ok || refused.Limit != c.limit:
					t.Error(err)
				}
			})
			if granted.Load() != c.want {
				t.Errorf("%d were granted", granted.Load())
			}
		})
	}
}

func renewals(t *testing.T, place Place) {
	var granted, made atomic.Int64
	s := at(t, place, func(n int, s Store) {
		a := New(1)
		a.Slots.Max = 2
		switch _, err := s.Grant(t.Context(), a); {
		case err == nil:
			made.Add(1)
		case !errors.Is(err, store.ErrConflict):
			t.Error(err)
		}
		a = Renew(New(1).Lease, in(9*time.Minute))
		a.Slots.Max = 2
		switch _, err := s.Grant(t.Context(), a); {
		case err == nil:
			granted.Add(1)
		case !errors.Is(err, store.ErrConflict):
			t.Error(err)
		}
	})
	if made.Load() != 1 || granted.Load() != 1 || load(t, s, 1).Version != 1 {
		t.Errorf("made %d times, renewed %d times: %+v", made.Load(), granted.Load(), load(t, s, 1))
	}
}

func revokedMeanwhile(t *testing.T, place Place) {
	var revoked atomic.Bool
	at(t, place, func(n int, s Store) {
		if n == 25 {
			if err := s.Revoke(t.Context(), "ada"); err != nil {
				t.Error(err)
			}
			revoked.Store(true)
			return
		}
		before := revoked.Load()
		_, err := s.Grant(t.Context(), New(n))
		if err != nil && !errors.Is(err, store.ErrRevoked) {
			t.Error(err)
		}
		if err == nil && before {
			t.Error("granted after the revocation was acknowledged")
		}
	})
}

func backwards(t *testing.T, place Place) {
	for _, back := range []time.Duration{30 * time.Hour, 45 * time.Minute, 11 * time.Second} {
		s := place(t)()
		a := New(1)
		rate := []store.Rate{{Key: "r", Rate: limit.Rate{Count: 1, Per: time.Minute}}}
		a.Now, a.Rates = in(back), rate
		grant(t, s, a)
		b := New(2)
		b.Rates = rate
		grant(t, s, b)
		b.Lease.Key = keyOf(3)
		limited(t, s, b, store.Limited{Limit: store.ByRate, Wait: time.Minute})
	}
}
