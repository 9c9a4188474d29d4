package main

import (
	"context"
	"path/filepath"
)

// types checks the page's TypeScript.
func (p *project) types(ctx context.Context) error {
	web := filepath.Join(p.root, "web")
	if err := p.npmInstall(ctx, web); err != nil {
		return err
	}
	tsc := p.in(ctx, "", "npx", "--no-install", "tsc", "--noEmit")
	tsc.Dir = web
	_, err := run(tsc)
	return err
}
