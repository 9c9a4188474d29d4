package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/scripts/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs a script; a process that it starts in the background writes its
// id to the file that $PIDFILE names.
func shell(t *testing.T, ctx context.Context, script string) (cmd *exec.Cmd, background func() int) {
	t.Helper()
	pidFile := filepath.Join(t.TempDir(), "pid")
	cmd = child.Command(ctx, "sh", "-c", script)
	cmd.Env = append(cmd.Env, "PIDFILE="+pidFile)
	return cmd, func() (pid int) {
		t.Helper()
		eventually(t, "the background process says its id", func() bool {
			text, err := os.ReadFile(pidFile)
			if err != nil {
				return false
			}
			n, err := fmt.Sscan(string(text), &pid)
			return n == 1 && err == nil
		})
		return pid
	}
}

// eventually waits for another process, which no bubble contains.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// gone reports whether no such process runs; one that nobody has waited for
// yet, a zombie, does not run.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

const background = `sleep 600 >/dev/null 2>&1 & echo $! >"$PIDFILE"; `

func TestRunLeavesNothingBehind(t *testing.T) {
	t.Run("when the program ends, what it started is killed", func(t *testing.T) {
		cmd, pid := shell(t, t.Context(), background+"exit 3")
		err := child.Run(cmd)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
			t.Errorf("error %v, want exit status 3", err)
		}
		eventually(t, "the background process is gone", func() bool { return gone(pid()) })
	})
	t.Run("when the context is done, the whole group is killed", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cmd, pid := shell(t, ctx, background+"sleep 600")
		ended := make(chan error, 1)
		go func() { ended <- child.Run(cmd) }()
		pid()
		cancel()
		if err := <-ended; err == nil {
			t.Error("a killed program ended well")
		}
		eventually(t, "the background process is gone", func() bool { return gone(pid()) })
	})
	t.Run("the program has no stdin to wait for", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), "cat")
		if err := child.Run(cmd); err != nil {
			t.Error(err)
		}
	})
}

func TestCommandWithholdsSettings(t *testing.T) {
	for _, name := range []string{"GEMINI_API_KEY", "GOOGLE_API_KEY", "LIVEVALET_LISTEN", "MY_GEMINI_KEY"} {
		t.Setenv(name, "set")
	}
	got := map[string]bool{}
	for _, setting := range child.Command(t.Context(), "env").Environ() {
		name, _, _ := strings.Cut(setting, "=")
		got[name] = true
	}
	for name, want := range map[string]bool{
		"GEMINI_API_KEY": false, "GOOGLE_API_KEY": false, "LIVEVALET_LISTEN": false, "MY_GEMINI_KEY": true, "PATH": true,
	} {
		if got[name] != want {
			t.Errorf("%s: got is %v, want %v", name, got[name], want)
		}
	}
}

func TestServe(t *testing.T) {
	t.Run("it returns the announced address, whatever else is printed", func(t *testing.T) {
		cmd, pid := shell(t, t.Context(), background+`echo hello; echo "livevalet: ready http://127.0.0.1:1"; echo noise >&2; wait`)
		s, err := child.Serve(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		if s.URL != "http://127.0.0.1:1" {
			t.Errorf("URL is %q", s.URL)
		}
		eventually(t, "the log holds both outputs", func() bool {
			return strings.Contains(s.Log(), "hello\n") && strings.Contains(s.Log(), "noise\n")
		})
		if err := s.Stop(10 * time.Second); err != nil {
			t.Errorf("it died of the SIGTERM that it was sent, but Stop says %v", err)
		}
		eventually(t, "the background process is gone", func() bool { return gone(pid()) })
	})
	t.Run("another project's announces itself in its own words, on its standard error too", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), `echo 7; echo "listening on ws://127.0.0.1:1 now" >&2; sleep 600`)
		s, err := child.ServeForeign(t.Context(), cmd, regexp.MustCompile(`^listening on (\S+)`))
		if err != nil {
			t.Fatal(err)
		}
		if s.URL != "ws://127.0.0.1:1" {
			t.Errorf("URL is %q", s.URL)
		}
		if err := s.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("one that ends well when asked is stopped without an error, twice", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), `trap 'exit 0' TERM; echo "livevalet: ready http://127.0.0.1:1"; while :; do sleep 0.01; done`)
		s, err := child.Serve(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Stop(10 * time.Second); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("one that ends badly when asked is an error", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), `trap 'exit 3' TERM; echo "livevalet: ready http://127.0.0.1:1"; while :; do sleep 0.01; done`)
		s, err := child.Serve(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(10 * time.Second); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("ended with %v, want exit status 3", err)
		}
	})
	t.Run("one that does not listen to SIGTERM is killed", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), `trap '' TERM; echo "livevalet: ready http://127.0.0.1:1"; while :; do sleep 0.01; done`)
		s, err := child.Serve(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("ended with %v, want a kill", err)
		}
	})
	t.Run("one that ends before it is ready is an error with what it printed", func(t *testing.T) {
		cmd, _ := shell(t, t.Context(), "echo address already in use >&2; exit 1")
		_, err := child.Serve(t.Context(), cmd)
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("one that is never ready is killed when time is up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		cmd, pid := shell(t, t.Context(), background+"sleep 600")
		_, err := child.Serve(ctx, cmd)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		eventually(t, "the background process is gone", func() bool { return gone(pid()) })
	})
}
