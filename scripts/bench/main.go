// Command bench measures the built program and prints tables:
//
//	make bench
//	go run ./scripts/bench -duplex 50 -for 10s    (after a make build)
//
// The emulator runs as a process of its own, on the same machine and the same
// cores as its clients. A target that is missed is marked, and the status is 1
// then. It takes about four minutes and runs on Linux and macOS; what issuer and
// page are measured beside needs Node and npm, and pages need Chromium.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var d duplex
	var i idle
	var g gap
	flag.IntVar(&d.sessions, "duplex", 200, "sessions that talk at once")
	flag.DurationVar(&d.lasts, "for", 30*time.Second, "how long they talk")
	flag.IntVar(&i.sessions, "idle", 5000, "sessions that say nothing")
	flag.IntVar(&g.rotations, "rotations", 100, "changes of connection by the engine")
	k := tokens{clients: 32, rate: 500, sdk: filepath.Join("issuer", "emulator", "sdktest")}
	flag.IntVar(&k.fast, "tokens", 20000, "tokens that each endpoint gives as fast as it can")
	flag.DurationVar(&k.lasts, "paced", 10*time.Second, "how long each endpoint gives them at 500/s")
	flag.StringVar(&k.binary, "binary", "bin/livevalet", "the program to measure")
	st := start{sdk: k.sdk}
	flag.IntVar(&st.times, "starts", 10, "pages that begin a conversation")
	ta := talk{sdk: k.sdk}
	flag.IntVar(&ta.blocks, "blocks", 5, "times that a page with a microphone is blocked")
	so := sound{sdk: k.sdk}
	flag.IntVar(&so.messages, "sound", 2000, "messages of sound that come to a page at once; at most 9,000, as a page keeps ten minutes of it")
	flag.Parse()
	missed, err := run(ctx, k.binary, []measurement{
		{"emulate", g.measure},
		{"emulate", d.measure},
		{"emulate", i.measure},
		{"emulate", k.measure},
		{"dev", st.measure},
		{"dev", ta.measure},
		{"dev", so.measure},
	}, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || missed {
		os.Exit(1)
	}
}

// measurement measures one thing of the program's.
type measurement struct {
	command string // of the program
	measure func(context.Context, *service) (table, error)
}

// run measures one thing after the other, each against a fresh process.
func run(ctx context.Context, binary string, measurements []measurement, out io.Writer) (missed bool, err error) {
	fmt.Fprintf(out, "emulator on %d cores, %s %s/%s\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, m := range measurements {
		t, err := m.run(ctx, binary)
		if err != nil {
			return false, err
		}
		t.write(out)
		missed = missed || t.missed()
	}
	return missed, nil
}

func (m measurement) run(ctx context.Context, binary string) (table, error) {
	server, err := child.Serve(ctx, child.Command(ctx, binary, m.command, "--listen", "127.0.0.1:0"))
	if err != nil {
		return table{}, err
	}
	t, err := m.measure(ctx, &service{
		url:    server.URL,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: parallel}},
		memory: func() (int64, error) { return residentMemory(server.PID()) },
	})
	if stopped := server.Stop(10 * time.Second); err == nil {
		err = stopped
	}
	return t, err
}
