package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/andybalholm/brotli"
)

// A builder builds one tree. It is used by one goroutine.
type builder struct {
	ctx   context.Context // ends the commands that a step runs
	root  string          // the module's directory
	tools toolchain
	out   io.Writer // progress and the size table
	self  []string  // fingerprint of this program: it goes into every step
	level int       // brotli's: best, but for tests that would wait
}

func newBuilder(ctx context.Context, tools toolchain, out io.Writer) (*builder, error) {
	b := &builder{ctx: ctx, root: tools.moduleDir(), tools: tools, out: out, level: brotli.BestCompression}
	err := errors.Join(os.MkdirAll(b.cache("tmp"), 0o777), os.MkdirAll(b.compressed(""), 0o777))
	if err != nil {
		return nil, err
	}
	b.self, err = b.sources("scripts/build", "go.mod", "go.sum")
	return b, err
}

// path makes a path under the root from one with slashes.
func (b *builder) path(rel string) string { return filepath.Join(b.root, filepath.FromSlash(rel)) }

// cache names what the build remembers between runs. Deleting it is safe.
func (b *builder) cache(elem ...string) string {
	return filepath.Join(append([]string{b.root, ".cache", "build"}, elem...)...)
}

// lock waits until no other build works on this tree: two at once would prune
// each other's files.
func (b *builder) lock() (unlock func(), err error) {
	f, err := os.OpenFile(b.cache("lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil // closing unlocks
}
