package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/livevalet/livevalet/scripts/child"
)

// Targets of the issuer, beside the endpoint in Node.
const (
	maxMemoryRatio = 0.5
	maxAdded       = 5 * time.Millisecond // to the 99th percentile
)

// tokens is token endpoints, each in front of the same emulator: `livevalet
// serve` with each of its stores, and the endpoint in Node that is all of
// testdata/endpoint.mjs. Each runs alone, on the cores that driver and emulator
// use too. First it serves clients that ask again as soon as they have their
// token, and its memory is read; then requests come at a fixed rate, whether the
// one before is answered or not, and each is timed from when it was due. So is
// the emulator without an endpoint; what an endpoint adds is the difference.
type tokens struct {
	fast    int           // tokens of the first part
	clients int           // of the first part
	rate    int           // each second, of the second part
	lasts   time.Duration // the second part
	binary  string
	sdk     string // the folder whose package.json has @google/genai
}

// A store is a configuration of the issuer. DIR in it is a folder of its own.
type store struct {
	name   string
	config string
	least  float64 // tokens each second, as a multiple of Node's
}

var stores = []store{
	{"in memory", "store: memory\n", 3},
	{"SQLite", "store: sqlite://DIR/state.db\n", 1.3},
}

const (
	callers = 200 // whose tokens a store must tell apart

	// Every limit is there and none is met.
	issuerSetup = "hosts: [127.0.0.1]\nauth: {apiKeysFile: DIR/callers}\n" +
		"limits: {perAddress: 100000/s, perProfile: 100000/s, global: 100000/s}\n" +
		"profiles: {default: {limits: {perCaller: 100000/s, concurrent: 100000}}}\n"
)

//go:embed testdata/endpoint.mjs
var nodeEndpoint []byte

// outcome is what was measured of one endpoint.
type outcome struct {
	perSecond float64
	memory    int64 // bytes
	times     lateness
}

func (k tokens) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("token endpoints: %d tokens for %d clients, then %d/s for %v", k.fast, k.clients, k.rate, k.lasts)}
	if k.fast == 0 {
		return t, nil
	}
	dir, err := os.MkdirTemp("", "livevalet-bench-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	bare, err := k.paced(ctx, func(ctx context.Context) error { _, err := s.mint(ctx); return err })
	if err != nil {
		return t, err
	}
	t.rows = append(t.rows, row{"the service itself", bare.String(), "", false})
	node, err := k.node(ctx, s, dir)
	if err != nil {
		return t, err
	}
	t.rows = append(t.rows, describe("Node", node, bare)...)
	for _, store := range stores {
		ours, err := k.issuer(ctx, s, filepath.Join(dir, store.name), store)
		if err != nil {
			return t, err
		}
		t.rows = append(t.rows, describe("livevalet, "+store.name, ours, bare)...)
		faster, smaller, added := ours.perSecond/node.perSecond, float64(ours.memory)/float64(node.memory), ours.added(bare, 0.99)
		t.rows = append(t.rows,
			row{"  tokens each second, beside Node", fmt.Sprintf("%.2f x", faster), fmt.Sprintf(">= %.1f x", store.least), faster < store.least},
			row{"  memory, beside Node", fmt.Sprintf("%.2f x", smaller), fmt.Sprintf("<= %.1f x", maxMemoryRatio), smaller > maxMemoryRatio},
			row{"  added, p99", milliseconds(added), fmt.Sprintf("<= %v", maxAdded), added > maxAdded},
		)
	}
	return t, nil
}

// added is by how much a quantile is above the service's own.
func (o outcome) added(bare lateness, q float64) time.Duration {
	return o.times.quantile(q) - bare.quantile(q)
}

func describe(name string, o outcome, bare lateness) []row {
	return []row{
		{name + ": tokens each second", fmt.Sprintf("%.0f", o.perSecond), "", false},
		{"  memory of the process", fmt.Sprintf("%.1f MB", float64(o.memory)/1e6), "", false},
		{"  time of a token", o.times.String(), "", false},
		{"  added to the service's", fmt.Sprintf("p50 %s, p99 %s", milliseconds(o.added(bare, 0.5)), milliseconds(o.added(bare, 0.99))), "", false},
	}
}

