package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
)

// same takes the store and store.Memory through the same steps, few names and
// small limits, so that they meet everything that may go wrong.
func same(t *testing.T, place Place) {
	rapid.Check(t, func(rt *rapid.T) {
		s, memory, now := place(t)(), &store.Memory{}, Noon
		defer s.Close()
		var asked []store.Ask
		callers := rapid.SampledFrom([]string{"ada", "bob", ""})
		keys := rapid.IntRange(0, 4)
		few := rapid.IntRange(1, 3)
		equal := func(got, want any, gotErr, wantErr error) {
			if !reflect.DeepEqual(got, want) || !equalErrors(gotErr, wantErr) {
				rt.Fatalf("%+v, %v\ninstead of\n%+v, %v", got, gotErr, want, wantErr)
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			// So that no lease is over for so long that it may be swept out.
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds")) * time.Second)
			key := keyOf(keys.Draw(rt, "lease"))
			switch rapid.SampledFrom([]string{"grant", "grant", "grant", "undo", "release", "revoke", "unrevoke", "list"}).Draw(rt, "step") {
			case "grant":
				caller := callers.Draw(rt, "caller")
				day, ends := limit.Day(now)
				a := store.Ask{
					Now: now,
					Lease: store.Lease{
						Key: key, Caller: caller, Profile: "default",
						End: now.Add(time.Hour), Expire: now.Add(time.Duration(few.Draw(rt, "life")) * 5 * time.Minute),
						RenewAfter: now.Add(4 * time.Minute), Early: few.Draw(rt, "early"),
					},
					Rates: []store.Rate{
						{Key: "rate/" + caller, Rate: limit.Rate{Count: few.Draw(rt, "count"), Per: time.Minute, Burst: few.Draw(rt, "burst")}},
						{Key: "rate", Rate: limit.Rate{Count: 4, Per: 10 * time.Minute}, Spare: few.Draw(rt, "spare") - 1},
					}[:rapid.IntRange(0, 2).Draw(rt, "rates")],
					Slots:  store.Slots{Key: "slots/" + caller, Max: few.Draw(rt, "slots")},
					Budget: store.Budget{Key: "budget/" + caller + day, Ends: ends, Max: time.Hour, Cost: time.Duration(few.Draw(rt, "cost")) * 5 * time.Minute},
				}
				if held, err := memory.Load(t.Context(), key); err == nil && rapid.Bool().Draw(rt, "renewal") {
					a.Was = &held
					a.Was.Version += int64(rapid.SampledFrom([]int{0, 0, 0, 0, 1, -1}).Draw(rt, "off"))
				}
				if rapid.Bool().Draw(rt, "with handle") {
					a.Handle = keyOf(100 + keys.Draw(rt, "handle"))
				}
				got, gotErr := s.Grant(t.Context(), a)
				want, wantErr := memory.Grant(t.Context(), a)
				equal(got, want, gotErr, wantErr)
				if gotErr == nil {
					asked = append(asked, a)
				}
			case "undo":
				if len(asked) == 0 {
					continue
				}
				which := rapid.IntRange(0, len(asked)-1).Draw(rt, "which")
				a := asked[which]
				asked = slices.Delete(asked, which, which+1)
				if !a.Lease.Expire.After(now) {
					continue // over: what is left of it depends on when that is swept out
				}
				equal(nil, nil, s.Undo(t.Context(), a), memory.Undo(t.Context(), a))
			case "release":
				equal(nil, nil, s.Release(t.Context(), key), memory.Release(t.Context(), key))
			case "revoke":
				caller := callers.Draw(rt, "caller")
				equal(nil, nil, s.Revoke(t.Context(), caller), memory.Revoke(t.Context(), caller))
			case "unrevoke":
				caller := callers.Draw(rt, "caller")
				equal(nil, nil, s.Unrevoke(t.Context(), caller), memory.Unrevoke(t.Context(), caller))
			case "list":
				caller := callers.Draw(rt, "caller")
				got, gotErr := s.Leases(t.Context(), caller)
				want, wantErr := memory.Leases(t.Context(), caller)
				if len(got) == 0 && len(want) == 0 {
					got = want // nil is as good as empty
				}
				equal(got, want, gotErr, wantErr)
			}
			got, gotErr := s.Load(t.Context(), key)
			want, wantErr := memory.Load(t.Context(), key)
			equal(got, want, gotErr, wantErr)
		}
	})
}

// equalErrors compares what a caller decides by.
func equalErrors(got, want error) bool {
	a, ok := errors.AsType[*store.Limited](got)
	b, also := errors.AsType[*store.Limited](want)
	if ok || also {
		return ok && also && *a == *b
	}
	return errors.Is(got, want)
}
