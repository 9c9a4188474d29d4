//go:build !js

package session_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// world is what is around one session: an application with a microphone and
// functions, and a service of which everything can be known. It notes what must
// not be as it happens; what is left in the end, the oracle judges.
type world struct {
	service *emulator.Server
	talk    *talk
	began   time.Time
	slept   atomic.Int64   // by how much the wall clock is ahead
	work    sync.WaitGroup // speech under way
	mouth   chan struct{}  // holds a value while it speaks

	// What makes it harder to tell what a turn answers: handles at any time, news
	// that got lost, speech, functions; a line that stood still or was slow; and
	// speech whose end the application does not tell. Only the script sets it.
	vague, slow, untold bool
	calm                bool // nothing is said before all is over that was, and nothing aloud

	mu       sync.Mutex
	story    []string
	wrong    []string
	facts    []fact
	spoken   time.Duration // with silence
	sends    []*sending
	wires    []*wire
	secrets  []string
	calls    map[string]session.CallState
	runs     int // of functions
	allowed  int // of these, those that a trigger or a withdrawn call accounts for
	takes    time.Duration
	together bool
	heard    time.Time // when the model said or called something last
	journal  []journalled
	waits    bool // the service, for the end of speech
}

// fact is something that the model must be told once.
type fact struct {
	label string
	sound time.Duration // 0: typed
}

// sending is one Send.
type sending struct {
	what    string
	settled int
	err     error
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%v\t", time.Since(w.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// fail notes what must not be.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// The application.

// send sends a message that may end in one of those ways, or be taken.
func (w *world) send(what string, body map[string]any, may ...error) {
	in, err := edge.NewInput(body)
	if err != nil {
		w.fail("%s: %v", what, err)
		return
	}
	one := &sending{what: what, err: errors.New("never settled")}
	w.mu.Lock()
	w.sends = append(w.sends, one)
	w.mu.Unlock()
	if err := w.talk.session.Send(in, func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		one.settled++
		if one.err = err; slices.ContainsFunc(may, func(target error) bool { return errors.Is(err, target) }) {
			one.err = nil
		}
	}); err != nil {
		w.fail("%s: %v", what, err)
	}
}

// fact gives a new one to type.
func (w *world) fact() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	label := fmt.Sprintf("f%d", len(w.facts))
	w.facts = append(w.facts, fact{label: label})
	return label
}

func (w *world) types(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note("types %q", text)
	w.send(text, realtime("text", text))
}

// rests waits until all is over that was said, however long the line was dead, and
// the model has nothing more to tell of it.
func (w *world) rests() {
	for range 6 {
		time.Sleep(20 * time.Second)
		w.mu.Lock()
		heard := time.Since(w.heard)
		w.mu.Unlock()
		if kept, _ := w.talk.session.Kept(); kept == 0 && heard >= 20*time.Second {
			return
		}
	}
}

func (w *world) content(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.note("types the turn %q", text)
	w.send(text, map[string]any{"clientContent": map[string]any{
		"turns":        []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": text}}}},
		"turnComplete": true,
	}})
}

func realtime(key string, value any) map[string]any {
	return map[string]any{"realtimeInput": map[string]any{key: value}}
}

// spell is the length of the sound in one message.
const spell = 100 * time.Millisecond

// microphone is what becomes of it after speech.
type microphone string

const (
	off   microphone = "off" // which is told
	on    microphone = "on"  // for some seconds of silence
	gone  microphone = "off, untold"
	marks microphone = "off, between marks"
)

// speaks speaks in the background, once nobody else does.
func (w *world) speaks(length time.Duration, after microphone) {
	w.vague, w.untold = true, w.untold || after == gone
	w.work.Go(func() {
		w.mouth <- struct{}{} // no mutex: virtual time does not pass for who waits for one
		defer func() { <-w.mouth }()
		time.Sleep(300 * time.Microsecond) // so that it is told in which order it happens with what is not spoken
		w.note("speaks for %v", length)
		if after == marks {
			w.send("activityStart", realtime("activityStart", map[string]any{}))
		}
		for range length / spell {
			w.mu.Lock()
			label := fmt.Sprintf("s%d", len(w.facts))
			w.facts = append(w.facts, fact{label, spell})
			w.mu.Unlock()
			w.hears(8000, label)
		}
		switch after {
		case off:
			w.send("audioStreamEnd", realtime("audioStreamEnd", true))
		case on:
			for range 20 {
				w.hears(0, "silence")
			}
		case marks:
			w.send("activityEnd", realtime("activityEnd", map[string]any{}))
		}
		w.note("is silent")
	})
}

