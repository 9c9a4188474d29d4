package main

import (
	"context"
	"fmt"
	"runtime"
)

type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(_ context.Context, p *program) error {
	_, err := fmt.Fprintf(p.stdout, "livevalet %s %s\n", ownVersion(), runtime.Version())
	return err
}
