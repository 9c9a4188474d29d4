package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	plain       = "BidiGenerateContent"
	constrained = "BidiGenerateContentConstrained"
)

// methodPath is where a Live method is.
func methodPath(version, method string) string {
	return "/ws/google.ai.generativelanguage." + version + ".GenerativeService." + method
}

// tokenPath is where a token is good.
func tokenPath(name string) string {
	return methodPath("v1alpha", constrained) + "?access_token=" + url.QueryEscape(name)
}

// keyPath is where an API key is good.
func keyPath(key string) string {
	return methodPath("v1beta", plain) + "?key=" + url.QueryEscape(key)
}

// socket is one connection. A goroutine reads it; whoever checks takes what came.
type socket struct {
	p      *probe
	conn   *websocket.Conn
	events chan event // the last one is the end
	read   chan struct{}
	newest string // handle
}

// event is a message, or the end of the socket.
type event struct {
	at     time.Time
	binary bool
	raw    []byte
	body   object // nil if it is no JSON object

	ended  bool
	code   int // 1006 if no close frame came
	reason string
}

// dial opens a socket. The status is that of the answer; the socket is nil
// unless it is 101.
func (p *probe) dial(path string, header ...string) (*socket, int) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, res, err := websocket.Dial(ctx, p.target.BaseURL+path, &websocket.DialOptions{HTTPClient: p.target.Client, HTTPHeader: h})
	switch {
	case err != nil && res != nil:
		return nil, res.StatusCode
	case err != nil:
		p.fail("no answer to an upgrade") // the error may quote the URL, which holds a secret
	}
	conn.SetReadLimit(16 << 20)
	s := &socket{p: p, conn: conn, events: make(chan event, 1024), read: make(chan struct{})}
	p.sockets = append(p.sockets, s)
	go s.receive(p.ctx)
	return s, http.StatusSwitchingProtocols
}

// open dials and sends a setup. It fails unless the socket opens.
func (p *probe) open(path string, setup object, header ...string) *socket {
	s, status := p.dial(path, header...)
	if s == nil {
		p.fail("the upgrade gives %d, want 101", status)
	}
	s.send(object{"setup": setup})
	return s
}

// live opens a session, which must be accepted.
func (p *probe) live(path string, setup object, header ...string) *socket {
	s := p.open(path, setup, header...)
	s.live()
	return s
}

// audio is a setup that the model accepts. more is laid over it.
func (p *probe) audio(more ...object) object {
	setup := object{"model": p.target.Model, "generationConfig": object{"responseModalities": []string{"AUDIO"}}}
	for _, m := range more {
		maps.Copy(setup, m)
	}
	return setup
}

// inText is a setup that the model refuses, since it only speaks.
func (p *probe) inText() object {
	return p.audio(object{"generationConfig": object{"responseModalities": []string{"TEXT"}}})
}

const noText = "The requested combination of response modalities (TEXT) is not supported by the model"

// hangUp cuts all sockets and waits for their readers.
func (p *probe) hangUp() {
	for _, s := range p.sockets {
		s.conn.CloseNow()
		<-s.read
	}
}

func (s *socket) receive(ctx context.Context) {
	defer close(s.read)
	for {
		kind, raw, err := s.conn.Read(ctx)
		e := event{at: time.Now(), binary: kind == websocket.MessageBinary, raw: raw}
		if err != nil {
			e.ended, e.code = true, 1006
			if closed, ok := errors.AsType[websocket.CloseError](err); ok {
				e.code, e.reason = int(closed.Code), closed.Reason
			}
		} else {
			_ = json.Unmarshal(raw, &e.body)
		}
		select {
		case s.events <- e:
		case <-ctx.Done():
			return
		}
		if e.ended {
			return
		}
	}
}

func (s *socket) send(message any) { s.write(websocket.MessageText, message) }

func (s *socket) write(kind websocket.MessageType, message any) {
	raw, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(s.p.ctx, patience)
	defer cancel()
	_ = s.conn.Write(ctx, kind, raw) // a dead socket shows when it is read
}

// close ends the connection and waits for the service's half.
func (s *socket) close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") }

// within gives the next event, ok is false if none comes in d.
func (s *socket) within(d time.Duration) (e event, ok bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case e := <-s.events:
		if u := e.update(); u != nil {
			if handle, _ := u["newHandle"].(string); handle != "" {
				s.p.secrets = append(s.p.secrets, handle)
				s.newest = handle
			}
		}
		return e, true
	case <-timer.C:
	case <-s.p.ctx.Done():
		s.p.fail("%v", context.Cause(s.p.ctx))
	}
	return event{}, false
}

