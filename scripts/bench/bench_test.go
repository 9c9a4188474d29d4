package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/issuer/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in virtual time, in which nothing is late unless it was told to
// be, against an emulator that is reached through pipes.
func bubble(t *testing.T, f func(t *testing.T, s *service)) {
	synctest.Test(t, func(t *testing.T) {
		var e emulator.Server
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: &e}
		go server.Serve(l)
		transport := &http.Transport{DialContext: l.dial}
		defer func() {
			transport.CloseIdleConnections()
			e.Close()
			server.Close()
		}()
		f(t, &service{url: "http://emulator", client: &http.Client{Transport: transport}, memory: func() (int64, error) { return 0, nil }})
	})
}

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

func TestWhereNothingIsLateThePacingErrorIsZero(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		d := duplex{sessions: 4, lasts: 2 * (talks + listens)}
		h, err := d.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if h.answers < d.sessions || len(h.ends) < h.answers || len(h.audio) < 10*h.answers {
			t.Errorf("%d answers, %d ends of speech, %d audio messages", h.answers, len(h.ends), len(h.audio))
		}
		// Offsets come in milliseconds, and a third of a chunk need not be one.
		for _, l := range []lateness{h.sent, h.ends, h.audio} {
			if late, early := l.quantile(1), l.quantile(0); late > time.Millisecond || early < -time.Millisecond {
				t.Errorf("from %v to %v late", early, late)
			}
		}
	})
}

func TestWhatIsLateIsMeasured(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		time.AfterFunc(50*time.Millisecond, func() { // when all are live
			answer, err := s.client.Post(s.url+"/__emulator/fault", "application/json", strings.NewReader(`{"kind":"slow","latency":"70ms"}`))
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("the fault: %v %v", answer, err)
				return
			}
			answer.Body.Close()
		})
		d := duplex{sessions: 2, lasts: talks + listens}
		h, err := d.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []lateness{h.ends, h.audio} {
			if min, max := l.quantile(0).Round(time.Millisecond), l.quantile(1).Round(time.Millisecond); min != 70*time.Millisecond || max != min {
				t.Errorf("from %v to %v late, want 70ms", min, max)
			}
		}
	})
}

func TestIdleSessionsShareWhatTheProcessGrewBy(t *testing.T) {
	bubble(t, func(t *testing.T, s *service) {
		var asked int64
		s.memory = func() (int64, error) { asked++; return asked * 1e6, nil }
		got, err := idle{sessions: 10}.measure(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got.rows[0].figure != "100.0 kB" || !got.missed() {
			t.Errorf("got %+v", got.rows[0])
		}
	})
}

// slowDial lets every new socket take that long.
type slowDial struct {
	http.RoundTripper
	takes time.Duration
}

func (d slowDial) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		time.Sleep(d.takes)
	}
	return d.RoundTripper.RoundTrip(r)
}

func TestTheGapIsWhatANewConnectionTakes(t *testing.T) {
	for _, takes := range []time.Duration{0, 160 * time.Millisecond} {
		bubble(t, func(t *testing.T, s *service) {
			s.client = &http.Client{Transport: slowDial{s.client.Transport, takes}}
			got, err := gap{rotations: 3}.measure(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if want := milliseconds(takes); got.rows[0].figure != want || got.missed() != (takes > maxGap) {
				t.Errorf("got %+v, want %s", got.rows[0], want)
			}
		})
	}
}

func TestRequestsComeAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := tokens{lasts: 2 * time.Second}
		begin := time.Now()
		var asked atomic.Int32
		times, err := k.paced(t.Context(), 100, func(context.Context) error {
			if asked.Add(1) == 1 {
				time.Sleep(time.Second) // the others do not wait for it
			}
			time.Sleep(30 * time.Millisecond)
			return nil
		})
		if err != nil || len(times) != 200 || times.quantile(0) != 30*time.Millisecond || times.quantile(0.99) != 30*time.Millisecond || times.quantile(1) != 1030*time.Millisecond {
			t.Errorf("%d requests, %v, error %v", len(times), times, err)
		}
		if took := time.Since(begin); took != 2*time.Second+20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestClientsAskAsSoonAsTheyAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		perSecond, err := tokens{clients: 4}.atOnce(t.Context(), 40, func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil })
		if err != nil || perSecond != 40 {
			t.Errorf("%v/s, error %v", perSecond, err)
		}
	})
}

