package emulator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

const (
	bidiService     = "google.ai.generativelanguage."
	bidiPlain       = ".GenerativeService.BidiGenerateContent"
	bidiConstrained = bidiPlain + "Constrained"

	// readLimit bounds one client message. Google documents no limit; messages
	// of 129 kB are on record, and a document or picture as clientContent may be
	// far larger. 16 MiB lets all of those through and still bounds a socket's
	// memory. Beyond it the close code is 1009.
	readLimit = 16 << 20
)

// credentials are what a client brought along, judged when its setup arrives
// (assumed). They are the only place that holds a secret; nothing reads them
// after that.
type credentials struct {
	constrained bool
	token       string // access_token or Authorization: Token
	key         string // key or x-goog-api-key
}

// caller is who opens a session. token is nil for an API key.
type caller struct {
	project project
	token   *token
}

// socketMethod takes the path of the Live socket apart.
func socketMethod(path string) (version string, constrained, ok bool) {
	rest, ok := strings.CutPrefix(path, "/ws/"+bidiService)
	if !ok {
		return "", false, false
	}
	version, constrained = strings.CutSuffix(rest, bidiConstrained)
	if !constrained {
		version, ok = strings.CutSuffix(rest, bidiPlain)
	}
	return version, constrained, ok && versions[version]
}

// serveSocket upgrades and talks until the end. Any Origin may come, as with
// Google: the token is the permission.
func (w *world) serveSocket(rw http.ResponseWriter, r *http.Request, version string, constrained bool) {
	h := &hijacked{ResponseWriter: rw}
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(-1) // readMessage has its own

	creds := credentials{constrained: constrained, token: requestToken(r), key: requestKey(r)}
	c := newConversation(w, conn, h.line, version)
	if !w.enter(c) {
		c.alarm.Stop()
		conn.CloseNow() // the server was closed meanwhile
		return
	}
	defer w.leave(c)
	c.run(creds)
}

// errTooBig ends a socket with 1009.
var errTooBig = errors.New("message too big")

// readMessage gives the next message. Unlike the library's own limit this one
// leaves the socket to be closed with a handshake: were it closed at once, what
// the client still sends would reset the connection and could cost it the close
// frame.
func readMessage(conn *websocket.Conn) (*bytes.Buffer, error) {
	_, r, err := conn.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	message := buffers.Get().(*bytes.Buffer)
	n, err := message.ReadFrom(io.LimitReader(r, readLimit+1))
	switch {
	case err != nil:
	case n > readLimit:
		err = errTooBig
	default:
		return message, nil
	}
	release(message)
	return nil, err
}

// buffers are those of messages. Only messages under way have one.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// release gives a message's buffer back, unless it is unusually large.
func release(message *bytes.Buffer) {
	if message.Cap() <= 64<<10 {
		message.Reset()
		buffers.Put(message)
	}
}

// requestToken is the token that a request brings.
func requestToken(r *http.Request) string {
	if token := r.URL.Query().Get("access_token"); token != "" {
		return token
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Token") {
		return strings.TrimSpace(token)
	}
	return ""
}

// authenticate finds out who is calling. Every failure is a close frame after
// the 101, never an HTTP status (observed).
func (w *world) authenticate(creds credentials) (caller, *refusal) {
	byKey := !creds.constrained || w.options.Switches.KeyOnConstrained && creds.token == "" && creds.key != ""
	if !byKey {
		// An API key alone is refused here (assumed).
		t, no := w.tokens.find(creds.token)
		if t == nil {
			return caller{}, no
		}
		return caller{t.project, t}, no
	}
	if creds.key == "" {
		return caller{}, errUnregistered() // a token too: this method knows none (observed)
	}
	p, ok := w.tokens.project(creds.key)
	if !ok {
		return caller{}, errBadKey() // observed, also for a token in place of the key
	}
	return caller{project: p}, nil
}
