package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer"
)

// pipes is a listener that is dialled in this process.
type pipes struct {
	net.Listener // a method that is missing here is not asked for
	conns        chan net.Conn
	closed       chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func TestAStopIsAnnouncedAndRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback()})
		if err != nil {
			t.Fatal(err)
		}
		const work, notice = 12 * time.Second, 10 * time.Second
		r := &routes{log: slog.New(slog.DiscardHandler), guard: guard}
		r.token = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(work)
			_, _ = io.WriteString(w, "whole")
		})
		line := newPipes()
		client := &http.Client{Transport: &http.Transport{DialContext: line.dial, DisableKeepAlives: true}}
		ask := func(method, path string) (int, string, error) {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
			if err != nil {
				return 0, "", err
			}
			res, err := client.Do(req)
			if err != nil {
				return 0, "", err
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			return res.StatusCode, string(text), err
		}

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		p := &program{stdout: &bytes.Buffer{}, log: r.log}
		go func() {
			ended <- p.serve(ctx, server{listener: line, handler: r.handler(), stop: func() { r.stopping.Store(true) }, notice: notice})
		}()
		if status, _, err := ask("GET", "/readyz"); status != http.StatusOK || err != nil {
			t.Fatal(status, err)
		}
		answer := make(chan string, 1)
		go func() {
			_, text, err := ask("POST", "/v1/token")
			answer <- strings.TrimSpace(text)
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		begin := time.Now()
		cancel()

		time.Sleep(notice - time.Second)
		if status, text, err := ask("GET", "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "stopping") || err != nil {
			t.Errorf("while it stops, /readyz gives %d %s, %v", status, text, err)
		}
		if got := <-answer; got != "whole" || time.Since(begin) != work {
			t.Errorf("the request in flight gets %q after %v", got, time.Since(begin))
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, _, err := ask("GET", "/readyz"); err == nil {
			t.Error("it still takes requests")
		}
	})
}

func TestTheLogIsAsLoudAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"unless asked otherwise": {nil, `"level":"INFO","msg":"serves"`},
		"as text":                {map[string]string{"LIVEVALET_LOG_FORMAT": "text"}, "level=INFO msg=serves"},
		"without information":    {map[string]string{"LIVEVALET_LOG_LEVEL": "warn"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c.env, "dev", "--listen", ":0")
			if log := r.log.String(); !strings.Contains(log, c.want) || (c.want == "") != (log == "") {
				t.Errorf("log is %s", log)
			}
		})
	}
	if said := refused(t, nil, "--log-level", "loud", "version"); !strings.Contains(said, "log-level") {
		t.Errorf("it says %s", said)
	}
}
