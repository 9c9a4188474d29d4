package main

import (
	"sync"
	"time"
)

// unexpired counts tokens until they expire, to the second. It holds a number for
// each second of the longest leash, however many tokens there are. Its zero value
// works, and its methods may be called from anywhere.
type unexpired struct {
	mu     sync.Mutex
	at     map[int64]int // tokens, by the second in which they expire
	pruned int64         // the second until which there are none in it
	total  int
}

// add counts a token that expires then.
func (u *unexpired) add(now, expires time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.prune(now.Unix())
	if u.at == nil {
		u.at = map[int64]int{}
	}
	u.at[expires.Unix()]++
	u.total++
}

// count is how many have not expired.
func (u *unexpired) count(now time.Time) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.prune(now.Unix())
	return u.total
}

// prune forgets what has expired, at most once a second.
func (u *unexpired) prune(now int64) {
	if now <= u.pruned {
		return
	}
	u.pruned = now
	for second, n := range u.at {
		if second <= now {
			delete(u.at, second)
			u.total -= n
		}
	}
}
