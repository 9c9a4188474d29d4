package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_FILE"); path != "" {
		victim(path)
	}
	goleak.VerifyTestMain(m)
}

func openSQLite(t testing.TB, path string) *store.SQLite {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Test(t, func(t testing.TB) func() storetest.Store {
		path := filepath.Join(t.TempDir(), "state.db")
		return func() storetest.Store { return openSQLite(t, path) }
	})
}

func TestAFileSurvivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a % state?.db")
	s := openSQLite(t, path)
	if _, err := s.Grant(t.Context(), storetest.New(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), store.Key{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	again := openSQLite(t, path)
	if l, err := again.Load(t.Context(), storetest.New(1).Lease.Key); err != nil || l != storetest.New(1).Lease {
		t.Errorf("%+v, %v", l, err)
	}
	if gone, err := again.Revoked(t.Context(), "bob"); !gone || err != nil {
		t.Errorf("%v, %v", gone, err)
	}
}

func TestAFileOfAnOlderVersionIsBroughtToTheNewest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(store.FirstSchema + `PRAGMA application_id = 0x4c563031; PRAGMA user_version = 1; INSERT INTO revocations VALUES ('bob')`); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		expire := storetest.Noon.Add(time.Duration(3-n) * time.Minute)
		if _, err := db.Exec("INSERT INTO slots VALUES ('slots/ada', ?, 0, ?)", []byte{byte(n)}, expire.UnixMicro()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // to bring it there, and to find it so
		s := openSQLite(t, path)
		if gone, err := s.Revoked(t.Context(), "bob"); !gone || err != nil {
			t.Errorf("%v, %v", gone, err)
		}
		a := storetest.New(1)
		a.Slots.Max = 2
		_, err := s.Grant(t.Context(), a)
		if refused, ok := errors.AsType[*store.Limited](err); !ok || *refused != (store.Limited{Limit: store.BySlots, Wait: 2 * time.Minute}) {
			t.Errorf("with three slots taken: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFileThatIsNotOursIsRefusedAndLeftAlone(t *testing.T) {
	of := func(statements string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(statements); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"of another program": {of("CREATE TABLE songs (name TEXT)"), "another program"},
		"that only says so":  {of("PRAGMA application_id = 7"), "another program"},
		"of a newer version": {func(t *testing.T, path string) {
			openSQLite(t, path).Close()
			of("PRAGMA user_version = 99")(t, path)
		}, "version 99"},
		"of text": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("listen: 127.0.0.1\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a database"},
		"that is a folder":         {func(t *testing.T, path string) { os.Mkdir(path, 0o700) }, "state"},
		"in a folder that is none": {func(t *testing.T, path string) { os.Remove(filepath.Dir(path)) }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "state")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			c.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := store.OpenSQLite(t.Context(), path)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("it says %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("it was changed")
			}
		})
	}
}

func TestALockedFileIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state.db")
		s := openSQLite(t, path)
		other, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		other.SetMaxOpenConns(1)
		if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for n := range 300 { // more than one transaction takes
			all.Go(func() {
				time.Sleep(time.Duration(n) * 10 * time.Millisecond)
				begin := time.Now()
				if _, err := s.Grant(t.Context(), leaseFor(n, storetest.Noon)); err == nil {
					t.Error("it decides while another process does")
				}
				if waited := time.Since(begin); waited > 2*time.Second {
					t.Errorf("it waited for %v", waited)
				}
			})
		}
		all.Wait()
		if _, err := other.Exec("ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Grant(t.Context(), leaseFor(300, storetest.Noon)); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsOverIsSweptWhileOthersAsk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openSQLite(t, path)
	ctx := t.Context()
	grant := func(n int, now time.Time) {
		a := leaseFor(n, now)
		a.Rates = []store.Rate{{Key: string(a.Lease.Key[:]), Rate: limit.Rate{Count: 6, Per: time.Minute}}}
		a.Handle = a.Lease.Key
		if _, err := s.Grant(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 1000 {
		grant(n, storetest.Noon)
	}
	later := storetest.Noon.Add(2 * store.KeepHandle)
	grant(1000, later)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if err := s.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.QueryRow(`SELECT (SELECT count(*) FROM leases) + (SELECT count(*) FROM handles) + (SELECT count(*) FROM rates)
			+ (SELECT count(*) FROM slots) + (SELECT count(*) FROM budgets)`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d things are left", left)
		}
	}
	if _, err := s.Load(ctx, leaseFor(1000, later).Lease.Key); err != nil {
		t.Errorf("a lease that lives was dropped: %v", err)
	}
}

// A process that is killed has lost nothing that it acknowledged, and what it did
// besides overshoots nothing.
func TestAProcessIsKilledAtAnyTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	revoked, granted := map[string]bool{}, 0
	for range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "STORE_TEST_FILE="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		most := 20 + rand.IntN(200)
		for lines := bufio.NewScanner(out); lines.Scan(); most-- {
			word, name, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "revoked":
				revoked[name] = true
			case "granted":
				granted++
			}
			if most == 0 {
				_ = cmd.Process.Kill() // it goes on until that bites; what it says is read to the end
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
	}
	s := openSQLite(t, path)
	for name := range revoked {
		if is, err := s.Revoked(t.Context(), name); !is || err != nil {
			t.Errorf("the revocation of %s is lost, %v", name, err)
		}
	}
	if len(revoked) == 0 || granted == 0 {
		t.Fatalf("%d revocations and %d grants were acknowledged", len(revoked), granted)
	}
	// Of the slots and the budget of all of them there is at most what was left.
	more := 0
	for n := range victimSlots + 1 {
		if _, err := s.Grant(t.Context(), victimAsk(1<<40+n)); err == nil {
			more++
		}
	}
	if granted+more > victimSlots {
		t.Errorf("%d were granted before and %d after, of %d", granted, more, victimSlots)
	}
	t.Logf("%d revocations and %d grants were acknowledged; %d more are granted of %d", len(revoked), granted, more, victimSlots)
}

const victimSlots = 600

func victimAsk(n int) store.Ask {
	a := storetest.New(0)
	binary.BigEndian.PutUint64(a.Lease.Key[:], uint64(n))
	a.Slots.Max = victimSlots
	a.Budget.Max = victimSlots * a.Budget.Cost
	return a
}

// victim asks for tokens and revokes, several at once, and says what was
// acknowledged, until it is killed.
func victim(path string) {
	ctx := context.Background()
	s, err := store.OpenSQLite(ctx, path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				n := rand.IntN(1 << 39)
				if _, err := s.Grant(ctx, victimAsk(n)); err == nil {
					fmt.Println("granted", n)
				}
				if err := s.Revoke(ctx, fmt.Sprint("caller-", n)); err == nil {
					fmt.Println("revoked", fmt.Sprint("caller-", n))
				}
			}
		})
	}
	all.Wait()
}
