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
	return p.tsc(ctx, web, "--noEmit")
}

func (p *project) tsc(ctx context.Context, dir string, args ...string) error {
	tsc := p.in(ctx, "", "npx", append([]string{"--no-install", "tsc"}, args...)...)
	tsc.Dir = dir
	_, err := run(tsc)
	return err
}
