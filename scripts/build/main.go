// Command build makes web/dist/ and bin/livevalet, and changes nothing else in
// the tree (its memory is .cache/, which is ignored).
//
//	go run ./scripts/build
//
// Its steps, each fed by the one before:
//
//	wasm        ./wasm for the browser
//	typescript  web/src through esbuild, with the toolchain's own wasm_exec.js
//	page        the pages and their styles, referring to hashed names
//	compress    .br and .gz beside every file
//	budget      the size table; too much to load before connect fails the build
//	binary      bin/livevalet with web/dist/ inside
//
// A step runs only when something that goes into it changed; see [builder.step].
// It runs on Linux and macOS.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	tools, err := findToolchain(ctx, ".")
	if err != nil {
		return err
	}
	b, err := newBuilder(ctx, tools, out)
	if err != nil {
		return err
	}
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return b.build()
}

func (b *builder) build() error {
	wasm, err := b.wasm()
	if err != nil {
		return err
	}
	scripts, err := b.typescript(wasm["wasm"])
	if err != nil {
		return err
	}
	page, err := b.page(scripts)
	if err != nil {
		return err
	}
	plain := join(wasm, scripts, page)
	packed, err := b.compress(plain)
	if err != nil {
		return err
	}
	dist := join(plain, packed)
	if err := b.prune(dist); err != nil {
		return err
	}
	if err := b.forget(); err != nil {
		return err
	}
	if err := b.budget(plain); err != nil {
		return err
	}
	_, err = b.binary(dist)
	return err
}
