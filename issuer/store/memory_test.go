package store

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func lease(n int, end time.Time) Lease {
	l := Lease{End: end}
	binary.BigEndian.PutUint64(l.Key[:], uint64(n))
	return l
}

func TestALeaseIsChangedByOneOfManyAtOnce(t *testing.T) {
	var m Memory
	if err := m.Create(t.Context(), lease(1, time.Now())); err != nil {
		t.Fatal(err)
	}
	seen, err := m.Load(t.Context(), lease(1, time.Time{}).Key)
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			switch err := m.Swap(t.Context(), seen); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d swaps of one version succeeded", won.Load())
	}
}

func TestALeaseThatDoesNotExistIsNotFound(t *testing.T) {
	var m Memory
	l := lease(1, time.Now())
	if _, err := m.Load(t.Context(), l.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load says %v", err)
	}
	if err := m.Swap(t.Context(), l); !errors.Is(err, ErrNotFound) {
		t.Errorf("Swap says %v", err)
	}
	if err := m.Create(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := m.Create(t.Context(), l); !errors.Is(err, ErrConflict) {
		t.Errorf("the same key again says %v", err)
	}
	if err := m.Delete(t.Context(), l.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Load(t.Context(), l.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load after Delete says %v", err)
	}
}

func TestMemoryIsBoundedByTheLeasesThatLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory
		for n := range 50 * firstSweep {
			if err := m.Create(t.Context(), lease(n, time.Now().Add(time.Minute))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // so 660 are remembered at any time
		}
		if len(m.leases) > 4*firstSweep {
			t.Errorf("%d leases are kept", len(m.leases))
		}
	})
}

func TestAFullStoreMakesRoomWhenLeasesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Memory{Max: 2}
		for n, want := range []error{nil, nil, ErrFull} {
			if err := m.Create(t.Context(), lease(n, time.Now().Add(time.Hour))); !errors.Is(err, want) {
				t.Fatalf("lease %d: %v", n, err)
			}
		}
		time.Sleep(time.Hour + memory + 1)
		if err := m.Create(t.Context(), lease(3, time.Now())); err != nil {
			t.Error(err)
		}
	})
}
