package upstream

import (
	"context"
	"time"
)

// gateWait is the advice to those for whom there is no room.
const gateWait = 2 * time.Second

// gate lets so many mints through at once, and so many wait. They go in the
// order in which they came.
type gate struct {
	inside  chan struct{}
	waiting chan struct{}
}

func newGate(inside, waiting int) gate {
	return gate{make(chan struct{}, inside), make(chan struct{}, waiting)}
}

// enter waits for a place, which leave gives back. When as many wait as may, it
// says so at once.
func (g gate) enter(ctx context.Context) error {
	select {
	case g.inside <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.waiting <- struct{}{}:
	default:
		return &Error{Kind: ErrUnavailable, Reason: "too many mints at once", RetryAfter: gateWait}
	}
	defer func() { <-g.waiting }()
	select {
	case g.inside <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Kind: ErrUnavailable, Reason: "too many mints before this one", RetryAfter: gateWait}
	}
}

func (g gate) leave() { <-g.inside }
