// Command test runs everything that must hold, as continuous integration does:
//
//	go run ./scripts/test
//	go run ./scripts/test -only '^(build|tests in Chrome)$'
//	go run ./scripts/test -engines
//
// It goes on after a failure, so that one run shows all of them, repeats
// nothing, and needs no terminal. Its last line is "N passed, N failed". What
// it lacks it installs with apt when it is root on Debian; else it says what to
// install. What it runs gets no GEMINI_*, GOOGLE_* or LIVEVALET_* setting. It
// runs on Linux and macOS.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// limit is for the whole run. Each step has its own, see steps.
const limit = 30 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	only := flag.String("only", "", "the steps whose name matches this expression")
	engines := flag.Bool("engines", false, "the page's tests in three browser engines, instead of all else")
	flag.Parse()
	name, err := regexp.Compile(*only)
	var p *project
	if err == nil {
		p, err = findProject(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		fmt.Println(tally{failed: 1})
		os.Exit(1)
	}
	steps := p.steps()
	if *engines {
		steps = p.engineSteps()
	}
	steps = slices.DeleteFunc(steps, func(s step) bool { return !name.MatchString(s.name) })
	if len(steps) == 0 {
		fmt.Fprintf(os.Stderr, "test: no step matches %s\n", name)
		os.Exit(1)
	}
	total := runAll(ctx, steps, os.Stdout)
	fmt.Println(total)
	if total.failed > 0 {
		os.Exit(1)
	}
}

// A project is the tree under test.
type project struct {
	root   string
	goroot string
}

func findProject(ctx context.Context) (*project, error) {
	mod, err := output(ctx, ".", "go", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	if filepath.Base(mod) != "go.mod" {
		return nil, fmt.Errorf("no go.mod here or above: run the tests inside the checkout")
	}
	goroot, err := output(ctx, ".", "go", "env", "GOROOT")
	return &project{filepath.Dir(mod), goroot}, err
}

// cache names what the tests remember between runs. Deleting it is safe.
func (p *project) cache(elem ...string) string {
	return filepath.Join(append([]string{p.root, ".cache", "test"}, elem...)...)
}
