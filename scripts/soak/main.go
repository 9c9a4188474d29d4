// Command soak runs the long forms of tests, which go on looking for as long as
// one likes:
//
//	make soak
//	go run ./scripts/soak -for 10m -only Mint
//
// They are every fuzz target of the tree, the packages with property tests, the
// tests in Chrome, which take what the build made, and replicas of the issuer over
// one Redis. All see LONG_TESTS in the environment.
// It goes on after a finding, so that one run shows what each of them finds, and
// tells how to see it again: go test keeps the input in the package's testdata,
// where it becomes a test as soon as it is committed. What else the fuzzer
// learned stays in the build cache; "go clean -fuzzcache" forgets it. The last
// line is "N passed, N failed". It runs on Linux and macOS.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lasts := flag.String("for", "1m", "how long each fuzz target runs, or how often (1000x)")
	only := flag.String("only", "", "those whose name matches this expression")
	flag.Parse()
	name, err := regexp.Compile(*only)
	failed := 0
	if err == nil {
		failed, err = run(ctx, ".", *lasts, name, os.Stdout, longForms...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

// run soaks the module in dir, with more than what is found there, and tells how
// many of the long forms failed.
func run(ctx context.Context, dir, lasts string, name *regexp.Regexp, out io.Writer, more ...soak) (failed int, err error) {
	soaks, err := find(ctx, dir, lasts)
	if err != nil {
		return 0, err
	}
	passed := 0
	for _, s := range append(soaks, more...) {
		if !name.MatchString(s.name) {
			continue
		}
		if ctx.Err() != nil {
			return failed, ctx.Err()
		}
		fmt.Fprintf(out, "%-40s ", s.name)
		begin := time.Now()
		text, err := s.run(ctx, dir)
		summary := ""
		if err == nil {
			summary, err = s.summary(text)
		}
		fmt.Fprintf(out, "%7.1fs  ", time.Since(begin).Seconds())
		if err != nil {
			failed++
			fmt.Fprintf(out, "FAILED\n\n%s\n%v\nIt was run by: %s\n\n", text, err, s)
			continue
		}
		passed++
		fmt.Fprintln(out, summary)
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	return failed, nil
}
