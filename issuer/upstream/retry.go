package upstream

import (
	"context"
	"errors"
	"time"
)

const (
	maxAttempts  = 3
	firstPause   = 250 * time.Millisecond // at most; doubled after each attempt
	leastAttempt = 500 * time.Millisecond // what is left for less is not worth a try
)

// pause decides whether a mint is tried again after its nth attempt failed, n
// from 1, and after how long. left is what remains of its time, and random from
// 0 up to 1. It is pure.
//
// The pause is anything up to its bound, so that many who failed at once do not
// come back at once; the service's advice comes before it. An advice that leads
// past the mint's own time is for the caller to follow.
func pause(n int, e *Error, left time.Duration, random float64) (wait time.Duration, again bool) {
	if n >= maxAttempts || !errors.Is(e, ErrUnavailable) {
		return 0, false
	}
	wait = e.RetryAfter + time.Duration(random*float64(firstPause<<(n-1)))
	return wait, wait+leastAttempt <= left
}

// sleep reports whether it could sleep that long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
