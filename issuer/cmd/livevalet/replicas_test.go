package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store/redisstore"
	"github.com/livevalet/livevalet/scripts/child"
	"github.com/livevalet/livevalet/scripts/redistest"
)

// asProgram has the test's binary be the program, so that a test can have several
// as processes of their own, built as it is.
const asProgram = "TEST_AS_LIVEVALET"

// process runs the program as a process of its own until the test ends.
func process(t *testing.T, env []string, args ...string) *child.Server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := child.Command(context.WithoutCancel(t.Context()), self, args...)
	cmd.Env = append(append(cmd.Env, asProgram+"=1"), env...)
	ready, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := child.Serve(ready, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(20 * time.Second); err != nil {
			t.Errorf("it ended with %v\n%s", err, server.Log())
		}
	})
	return server
}

// group are callers of one profile, whose limits give each of them exactly five
// tokens for as long as the test lasts.
type group struct {
	profile, limits string
	callers         []*caller
}

const five = 5

// caller has one API key.
type caller struct {
	profile, key string

	mu                                             sync.Mutex
	asked, granted, refused, forbidden, unanswered int
}

// crowd asks two replicas for more than they may give.
type crowd struct {
	t        *testing.T
	client   *http.Client
	replicas []string

	granted, unanswered atomic.Int64 // of all callers
	revoked             atomic.Bool  // that of the profile of that name was acknowledged
}

// ask asks a replica for a token, and reports whether it was told that there is
// none: by a limit, or because of a revocation.
func (c *crowd) ask(who *caller, replica string) (final bool) {
	late := c.revoked.Load()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, replica+"/v1/token", strings.NewReader(fmt.Sprintf(`{"profile":%q}`, who.profile)))
	if err != nil {
		c.t.Error(err)
		return true
	}
	r.Header.Set("Authorization", "Bearer "+who.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		c.t.Error(err)
		return true
	}
	defer answer.Body.Close()
	var said struct{ Token, Code string }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		c.t.Error(err)
	}
	who.mu.Lock()
	defer who.mu.Unlock()
	who.asked++
	wait := answer.Header.Get("Retry-After")
	switch {
	case answer.StatusCode == http.StatusOK && said.Token != "":
		who.granted++
		c.granted.Add(1)
		if who.profile == "revoked" && late {
			c.t.Errorf("%s has a token after it was revoked", who.key)
		}
		return false
	case answer.StatusCode == http.StatusTooManyRequests && wait != "":
		who.refused++
		return true
	case answer.StatusCode == http.StatusForbidden && said.Code == "revoked":
		who.forbidden++
		return true
	case answer.StatusCode == http.StatusServiceUnavailable && said.Code == "store_unavailable" && wait != "":
		who.unanswered++
		c.unanswered.Add(1)
		return false
	default:
		c.t.Errorf("%s hears %d %s, Retry-After %q", who.key, answer.StatusCode, said.Code, wait)
		return true
	}
}

// until waits for the crowd to come somewhere.
func (c *crowd) until(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s never came", what)
		}
	}
}

