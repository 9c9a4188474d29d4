package session

import (
	"sync"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	maxWaiting = 1024             // messages that are not sound
	ringLength = 10 * time.Second // sound
)

// item is input on its way to a socket. settle is called once, with nil when an
// open socket took it.
type item struct {
	input  live.Input
	settle func(error)
}

// queue holds input in the order it was given until a socket takes it. Any
// goroutine may push; only the session's takes. Sound is kept up to the ring's
// length, the oldest giving way; nothing else is ever evicted.
type queue struct {
	ready chan struct{} // holds a value when there may be something to take

	mu       sync.Mutex
	items    []item        // guarded by mu
	reliable int           // guarded by mu: items that are not sound
	audio    time.Duration // guarded by mu: sound in items
	dropped  time.Duration // guarded by mu: sound evicted since the last takeDropped
	closed   bool          // guarded by mu
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// push adds it, or says at once why it cannot be sent.
func (q *queue) push(it item) error {
	evicted, err := q.add(it)
	for _, old := range evicted {
		old.settle(ErrDropped)
	}
	if err == nil {
		q.signal()
	}
	return err
}

func (q *queue) add(it item) (evicted []item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if it.input.Audio == 0 {
		if q.reliable >= maxWaiting {
			return nil, ErrQueueFull
		}
		q.reliable++
		q.items = append(q.items, it)
		return nil, nil
	}
	q.items = append(q.items, it)
	for q.audio += it.input.Audio; q.audio > ringLength; {
		old := q.oldestAudio()
		evicted = append(evicted, q.items[old])
		q.audio -= q.items[old].input.Audio
		q.dropped += q.items[old].input.Audio
		q.items = append(q.items[:old], q.items[old+1:]...)
	}
	return evicted, nil
}

func (q *queue) oldestAudio() int {
	for i, it := range q.items {
		if it.input.Audio > 0 {
			return i
		}
	}
	panic("queue: sound is counted that is not there")
}

// take removes the oldest item.
func (q *queue) take() (item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return item{}, false
	}
	it := q.items[0]
	q.items[0] = item{} // let the body go
	q.items = q.items[1:]
	q.count(it, -1)
	return it, true
}

// giveBack returns what take gave, to its place at the front.
func (q *queue) giveBack(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append([]item{it}, q.items...)
	q.count(it, +1)
}

func (q *queue) count(it item, sign int) {
	if it.input.Audio == 0 {
		q.reliable += sign
	}
	q.audio += time.Duration(sign) * it.input.Audio
}

// takeDropped returns the length of the sound evicted since the last call.
func (q *queue) takeDropped() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.dropped
	q.dropped = 0
	return d
}

// close refuses what is waiting and all that comes.
func (q *queue) close() {
	q.mu.Lock()
	rest := q.items
	q.items, q.reliable, q.audio, q.closed = nil, 0, 0, true
	q.mu.Unlock()
	for _, it := range rest {
		it.settle(ErrClosed)
	}
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
