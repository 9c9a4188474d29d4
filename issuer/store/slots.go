package store

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// slots are those that tokens of one caller have taken, in the order in which they
// expire: however many there are, few are looked at to count them, and the last
// is nearly always the one that comes or the first the one that goes.
type slots []slot

// slot is taken by one token.
type slot struct {
	expire  time.Time
	lease   Key
	version int64
}

func slotOf(l Lease) slot { return slot{l.Expire, l.Key, l.Version} }

func (s slot) compare(other slot) int {
	return cmp.Or(s.expire.Compare(other.expire), bytes.Compare(s.lease[:], other.lease[:]), cmp.Compare(s.version, other.version))
}

// unexpired shares what it gives with s.
func (s slots) unexpired(now time.Time) slots {
	n, _ := slices.BinarySearchFunc(s, now, func(s slot, now time.Time) int {
		if s.expire.After(now) {
			return 1
		}
		return -1
	})
	return s[n:]
}

// with changes s.
func (s slots) with(one slot) slots {
	n, _ := slices.BinarySearchFunc(s, one, slot.compare)
	return slices.Insert(s, n, one)
}

// without changes s. It reports whether that slot was there.
func (s slots) without(one slot) (slots, bool) {
	n, ok := slices.BinarySearchFunc(s, one, slot.compare)
	if !ok {
		return s, false
	}
	return slices.Delete(s, n, n+1), true
}
