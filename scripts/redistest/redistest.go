// Package redistest runs real Redis servers for tests: each its own process in
// its own folder, so that a test may kill one in mid-load and start it again
// with what it had written.
package redistest

import (
	"bufio"
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

// Path is the program that the tests run. A test that needs it fails without.
func Path(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("%v: this test runs a Redis of its own. Install version 7 or newer; on Debian: sudo apt-get install redis-server. make test does so if it is root", err)
	}
	return path
}

// patience bounds the start and the stop of a server on a busy machine.
const patience = 30 * time.Second

// Server is one Redis that writes every command to disk before it answers. It
// listens on a socket in its folder, so that no other program can take its
// address while it is down. Its methods are for the goroutine of the test.
type Server struct {
	t       testing.TB
	dir     string
	cmd     *exec.Cmd
	drained chan struct{} // closed when all that cmd printed was read
}

// Start starts a server that ends with the test. Directives are lines of
// redis.conf and win over the defaults, such as "appendonly no".
func Start(t testing.TB, directives ...string) *Server {
	t.Helper()
	// Not t.TempDir: with the test's name in it, it is too long for a socket.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir}
	t.Cleanup(func() {
		s.Kill()
		_ = os.RemoveAll(dir)
	})
	lines := append([]string{
		"port 0", "unixsocket " + s.socket(), "dir " + dir,
		"appendonly yes", "appendfsync always", `save ""`,
	}, directives...)
	if err := os.WriteFile(s.config(), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	return s
}

func (s *Server) config() string { return filepath.Join(s.dir, "redis.conf") }

func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

// URL is how clients reach it, also after a restart.
func (s *Server) URL() string { return (&url.URL{Scheme: "unix", Path: s.socket()}).String() }

// Kill ends it as kill -9 does: it saves and says nothing. Once it has ended,
// there is nothing to kill.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop lets it save and end, as a service manager does.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Freeze has it answer nobody until Thaw, as a machine does that swaps or has lost
// its network.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends what Freeze began.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
}

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	<-s.drained
	_ = s.cmd.Wait() // how it ended is what was asked for
	s.cmd = nil
}

// Restart starts it, after Kill or Stop again, and returns when it has read what
// it knew and takes commands.
func (s *Server) Restart() {
	s.t.Helper()
	// Not the test's context: that ends before the clean-up that stops it.
	s.cmd = child.Command(context.Background(), Path(s.t), s.config())
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.drained = make(chan struct{})
	ready, said := make(chan struct{}), new(strings.Builder)
	go func() {
		defer close(s.drained)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "eady to accept connections") {
				close(ready)
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-ready:
	case <-s.drained:
		s.t.Fatalf("redis-server ended before it was ready:\n%s", said)
	case <-time.After(patience):
		s.t.Fatalf("redis-server was not ready within %v", patience)
	}
}
