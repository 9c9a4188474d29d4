package engines

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// bidi is a connection in WebDriver BiDi (https://w3c.github.io/webdriver-bidi):
// commands with numbers, answers with the same, and events between them. Its
// methods may be called from any goroutine.
type bidi struct {
	conn *websocket.Conn
	hear func(method string, params json.RawMessage) // an event; it must not wait for the browser
	last atomic.Int64
	done chan struct{} // closed when the connection is over

	mu      sync.Mutex
	waiting map[int64]chan<- bidiAnswer
}

type bidiAnswer struct {
	ID      int64
	Type    string // "success", "error" or "event"
	Result  json.RawMessage
	Error   string
	Message string
	Method  string
	Params  json.RawMessage
}

// dialBiDi connects; the caller closes.
func dialBiDi(ctx context.Context, url string, hear func(method string, params json.RawMessage)) (*bidi, error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(64 << 20)
	b := &bidi{conn: conn, hear: hear, done: make(chan struct{}), waiting: map[int64]chan<- bidiAnswer{}}
	go b.read()
	return b, nil
}

func (b *bidi) close() {
	_ = b.conn.CloseNow()
	<-b.done
}

// read ends when the connection does.
func (b *bidi) read() {
	defer close(b.done)
	for {
		var answer bidiAnswer
		if err := wsjson.Read(context.Background(), b.conn, &answer); err != nil {
			return
		}
		if answer.Type == "event" {
			b.hear(answer.Method, answer.Params)
			continue
		}
		b.mu.Lock()
		waiting := b.waiting[answer.ID]
		delete(b.waiting, answer.ID)
		b.mu.Unlock()
		if waiting != nil {
			waiting <- answer
		}
	}
}

// object is one of JSON's.
type object = map[string]any

// call sends a command and reads what it is answered into result.
func (b *bidi) call(ctx context.Context, method string, params object, result any) error {
	id, answered := b.last.Add(1), make(chan bidiAnswer, 1)
	b.mu.Lock()
	b.waiting[id] = answered
	b.mu.Unlock()
	if err := wsjson.Write(ctx, b.conn, object{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case answer := <-answered:
		if answer.Type != "success" {
			return fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		}
		return json.Unmarshal(answer.Result, result)
	case <-b.done:
		return fmt.Errorf("%s: the browser closed the connection", method)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}
