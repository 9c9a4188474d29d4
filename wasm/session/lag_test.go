//go:build !js

package session_test

import (
	"errors"
	"net"
	"sync"
	"time"
)

// lagging is a connection on which what is written arrives later, in order, the
// end too.
type lagging struct {
	net.Conn
	lag func() time.Duration

	mu     sync.Mutex
	queue  []packet
	last   time.Time // when the newest arrives
	more   chan struct{}
	closed bool
}

type packet struct {
	at   time.Time
	data []byte // nil: the end
}

func lag(c net.Conn, lag func() time.Duration) *lagging {
	l := &lagging{Conn: c, lag: lag, more: make(chan struct{}, 1)}
	go l.deliver()
	return l
}

func (l *lagging) put(data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	at := time.Now().Add(l.lag())
	if !at.After(l.last) {
		at = l.last.Add(time.Microsecond) // so that what the one does is done before the other comes
	}
	l.last = at
	l.queue = append(l.queue, packet{at, data})
	l.closed = data == nil
	select {
	case l.more <- struct{}{}:
	default:
	}
	return true
}

func (l *lagging) Write(data []byte) (int, error) {
	if !l.put(append([]byte{}, data...)) {
		return 0, net.ErrClosed
	}
	return len(data), nil
}

// Close ends reading at once, as websocket closes with a lock held, and writing
// once nobody can be reading any more.
func (l *lagging) Close() error {
	l.put(nil)
	return errors.Join(l.SetReadDeadline(time.Unix(1, 0)), l.SetWriteDeadline(time.Now().Add(time.Second)))
}

func (l *lagging) deliver() {
	defer l.Conn.Close()
	for {
		l.mu.Lock()
		var next packet
		if len(l.queue) > 0 {
			next, l.queue = l.queue[0], l.queue[1:]
		}
		l.mu.Unlock()
		switch {
		case next.at.IsZero():
			<-l.more
			continue
		default:
			time.Sleep(time.Until(next.at))
		}
		if next.data == nil {
			return
		}
		if _, err := l.Conn.Write(next.data); err != nil {
			return
		}
	}
}
