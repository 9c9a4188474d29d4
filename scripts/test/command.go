package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/livevalet/livevalet/scripts/child"
)

// in makes a command that runs in the root, for the browser if target is "js".
func (p *project) in(ctx context.Context, target, name string, args ...string) *exec.Cmd {
	cmd := child.Command(ctx, name, args...)
	cmd.Dir = p.root
	if target == "js" {
		cmd.Env = append(cmd.Environ(), "GOOS=js", "GOARCH=wasm")
	}
	return cmd
}

// run runs a command and returns what it printed. If it fails, that is the error.
func run(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := child.Run(cmd); err != nil {
		return "", fmt.Errorf("%s\n%s: %w", bytes.TrimSpace(out.Bytes()), strings.Join(cmd.Args, " "), err)
	}
	return out.String(), nil
}

// output returns the one value that a command prints on its standard output.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	var out, errOut bytes.Buffer
	cmd := child.Command(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	if err := child.Run(cmd); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, &errOut)
	}
	return strings.TrimSpace(out.String()), nil
}
