package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// service is the emulator at the other end of pipes, which virtual time can wait
// for.
type service struct {
	*emulator.Server
	issuer http.Handler // answers under /v1/token, if a test sets it
	client *http.Client
	conns  chan net.Conn
	closed chan struct{}
	seen   int64 // of the journal, by checkTokens
}

func (s *service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}
func (s *service) Close() error   { close(s.closed); return nil }
func (s *service) Addr() net.Addr { return &net.UnixAddr{} }

// withService runs an attack in virtual time.
func withService(t *testing.T, attack func(t *testing.T, s *service)) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{Server: &emulator.Server{}, conns: make(chan net.Conn), closed: make(chan struct{})}
		s.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case s.conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.issuer != nil && strings.HasPrefix(r.URL.Path, "/v1/token") {
				s.issuer.ServeHTTP(w, r)
			} else {
				s.Server.ServeHTTP(w, r)
			}
		})}
		go server.Serve(s)
		defer func() {
			s.Server.Close()
			server.Close()
			time.Sleep(time.Second) // net/http lingers after an answer
		}()
		attack(t, s)
	})
}

// Mint asks the service as the SDK does, which keeps connections that a bubble
// would wait for.
func (s *service) Mint(ctx context.Context, r upstream.Request) (live.Secret, error) {
	body, err := json.Marshal(map[string]any{
		"expireTime": r.Expire, "newSessionExpireTime": r.NewSessionExpire, "uses": r.Uses,
		"bidiGenerateContentSetup": r.Setup, "fieldMask": r.FieldMask,
	})
	if err != nil {
		return live.Secret{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://service/v1alpha/auth_tokens", strings.NewReader(string(body)))
	if err != nil {
		return live.Secret{}, err
	}
	req.Header.Set("X-Goog-Api-Key", "emulator-test")
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return live.Secret{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	var token struct{ Name string }
	if err := json.Unmarshal(text, &token); err != nil || token.Name == "" {
		return live.Secret{}, fmt.Errorf("%s: %w", text, err)
	}
	return live.NewSecret(token.Name), err
}

// hostile is a client of the service that stops at nothing.
type hostile struct {
	*service
	pause time.Duration // between what it says
	all   sync.WaitGroup

	mu     sync.Mutex
	open   int       // sockets whose setup was accepted
	most   int       // of them at a time
	last   time.Time // that anything was accepted
	handle string    // the newest

	starts []time.Time // of sessions
	left   []string    // the newest handle of each socket that was closed
}

// connect opens a socket, and speaks on it until the service has enough.
func (h *hostile) connect(token, handle string) {
	resumption := "{}"
	if handle != "" {
		resumption = fmt.Sprintf(`{"handle":%q}`, handle)
	}
	h.all.Go(func() {
		ctx := context.Background()
		conn, _, err := websocket.Dial(ctx, "ws://service"+livePath+"?access_token="+token, &websocket.DialOptions{HTTPClient: h.client})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		if conn.Write(ctx, websocket.MessageText, []byte(`{"setup":{"sessionResumption":`+resumption+`}}`)) != nil {
			return
		}
		if _, answer, err := conn.Read(ctx); err != nil || !strings.Contains(string(answer), "setupComplete") {
			return
		}
		h.mu.Lock()
		h.open++
		h.most = max(h.most, h.open)
		if handle == "" {
			h.starts = append(h.starts, time.Now())
		}
		h.last = time.Now()
		h.mu.Unlock()
		done := make(chan struct{})
		h.all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(h.pause):
				}
				if conn.Write(ctx, websocket.MessageText, []byte(`{"realtimeInput":{"text":"go on"}}`)) != nil {
					return
				}
			}
		})
		for newest := handle; ; {
			_, message, err := conn.Read(ctx)
			h.mu.Lock()
			if err != nil {
				h.open--
				if newest != "" {
					h.left = append(h.left, newest)
				}
				h.mu.Unlock()
				close(done)
				return
			}
			h.last = time.Now()
			var update struct {
				SessionResumptionUpdate struct{ NewHandle string }
			}
			if json.Unmarshal(message, &update) == nil && update.SessionResumptionUpdate.NewHandle != "" {
				newest = update.SessionResumptionUpdate.NewHandle
				h.handle = newest
			}
			h.mu.Unlock()
		}
	})
}

func (h *hostile) newest() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handle
}

