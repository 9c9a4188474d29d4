package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/scripts/child"
)

// small are the packages of a module whose tests end in every way there is.
var small = map[string]string{
	"go.mod": "module small.example\n\ngo 1.26\n",
	"good/good_test.go": `package good
import "testing"
func TestParent(t *testing.T) {
	t.Run("one", func(t *testing.T) { t.Log("quiet words") })
	t.Run("two/with a slash", func(t *testing.T) {})
}
func TestAlone(t *testing.T) {}`,
	"bad/bad_test.go": `package bad
import "testing"
func TestParent(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad/with a slash", func(t *testing.T) { t.Error("bad words") })
}
func TestOnlyItself(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Error("words of the parent")
}
func TestSkipped(t *testing.T) { t.Skip("not today") }`,
	"broken/broken_test.go": "package broken\nfunc TestBroken(t *testing.T) {}\n",
	"exits/exits_test.go": `package exits
import ("os"; "testing")
func TestMain(m *testing.M) { m.Run(); println("a goroutine is left"); os.Exit(1) }
func TestGood(t *testing.T) {}`,
	"panics/panics_test.go": `package panics
import "testing"
func TestGood(t *testing.T) {}
func TestPanics(t *testing.T) { panic("words of panic") }
func TestNeverRun(t *testing.T) {}`,
	"untested/untested.go": "package untested\n",
}

func TestGoTest(t *testing.T) {
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
	tests := []struct {
		name, pkg string
		want      tally
		says      []string
	}{
		{"leaves count, their parents do not", "./good", tally{passed: 3}, nil},
		{"a failure is counted once and told with its words; a skip is one; so is a parent that fails by itself", "./bad", tally{2, 3},
			[]string{"--- failed: small.example/bad TestParent/bad/with_a_slash", "bad words",
				"--- failed: small.example/bad TestOnlyItself", "words of the parent",
				"--- skipped, so it has not passed: small.example/bad TestSkipped", "not today"}},
		{"a package that is not built is one failure, with the compiler's words", "./broken", tally{0, 1},
			[]string{"--- not built: small.example/broken", "undefined: testing"}},
		{"a package that fails after its tests is one failure", "./exits", tally{1, 1},
			[]string{"--- failed: small.example/exits", "a goroutine is left"}},
		{"a panic is one failure", "./panics", tally{1, 1}, []string{"TestPanics", "words of panic"}},
		{"a package without tests counts for nothing", "./untested", tally{}, nil},
		{"a package that does not exist is a failure", "./nowhere", tally{0, 1}, []string{"nowhere"}},
		{"all of them together", "./...", tally{7, 6}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := child.Command(t.Context(), "go", "test", "-json", tt.pkg)
			cmd.Dir = dir
			got, why := events(cmd)
			if got != tt.want {
				t.Errorf("got %v, want %v\n%s", got, tt.want, why)
			}
			for _, s := range tt.says {
				if !strings.Contains(string(why), s) {
					t.Errorf("report lacks %q:\n%s", s, why)
				}
			}
			if strings.Contains(string(why), "quiet words") || got.failed == 0 && why != "" {
				t.Errorf("report tells of what passed:\n%s", why)
			}
		})
	}
}

func TestReadEventsOfUnfinishedTests(t *testing.T) {
	got, why := readEvents([]byte(`{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"last words\n"}
not an event
{"Action":"fail","Package":"p"}
`))
	if want := (tally{failed: 1}); got != want || !strings.Contains(string(why), "did not finish: p TestA\n    last words") {
		t.Errorf("got %v and %q, want %v and the test's name", got, why, want)
	}
}

func TestListNamesWhatPassedToo(t *testing.T) {
	got := list([]byte(`{"Action":"run","Test":"TestAll/Firefox/it_plays"}
{"Action":"output","Test":"TestAll/Firefox/it_plays","Output":"--- PASS: TestAll/Firefox/it_plays (1.25s)\n"}
{"Action":"output","Test":"TestAll/Firefox/it_plays","Output":"at 48000 Hz\n"}
{"Action":"pass","Test":"TestAll/Firefox/it_plays","Elapsed":1.25}
{"Action":"output","Test":"TestAll/Firefox/it_records","Output":"told elsewhere\n"}
{"Action":"fail","Test":"TestAll/Firefox/it_records","Elapsed":12}
{"Action":"fail","Test":"TestAll/Firefox","Elapsed":13}
{"Action":"fail","Test":"TestAll","Elapsed":13}
{"Action":"fail","Elapsed":13}
`))
	const want = `pass     1.2s  Firefox: it plays
    at 48000 Hz
fail    12.0s  Firefox: it records
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
