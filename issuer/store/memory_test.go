package store_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(testing.TB) func() storetest.Store {
		m := &store.Memory{}
		return func() storetest.Store { return m }
	})
}

// leaseFor asks for a lease of a minute, of a caller of its own.
func leaseFor(n int, now time.Time) store.Ask {
	a := storetest.New(0)
	binary.BigEndian.PutUint64(a.Lease.Key[:], uint64(n)+1)
	a.Now, a.Lease.End, a.Lease.Expire = now, now.Add(time.Minute), now.Add(time.Minute)
	a.Slots.Key, a.Budget.Key = string(a.Lease.Key[:]), string(a.Lease.Key[:])
	a.Budget.Ends = now.Add(time.Minute)
	return a
}

func TestMemoryIsBoundedByWhatLives(t *testing.T) {
	var m store.Memory
	now := storetest.Noon
	for n := range 50_000 {
		if _, err := m.Grant(t.Context(), leaseFor(n, now)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second) // so 660 leases are remembered at any time
	}
	if n := m.Len(); n > 8192 {
		t.Errorf("%d things are kept", n)
	}
}

func TestOneLeaseTakesLittleRoom(t *testing.T) {
	var m store.Memory
	held := leaseFor(1, storetest.Noon).Lease
	for n := range 1000 {
		a := leaseFor(1, storetest.Noon)
		if n > 0 {
			a.Was = &held
			binary.BigEndian.PutUint64(a.Handle[:], uint64(n))
		}
		a.Lease.Expire = storetest.Noon.Add(time.Microsecond)
		a.Budget.Cost = 0
		st, err := m.Grant(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		held = st.Lease
	}
	if n := m.Len(); n > store.MaxHandles+3 { // lease, slots and budget
		t.Errorf("%d things are kept", n)
	}
}

func TestAFullStoreMakesRoomWhenLeasesEnd(t *testing.T) {
	m := store.Memory{Max: 2}
	for n, want := range []error{nil, nil, store.ErrFull} {
		if _, err := m.Grant(t.Context(), leaseFor(n, storetest.Noon)); !errors.Is(err, want) {
			t.Fatalf("lease %d: %v", n, err)
		}
	}
	held, err := m.Load(t.Context(), leaseFor(1, storetest.Noon).Lease.Key)
	if err != nil {
		t.Fatal(err)
	}
	renewal := leaseFor(1, storetest.Noon)
	renewal.Was = &held
	if _, err := m.Grant(t.Context(), renewal); err != nil {
		t.Errorf("a lease that is there is not renewed: %v", err)
	}
	if _, err := m.Grant(t.Context(), leaseFor(3, storetest.Noon.Add(time.Minute+store.KeepLease+1000))); err != nil {
		t.Error(err)
	}
}
