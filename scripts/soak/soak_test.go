package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a module with fuzz targets that end in every way there is.
var small = map[string]string{
	"go.mod": "module small.example\n\ngo 1.26\n",
	"good/good_test.go": `package good
import "testing"
func TestOrdinary(t *testing.T) { t.Error("ran an ordinary test") }
func FuzzGood(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) {}) }`,
	"bad/bad_test.go": `package bad
import "testing"
func FuzzNew(f *testing.F) { f.Add(0); f.Fuzz(func(t *testing.T, n int) { if n != 0 { t.Error("new words") } }) }
func FuzzSeed(f *testing.F) { f.Add(0); f.Fuzz(func(t *testing.T, n int) { t.Error("words of the seed") }) }`,
	"none/none.go": "package none\n",
}

func TestSoak(t *testing.T) {
	t.Setenv("GOFLAGS", "") // what the caller's go command is told about this module is not for the small one
	dir := t.TempDir()
	for name, content := range small {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	failed, err := run(t.Context(), dir, "1000x", regexp.MustCompile(""), &out)
	if err != nil || failed != 2 {
		t.Errorf("%d failed, %v", failed, err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "bad/testdata/fuzz/FuzzNew/*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	for _, want := range []string{
		`(?m)^small.example/good FuzzGood +[\d.]+s  ok, \d+ executions, \d+ inputs that differ$`,
		`(?s)\nsmall.example/bad FuzzNew +[\d.]+s  FAILED\n.*new words.*go test -run=FuzzNew/` + filepath.Base(kept[0]) + `\n.*It was run by: go test .*small.example/bad\n`,
		`(?s)\nsmall.example/bad FuzzSeed +[\d.]+s  FAILED\n.*words of the seed`,
		`\n1 passed, 2 failed\n$`,
	} {
		if !regexp.MustCompile(want).MatchString("\n" + out.String()) {
			t.Errorf("no %s in\n%s", want, &out)
		}
	}
}

func TestATreeThatDoesNotBuildIsAnError(t *testing.T) {
	t.Setenv("GOFLAGS", "")
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": small["go.mod"], "a_test.go": "package a\nfunc TestBroken(t *testing.T) {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(t.Context(), dir, "1000x", regexp.MustCompile(""), new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "undefined: testing") {
		t.Errorf("got %v", err)
	}
}
