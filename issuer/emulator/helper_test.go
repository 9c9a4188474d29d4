package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started by the init of a package that the SDK brings along.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const (
	testKey    = "emulator-test"
	socketPath = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent"
	tokenPath  = socketPath + "Constrained?access_token="
	audioSetup = `"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"]}`
	textSetup  = `"model":"models/gemini-3.5-transcribe-live","generationConfig":{"responseModalities":["TEXT"]}`
	manual     = `,"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}` // to follow another setup
)

// bubble runs f in virtual time with a server that is reached through pipes.
func bubble(t *testing.T, s *Server, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: s}
		go server.Serve(l)
		b := &bench{server: s, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: l.dial}}}
		t.Cleanup(func() {
			s.Close()
			server.Close()
			time.Sleep(time.Second) // net/http lingers after an answer to a body it did not read
		})
		f(t, b)
	})
}

// pipes is a listener whose connections are net.Pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type bench struct {
	server *Server
	client *http.Client
}

// do makes a request and gives status, header and body.
func (b *bench) do(t *testing.T, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://emulator"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func (b *bench) mint(t *testing.T, body string) string {
	t.Helper()
	code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", body, "x-goog-api-key", testKey)
	var token struct{ Name string }
	if err := json.Unmarshal([]byte(text), &token); err != nil || code != 200 {
		t.Fatalf("mint: %d %s", code, text)
	}
	return token.Name
}

// control calls a control endpoint and gives status and decoded body.
func (b *bench) control(t *testing.T, method, name, body string) (int, map[string]any) {
	t.Helper()
	code, _, text := b.do(t, method, "/__emulator/"+name, body, "Content-Type", "application/json")
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %s", name, text)
	}
	return code, v
}

// client is a socket whose messages are read as they come.
type client struct {
	conn   *websocket.Conn
	frames chan frame // closed with the socket
	err    error      // set before
}

type frame struct {
	at   time.Time
	kind websocket.MessageType
	data []byte
}

func (b *bench) dial(t *testing.T, path string, header ...string) *client {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://emulator"+path, &websocket.DialOptions{HTTPClient: b.client, HTTPHeader: h})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{conn: conn, frames: make(chan frame, 4096)}
	go func() {
		defer close(c.frames)
		for {
			kind, data, err := conn.Read(context.Background())
			if err != nil {
				c.err = err
				return
			}
			c.frames <- frame{time.Now(), kind, data}
		}
	}()
	t.Cleanup(func() { conn.CloseNow() })
	return c
}

func (c *client) send(t *testing.T, message string) {
	t.Helper()
	if err := c.conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatalf("send %s: %v", message, err)
	}
}

// open dials and sets up.
func (b *bench) open(t *testing.T, path, setup string) *client {
	t.Helper()
	c := b.dial(t, path)
	c.send(t, `{"setup":{`+setup+`}}`)
	if got := c.next(t); compact(got.data) != `{"setupComplete":{}}` {
		t.Fatalf("got %s, want setupComplete", got.data)
	}
	return c
}

// openKey opens with an API key.
func (b *bench) openKey(t *testing.T, setup string) *client {
	t.Helper()
	return b.open(t, socketPath+"?key="+testKey, setup)
}

func (c *client) next(t *testing.T) frame {
	t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			t.Fatalf("socket ended: %v", c.err)
		}
		return f
	case <-time.After(24 * time.Hour):
		t.Fatal("no message came")
	}
	panic("unreachable")
}

// closed drains the socket and gives code and reason of its end; 1006 without a
// close frame.
func (c *client) closed(t *testing.T) (int, string) {
	t.Helper()
	timeout := time.After(24 * time.Hour)
	for {
		select {
		case _, ok := <-c.frames:
			if ok {
				continue
			}
			if e, ok := errors.AsType[websocket.CloseError](c.err); ok {
				return int(e.Code), e.Reason
			}
			return 1006, ""
		case <-timeout:
			t.Fatal("the socket stays open")
		}
	}
}

func (c *client) wantClosed(t *testing.T, code int, reason string) {
	t.Helper()
	if gotCode, gotReason := c.closed(t); gotCode != code || !strings.HasPrefix(gotReason, reason) || reason == "" && gotReason != "" {
		t.Errorf("closed with %d %q, want %d %q", gotCode, gotReason, code, reason)
	}
}