// hears lets the microphone hear a spell of that level. The label goes where only
// the journal looks.
func (w *world) hears(level int16, label string) {
	pcm := make([]byte, 2*16000*spell/time.Second)
	for i := range len(pcm) / 2 {
		binary.LittleEndian.PutUint16(pcm[2*i:], uint16(level*int16(1-i/8%2*2)))
	}
	w.mu.Lock()
	w.spoken += spell
	w.mu.Unlock()
	w.send(label, realtime("audio", map[string]any{
		"mimeType": "audio/pcm;of=" + label + ";rate=16000", "data": base64.StdEncoding.EncodeToString(pcm),
	}), session.ErrDropped)
	time.Sleep(spell)
}

// functions says how functions are from now on, of which some are about to be
// called.
func (w *world) functions(calls int, takes time.Duration, together bool) {
	w.vague = w.vague || !w.calm
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allowed += calls
	w.takes, w.together = takes, together
}

// called runs the functions that the model calls.
func (w *world) called(body live.Payload) {
	message, _ := body.(map[string]any)["toolCall"].(map[string]any)
	list, _ := message["functionCalls"].([]any)
	var responses []any
	for _, one := range list {
		call := one.(map[string]any)
		responses = append(responses, map[string]any{"id": call["id"], "name": call["name"], "response": map[string]any{"output": "done"}})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs += len(responses)
	batches := slices.Collect(slices.Chunk(responses, 1))
	if w.together && len(responses) > 0 {
		batches = [][]any{responses}
	}
	takes := w.takes
	for _, batch := range batches {
		go func() { // which is over long before the session is
			time.Sleep(takes + 600*time.Microsecond)
			w.note("answers %d calls", len(batch))
			w.send("toolResponse", map[string]any{"toolResponse": map[string]any{"functionResponses": batch}}, session.ErrNoCall, session.ErrOrphaned)
		}()
	}
}

// event hears what the session tells.
func (w *world) event(e session.Event) {
	if words := session.Words(e); words != "" {
		w.note("%s", words)
	}
	switch e := e.(type) {
	case session.Received:
		if len(e.Message.Calls) > 0 {
			w.called(e.Message.Body)
		}
		w.mu.Lock()
		if e.Message.Content || e.Message.TurnComplete || len(e.Message.Calls) > 0 {
			w.heard = time.Now()
		}
		w.allowed += len(e.Message.Cancelled) // the service may make them again
		w.mu.Unlock()
		if e.Message.TurnComplete {
			w.note("turn complete (interrupted: %v)", e.Message.Interrupted)
		}
		if e.Message.Output {
			return // sound holds no secrets, and takes long to look at
		}
	case session.ToolCall:
		w.toolCall(e)
	}
	w.public(fmt.Sprintf("%+v", e))
}

// toolCall holds that each call begins and ends once.
func (w *world) toolCall(e session.ToolCall) {
	w.mu.Lock()
	state, known := w.calls[e.ID]
	w.calls[e.ID] = e.State
	if e.State == session.CallMade && known {
		w.calls[e.ID] = state // it goes on as it was
	}
	w.mu.Unlock()
	switch {
	case e.State != session.CallMade && state != session.CallMade,
		e.State == session.CallMade && e.Repeated != known,
		e.Repeated && state != session.CallMade && state != session.CallAnswered:
		w.fail("call %s is %s (repeated: %v) after %q", e.ID, e.State, e.Repeated, state)
	}
}

// public holds that there is no secret in what is.
func (w *world) public(text string) {
	w.mu.Lock()
	secret := slices.IndexFunc(w.secrets, func(secret string) bool { return strings.Contains(text, secret) })
	w.mu.Unlock()
	if secret >= 0 {
		w.fail("secret %d is in %s", secret, text)
	}
}

func (w *world) secret(s live.Secret) {
	if s.IsZero() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if value := strings.TrimPrefix(s.Reveal(), "auth_tokens/"); !slices.Contains(w.secrets, value) {
		w.secrets = append(w.secrets, value)
	}
}

// The service.

// control asks the service for something, at once.
func (w *world) control(what, body string) []byte {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	} else {
		w.note("%s %s", what, body)
	}
	req := httptest.NewRequest(method, "http://emulator/__emulator/"+what, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	res := httptest.NewRecorder()
	w.service.ServeHTTP(res, req)
	if res.Code != http.StatusOK && res.Code != http.StatusNotFound { // 404: between two connections
		w.fail("%s: status %d", what, res.Code)
	}
	return res.Body.Bytes()
}

// fault makes trouble on all sessions.
func (w *world) fault(body string) {
	w.slow = w.slow || strings.Contains(body, `"stall"`) || strings.Contains(body, `"slow"`) || strings.Contains(body, `"burst"`)
	w.control("fault", body)
}

// advance moves the service's clock.
func (w *world) advance(d time.Duration) {
	w.note("the service is ahead by %v more", d)
	w.service.Advance(d)
}

// sleeps lets time pass everywhere but in timers.
func (w *world) sleeps(d time.Duration) {
	w.slept.Add(int64(d))
	w.advance(d)
}

// look reads what the journal has that is new, and looks into the session.
func (w *world) look() {
	after := int64(0)
	if n := len(w.journal); n > 0 {
		after = w.journal[n-1].Seq
	}
	var news struct{ Entries []journalled }
	if err := json.Unmarshal(w.control(fmt.Sprintf("journal?after=%d", after), ""), &news); err != nil {
		w.fail("journal: %v", err)
	}
	if len(news.Entries) > 0 && news.Entries[0].Seq != after+1 {
		w.fail("the journal lacks what came after %d", after)
	}
	w.journal = append(w.journal, news.Entries...)
	if messages, sound := w.talk.session.Kept(); messages > 1024 || sound > 10*time.Second {
		w.fail("the outbox holds %d messages and %v of sound", messages, sound)
	}
}

// listens looks whether the service hears somebody speak.
func (w *world) listens() {
	var report struct {
		Sessions []struct{ Connection struct{ Activity bool } }
	}
	if err := json.Unmarshal(w.control("sessions", ""), &report); err != nil {
		w.fail("sessions: %v", err)
	}
	for _, one := range report.Sessions {
		w.waits = w.waits || one.Connection.Activity
	}
}

// Between them.

// wire is a connection that is listened in on.
type wire struct {
	session.Conn
	w    *world
	seed string // what a new session is told of the one before

	mu                     sync.Mutex
	setup, restarts, ready bool
	closed                 time.Time
}

func (w *world) open(token live.Token, conn session.Conn) session.Conn {
	w.secret(token.Secret)
	one := &wire{Conn: conn, w: w}
	w.mu.Lock()
	before := w.wires
	w.wires = append(before, one)
	w.mu.Unlock()
	for _, old := range before {
		old.mu.Lock()
		if old.closed.IsZero() {
			w.fail("a socket is opened while another one is open")
		}
		old.mu.Unlock()
	}
	return one
}

func (c *wire) Setup(s live.Setup) error {
	c.mu.Lock()
	if c.setup {
		c.w.fail("a second setup")
	}
	c.setup, c.restarts = true, s.Handle.IsZero()
	c.mu.Unlock()
	return c.Conn.Setup(s)
}

func (c *wire) Receive(ctx context.Context) (live.Message, error) {
	m, err := c.Conn.Receive(ctx)
	c.w.secret(m.Handle)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = c.ready || m.SetupComplete
	if err != nil && ctx.Err() == nil {
		c.w.note("the socket ends: %v", err)
	}
	return m, err
}

func (c *wire) Send(in live.Input) error {
	c.mu.Lock()
	if !c.ready || !c.closed.IsZero() {
		c.w.fail("sent when it was not the time: %+v", in)
	}
	if content, ok := in.Body.(map[string]any)["clientContent"].(map[string]any); ok && len(in.Lines) == 0 {
		c.seed = said(content["turns"].([]any))
	}
	c.mu.Unlock()
	return c.Conn.Send(in)
}

func (c *wire) Close(ctx context.Context) {
	began := time.Now()
	c.Conn.Close(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if took := time.Since(began); took > time.Second || !c.closed.IsZero() {
		c.w.fail("a socket is closed for %v (before: %v)", took, c.closed)
	}
	c.closed = time.Now()
}

// said is what the user said, of turns that tell the past.
func said(turns []any) string {
	var b strings.Builder
	for _, one := range turns {
		turn := one.(map[string]any)
		for line := range strings.Lines(fmt.Sprint(turn["parts"])) {
			if turn["role"] == "user" && !strings.HasPrefix(line, "You said: ") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}
