package emulator

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// line is the network below one socket, which can die without either end being
// told: what is written is lost, and what arrives too, the end included.
type line struct {
	net.Conn
	dead   atomic.Bool
	hangUp sync.Once
	gone   chan struct{} // closed by Close
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		switch {
		case !l.dead.Load():
			return n, err
		case err != nil:
			<-l.gone
			return 0, net.ErrClosed
		}
	}
}

// Write implements net.Conn.
func (l *line) Write(p []byte) (int, error) {
	if l.dead.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.hangUp.Do(func() { close(l.gone) })
	return l.Conn.Close()
}

// hijacked puts a line below what is hijacked from a ResponseWriter.
type hijacked struct {
	http.ResponseWriter
	line *line
}

// Hijack implements http.Hijacker.
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.line = &line{Conn: conn, gone: make(chan struct{})}
	buffers.Writer.Reset(h.line)
	return h.line, buffers, nil
}
