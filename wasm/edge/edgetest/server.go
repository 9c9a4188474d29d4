//go:build !js

// Package edgetest is the other end of the edge's conformance test: a server
// that does one odd thing per path. The native build runs it in process, the
// browser build finds it at an address.
package edgetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Handler serves all paths. It lets every origin in, since the pages of
// wasmbrowsertest sit on random ports.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for path, play := range sockets {
		mux.HandleFunc("GET /socket/"+path, func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			defer func() { _ = ws.CloseNow() }()
			ws.SetReadLimit(1 << 20)
			play(r.Context(), ws)
		})
	}
	mux.HandleFunc("GET /socket/refuse", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "busy", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("GET /socket/never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("POST /token/{kind...}", token)
	return anyOrigin(mux)
}

func anyOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		if r.Method == http.MethodOptions {
			return
		}
		next.ServeHTTP(w, r)
	})
}

var sockets = map[string]func(context.Context, *websocket.Conn){
	// Three messages, and the end right behind them.
	"close": func(ctx context.Context, ws *websocket.Conn) {
		for n := range 3 {
			write(ctx, ws, websocket.MessageBinary, fmt.Sprintf(`{"n":%d}`, n))
		}
		_ = ws.Close(websocket.StatusPolicyViolation, "the reason")
	},
	"big": func(ctx context.Context, ws *websocket.Conn) {
		write(ctx, ws, websocket.MessageBinary, `{"big":"`+strings.Repeat("a", 256<<10)+`"}`)
		_, _, _ = ws.Read(ctx)
	},
	// Large and small, text and binary in turns: none may overtake another.
	"mixed": func(ctx context.Context, ws *websocket.Conn) {
		for n := range 40 {
			kind, padding := websocket.MessageBinary, 50
			if n%2 == 0 {
				padding = 200 << 10
			}
			if n%3 == 0 {
				kind = websocket.MessageText
			}
			write(ctx, ws, kind, fmt.Sprintf(`{"n":%d,"padding":%q}`, n, strings.Repeat("p", padding)))
		}
		_ = ws.Close(websocket.StatusNormalClosure, "")
	},
	"malformed": func(ctx context.Context, ws *websocket.Conn) {
		write(ctx, ws, websocket.MessageBinary, `{"secret":`)
		_, _, _ = ws.Read(ctx)
	},
	// Every message comes back inside {"received": …}.
	"echo": func(ctx context.Context, ws *websocket.Conn) {
		for {
			_, data, err := ws.Read(ctx)
			if err != nil {
				return
			}
			write(ctx, ws, websocket.MessageBinary, `{"received":`+string(data)+`}`)
		}
	},
	"cut": func(_ context.Context, ws *websocket.Conn) { _ = ws.CloseNow() },
	// Waits for the client's close, and keeps its code for one "said".
	"wait": func(ctx context.Context, ws *websocket.Conn) {
		_, _, err := ws.Read(ctx)
		closedWith <- websocket.CloseStatus(err)
	},
	"said": func(ctx context.Context, ws *websocket.Conn) {
		select {
		case code := <-closedWith:
			write(ctx, ws, websocket.MessageBinary, fmt.Sprintf(`{"code":%d}`, code))
		case <-ctx.Done():
		}
		_, _, _ = ws.Read(ctx)
	},
	// Ignores a close and goes on, until the line is gone.
	"stubborn": func(ctx context.Context, ws *websocket.Conn) {
		for n := 0; ; n++ {
			if ws.Write(ctx, websocket.MessageBinary, fmt.Appendf(nil, `{"n":%d}`, n)) != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	},
	// Reads nothing, so it never answers a close.
	"deaf": func(_ context.Context, _ *websocket.Conn) { time.Sleep(700 * time.Millisecond) },
}

var closedWith = make(chan websocket.StatusCode, 1)

func write(ctx context.Context, ws *websocket.Conn, kind websocket.MessageType, text string) {
	_ = ws.Write(ctx, kind, []byte(text))
}

// token answers what the path says; "echo" repeats the request in detail.
func token(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	switch r.PathValue("kind") {
	case "grant":
		fmt.Fprint(w, `{"token":"auth_tokens/abc","leaseId":"lease-1","profile":"default","model":"models/m","lock":"masked",
			"expiresIn":720,"newSessionExpiresIn":60,"renewAfter":540,"websocketUrl":"ws://service/constrained","tokenParam":"access_token",
			"renewUrl":"/v1/token/renew","releaseUrl":"release",
			"capabilities":{"text":"realtimeInput","turns":"anytime","seed":"clientContent","modalities":["AUDIO"],"tools":"nonBlocking"},
			"session":{"compression":true,"manualActivity":false,"connectionSeconds":600,"maxSeconds":3600,"idleSeconds":300}}`)
	case "busy":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"type":"about:blank","status":429,"code":"rate_limited","detail":"slow down"}`)
	case "bare":
		w.WriteHeader(http.StatusForbidden)
	case "html":
		fmt.Fprint(w, "<!doctype html>")
	case "echo":
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"code":"echo","detail":%q}`, body)
	case "never":
		<-r.Context().Done()
	default:
		http.NotFound(w, r)
	}
}
