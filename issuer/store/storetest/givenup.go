package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/store"
)

// givenUp asks for everything with contexts that have ended, or end meanwhile. An
// error may then mean either; without one it was done, and what is told is so.
func givenUp(t *testing.T, place Place) {
	alive := t.Context()
	at(t, place, func(n int, s Store) {
		for round := range 4 {
			briefly := func(do func(context.Context) error) (done bool) {
				ctx, cancel := context.WithTimeout(alive, time.Duration(n)*200*time.Microsecond)
				defer cancel()
				err := do(ctx)
				if errors.Is(err, store.ErrNotFound) {
					t.Error("there is no such lease, it says")
				}
				return err == nil
			}
			revoked := func(caller string) bool {
				is, err := s.Revoked(alive, caller)
				if err != nil {
					t.Error(err)
				}
				return is
			}
			caller := fmt.Sprintf("caller %d of round %d", n, round)
			ask := func(n int) store.Ask {
				a := New(n)
				a.Lease.Caller = caller
				return a
			}

			a := ask(1000*round + n)
			var st store.Standing
			granted := briefly(func(ctx context.Context) (err error) { st, err = s.Grant(ctx, a); return err })
			if _, again := s.Grant(alive, a); granted && (st.Lease != a.Lease || !errors.Is(again, store.ErrConflict)) {
				t.Errorf("granted %+v, and asked again: %v", st, again)
			} else if again != nil && !errors.Is(again, store.ErrConflict) {
				t.Error(again)
			}

			var l store.Lease
			if briefly(func(ctx context.Context) (err error) { l, err = s.Load(ctx, a.Lease.Key); return err }) && l != a.Lease {
				t.Errorf("loaded %+v", l)
			}
			var list []store.Lease
			if briefly(func(ctx context.Context) (err error) { list, err = s.Leases(ctx, caller); return err }) && !slices.Equal(list, []store.Lease{a.Lease}) {
				t.Errorf("listed %+v", list)
			}
			if briefly(func(ctx context.Context) error { return s.Release(ctx, a.Lease.Key) }) {
				if l, err := s.Load(alive, a.Lease.Key); err != nil || !l.Released {
					t.Errorf("released: %+v, %v", l, err)
				}
			}

			if briefly(func(ctx context.Context) error { return s.Revoke(ctx, caller) }) && !revoked(caller) {
				t.Error("revoked, and was not")
			}
			if err := s.Revoke(alive, caller); err != nil {
				t.Error(err)
			}
			is := false
			if briefly(func(ctx context.Context) (err error) { is, err = s.Revoked(ctx, caller); return err }) && !is {
				t.Error("it forgot a revocation")
			}
			if briefly(func(ctx context.Context) error { return s.Unrevoke(ctx, caller) }) && revoked(caller) {
				t.Error("no longer revoked, and was")
			}
			if err := s.Unrevoke(alive, caller); err != nil {
				t.Error(err)
			}

			a = ask(1000*round + 500 + n)
			if _, err := s.Grant(alive, a); err != nil {
				t.Error(err)
			}
			if briefly(func(ctx context.Context) error { return s.Undo(ctx, a) }) {
				if l, err := s.Load(alive, a.Lease.Key); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("undone: %+v, %v", l, err)
				}
			}
		}
	})
}
