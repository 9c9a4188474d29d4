package audit

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
)

func TestAFullDiskIsAnError(t *testing.T) {
	l, err := Open("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Write(Entry{Decision: Granted}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it says %v", err)
	}
	if err := l.Ready(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("readiness says %v", err)
	}
}

func TestADirectoryWithoutRightsIsAnError(t *testing.T) {
	dir := t.TempDir()
	l, name := openIn(t, dir)
	if err := errors.Join(os.Rename(name, name+".1"), os.Chmod(dir, 0o500)); err != nil {
		t.Fatal(err)
	}
	unprivileged(t)
	if err := l.Write(Entry{Decision: Granted}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("after a rotation it says %v", err)
	}
	if _, err := Open(name); !errors.Is(err, os.ErrPermission) {
		t.Errorf("at the start it says %v", err)
	}
	if _, err := Open(dir + "/none/audit.jsonl"); err == nil {
		t.Error("a directory that is not there is taken")
	}
}

// unprivileged lets the test's own thread reach files as nobody does, since root
// needs no rights.
func unprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	t.Cleanup(func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
}
