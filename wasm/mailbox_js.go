package main

import (
	"sync"
	"syscall/js"
)

// mailbox carries events to the goroutine that calls the page. JavaScript is
// never called from the goroutine that owns the session, because such a call may
// come back to an export and would then wait for itself; and a put never waits,
// because exports put, too. It stays short: the page takes an event by posting
// it on, which does not wait either.
type mailbox struct {
	arrived chan struct{} // holds a value when there may be something to take

	mu     sync.Mutex
	events []js.Value // guarded by mu
	closed bool       // guarded by mu: nothing is put any more
}

func newMailbox() *mailbox { return &mailbox{arrived: make(chan struct{}, 1)} }

// put adds an event. After close it does nothing.
func (m *mailbox) put(event js.Value) {
	m.mu.Lock()
	if !m.closed {
		m.events = append(m.events, event)
	}
	m.mu.Unlock()
	m.signal()
}

// close lets deliver return when the mailbox is empty.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.signal()
}

func (m *mailbox) signal() {
	select {
	case m.arrived <- struct{}{}:
	default:
	}
}

// deliver calls f with every event, in order, until the mailbox is closed and empty.
func (m *mailbox) deliver(f func(js.Value)) {
	for {
		m.mu.Lock()
		events, closed := m.events, m.closed
		m.events = nil
		m.mu.Unlock()
		for _, e := range events {
			f(e)
		}
		switch {
		case len(events) > 0:
		case closed:
			return
		default:
			<-m.arrived
		}
	}
}
