package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// gofmt wants every Go file of ours formatted.
func (p *project) gofmt(ctx context.Context) error {
	files, err := goFiles(p.root)
	if err != nil {
		return err
	}
	unformatted, err := run(p.in(ctx, "", filepath.Join(p.goroot, "bin", "gofmt"), append([]string{"-l"}, files...)...))
	if err != nil {
		return err
	}
	if unformatted != "" {
		return fmt.Errorf("run make fmt; not formatted:\n%s", unformatted)
	}
	return nil
}

// goFiles finds the Go files below root; what tools put there is not ours.
func goFiles(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "node_modules"):
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(name) == ".go":
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
