package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/livevalet/livevalet/scripts/child"
)

// longForms are of ordinary tests: in a browser those of the engine, which need
// servers, and of the built page; and replicas of the issuer over one Redis.
var longForms = []soak{
	{name: "tests in Chrome", args: []string{"run", "./scripts/test", "-only", "^(tools|build|tests in Chrome)$"}},
	{name: "tests of the page", args: []string{"test", "-tags=bundle", "-vet=off", "-count=1", "-timeout=30m", "./scripts/browser"}},
	{name: "replicas", args: []string{"test", "-v", "-vet=off", "-count=1", "-timeout=30m", "-run=^TestReplicas", "./issuer/cmd/livevalet"}},
}

// checks is how often a property is tried; an ordinary test does it 100 times.
const checks = 10_000

// soak is a go test that takes long.
type soak struct {
	name string
	fuzz bool
	args []string // of go
}

func (s soak) String() string { return "go " + strings.Join(s.args, " ") }

// run gives all that it printed.
func (s soak) run(ctx context.Context, dir string) (string, error) {
	cmd := child.Command(ctx, "go", s.args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(cmd.Environ(), "LONG_TESTS=1") // for tests that have a long form
	err := child.Run(cmd)
	return out.String(), err
}

var executions = regexp.MustCompile(`execs: (\d+) .*\(total: (\d+)\)`)

// summary is what is worth a line of a run in which nothing was found. A fuzz
// target that was not executed, which go test calls ok as well, is an error.
func (s soak) summary(text string) (string, error) {
	if !s.fuzz {
		return "ok", nil
	}
	all := executions.FindAllStringSubmatch(text, -1)
	if all == nil {
		return "", errors.New("it was never executed: give it more time")
	}
	last := all[len(all)-1]
	return fmt.Sprintf("ok, %s executions, %s inputs that differ", last[1], last[2]), nil
}

// find lists the fuzz targets, each to run for a time ("1m") or a number of
// executions ("100x"), and then the packages with property tests.
func find(ctx context.Context, dir, lasts string) (soaks []soak, err error) {
	text, err := soak{args: []string{"test", "-vet=off", "-list=^Fuzz", "./..."}}.run(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("list the fuzz targets: %w\n%s", err, text)
	}
	var targets []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case strings.HasPrefix(line, "Fuzz"):
			targets = append(targets, words[0])
		case words[0] == "ok": // of the package that has those targets
			for _, target := range targets {
				soaks = append(soaks, soak{short(words[1]) + " " + target, true, []string{
					"test", "-vet=off", "-run=^$", "-fuzz=^" + target + "$", "-fuzztime=" + lasts,
					"-fuzzminimizetime=5s", // else a target whose coverage varies spends most of its time on that
					words[1],
				}})
			}
			targets = nil
		}
	}

	const imports = `{{.ImportPath}}{{range .TestImports}} {{.}}{{end}}{{range .XTestImports}} {{.}}{{end}}`
	text, err = soak{args: []string{"list", "-f", imports, "./..."}}.run(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w\n%s", err, text)
	}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); slices.Contains(words[1:], "pgregory.net/rapid") {
			soaks = append(soaks, soak{short(words[0]) + " properties", false, []string{
				"test", "-vet=off", "-count=1", "-timeout=30m", words[0], fmt.Sprintf("-rapid.checks=%d", checks),
			}})
		}
	}
	return soaks, nil
}

// short is the last two parts of an import path.
func short(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}