// TestReplicasOvershootNothing has two processes share a Redis that is killed and
// started again while both are asked for more than they may give. With LONG_TESTS
// set it is killed more often, and there are more callers.
func TestReplicasOvershootNothing(t *testing.T) {
	if _, midnight := limit.Day(time.Now()); time.Until(midnight) < 3*time.Minute {
		time.Sleep(time.Until(midnight)) // when the day's minutes begin anew
	}
	kills, callers := 2, 30
	if os.Getenv("LONG_TESTS") != "" {
		kills, callers = 12, 600
	}
	groups := []*group{
		{profile: "concurrent", limits: "{concurrent: 5}"},
		{profile: "minutes", limits: "{concurrent: 100, minutesPerDay: 60}"}, // a token costs its 12
		{profile: "rate", limits: "{concurrent: 100, perCaller: 5/d}"},
		{profile: "all", limits: "{concurrent: 6, minutesPerDay: 60, perCaller: 7/d}"},
		{profile: "revoked", limits: "{concurrent: 5}"},
	}
	var keys, profiles strings.Builder
	var everybody []*caller
	for _, g := range groups {
		fmt.Fprintf(&profiles, "  %s: {leash: 12m, limits: %s}\n", g.profile, g.limits)
		for n := range callers {
			who := &caller{profile: g.profile, key: fmt.Sprintf("%s-%d", g.profile, n)}
			fmt.Fprintf(&keys, "%s:%s\n", who.key, hashOf(who.key))
			g.callers = append(g.callers, who)
		}
		everybody = append(everybody, g.callers...)
	}

	var google emulator.Server
	defer google.Close()
	var minted atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		minted.Add(1) // nothing else is asked for
		google.ServeHTTP(w, r)
	}))
	defer upstream.Close()
	redis := redistest.Start(t)
	config := write(t, fmt.Sprintf("listen: 127.0.0.1:0\nhosts: [localhost]\nauth: {apiKeysFile: %s}\nstore: %s\nlimits: {perAddress: 1000000/s, global: 1000000/s, refusals: 1000000/s}\nprofiles:\n%s",
		writeAs(t, "callers", keys.String()), redis.URL(), profiles.String()))
	c := &crowd{t: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	defer c.client.CloseIdleConnections()
	for range 2 {
		r := process(t, []string{"GEMINI_API_KEY=emulator-replicas"}, "serve", "--config", config, "--base-url", upstream.URL)
		c.replicas = append(c.replicas, r.URL)
	}

	minted.Store(0) // what the profiles were tried with

	begin := time.Now()
	var load sync.WaitGroup
	enough := make(chan struct{})
	for range 16 {
		load.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
					c.ask(everybody[rand.IntN(len(everybody))], c.replicas[rand.IntN(2)])
				}
			}
		})
	}
	share := func(n int) int64 { return int64(n * five * callers * (len(groups) - 1) / (kills + 2)) }
	for n := range kills {
		c.until("the crowd's share", func() bool { return c.granted.Load() >= share(n+1) })
		if n == 0 {
			revoke(t, redis.URL(), groups[len(groups)-1].callers)
			c.revoked.Store(true)
		}
		redis.Kill()
		before := c.unanswered.Load()
		c.until("a crowd without answers", func() bool { return c.unanswered.Load() >= before+100 })
		redis.Restart()
	}
	c.until("the crowd's last share", func() bool { return c.granted.Load() >= share(kills+1) })
	close(enough)
	load.Wait()

	// To the end, which each replica must tell each caller.
	for _, replica := range c.replicas {
		for some := range slices.Chunk(everybody, 16) {
			for _, who := range some {
				load.Go(func() {
					for !c.ask(who, replica) {
					}
				})
			}
			load.Wait()
		}
	}
	lasted := time.Since(begin)

	total := int64(0)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "profile\tcallers\tmay have\tasked\tallowed\trefused (429)\trevoked (403)\tunanswered (503)\tlost\tovershoot\t")
	for _, g := range groups {
		var all caller
		lost, over := 0, 0
		for _, who := range g.callers {
			all.asked, all.granted, all.refused = all.asked+who.asked, all.granted+who.granted, all.refused+who.refused
			all.forbidden, all.unanswered = all.forbidden+who.forbidden, all.unanswered+who.unanswered
			over += max(who.granted-five, 0)
			if g.profile != "revoked" {
				lost += max(five-who.granted, 0)
				if who.granted+who.unanswered < five {
					t.Errorf("%s was refused after %d of %d tokens, and %d questions without an answer", who.key, who.granted, five, who.unanswered)
				}
			} else if who.forbidden == 0 {
				t.Errorf("%s was never told that it is revoked", who.key)
			}
		}
		total += int64(all.granted)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", g.profile, len(g.callers), five*len(g.callers),
			all.asked, all.granted, all.refused, all.forbidden, all.unanswered, lost, over)
		if over > 0 {
			t.Errorf("%s: %d tokens too many", g.profile, over)
		}
	}
	w.Flush()
	t.Logf("%d times killed, in %v\n%s", kills, lasted.Round(time.Millisecond), &table)
	if minted.Load() != total {
		t.Errorf("%d tokens were allowed, and the token service was asked %d times", total, minted.Load())
	}
}

// revoke takes access away from callers, for good when it returns.
func revoke(t *testing.T, address string, callers []*caller) {
	t.Helper()
	s, err := redisstore.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, who := range callers {
		if err := s.Revoke(t.Context(), "key:"+who.key); err != nil {
			t.Fatal(err)
		}
	}
}
