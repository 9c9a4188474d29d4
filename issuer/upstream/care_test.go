package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/live"
)

// upstream is the emulator as a client finds it. It counts what it is asked.
type upstream struct {
	emulator.Server
	before http.HandlerFunc // the emulator's mints; it answers, if it likes, by panicking with answered

	mu    sync.Mutex
	asked []asked
}

// asked is one request for a token.
type asked struct {
	key string
	at  time.Time
}

type answered struct{}

func (s *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.mu.Lock()
		s.asked = append(s.asked, asked{r.Header.Get("X-Goog-Api-Key"), time.Now()})
		s.mu.Unlock()
		defer func() {
			if v := recover(); v != nil && v != any(answered{}) {
				panic(v)
			}
		}()
		if s.before != nil {
			s.before(w, r)
		}
	}
	s.Server.ServeHTTP(w, r)
}

// count is how many tokens it was asked for.
func (s *upstream) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *upstream) control(t *testing.T, method, name, body string) string {
	t.Helper()
	r := httptest.NewRequest(method, "/__emulator/"+name, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.Server.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", name, w.Code, w.Body)
	}
	return w.Body.String()
}

// minted is how many tokens it made.
func (s *upstream) minted(t *testing.T) int {
	t.Helper()
	var list struct{ Tokens []json.RawMessage }
	if err := json.Unmarshal([]byte(s.control(t, http.MethodGet, "tokens", "")), &list); err != nil {
		t.Fatal(err)
	}
	return len(list.Tokens)
}

// bubble runs f in virtual time with a client of the emulator, which it reaches
// through pipes.
func bubble(t *testing.T, c Config, f func(t *testing.T, s *upstream, u *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := new(upstream)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: s}
		go server.Serve(l)
		t.Cleanup(func() {
			s.Close()
			server.Close()
			time.Sleep(time.Second) // net/http lingers after an answer to a body it did not read
		})
		c.BaseURL, c.next = "http://localhost", &http.Transport{DialContext: l.dial}
		f(t, s, client(t, c))
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
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// now is a request that the emulator grants in a bubble.
func now() Request {
	r := request()
	r.Setup = map[string]any{"model": "models/gemini-3.8-live"}
	r.FieldMask, r.Expire, r.NewSessionExpire = "", time.Now().Add(12*time.Minute), time.Now().Add(time.Minute)
	return r
}

func TestAMintOutlastsTroubleThatPasses(t *testing.T) {
	for sentence, c := range map[string]struct {
		status, times int
		attempts      int
		want          error
		text          string
		least, most   time.Duration // that it takes
	}{
		"no trouble":                  {503, 0, 1, nil, "", 0, 0},
		"out of quota for a moment":   {429, 2, 3, nil, "", 0, 750 * time.Millisecond},
		"out of quota for longer":     {429, 9, 3, ErrUnavailable, "http 429 RESOURCE_EXHAUSTED", 0, 750 * time.Millisecond},
		"an error inside":             {500, 1, 2, nil, "", 0, 250 * time.Millisecond},
		"away for a moment":           {503, 2, 3, nil, "", 0, 750 * time.Millisecond},
		"away for longer":             {503, 9, 3, ErrUnavailable, "http 503 UNAVAILABLE", 0, 750 * time.Millisecond},
		"silent for a moment":         {408, 2, 3, nil, "", 8 * time.Second, 8750 * time.Millisecond},
		"silent for longer":           {408, 9, 3, ErrUnavailable, "no answer in time", 10 * time.Second, 10 * time.Second},
		"a refusal of what was asked": {400, 1, 1, ErrRefused, "http 400 INVALID_ARGUMENT", 0, 0},
		"a refusal of who asks":       {403, 1, 1, ErrRefused, "http 403 PERMISSION_DENIED", 0, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				if c.times > 0 {
					s.control(t, http.MethodPost, "fault", fmt.Sprintf(`{"kind":"mint-error","status":%d,"times":%d}`, c.status, c.times))
				}
				begin := time.Now()
				token, err := u.Mint(t.Context(), now())
				if took := time.Since(begin); took < c.least || took > c.most {
					t.Errorf("it took %v", took)
				}
				if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) || (err == nil) == token.IsZero() {
					t.Errorf("error is %v", err)
				}
				if n := s.count(); n != c.attempts {
					t.Errorf("%d attempts, want %d", n, c.attempts)
				}
				if n := s.minted(t); (n == 1) != (err == nil) {
					t.Errorf("%d tokens were made", n)
				}
			})
		})
	}
}

