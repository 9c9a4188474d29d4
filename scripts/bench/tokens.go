package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
// one before is answered or not, and each is timed from when it was due. Meanwhile
// some go to the emulator without the endpoint, as a busy machine is slow for all;
// what the endpoint adds is the difference.
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
	service   lateness // without the endpoint, at the same time
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
	node, err := k.node(ctx, s, dir)
	if err != nil {
		return t, err
	}
	t.rows = append(t.rows, describe("Node", node)...)
	steady := node.service.quantile(0.99) <= maxAdded
	for _, store := range stores {
		ours, err := k.issuer(ctx, s, filepath.Join(dir, store.name), store)
		if err != nil {
			return t, err
		}
		t.rows = append(t.rows, describe("livevalet, "+store.name, ours)...)
		steady = steady && ours.service.quantile(0.99) <= maxAdded
		faster, smaller, added := ours.perSecond/node.perSecond, float64(ours.memory)/float64(node.memory), ours.added(0.99)
		t.rows = append(t.rows,
			row{"  tokens each second, beside Node", fmt.Sprintf("%.2f x", faster), fmt.Sprintf(">= %.1f x", store.least), faster < store.least},
			row{"  memory, beside Node", fmt.Sprintf("%.2f x", smaller), fmt.Sprintf("<= %.1f x", maxMemoryRatio), smaller > maxMemoryRatio},
			row{"  added, p99", milliseconds(added), fmt.Sprintf("<= %v", maxAdded), added > maxAdded},
		)
	}
	if !steady {
		t.note = "The service itself was slow at times: the machine is busy with other things, so measure again."
	}
	return t, nil
}

// added is by how much a quantile is above the service's own.
func (o outcome) added(q float64) time.Duration { return o.times.quantile(q) - o.service.quantile(q) }

func describe(name string, o outcome) []row {
	return []row{
		{name + ": tokens each second", fmt.Sprintf("%.0f", o.perSecond), "", false},
		{"  memory of the process", fmt.Sprintf("%.1f MB", float64(o.memory)/1e6), "", false},
		{"  time of a token", o.times.String(), "", false},
		{"  the service's own", o.service.String(), "", false},
		{"  added to it", fmt.Sprintf("p50 %s, p99 %s", milliseconds(o.added(0.5)), milliseconds(o.added(0.99))), "", false},
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
	return k.endpoint(ctx, s, cmd, "/v1/token")
}

// node measures the endpoint in Node.
func (k tokens) node(ctx context.Context, s *service, dir string) (outcome, error) {
	modules, err := installSDK(ctx, k.sdk)
	if err != nil {
		return outcome{}, err
	}
	script := filepath.Join(dir, "endpoint.mjs")
	// Modules are looked for beside the script.
	if err := errors.Join(os.WriteFile(script, nodeEndpoint, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
		return outcome{}, err
	}
	cmd := child.Command(ctx, "node", script)
	cmd.Env = append(cmd.Env, "NODE_ENV=production", "GEMINI_API_KEY=emulator-bench", "GOOGLE_GEMINI_BASE_URL="+s.url)
	return k.endpoint(ctx, s, cmd, "/")
}

// endpoint measures a program that serves tokens on that path.
func (k tokens) endpoint(ctx context.Context, s *service, cmd *exec.Cmd, path string) (o outcome, err error) {
	server, err := child.Serve(ctx, cmd)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, server.Stop(10*time.Second)) }()
	// By its address, as hosts has it: a name may have two, one of them tried in vain.
	clients := &connections{address: strings.Replace(strings.TrimPrefix(server.URL, "http://"), "localhost:", "127.0.0.1:", 1), path: path}
	defer clients.close()

	if _, err := k.atOnce(ctx, k.fast/10, clients.askToken); err != nil { // until what is compiled late is compiled
		return o, err
	}
	if o.perSecond, err = k.atOnce(ctx, k.fast, clients.askToken); err != nil {
		return o, err
	}
	if o.memory, err = residentMemory(server.PID()); err != nil {
		return o, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		o.times, err = k.paced(ctx, k.rate, clients.askToken)
		return err
	})
	group.Go(func() (err error) {
		o.service, err = k.paced(ctx, k.rate/5, func(ctx context.Context) error { _, err := s.mint(ctx); return err })
		return err
	})
	return o, group.Wait()
}

func callerKey(n int) string { return fmt.Sprint("key-of-caller-", n) }

// atOnce lets each client ask again as soon as it is answered, n times in all,
// and gives how many were answered each second.
func (k tokens) atOnce(ctx context.Context, n int, ask func(context.Context) error) (perSecond float64, err error) {
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	var asked atomic.Int64
	for range k.clients {
		group.Go(func() (err error) {
			for err == nil && asked.Add(1) <= int64(n) {
				err = ask(ctx)
			}
			return err
		})
	}
	err = group.Wait()
	return float64(n) / time.Since(begin).Seconds(), err
}

// paced asks so often a second, and gives the times from when each request was due.
func (k tokens) paced(ctx context.Context, rate int, ask func(context.Context) error) (lateness, error) {
	times := make(lateness, int(k.lasts.Seconds()*float64(rate)))
	group, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for i := range times {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
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
