package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
)

// wasm builds the engine as the browser loads it. The version-control stamp is
// off, so the same sources always give the same bytes and the same name.
func (b *builder) wasm() (files, error) {
	flags := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}
	inputs, err := b.sources("wasm")
	if err != nil {
		return nil, err
	}
	return b.step("wasm", slices.Concat(inputs, b.tools.inputs(), flags), func() (files, error) {
		tmp := b.cache("tmp", "livevalet.wasm")
		defer os.Remove(tmp)
		err := b.tools.run(b.ctx, b.root, []string{"GOOS=js", "GOARCH=wasm"}, append(flags, "-o", tmp, "./wasm")...)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(tmp)
		if err != nil {
			return nil, err
		}
		f, err := b.publish("livevalet-*.wasm", content)
		return files{"wasm": f}, err
	})
}

// binary builds bin/livevalet with the bundle inside.
func (b *builder) binary(bundle files) (files, error) {
	flags := []string{"build", "-tags=bundle", "-trimpath", "-buildvcs=false",
		"-ldflags=-X main.version=" + b.git("--no-optional-locks", "describe", "--tags", "--always", "--dirty")}
	inputs, err := b.sources("issuer", "wasm")
	if err != nil {
		return nil, err
	}
	embed, err := b.goFiles("web")
	if err != nil {
		return nil, err
	}
	return b.step("binary", slices.Concat(inputs, embed, bundle.inputs(), b.tools.inputs(), flags), func() (files, error) {
		f := file{Path: "bin/livevalet"}
		tmp := b.cache("tmp", "livevalet")
		err := b.tools.run(b.ctx, b.root, nil, append(flags, "-o", tmp, "./issuer/cmd/livevalet")...)
		if err != nil {
			return nil, err
		}
		if f.Sum, err = sumFile(tmp); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(b.path("bin"), 0o777); err != nil {
			return nil, err
		}
		return files{"binary": f}, os.Rename(tmp, b.path(f.Path))
	})
}

// git asks git about the tree; without git, or outside a repository, there is
// no answer.
func (b *builder) git(args ...string) string {
	cmd := exec.CommandContext(b.ctx, "git", args...)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
