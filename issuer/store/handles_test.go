package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHandleBelongsToTheLeaseThatShowedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory
		ours, theirs, h := Key{1}, Key{2}, HandleHash{1}
		until := time.Now().Add(time.Hour)
		for range 2 {
			if err := m.ClaimHandle(t.Context(), h, ours, until); err != nil {
				t.Fatalf("its lease gets %v", err)
			}
		}
		if err := m.ClaimHandle(t.Context(), h, theirs, until); !errors.Is(err, ErrClaimed) {
			t.Errorf("another lease gets %v", err)
		}
		if err := m.ClaimHandle(t.Context(), HandleHash{2}, theirs, until); err != nil {
			t.Errorf("another handle gets %v", err)
		}
		time.Sleep(time.Hour)
		if err := m.ClaimHandle(t.Context(), h, theirs, until.Add(time.Hour)); err != nil {
			t.Errorf("a handle that is long dead gets %v", err)
		}
	})
}

func TestHandlesTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Memory{Max: 300}
		claim := func(n int) error {
			return m.ClaimHandle(t.Context(), HandleHash{byte(n), byte(n >> 8)}, Key{1}, time.Now().Add(time.Hour))
		}
		for n := range 1200 {
			if err := claim(n); err != nil {
				t.Fatalf("handle %d gets %v", n, err)
			}
		}
		if err := claim(1200); !errors.Is(err, ErrFull) {
			t.Errorf("one too many gets %v", err)
		}
		if err := claim(7); err != nil {
			t.Errorf("a known one gets %v", err)
		}
		time.Sleep(2 * time.Hour)
		if err := claim(1200); err != nil || len(m.handles.of) != 1 {
			t.Errorf("after they are over it gets %v, and %d are kept", err, len(m.handles.of))
		}
	})
}
