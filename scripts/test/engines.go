package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// engineTests run the page's tests in one browser engine. They list what passed,
// too: to know what each engine can do is what they are for.
func (p *project) engineTests(engine string) func(context.Context) (tally, report) {
	return func(ctx context.Context) (tally, report) {
		result, why, lines := rawEvents(p.in(ctx, "", "go", "test", "-json", "-count=1", "-vet=off", "-timeout=7m",
			"-tags=bundle,engines", "-run=^TestEngines$/^"+engine+"$", "./scripts/engines"))
		return result, list(lines) + why
	}
}

// list has a line for each leaf of the tests of a `go test -json`, in the order in
// which they ended, and what those said that passed.
func list(lines []byte) report {
	var ended []event
	said := map[string]string{}
	parents := map[string]bool{}
	for line := range bytes.Lines(lines) {
		var e event
		if json.Unmarshal(line, &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "output":
			said[e.Test] += e.Output
		case "pass", "fail":
			ended = append(ended, e)
			for _, up := range (testKey{Test: e.Test}).above() {
				parents[up.Test] = true
			}
		}
	}
	var b strings.Builder
	for _, e := range ended {
		if !parents[e.Test] {
			_, name, _ := strings.Cut(e.Test, "/")
			fmt.Fprintf(&b, "%-6s %5.1fs  %s\n", e.Action, e.Elapsed, strings.NewReplacer("/", ": ", "_", " ").Replace(name))
		}
		if e.Action == "pass" {
			b.WriteString(indent(words(said[e.Test])))
		}
	}
	return report(b.String())
}
