// Package child runs programs of which nothing is left behind: each gets a
// process group of its own, which is killed when the program has ended or its
// context is done. On Linux the program also dies with the one that runs it. It
// works on Linux and macOS.
package child

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is [exec.CommandContext] for a program in its own process group. It
// has no stdin, and of the environment it does not get GEMINI_*, GOOGLE_* and
// LIVEVALET_*. When ctx is done, the whole group is killed.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = attributes()
	cmd.Env = environment()
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second // for a pipe held by one that left the group
	return cmd
}

// Run runs cmd, made by [Command], and then kills what it left behind.
func Run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	_ = killGroup(cmd) // there is nobody left when all went well
	return err
}

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// A Server is a running program that announced its address.
type Server struct {
	URL string // as announced, such as http://127.0.0.1:41567

	cmd  *exec.Cmd
	log  *log
	done chan struct{} // closed when the program has ended
	err  error         // how it ended; read after done
}

// announcement is the line that every server of this project prints when it serves.
var announcement = regexp.MustCompile(`^livevalet: ready (.*)`)

// Serve starts cmd, made by [Command], and returns when it announced itself.
// It fails when the program ends before that or ctx is done; the error then
// holds what the program printed. The caller stops the server.
func Serve(ctx context.Context, cmd *exec.Cmd) (*Server, error) {
	return ServeForeign(ctx, cmd, announcement)
}

// ServeForeign is Serve for another project's program: the line by which that
// announces itself, on either output, matches ready, whose first group is the URL.
func ServeForeign(ctx context.Context, cmd *exec.Cmd, ready *regexp.Regexp) (*Server, error) {
	s := &Server{cmd: cmd, log: new(log), done: make(chan struct{})}
	printed, w := io.Pipe()
	cmd.Stdout = io.MultiWriter(w, s.log)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		s.err = cmd.Wait()
		w.Close()
	}()
	url := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(printed); lines.Scan(); {
			if match := ready.FindStringSubmatch(lines.Text()); match != nil {
				url <- strings.TrimSpace(match[1])
				break
			}
		}
		_, _ = io.Copy(io.Discard, printed) // so that it never waits for a reader
	}()
	select {
	case s.URL = <-url:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("%s ended before it was ready: %w\n%s", cmd.Path, cmp.Or(s.err, errors.New("exit status 0")), s.Log())
	case <-ctx.Done():
		_ = s.Stop(0)
		return nil, fmt.Errorf("%s was not ready in time: %w\n%s", cmd.Path, ctx.Err(), s.Log())
	}
}

// Stop sends SIGTERM, kills the group after grace, and returns how the program
// ended: nil if it exited with 0 or died of that SIGTERM. It may be called more
// than once.
func (s *Server) Stop(grace time.Duration) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.done:
	case <-time.After(grace):
	}
	_ = killGroup(s.cmd)
	<-s.done
	if exit, ok := errors.AsType[*exec.ExitError](s.err); ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil
	}
	return s.err
}

// PID is the program's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is all that the program has printed so far.
func (s *Server) Log() string { return s.log.String() }

// A log may be read while it is written.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