func TestAnEndpointThatFailsIsNotMeasured(t *testing.T) {
	for answer, good := range map[string]bool{`{"token":"auth_tokens/x"}`: true, `{"token":""}`: false, `{"token":"x"}`: false, `{}`: false, `no`: false} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer key-of-caller-") {
				t.Errorf("%s %v", r.Method, r.Header)
			}
			io.WriteString(w, answer)
		}))
		k := tokens{clients: 2, lasts: 50 * time.Millisecond}
		clients := &connections{address: ts.Listener.Addr().String(), path: "/"}
		_, err := k.atOnce(t.Context(), 3, clients.askToken)
		_, paced := k.paced(t.Context(), 100, clients.askToken)
		clients.close()
		if (err == nil) != good || (paced == nil) != good {
			t.Errorf("%s gives %v and %v", answer, err, paced)
		}
		ts.Close()
	}
}

func TestResidentMemoryIsThatOfTheProcess(t *testing.T) {
	before, err := residentMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Not of Go's heap, which may have it from before, and of which the race
	// detector keeps a shadow.
	ballast, err := syscall.Mmap(-1, 0, 256<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(ballast)
	for i := 0; i < len(ballast); i += os.Getpagesize() {
		ballast[i] = 1
	}
	after, err := residentMemory(os.Getpid())
	if err != nil || after-before < int64(len(ballast))/2 || after-before > 2*int64(len(ballast)) {
		t.Errorf("%d bytes more make %d more, %v", len(ballast), after-before, err)
	}
}

func TestASlowLineIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowListener{bits: 8e6}
		begin := time.Now()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				if n, err := (slowConn{ours, l}).Write(make([]byte, 10_000)); n != 10_000 || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				ours.Close()
			})
		}
		group.Wait()
		if took := time.Since(begin); took != 30*time.Millisecond {
			t.Errorf("30 kB took %v at 1 MB/s", took)
		}
	})
}

func TestAFrontFloodsThePageThatItPassesOnTo(t *testing.T) {
	var e emulator.Server
	defer e.Close()
	ts := httptest.NewServer(&e)
	defer ts.Close()
	f, err := newFront(ts.URL, "", line{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	page, err := (&service{url: f.url, client: client}).open(t.Context(), `"model":"models/gemini-3.8-live"`)
	if err != nil {
		t.Fatal(err)
	}
	defer page.CloseNow()
	if err := f.flood(t.Context(), 1); err == nil {
		t.Error("there was no sound to flood it with")
	}
	next := func() string {
		_, message, err := page.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(message)
	}
	if err := page.Write(t.Context(), websocket.MessageText, []byte(`{"realtimeInput":{"text":"my name is Ada"}}`)); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(next(), "inlineData") {
	}
	e.Advance(time.Minute)
	for !strings.Contains(next(), "turnComplete") {
	}
	if err := f.flood(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	first := next()
	for range 9 {
		if next() != first || !strings.Contains(first, "inlineData") {
			t.Errorf("it was flooded with %.100q", first)
		}
	}
}

func TestTheLongestGap(t *testing.T) {
	begin := time.Now()
	if got := longestGap([]time.Time{begin, begin.Add(20), begin.Add(520), begin.Add(540)}); got != 500 {
		t.Errorf("got %d", got)
	}
}

func TestQuantiles(t *testing.T) {
	l := lateness{5, 1, 4, 2, 3}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 1: 5} {
		if got := l.quantile(q); got != want {
			t.Errorf("quantile(%v) = %d, want %d", q, got, want)
		}
	}
	if got := (lateness)(nil).quantile(0.99); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestATableMarksWhatWasMissed(t *testing.T) {
	var out strings.Builder
	table{"title", []row{{"a", "1", "<= 2", false}, {"b", "3", "<= 2", true}, {"c", "4", "", false}}, "note"}.write(&out)
	if want := "title\n  a   1   <= 2   ok\n  b   3   <= 2   MISSED\n  c   4          \n  note\n\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
