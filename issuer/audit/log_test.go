package audit

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// lines reads a file that must consist of whole lines.
func lines(t *testing.T, name string) (all []map[string]any) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		all = append(all, line)
	}
	return all
}

func openIn(t *testing.T, dir string) (*Log, string) {
	t.Helper()
	name := filepath.Join(dir, "audit.jsonl")
	l, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, name
}

func TestALineSaysWhatIsKnownAndNoMore(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 5e8, time.FixedZone("", 3600))
	key, token := live.NewSecret("CANARY-key"), live.NewSecret("auth_tokens/CANARY")
	for name, c := range map[string]struct {
		entry Entry
		want  string
	}{
		"a token": {Entry{Time: at, RequestID: "R", Decision: Granted, Caller: "key:shop", Address: "192.0.2.1", Profile: "default", Lease: Hash{0xab}, Token: HashOf(key, token)},
			`{"time":"2026-11-21T11:00:00.5Z","requestId":"R","decision":"granted","caller":"key:shop","address":"192.0.2.1","profile":"default","lease":"ab` + strings.Repeat("00", 31) + `","token":"` + fmt.Sprintf("%x", HashOf(key, token)) + `"}`},
		"a refusal": {Entry{Time: at, RequestID: "R", Decision: Refused, Code: "rate_limited"},
			`{"time":"2026-11-21T11:00:00.5Z","requestId":"R","decision":"refused","code":"rate_limited"}`},
		"a name that would be two lines": {Entry{Time: at, Decision: Revoked, User: "a\n{\"decision\":\"granted\"}<\x00"},
			`{"time":"2026-11-21T11:00:00.5Z","decision":"revoked","user":"a\n{\"decision\":\"granted\"}<\u0000"}`},
	} {
		var out strings.Builder
		if err := New(&out).Write(c.entry); err != nil || out.String() != c.want+"\n" {
			t.Errorf("%s: %v\n%swant\n%s", name, err, out.String(), c.want)
		}
	}
}

func TestAHashIsThatOfTheUsualTool(t *testing.T) {
	// printf %s auth_tokens/1 | openssl dgst -sha256 -hmac CANARY-key
	const want = "dbcfcc9c829183d5a8fdb52bcd96cdb06b71ae5a8e30063fb0d81f87cbaac91e"
	key := live.NewSecret("CANARY-key")
	if h := HashOf(key, live.NewSecret("auth_tokens/1")); hex.EncodeToString(h[:]) != want {
		t.Errorf("it is %x", h)
	}
	if HashOf(key, live.Secret{}) != (Hash{}) {
		t.Error("what is absent has a hash")
	}
}

func TestAFileOnlyGrows(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		l, _ := openIn(t, dir)
		if err := l.Write(Entry{RequestID: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	all := lines(t, filepath.Join(dir, "audit.jsonl"))
	if len(all) != 3 || all[0]["requestId"] != "0" || all[2]["requestId"] != "2" {
		t.Errorf("it holds %v", all)
	}
}

func TestOthersCannotReadTheFile(t *testing.T) {
	_, name := openIn(t, t.TempDir())
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestARotatedFileIsOpenedAnew(t *testing.T) {
	for name, rotate := range map[string]func(string) error{
		"moved":                      func(f string) error { return os.Rename(f, f+".1") },
		"moved, and another is made": func(f string) error { return errors.Join(os.Rename(f, f+".1"), os.WriteFile(f, nil, 0o600)) },
		"copied and emptied":         copyAndEmpty,
	} {
		t.Run(name, func(t *testing.T) {
			l, file := openIn(t, t.TempDir())
			if err := l.Write(Entry{RequestID: "old"}); err != nil {
				t.Fatal(err)
			}
			if err := rotate(file); err != nil {
				t.Fatal(err)
			}
			if err := l.Write(Entry{RequestID: "new"}); err != nil {
				t.Fatal(err)
			}
			for f, want := range map[string]string{file + ".1": "old", file: "new"} {
				if all := lines(t, f); len(all) != 1 || all[0]["requestId"] != want {
					t.Errorf("%s holds %v", f, all)
				}
			}
		})
	}
}

func copyAndEmpty(name string) error {
	text, err := os.ReadFile(name)
	return errors.Join(err, os.WriteFile(name+".1", text, 0o600), os.Truncate(name, 0))
}

func TestLinesOfManyAtOnceAreWhole(t *testing.T) {
	dir := t.TempDir()
	one, name := openIn(t, dir)
	two, _ := openIn(t, dir) // as another process has it
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			l := one
			if n%2 == 0 {
				l = two
			}
			if err := l.Write(Entry{RequestID: strings.Repeat("x", 500)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(lines(t, name)); n != 200 {
		t.Errorf("there are %d lines", n)
	}
}

// stream takes what is left of room, and fails beyond.
type stream struct {
	strings.Builder
	room int
}

func (s *stream) Write(b []byte) (int, error) {
	if len(b) > s.room {
		n, _ := s.Builder.Write(b[:s.room])
		s.room = 0
		return n, errors.New("no space left")
	}
	s.room -= len(b)
	return s.Builder.Write(b)
}

func TestALossIsOnRecord(t *testing.T) {
	s := &stream{room: 100}
	l := New(s)
	entry := Entry{RequestID: "whole", Decision: Granted}
	if err := errors.Join(l.Write(entry), l.Ready()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if l.Write(entry) == nil {
			t.Fatal("a full disk takes a line")
		}
	}
	if l.Ready() == nil {
		t.Fatal("it is ready while the disk is full")
	}
	s.room = 1 << 10
	if err := errors.Join(l.Ready(), l.Ready(), l.Write(entry)); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(s.String(), "\n"), "\n")
	if len(got) != 4 || !strings.Contains(got[2], `"decision":"resumed","lost":3}`) {
		t.Fatalf("it holds %q", got)
	}
	for _, n := range []int{0, 2, 3} { // 1 is what the full disk had room for
		if !json.Valid([]byte(got[n])) {
			t.Errorf("line %d is torn: %s", n, got[n])
		}
	}
}