// answer is one turn as a client sees it.
type answer struct {
	text       string   // written parts
	transcript string   // of the speech
	heard      string   // transcript of the input
	called     []string // functions, and the ids of the calls
	ids        []string
	status     string   // interactionStatus
	pcm        []byte   // the speech
	order      []string // what came, repeats folded
	handle     string   // of the resumable update, if one was due
	frames     []frame
}

// turn reads up to turnComplete, and the resumable update after it if updates
// is set.
func (c *client) turn(t *testing.T, updates bool) answer {
	t.Helper()
	return c.until(t, updates, false)
}

// calls reads up to the next call of functions.
func (c *client) calls(t *testing.T) answer {
	t.Helper()
	return c.until(t, false, true)
}

func (c *client) until(t *testing.T, updates, stopAtCalls bool) answer {
	t.Helper()
	var a answer
	for done := false; !done; {
		f := c.next(t)
		a.frames = append(a.frames, f)
		var m struct {
			ServerContent *struct {
				ModelTurn struct {
					Parts []struct {
						Text       string
						Thought    bool
						InlineData struct {
							MimeType string
							Data     []byte
						}
					}
				}
				InputTranscription, OutputTranscription       struct{ Text string }
				GenerationComplete, TurnComplete, Interrupted bool
				GroundingMetadata                             map[string]any
				InteractionStatus                             string
			}
			SessionResumptionUpdate *struct {
				NewHandle string
				Resumable bool
			}
			UsageMetadata map[string]any
			GoAway        any
			VoiceActivity *struct{ Type, AudioOffset string }
			ToolCall      *struct {
				FunctionCalls []struct{ ID, Name string }
			}
			ToolCallCancellation *struct{ IDs []string }
		}
		if err := json.Unmarshal(f.data, &m); err != nil {
			t.Fatal(err)
		}
		what := "?"
		switch sc := m.ServerContent; {
		case m.SessionResumptionUpdate != nil && m.SessionResumptionUpdate.Resumable:
			what, a.handle, done = "resumable", m.SessionResumptionUpdate.NewHandle, true
		case m.SessionResumptionUpdate != nil:
			what = "not resumable"
		case m.GoAway != nil:
			what = "goAway"
		case m.ToolCall != nil:
			what = "toolCall"
			for _, one := range m.ToolCall.FunctionCalls {
				a.called = append(a.called, one.Name)
				a.ids = append(a.ids, one.ID)
			}
			done = stopAtCalls
		case m.ToolCallCancellation != nil:
			what = "cancellation " + strings.Join(m.ToolCallCancellation.IDs, " ")
		case m.VoiceActivity != nil:
			what = m.VoiceActivity.Type + " " + m.VoiceActivity.AudioOffset
		case sc == nil:
		case sc.TurnComplete:
			what, done = "turnComplete", !updates
			a.status = sc.InteractionStatus
			if m.UsageMetadata == nil {
				t.Error("turnComplete came without usageMetadata")
			}
		case sc.GenerationComplete:
			what = "generationComplete"
		case sc.Interrupted:
			what = "interrupted"
		case sc.InputTranscription.Text != "":
			what = "heard"
			a.heard += sc.InputTranscription.Text
		case sc.GroundingMetadata != nil:
			what = "grounding"
		case len(sc.ModelTurn.Parts) == 1 && sc.ModelTurn.Parts[0].Thought:
			what = "thought"
		case sc.OutputTranscription.Text != "", len(sc.ModelTurn.Parts) == 1: // or both, fact 64
			what = "content"
			a.transcript += sc.OutputTranscription.Text
			for _, part := range sc.ModelTurn.Parts {
				a.text += part.Text
				a.pcm = append(a.pcm, part.InlineData.Data...)
			}
		}
		if n := len(a.order); n == 0 || a.order[n-1] != what {
			a.order = append(a.order, what)
		}
	}
	return a
}

func (c *client) say(t *testing.T, text string) {
	t.Helper()
	message, _ := json.Marshal(map[string]any{"realtimeInput": map[string]any{"text": text}})
	c.send(t, string(message))
}

// ask says something and gives the written answer.
func (c *client) ask(t *testing.T, text string, updates bool) answer {
	t.Helper()
	c.say(t, text)
	return c.turn(t, updates)
}

func compact(data []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return string(data)
	}
	return b.String()
}
