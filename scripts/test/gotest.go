package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/livevalet/livevalet/scripts/child"
)

// events runs a `go test -json`, or what prints like it, and reads what it says.
func events(cmd *exec.Cmd) (tally, report) {
	result, why, _ := rawEvents(cmd)
	return result, why
}

// rawEvents is events, and gives what it has read, too.
func rawEvents(cmd *exec.Cmd) (result tally, why report, lines []byte) {
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := child.Run(cmd)
	result, why = readEvents(out.Bytes())
	if err != nil && result.failed == 0 { // it did not get as far as a test
		result.failed = 1
		why = report(fmt.Sprintf("%s%s: %v", &errOut, strings.Join(cmd.Args, " "), err))
	}
	return result, why, out.Bytes()
}

// An event is one line of `go test -json`; see `go doc cmd/test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	FailedBuild string // of a package's fail: the build that failed
	Test        string // empty: about the package
	Output      string
	Elapsed     float64 // seconds, of the end of a test
}

// A testKey names a test, or with Test "" its package, or with Package "" a build.
type testKey struct{ Package, Test string }

// readEvents counts the leaves of the tests and tells why what failed did. Apart
// from tests that failed, these count as failed: a test that was skipped or did
// not finish, a parent that failed though its sub-tests passed, and a package
// that failed though its tests passed.
func readEvents(lines []byte) (result tally, why report) {
	end := map[testKey]string{} // "" while it runs
	text := map[testKey]*strings.Builder{}
	builds := map[testKey]testKey{} // of packages that were not built
	for line := range bytes.Lines(lines) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue // what a program printed past the test framework
		}
		key := testKey{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			key = testKey{"", e.ImportPath}
			fallthrough
		case "output":
			if text[key] == nil {
				text[key] = new(strings.Builder)
			}
			text[key].WriteString(e.Output)
		case "run", "start":
			end[key] = ""
		case "pass", "fail", "skip":
			end[key] = e.Action
			if e.FailedBuild != "" {
				builds[key] = testKey{"", e.FailedBuild}
			}
		}
	}

	// A name sorts after those of its parents and its package, so backwards
	// every test comes after its sub-tests.
	keys := slices.SortedFunc(maps.Keys(end), func(x, y testKey) int {
		return cmp.Or(cmp.Compare(x.Package, y.Package), cmp.Compare(x.Test, y.Test))
	})
	var told []string
	tell := func(key testKey, what string, source testKey) {
		entry := fmt.Sprintf("--- %s: %s\n", what, strings.TrimSpace(key.Package+" "+key.Test))
		if text[source] != nil {
			entry += indent(words(text[source].String()))
		}
		told = append(told, entry)
	}
	parents := map[testKey]bool{}     // have a test below them
	failedBelow := map[testKey]bool{} // have one that failed
	for _, k := range slices.Backward(keys) {
		failed := true
		switch how := end[k]; {
		case how == "pass", how == "skip" && k.Test == "": // a package without tests is skipped
			failed = false
			if k.Test != "" && !parents[k] {
				result.passed++
			}
		case failedBelow[k]: // counted there
			if k.Test != "" && text[k] != nil && words(text[k].String()) != "" {
				tell(k, "failed, and above it", k)
			}
		case builds[k] != testKey{}:
			result.failed++
			tell(k, "not built", builds[k])
		case how == "skip":
			result.failed++
			tell(k, "skipped, so it has not passed", k)
		case how == "":
			result.failed++
			tell(k, "did not finish", k)
		default:
			result.failed++
			tell(k, "failed", k)
		}
		for _, up := range k.above() {
			parents[up] = true
			failedBelow[up] = failedBelow[up] || failed
		}
	}
	slices.Reverse(told)
	return result, report(strings.Join(told, ""))
}

// above are the tests that k is a sub-test of, and its package. A sub-test's own
// name may contain slashes, so not all of them need exist.
func (k testKey) above() (keys []testKey) {
	if k.Test == "" {
		return nil
	}
	for i, c := range k.Test {
		if c == '/' {
			keys = append(keys, testKey{k.Package, k.Test[:i]})
		}
	}
	return append(keys, testKey{k.Package, ""})
}

// words are what a test said, without the framework's own lines.
func words(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "=== ") && !strings.HasPrefix(trimmed, "--- ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
