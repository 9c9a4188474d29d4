package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// Connections are what a slow client takes from all others.
func TestASlowClientIsCut(t *testing.T) {
	const (
		request = "POST /v1/token HTTP/1.1\r\nHost: localhost\r\n"
		whole   = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	)
	for name, c := range map[string]struct {
		sends string
		drip  string // sent each second after that, for ever
		deaf  bool   // reads nothing
		after time.Duration
		says  string
	}{
		"that says nothing":             {after: readHeaderTimeout},
		"in the middle of its header":   {sends: request + "X-A", after: readHeaderTimeout, says: "400 Bad Request"},
		"with a header that drips":      {sends: request, drip: "X-A: b\r\n", after: readHeaderTimeout},
		"in the middle of its body":     {sends: request + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{", after: readTimeout, says: "invalid_request"},
		"with a body that drips":        {sends: request + "Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{", drip: " ", after: readTimeout, says: "invalid_request"},
		"with pieces that drip":         {sends: request + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\n \r\n", after: readTimeout, says: "invalid_request"},
		"between two requests":          {sends: whole, after: idleTimeout, says: `{"status":"ok"}`},
		"that does not read its answer": {sends: whole, deaf: true, after: writeTimeout},
		"with a header of no end":       {sends: request + "X-A: " + strings.Repeat("x", 64<<10), after: 0, says: "431"},
		"with two lengths":              {sends: request + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", after: 0, says: "400 Bad Request"},
		"with a length and with pieces": {sends: request + "Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", after: 0, says: "501"},
		"with a space before the colon": {sends: request + "Content-Length : 5\r\n\r\nhello", after: 0, says: "400 Bad Request"},
		"with two hosts":                {sends: request + "Host: evil.example\r\n\r\n", after: 0, says: "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback()})
				if err != nil {
					t.Fatal(err)
				}
				token, err := issuer.New(issuer.Config{Guard: guard, Authenticator: authn.Anonymous{}, Minter: noMint{t}})
				if err != nil {
					t.Fatal(err)
				}
				p := &program{log: slog.New(slog.DiscardHandler)}
				r := &routes{log: p.log, guard: guard, token: token}
				server, line := p.httpServer(r.handler()), newPipes()
				cut, served := make(chan time.Time, 1), make(chan error, 1)
				server.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateClosed {
						cut <- time.Now()
					}
				}
				go func() { served <- server.Serve(line) }()

				begin := time.Now()
				conn, err := line.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := io.WriteString(conn, c.sends)
					for c.drip != "" && err == nil {
						time.Sleep(time.Second)
						_, err = io.WriteString(conn, c.drip)
					}
				})
				var said []byte
				if !c.deaf {
					wg.Go(func() { said, _ = io.ReadAll(conn) })
				}
				took := (<-cut).Sub(begin).Truncate(time.Second) // net/http lingers for half a second
				conn.Close()
				wg.Wait()
				if took != c.after || !strings.Contains(string(said), c.says) || c.says == "" && len(said) > 0 {
					t.Errorf("it is cut after %v and told %s", took, said)
				}
				server.Close()
				<-served
			})
		})
	}
}

// noMint is what slow clients do not get to.
type noMint struct{ t *testing.T }

func (m noMint) Mint(context.Context, upstream.Request) (live.Secret, error) {
	m.t.Error("a token was minted")
	return live.Secret{}, upstream.ErrRefused
}
