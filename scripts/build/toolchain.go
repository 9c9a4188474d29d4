package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A toolchain is the go command that builds everything here, as `go env`
// describes it.
type toolchain map[string]string

// fingerprint lists the settings that change what the go command makes.
var fingerprint = []string{
	"GOVERSION", "GOROOT", "GOFLAGS", "GOEXPERIMENT", "GOWORK", "GOFIPS140",
	"GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOWASM",
	"CGO_ENABLED", "CC", "CGO_CFLAGS", "CGO_LDFLAGS",
}

// findToolchain asks the go command, in dir, which is anywhere in the module.
func findToolchain(ctx context.Context, dir string) (toolchain, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"env", "-json", "GOMOD"}, fingerprint...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	t := toolchain{}
	if err := json.Unmarshal(out, &t); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if !strings.HasSuffix(t["GOMOD"], "go.mod") {
		return nil, fmt.Errorf("no go.mod here or above: run the build inside the checkout")
	}
	return t, nil
}

func (t toolchain) moduleDir() string { return filepath.Dir(t["GOMOD"]) }

// inputs is the toolchain's part of a step's inputs.
func (t toolchain) inputs() []string {
	lines := make([]string, 0, len(fingerprint))
	for _, name := range fingerprint {
		lines = append(lines, name+"="+t[name])
	}
	return lines
}

// glue returns wasm_exec.js, which fits only the toolchain that it came with.
func (t toolchain) glue() ([]byte, error) {
	js, err := os.ReadFile(filepath.Join(t["GOROOT"], "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, fmt.Errorf("this toolchain (%s) has no wasm_exec.js: install a complete one: %w", t["GOVERSION"], err)
	}
	return js, nil
}

// run runs the go command in dir with env added to the environment. What it
// printed becomes the error.
func (t toolchain) run(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}