func TestTheServicesAdviceComesFirst(t *testing.T) {
	for sentence, c := range map[string]struct {
		advice   string
		attempts int
		took     time.Duration
		passedOn time.Duration
	}{
		"in seconds":                  {"2", 2, 2 * time.Second, 0},
		"as a date":                   {"Sat, 01 Jan 2000 00:00:03 GMT", 2, 3 * time.Second, 0},
		"past the time that there is": {"30", 1, 0, 30 * time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				s.before = func(w http.ResponseWriter, _ *http.Request) {
					if s.count() == 1 {
						status(http.StatusServiceUnavailable, "", "Retry-After", c.advice)(w)
						panic(answered{})
					}
				}
				begin := time.Now()
				_, err := u.Mint(t.Context(), now())
				if took := time.Since(begin); took < c.took || took > c.took+firstPause {
					t.Errorf("it took %v", took)
				}
				e, failed := errors.AsType[*Error](err)
				if failed != (c.passedOn > 0) || failed && e.RetryAfter != c.passedOn || s.count() != c.attempts {
					t.Errorf("%d attempts, error %+v", s.count(), err)
				}
			})
		})
	}
}

func TestACallersDeadlineIsNotOutlived(t *testing.T) {
	for sentence, advice := range map[string]string{"without advice": "", "on advice": "2"} {
		t.Run(sentence, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				s.before = func(w http.ResponseWriter, _ *http.Request) {
					status(http.StatusServiceUnavailable, "", "Retry-After", advice)(w)
					panic(answered{})
				}
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				defer cancel()
				if _, err := u.Mint(ctx, now()); !errors.Is(err, ErrUnavailable) || ctx.Err() != nil || s.count() != 1 {
					t.Errorf("%d attempts, error %v", s.count(), err)
				}
			})
		})
	}
}