// next gives the next event and fails if none comes.
func (s *socket) next() event {
	e, ok := s.within(patience)
	if !ok {
		s.p.fail("nothing comes within %s", patience)
	}
	return e
}

// live expects setupComplete.
func (s *socket) live() event {
	e := s.next()
	if e.body["setupComplete"] == nil {
		s.p.fail("the setup gives %s, want setupComplete", e)
	}
	return e
}

// closes expects the service to end the socket, other messages before that are
// passed over. Any of the codes will do; words is part of the reason.
func (s *socket) closes(words string, codes ...int) event {
	for {
		e := s.next()
		switch {
		case e.body["setupComplete"] != nil:
			s.p.fail("the setup is accepted, want close %v %q", codes, words)
		case e.ended && (!slices.Contains(codes, e.code) || !strings.Contains(e.reason, words)):
			s.p.fail("it ends with %s, want %v %q", e, codes, words)
		case e.ended:
			return e
		}
	}
}

// stays expects the socket to stay open for a moment.
func (s *socket) stays(after string) {
	for until := time.Now().Add(quiet); ; {
		e, ok := s.within(time.Until(until))
		if !ok {
			return
		}
		if e.ended {
			s.p.fail("after %s the socket ends with %s", after, e)
		}
	}
}

// String tells of an event without its content.
func (e event) String() string {
	switch {
	case e.ended && e.code == 1006:
		return "no close frame"
	case e.ended:
		return fmt.Sprintf("close %d %q", e.code, e.reason)
	case e.body == nil:
		return "what is no JSON object"
	}
	return "{" + strings.Join(slices.Sorted(maps.Keys(e.body)), ", ") + "}"
}

// content is what the model says, nil if the event is something else.
func (e event) content() object {
	c, _ := e.body["serverContent"].(object)
	return c
}

// update is a resumption update.
func (e event) update() object {
	u, _ := e.body["sessionResumptionUpdate"].(object)
	return u
}

// is reports whether a flag of serverContent is set.
func (e event) is(flag string) bool { return e.content()[flag] == true }

// sound is the audio in an event: the mime types and the samples.
func (e event) sound(p *probe) (mimes []string, pcm []byte) {
	turn, _ := e.content()["modelTurn"].(object)
	parts, _ := turn["parts"].([]any)
	for _, part := range parts {
		part, _ := part.(object)
		blob, _ := part["inlineData"].(object)
		if blob == nil {
			continue
		}
		mime, _ := blob["mimeType"].(string)
		data, _ := blob["data"].(string)
		raw, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			p.fail("audio data is not standard base64")
		}
		mimes, pcm = append(mimes, mime), append(pcm, raw...)
	}
	return mimes, pcm
}

// transcript is the fragment of output transcription in an event.
func (e event) transcript() string {
	t, _ := e.content()["outputTranscription"].(object)
	text, _ := t["text"].(string)
	return text
}

// say types to the model.
func (s *socket) say(text string) { s.send(object{"realtimeInput": object{"text": text}}) }

// turn collects what comes until turnComplete, that included.
func (s *socket) turn() (events []event) {
	for {
		e := s.next()
		if e.ended {
			s.p.fail("the turn ends with %s", e)
		}
		events = append(events, e)
		if e.is("turnComplete") {
			return events
		}
	}
}

// answers reports whether the model begins to answer within d.
func (s *socket) answers(d time.Duration) bool {
	for until := time.Now().Add(d); ; {
		e, ok := s.within(time.Until(until))
		switch {
		case !ok || e.ended:
			return false
		case e.content() != nil:
			return true
		}
	}
}

// speaks waits for the first sound.
func (s *socket) speaks() {
	for {
		e := s.next()
		if e.ended || e.is("turnComplete") {
			s.p.fail("the model says nothing")
		}
		if _, pcm := e.sound(s.p); len(pcm) > 0 {
			return
		}
	}
}

// handle waits for one that is good.
func (s *socket) handle() string {
	for {
		e := s.next()
		if e.ended {
			s.p.fail("no handle comes, but %s", e)
		}
		if u := e.update(); u["resumable"] == true {
			handle, _ := u["newHandle"].(string)
			if handle == "" {
				s.p.fail("a resumable update has no handle")
			}
			return handle
		}
	}
}

// told tells a new session something and gives the handle that holds it. The
// session is over then.
func (p *probe) told(path, text string) (handle string) {
	s := p.live(path, p.audio(resumable("")))
	s.say(text)
	s.turn()
	handle = s.handle()
	s.close()
	return handle
}

// resumable asks for updates and, with a handle, resumes.
func resumable(handle string) object {
	if handle == "" {
		return object{"sessionResumption": object{}}
	}
	return object{"sessionResumption": object{"handle": handle}}
}
