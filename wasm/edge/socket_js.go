package edge

import (
	"context"
	"errors"
	"sync"
	"syscall/js"

	"github.com/livevalet/livevalet/wasm/live"
)

// Socket is a browser's WebSocket. Its callbacks append to one queue and signal;
// decoding happens in Receive. Messages and the close event share that queue,
// so order, close code and reason survive.
type Socket struct {
	ws      js.Value
	decoder js.Value
	arrived chan struct{} // holds a value when there may be news
	opened  chan struct{} // closed by the open event
	closed  chan struct{} // closed with the end
	drop    func()        // detaches and releases the callbacks

	mu     sync.Mutex
	frames []js.Value // guarded by mu: string or ArrayBuffer
	end    error      // guarded by mu: *live.CloseError, unless a callback panicked
}

// Dial opens a socket with the token. The error is *live.CloseError when the
// browser could not open it, which is all that a page can learn; it never
// holds the URL.
func Dial(ctx context.Context, t live.Token) (*Socket, error) {
	ws, err := newWebSocket(socketURL(t))
	if err != nil {
		return nil, err
	}
	s := &Socket{
		ws:      ws,
		decoder: js.Global().Get("TextDecoder").New(),
		arrived: make(chan struct{}, 1),
		opened:  make(chan struct{}),
		closed:  make(chan struct{}),
	}
	s.listen()
	select {
	case <-s.opened:
		return s, nil
	case <-s.closed:
		s.drop()
		return nil, s.end
	case <-ctx.Done():
		s.drop()
		s.ws.Call("close")
		return nil, context.Cause(ctx)
	}
}

// newWebSocket constructs the browser's object, whose exception quotes the URL.
func newWebSocket(url string) (ws js.Value, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the browser refuses to open the grant's websocketUrl: check the URL and the page's content security policy")
		}
	}()
	ws = js.Global().Get("WebSocket").New(url)
	ws.Set("binaryType", "arraybuffer")
	return ws, nil
}

// listen attaches the callbacks. They append and signal, and nothing else.
func (s *Socket) listen() {
	callbacks := map[string]func(event js.Value){
		"open":    func(js.Value) { close(s.opened) },
		"message": func(e js.Value) { s.append(e.Get("data")) },
		"error": func(js.Value) {
			select {
			case <-s.opened: // its close follows, with more to tell
			default: // of a socket that the page's policy forbids, Chromium tells nothing else (observed)
				s.finish(&live.CloseError{Code: live.CloseAbnormal})
			}
		},
		"close": func(e js.Value) {
			s.finish(&live.CloseError{Code: e.Get("code").Int(), Reason: e.Get("reason").String()})
		},
	}
	attached := make(map[string]js.Func, len(callbacks))
	for event, callback := range callbacks {
		attached[event] = js.FuncOf(func(_ js.Value, args []js.Value) any {
			if err := live.Try(func() error { callback(args[0]); return nil }); err != nil {
				s.finish(err)
			}
			return nil
		})
		s.ws.Call("addEventListener", event, attached[event])
	}
	s.drop = sync.OnceFunc(func() {
		for event, f := range attached {
			s.ws.Call("removeEventListener", event, f)
			f.Release()
		}
	})
}

// append adds a frame and signals.
func (s *Socket) append(frame js.Value) {
	s.mu.Lock()
	s.frames = append(s.frames, frame)
	s.mu.Unlock()
	s.signal()
}

// finish ends the socket and signals. The first end counts.
func (s *Socket) finish(end error) {
	s.mu.Lock()
	if s.end == nil {
		s.end = end
		close(s.closed)
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Socket) signal() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// Receive returns the next message, or *live.CloseError after the last one.
func (s *Socket) Receive(ctx context.Context) (live.Message, error) {
	for {
		frame, ok, end := s.next()
		if ok {
			return s.decode(frame)
		}
		if end != nil {
			return live.Message{}, end
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return live.Message{}, context.Cause(ctx)
		}
	}
}

func (s *Socket) next() (frame js.Value, ok bool, end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frames) == 0 {
		return js.Value{}, false, s.end
	}
	frame = s.frames[0]
	s.frames[0] = js.Value{} // let the frame go
	s.frames = s.frames[1:]
	return frame, true, nil
}

func (s *Socket) decode(frame js.Value) (live.Message, error) {
	if frame.Type() != js.TypeString {
		frame = s.decoder.Call("decode", frame)
	}
	n, err := parse(frame)
	if err != nil {
		return live.Message{}, err
	}
	return decode(n)
}

// Setup sends the first message.
func (s *Socket) Setup(setup live.Setup) error {
	body := jsObject.New()
	if given, ok := setup.Body.(js.Value); ok {
		jsObject.Call("assign", body, given)
	}
	if setup.Model != "" {
		body.Set("model", setup.Model)
	}
	resumption := jsObject.New()
	if !setup.Handle.IsZero() {
		resumption.Set("handle", setup.Handle.Reveal())
	}
	body.Set("sessionResumption", resumption)
	body.Delete("historyConfig")
	if setup.Seeded {
		history := jsObject.New()
		history.Set("initialHistoryInClientContent", true)
		body.Set("historyConfig", history)
	}
	envelope := jsObject.New()
	envelope.Set("setup", body)
	return s.send(envelope)
}

// Send hands a message to the socket.
func (s *Socket) Send(in live.Input) error {
	body, ok := in.Body.(js.Value)
	if !ok {
		return errNotOurs
	}
	return s.send(body)
}

func (s *Socket) send(body js.Value) (err error) {
	if s.ws.Get("readyState").Int() != 1 {
		return live.ErrNotOpen
	}
	defer func() {
		if recover() != nil { // a cycle, a BigInt
			err = live.ErrNotJSON
		}
	}()
	text := jsJSON.Call("stringify", body)
	if aNull.Call("test", text).Bool() {
		n, err := parse(text)
		if err != nil {
			return err
		}
		text = jsJSON.Call("stringify", n.withoutNulls().value)
	}
	s.ws.Call("send", text)
	return nil
}

// Buffered is the number of bytes that have not left yet.
func (s *Socket) Buffered() int { return s.ws.Get("bufferedAmount").Int() }

// Close asks for a normal close, waits for it as long as ctx lasts, and lets go
// of the socket. A browser takes 60 s to give up on a dead line (measured).
func (s *Socket) Close(ctx context.Context) {
	defer func() {
		s.drop()
		s.mu.Lock()
		s.frames = nil // nobody is told any more
		s.mu.Unlock()
	}()
	s.ws.Call("close", live.CloseNormal)
	select {
	case <-s.closed:
	case <-ctx.Done():
		s.finish(&live.CloseError{Code: live.CloseAbnormal})
	}
}

// NewUpdate reads a change of the setup, a JavaScript object.
func NewUpdate(body js.Value) (live.Update, error) { return update(node{body}) }

// NewInput reads a client message, a JavaScript object.
func NewInput(body js.Value) (live.Input, error) { return input(node{body}) }