func TestACallerWhoLeavesEndsTheMint(t *testing.T) {
	for sentence, fault := range map[string]string{
		"in an attempt": `{"kind":"mint-error","status":408}`,
		"in a pause":    `{"kind":"mint-error","status":503,"times":9}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				s.control(t, http.MethodPost, "fault", fault)
				why := errors.New("closed the page")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Nanosecond, func() { cancel(why) })
				if _, err := u.Mint(ctx, now()); err != why || s.count() != 1 {
					t.Errorf("%d attempts, error %v", s.count(), err)
				}
			})
		})
	}
}

// Nobody learns the name of the first token, so it opens nothing; one answer has
// one token.
func TestAnAnswerThatIsLostCostsATokenThatNobodyHolds(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
		var lost string
		s.before = func(_ http.ResponseWriter, r *http.Request) {
			if s.count() == 1 {
				w := httptest.NewRecorder()
				s.Server.ServeHTTP(w, r)
				lost = w.Body.String()
				panic(http.ErrAbortHandler)
			}
		}
		token, err := u.Mint(t.Context(), now())
		if err != nil || !strings.Contains(lost, "auth_tokens/") || strings.Contains(lost, token.Reveal()) {
			t.Errorf("token %q, error %v; lost is %s", token.Reveal(), err, lost)
		}
		if n := s.minted(t); n != 2 {
			t.Errorf("%d tokens were made", n)
		}
	})
}

func TestMintsBeyondTheCapWaitOrCostNothing(t *testing.T) {
	bubble(t, Config{Concurrent: 2, Waiting: 3}, func(t *testing.T, s *upstream, u *Client) {
		goOn := make(chan struct{})
		s.before = func(http.ResponseWriter, *http.Request) { <-goOn }
		var order []int
		var mu sync.Mutex
		var all sync.WaitGroup
		refused := 0
		for n := range 9 {
			all.Go(func() {
				_, err := u.Mint(t.Context(), now())
				mu.Lock()
				defer mu.Unlock()
				if e, ok := errors.AsType[*Error](err); ok && errors.Is(e, ErrUnavailable) && e.RetryAfter > 0 && e.HTTP == 0 {
					refused++
				} else if err == nil {
					order = append(order, n)
				} else {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if refused != 4 || s.count() != 2 {
			t.Errorf("%d were refused and the service was asked %d times", refused, s.count())
		}
		for range 5 {
			goOn <- struct{}{}
			synctest.Wait()
			if n := s.count() - len(order); n > 2 {
				t.Errorf("%d mints at once", n)
			}
		}
		all.Wait()
		if s.count() != 5 || len(order) != 5 || !slices.Equal(order[2:], []int{2, 3, 4}) {
			t.Errorf("the service was asked %d times, and answered %v", s.count(), order)
		}
	})
}

func TestWhoWaitsIsNotForgotten(t *testing.T) {
	bubble(t, Config{Concurrent: 1, Waiting: 1}, func(t *testing.T, s *upstream, u *Client) {
		var all sync.WaitGroup
		defer all.Wait()
		s.control(t, http.MethodPost, "fault", `{"kind":"mint-error","status":408,"times":9}`)
		all.Go(func() { _, _ = u.Mint(t.Context(), now()) }) // for 10 s
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := u.Mint(ctx, now()); !errors.Is(err, context.Canceled) {
			t.Errorf("one who left hears %v", err)
		}
		short, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("short of time"))
		defer cancel()
		if _, err := u.Mint(short, now()); err == nil || err.Error() != "short of time" {
			t.Errorf("one without time hears %v", err)
		}
		begin := time.Now() // the first has 8 s left, so this one has 2 s for itself
		_, err := u.Mint(t.Context(), now())
		if took := time.Since(begin); took != 10*time.Second || !errors.Is(err, ErrUnavailable) {
			t.Errorf("one who stays hears %v after %v", err, took)
		}
	})
}

func TestANewKeyIsForNewMints(t *testing.T) {
	bubble(t, Config{APIKey: live.NewSecret("emulator-old")}, func(t *testing.T, s *upstream, u *Client) {
		s.control(t, http.MethodPost, "fault", `{"kind":"mint-error","status":408}`)
		var begun sync.WaitGroup
		begun.Go(func() {
			if _, err := u.Mint(t.Context(), now()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := u.SetKey(live.NewSecret("emulator-new")); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", "emulator-a\nemulator-b", canary} {
			if err := u.SetKey(live.NewSecret(bad)); err == nil || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%q is taken: %v", bad, err)
			}
		}
		if _, err := u.Mint(t.Context(), now()); err != nil {
			t.Error(err)
		}
		begun.Wait()
		var keys []string
		for _, a := range s.asked {
			keys = append(keys, a.key)
		}
		if want := []string{"emulator-old", "emulator-new", "emulator-old"}; !slices.Equal(keys, want) {
			t.Errorf("the keys were %v", keys)
		}
	})
}

func TestTheServicesTimeIsKnownBeforeTheFirstMint(t *testing.T) {
	var log bytes.Buffer
	bubble(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, s *upstream, u *Client) {
		if err := s.Advance(2 * time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := u.ReadClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := now()
		r.Expire, r.NewSessionExpire = u.Now().Add(12*time.Minute), u.Now().Add(time.Minute)
		if _, err := u.Mint(t.Context(), r); err != nil {
			t.Error(err)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "secondsBehind="+strconv.Itoa(2*3600)) {
			t.Errorf("the log has %s", &log)
		}
	})
}

func TestATimeThatCannotBeReadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := client(t, Config{BaseURL: "http://localhost", next: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, errors.New(canary)
		}}})
		err := u.ReadClock(t.Context())
		if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("error is %v", err)
		}
	})
}

// Another mint's answer may be the one that tells of the move.
func TestAMintIsMisdatedWhoeverNoticedTheClock(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
		goOn := make(chan struct{})
		s.before = func(http.ResponseWriter, *http.Request) {
			if s.count() == 1 {
				<-goOn
			}
		}
		first := make(chan error)
		go func() {
			_, err := u.Mint(t.Context(), now())
			first <- err
		}()
		synctest.Wait()
		if err := s.Advance(time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Mint(t.Context(), now()); !errors.Is(err, ErrMisdated) {
			t.Errorf("the second hears %v", err)
		}
		close(goOn)
		if err := <-first; !errors.Is(err, ErrMisdated) {
			t.Errorf("the first hears %v", err)
		}
	})
}
