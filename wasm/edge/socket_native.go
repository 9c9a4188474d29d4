//go:build !js

package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/wasm/live"
)

// maxFrame bounds a server message. The service documents no limit; the
// largest seen had 13 kB.
const maxFrame = 16 << 20

// Socket is a WebSocket of coder/websocket, made to behave as a browser's does:
// sending never waits for the line, and the end is a code and a reason.
type Socket struct {
	ws   *websocket.Conn
	line net.Conn // below ws; nil if the client's transport does not tell

	life    context.Context    // until Close lets go
	stop    context.CancelFunc // ends life
	written chan struct{}      // closed when the writer has ended
	more    chan struct{}      // holds a value when there may be something to write
	end     *live.CloseError   // once Receive has met it; belongs to its caller

	mu       sync.Mutex
	out      [][]byte // guarded by mu
	buffered int      // guarded by mu: bytes not yet written
	closing  bool     // guarded by mu: nothing is added any more
}

// Dial opens a socket with the token over http.DefaultClient. See [Dialer].
func Dial(ctx context.Context, t live.Token) (*Socket, error) { return Dialer{}.Dial(ctx, t) }

// Dialer dials over a client of one's choice, nil being http.DefaultClient.
type Dialer struct{ Client *http.Client }

// Dial opens a socket with the token. The error is *live.CloseError, as in a
// browser, when the upgrade was refused; it never holds the URL.
func (d Dialer) Dial(ctx context.Context, t live.Token) (*Socket, error) {
	var line net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { line = got.Conn }}
	ws, _, err := websocket.Dial(httptrace.WithClientTrace(ctx, trace), socketURL(t), &websocket.DialOptions{HTTPClient: d.Client})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &live.CloseError{Code: live.CloseAbnormal} // err quotes the URL
	}
	ws.SetReadLimit(maxFrame)
	s := &Socket{ws: ws, line: line, written: make(chan struct{}), more: make(chan struct{}, 1)}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go s.write()
	return s, nil
}

// write moves frames from the queue to the line, until it is empty and Close
// was called, or its life ends.
func (s *Socket) write() {
	defer close(s.written)
	for {
		frame, ok, closing := s.take()
		if !ok {
			if closing {
				return
			}
			select {
			case <-s.more:
				continue
			case <-s.life.Done():
				return
			}
		}
		if err := s.ws.Write(s.life, websocket.MessageText, frame); err != nil {
			return // Receive tells why
		}
		s.mu.Lock()
		s.buffered -= len(frame)
		s.mu.Unlock()
	}
}

func (s *Socket) take() (frame []byte, ok, closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) == 0 {
		return nil, false, s.closing
	}
	frame = s.out[0]
	s.out = s.out[1:]
	return frame, true, s.closing
}

// Receive returns the next message, or *live.CloseError after the last one.
func (s *Socket) Receive(ctx context.Context) (live.Message, error) {
	if s.end != nil {
		return live.Message{}, s.end
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	_, data, err := s.ws.Read(reading)
	if err != nil {
		if ctx.Err() != nil {
			return live.Message{}, context.Cause(ctx)
		}
		s.end = &live.CloseError{Code: live.CloseAbnormal}
		if closed, ok := errors.AsType[websocket.CloseError](err); ok {
			s.end = &live.CloseError{Code: int(closed.Code), Reason: closed.Reason}
		}
		return live.Message{}, s.end
	}
	n, err := parse(data)
	if err != nil {
		return live.Message{}, err
	}
	return decode(n)
}

// Setup sends the first message.
func (s *Socket) Setup(setup live.Setup) error {
	given, _ := setup.Body.(map[string]any)
	body := maps.Clone(given)
	if body == nil {
		body = map[string]any{}
	}
	if setup.Model != "" {
		body["model"] = setup.Model
	}
	resumption := map[string]any{}
	if !setup.Handle.IsZero() {
		resumption["handle"] = setup.Handle.Reveal()
	}
	body["sessionResumption"] = resumption
	delete(body, "historyConfig")
	if setup.Seeded {
		body["historyConfig"] = map[string]any{"initialHistoryInClientContent": true}
	}
	return s.send(map[string]any{"setup": body})
}

// Send hands a message to the socket.
func (s *Socket) Send(in live.Input) error {
	body, ok := in.Body.(map[string]any)
	if !ok {
		return errNotOurs
	}
	return s.send(body)
}

func (s *Socket) send(body map[string]any) error {
	frame, err := encode(body)
	if err != nil {
		return live.ErrNotJSON
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return live.ErrNotOpen
	}
	s.out = append(s.out, frame)
	s.buffered += len(frame)
	s.signal()
	return nil
}

// encode writes a message without nulls.
func encode(body any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil || !bytes.Contains(b.Bytes(), []byte("null")) {
		return b.Bytes(), err
	}
	var n node
	dec := json.NewDecoder(bytes.NewReader(b.Bytes()))
	dec.UseNumber()
	if err := dec.Decode(&n.value); err != nil {
		return nil, err
	}
	b = bytes.Buffer{}
	err := enc.Encode(n.withoutNulls().value)
	return b.Bytes(), err
}

func (s *Socket) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Buffered is the number of bytes that have not left yet.
func (s *Socket) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffered
}

// Close writes what waits, asks for a normal close, waits for it as long as ctx
// lasts, and lets go of the socket. By itself coder/websocket would hold the line
// for up to 5 s if the peer does not answer.
func (s *Socket) Close(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.signal()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-s.written
		_ = s.ws.Close(websocket.StatusNormalClosure, "")
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		if s.line != nil {
			_ = s.line.Close()
		}
	}
	s.stop()
}

// NewUpdate reads a change of the setup, a decoded JSON tree.
func NewUpdate(body map[string]any) (live.Update, error) { return update(node{body}) }

// NewInput reads a client message, a decoded JSON tree.
func NewInput(body map[string]any) (live.Input, error) { return input(node{body}) }