// After a revocation there is no token, and what is out is dead a leash later,
// whatever its holder does with it.
func TestARevokedCallerIsOutALeashLater(t *testing.T) {
	withService(t, func(t *testing.T, s *service) {
		var held store.Memory
		d, _ := limited(t, plenty, func(c *Config) { c.Minter, c.Store = s, &held })
		h := &hostile{service: s, pause: 30 * time.Second}
		a := d.read(t, d.ask("/v1/token", "", as("ada")))
		h.connect(a.Token, "")
		time.Sleep(9 * time.Minute)
		newest := d.read(t, d.ask("/v1/token/renew", renewing(a, "renew"), as("ada"))) // a moment before
		unused := d.read(t, d.ask("/v1/token", "", as("ada")))
		if err := held.Revoke(t.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		at, leash := time.Now(), 12*time.Minute

		for time.Since(at) < 2*leash {
			for _, token := range []string{a.Token, newest.Token, unused.Token} {
				h.connect(token, "")
				h.connect(token, h.newest())
			}
			for path, body := range map[string]string{"/v1/token": "", "/v1/token/renew": renewing(unused, "refused")} {
				if c := codeOf(t, d.ask(path, body, as("ada"))); c != revoked {
					t.Fatalf("%s gives %s", path, c)
				}
			}
			time.Sleep(10 * time.Second)
		}
		h.all.Wait()
		if after := h.last.Sub(at); after > leash+time.Second || after < leash-time.Minute {
			t.Errorf("the last that was accepted came %v after", after)
		}
		if res := d.ask("/v1/token", "", as("bob")); res.StatusCode != http.StatusOK {
			t.Errorf("another gets %s", codeOf(t, res))
		}
		if err := held.Unrevoke(t.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		if res := d.ask("/v1/token", "", as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("afterwards it gives %s", codeOf(t, res))
		}
	})
}

// When the minutes of a day are used up there is no token until the next, and what is
// out is dead a leash after the last that there was.
func TestACallerWhoseMinutesAreUsedUpIsOutALeashLater(t *testing.T) {
	withService(t, func(t *testing.T, s *service) {
		const leash, budget = 12 * time.Minute, 30 * time.Minute
		d, _ := limited(t, profile.Limits{PerCaller: plenty.PerCaller, Concurrent: plenty.Concurrent, MinutesPerDay: int(budget.Minutes())},
			func(c *Config) { c.Minter = s })
		h := &hostile{service: s, pause: 30 * time.Second}
		begin := time.Now()
		var tokens, leases []grantAnswer
		var last time.Time // that there was a token
		take := func(path, body string) {
			switch res := d.ask(path, body, as("ada")); {
			case res.StatusCode == http.StatusOK:
				a := d.read(t, res)
				tokens, last = append(tokens, a), time.Now()
				if path == "/v1/token" {
					leases = append(leases, a)
				}
			default:
				if c := codeOf(t, res); c != budgetExhausted && c != tooEarly && c != leaseEnded {
					t.Fatalf("%s gives %s", path, c)
				}
			}
		}
		for time.Since(begin) < budget+2*leash {
			take("/v1/token", "")
			for _, a := range leases {
				take("/v1/token/renew", renewing(a, "renew"))
				take("/v1/token/renew", renewing(a, "refused"))
			}
			for _, a := range tokens {
				h.connect(a.Token, "")
				h.connect(a.Token, h.newest())
			}
			time.Sleep(10 * time.Second)
		}
		h.all.Wait()
		if after := h.last.Sub(last); last.Sub(begin) > budget || after > leash+time.Second || after < leash-time.Minute {
			t.Errorf("the last token came after %v, and the last that was accepted %v later", last.Sub(begin), after)
		}
		time.Sleep(24 * time.Hour)
		if res := d.ask("/v1/token", "", as("ada")); res.StatusCode != http.StatusOK {
			t.Errorf("the next day gives %s", codeOf(t, res))
		}
	})
}

// What a lease gave is dead when the lease is, to whoever holds its tokens and
// resumes with its handles.
func TestNothingOfALeaseOutlivesMaxSession(t *testing.T) {
	withService(t, func(t *testing.T, s *service) {
		const longest = 25 * time.Minute // which is no whole number of leashes
		d, _ := limited(t, plenty, func(c *Config) {
			c.Minter, c.Profiles = s, []profile.Profile{made(t, profile.Spec{Limits: plenty, MaxSession: longest})}
		})
		h := &hostile{service: s, pause: 30 * time.Second}
		begin := time.Now()
		lease := d.read(t, d.ask("/v1/token", "", as("ada")))
		tokens := []grantAnswer{lease}
		for time.Since(begin) < 2*longest {
			for _, reason := range []string{"renew", "refused"} {
				res := d.ask("/v1/token/renew", renewing(lease, reason), as("ada"))
				if res.StatusCode == http.StatusOK {
					tokens = append(tokens, d.read(t, res))
				} else if c := codeOf(t, res); time.Since(begin) >= longest && c != leaseEnded {
					t.Fatalf("after %v it gives %s", time.Since(begin), c)
				}
			}
			for _, a := range tokens {
				h.connect(a.Token, "")
				h.connect(a.Token, h.newest())
			}
			time.Sleep(10 * time.Second)
		}
		h.all.Wait()
		if after := h.last.Sub(begin); after > longest+time.Second || after < longest-time.Minute || len(tokens) < 3 {
			t.Errorf("the last that was accepted came after %v, with %d tokens", after, len(tokens))
		}
	})
}

// A caller who takes every token that there is to be had starts no more sessions in a
// leash's time than check says: neither as late as the tokens allow, right before it
// takes the next ones, nor with those of a lease's end, whose slots are soon free. In
// the end it has all sessions open at once, which is what check says, too.
func TestHoardedTokensStartNoMoreSessionsThanMay(t *testing.T) {
	for name, spec := range map[string]profile.Spec{
		"masked":          {},
		"full":            {Lock: profile.Full},
		"of short leases": {MaxSession: 13 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) { withService(t, func(t *testing.T, s *service) { hoard(t, s, spec) }) })
	}
}

func hoard(t *testing.T, s *service, spec profile.Spec) {
	spec.Limits.PerCaller = plenty.PerCaller // and 3 at once
	p := made(t, spec)
	d, _ := limited(t, spec.Limits, func(c *Config) { c.Minter, c.Profiles = s, []profile.Profile{p} })
	h := &hostile{service: s, pause: 5 * time.Minute}
	begin := time.Now()
	take := func(path, body string) (grantAnswer, bool) {
		res := d.ask(path, body, as("ada"))
		if res.StatusCode != http.StatusOK {
			return grantAnswer{}, false
		}
		a := d.read(t, res)
		late := time.Duration(a.NewSessionExpiresIn)*time.Second - 2*time.Second
		if int(time.Since(begin)/p.Leash())%2 == 1 { // so that late ones meet early ones
			late = 0
		}
		h.all.Go(func() {
			time.Sleep(late)
			h.connect(a.Token, "")
		})
		return a, true
	}
	type lease struct {
		grantAnswer
		end time.Time
	}
	var leases []lease
	for time.Since(begin) < 100*time.Minute { // handles hold for two hours
		for _, l := range leases {
			switch left := time.Until(l.end); {
			case left > p.Leash():
				take("/v1/token/renew", renewing(l.grantAnswer, "renew"))
			case left <= 5*time.Second: // as often as it goes: the slots are free again at once
				for again := true; again; {
					_, again = take("/v1/token/renew", renewing(l.grantAnswer, "refused"))
				}
			}
		}
		leases = slices.DeleteFunc(leases, func(l lease) bool { return time.Now().After(l.end) })
		if a, ok := take("/v1/token", ""); ok {
			leases = append(leases, lease{a, time.Now().Add(p.MaxSession())})
		}
		time.Sleep(5 * time.Second)
	}

	// What it could not go on with for want of tokens, it goes on with now.
	time.Sleep(p.Leash())
	a := d.read(t, d.ask("/v1/token", "", as("ada")))
	h.mu.Lock()
	left := slices.Clone(h.left)
	h.mu.Unlock()
	for _, handle := range left {
		token := a.Token
		if p.Lock() == profile.Full {
			token = d.read(t, d.ask("/v1/token/renew", resuming(a, handle), as("ada"))).Token
		}
		h.connect(token, handle)
	}
	time.Sleep(time.Minute)
	h.mu.Lock()
	most, open, began := 0, h.open, len(h.starts)
	for first, last := 0, 0; last < len(h.starts); last++ {
		for h.starts[last].Sub(h.starts[first]) >= p.Leash() {
			first++
		}
		most = max(most, last-first+1)
	}
	h.mu.Unlock()
	if bound := p.Bound(); most > bound.Starts || most <= 2*p.Limits().Renewing() {
		t.Errorf("%d sessions began in %v, check says %d", most, p.Leash(), bound.Starts)
	}
	if open != len(left) || open > began {
		t.Errorf("of %d sessions that began %d have a handle, %d are open", began, len(left), open)
	}
	time.Sleep(2 * time.Hour)
	h.all.Wait()
}

// The engine says so, and does not ask on and on.
func TestAnEngineOfARevokedCallerEndsWithThatCode(t *testing.T) {
	withService(t, func(t *testing.T, s *service) {
		var held store.Memory
		asked := 0
		d, _ := limited(t, profile.Limits{}, func(c *Config) {
			c.Minter, c.Store, c.Live = s, &held, LiveHere
			c.Address = func(*http.Request) (netip.Addr, error) { return netip.IPv6Loopback(), nil }
		})
		s.issuer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			d.ServeHTTP(w, r)
		})
		conversation := session.New(session.Config{
			Profile: "default", Setup: map[string]any{}, Editor: edge.Editor{},
			Source: edge.Issuer{URL: "http://localhost/v1/token", Client: s.client, Header: http.Header{"Authorization": {"ada"}}}.Token,
			Dial:   session.Dialing(edge.Dialer{Client: s.client}.Dial),
			Emit:   func(session.Event) {},
			Idle:   -1, // it is silent on purpose
		})
		done := make(chan error)
		go func() { done <- conversation.Run(t.Context()) }()
		time.Sleep(5 * time.Minute)
		if err := held.Revoke(t.Context(), "ada"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err := <-done
		if e, ok := errors.AsType[*session.Error](err); !ok || e.Code != "revoked" || time.Since(begin) > 12*time.Minute || asked > 3 {
			t.Errorf("after %v and %d questions it ends with %v", time.Since(begin), asked, err)
		}
	})
}