// issuer measures the issuer with that store.
func (k tokens) issuer(ctx context.Context, s *service, dir string, store store) (outcome, error) {
	config := filepath.Join(dir, "livevalet.yaml")
	var keys []byte
	for n := range callers {
		keys = fmt.Appendf(keys, "bench%d:%x\n", n, sha256.Sum256([]byte(callerKey(n))))
	}
	if err := errors.Join(
		os.Mkdir(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "callers"), keys, 0o600),
		os.WriteFile(config, []byte(strings.ReplaceAll(issuerSetup+store.config, "DIR", dir)), 0o600),
	); err != nil {
		return outcome{}, err
	}
	cmd := child.Command(ctx, k.binary, "serve", "--config", config, "--listen", "127.0.0.1:0", "--base-url", s.url)
	cmd.Env = append(cmd.Env, "GEMINI_API_KEY=emulator-bench")
	return k.endpoint(ctx, cmd, "/v1/token")
}

// node measures the endpoint in Node.
func (k tokens) node(ctx context.Context, s *service, dir string) (outcome, error) {
	modules, err := filepath.Abs(filepath.Join(k.sdk, "node_modules"))
	if err != nil {
		return outcome{}, err
	}
	if _, err := os.Stat(modules); err != nil {
		npm := child.Command(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		npm.Dir = k.sdk
		if err := child.Run(npm); err != nil {
			return outcome{}, fmt.Errorf("install the SDK in %s: %w", k.sdk, err)
		}
	}
	script := filepath.Join(dir, "endpoint.mjs")
	// Modules are looked for beside the script.
	if err := errors.Join(os.WriteFile(script, nodeEndpoint, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
		return outcome{}, err
	}
	cmd := child.Command(ctx, "node", script)
	cmd.Env = append(cmd.Env, "NODE_ENV=production", "GEMINI_API_KEY=emulator-bench", "GOOGLE_GEMINI_BASE_URL="+s.url)
	return k.endpoint(ctx, cmd, "/")
}

// endpoint measures a program that serves tokens on that path.
func (k tokens) endpoint(ctx context.Context, cmd *exec.Cmd, path string) (o outcome, err error) {
	server, err := child.Serve(ctx, cmd)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, server.Stop(10*time.Second)) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: k.clients + k.rate}}
	defer client.CloseIdleConnections()
	// By its address, as hosts has it: a name may have two, one of them tried in vain.
	url := strings.Replace(server.URL, "//localhost:", "//127.0.0.1:", 1) + path
	ask := func(ctx context.Context) error { return askToken(ctx, client, url) }

	if _, err := k.atOnce(ctx, k.fast/10, ask); err != nil { // until what is compiled late is compiled
		return o, err
	}
	if o.perSecond, err = k.atOnce(ctx, k.fast, ask); err != nil {
		return o, err
	}
	if o.memory, err = residentMemory(server.PID()); err != nil {
		return o, err
	}
	o.times, err = k.paced(ctx, ask)
	return o, err
}

func callerKey(n int) string { return fmt.Sprint("key-of-caller-", n) }

// askToken gets a token as a caller's server does.
func askToken(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+callerKey(rand.IntN(callers)))
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for a token: %w", err)
	}
	defer answer.Body.Close()
	var grant struct{ Token string }
	if err := json.NewDecoder(answer.Body).Decode(&grant); err != nil || !strings.HasPrefix(grant.Token, "auth_tokens/") {
		return fmt.Errorf("ask for a token: status %d", answer.StatusCode)
	}
	_, err = io.Copy(io.Discard, answer.Body) // so that the connection is used again
	return err
}

// atOnce lets each client ask again as soon as it is answered, n times in all,
// and gives how many were answered each second.
func (k tokens) atOnce(ctx context.Context, n int, ask func(context.Context) error) (perSecond float64, err error) {
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(k.clients)
	for range n {
		group.Go(func() error { return ask(ctx) })
	}
	err = group.Wait()
	return float64(n) / time.Since(begin).Seconds(), err
}

// paced asks at the rate, and gives the times from when each request was due.
func (k tokens) paced(ctx context.Context, ask func(context.Context) error) (lateness, error) {
	times := make(lateness, int(k.lasts.Seconds()*float64(k.rate)))
	group, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for i := range times {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(k.rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return nil, cmp.Or(group.Wait(), context.Cause(ctx))
		}
		group.Go(func() error {
			err := ask(ctx)
			times[i] = time.Since(due)
			return err
		})
	}
	return times, group.Wait()
}
