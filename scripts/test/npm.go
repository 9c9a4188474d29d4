package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
)

// npmInstall makes a folder's node_modules what its lock file says. npm is asked
// only when the lock file is not the one that they were made from. No package
// may run a program of its own.
func (p *project) npmInstall(ctx context.Context, dir string) error {
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	hash := sha256.Sum256(lock)
	want := hex.EncodeToString(hash[:])
	stamp := filepath.Join(dir, "node_modules", ".made-from")
	if made, err := os.ReadFile(stamp); err == nil && string(made) == want {
		return nil
	}
	npm := p.in(ctx, "", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	if _, err := run(npm); err != nil {
		return err
	}
	// npm ci makes the folder anew, so the stamp is written last. Without
	// dependencies it makes none.
	return errors.Join(os.MkdirAll(filepath.Dir(stamp), 0o777), os.WriteFile(stamp, []byte(want), 0o666))
}
