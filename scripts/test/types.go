package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
)

// types checks the TypeScript. npm is asked only when the lock file is not the
// one that node_modules was made from.
func (p *project) types(ctx context.Context) error {
	web := filepath.Join(p.root, "web")
	lock, err := os.ReadFile(filepath.Join(web, "package-lock.json"))
	if err != nil {
		return err
	}
	hash := sha256.Sum256(lock)
	want := hex.EncodeToString(hash[:])
	stamp := filepath.Join(web, "node_modules", ".made-from")
	if made, err := os.ReadFile(stamp); err != nil || string(made) != want {
		npm := p.in(ctx, "", "npm", "ci", "--no-audit", "--no-fund")
		npm.Dir = web
		if _, err := run(npm); err != nil {
			return err
		}
		// npm ci makes the folder anew, so the stamp is written last. Without
		// dependencies it makes none.
		if err := errors.Join(os.MkdirAll(filepath.Dir(stamp), 0o777), os.WriteFile(stamp, []byte(want), 0o666)); err != nil {
			return err
		}
	}
	tsc := p.in(ctx, "", "npx", "--no-install", "tsc", "--noEmit")
	tsc.Dir = web
	_, err = run(tsc)
	return err
}
