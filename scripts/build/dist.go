package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// dist is where the page and its bundle go.
const dist = "web/dist"

// publish writes a file of the bundle. An asterisk in name stands for the first
// ten hex digits of the content's SHA-256: such a file never changes under its
// name, so browsers may keep it for ever.
func (b *builder) publish(name string, content []byte) (file, error) {
	s := sum(content)
	f := file{Path: dist + "/" + strings.Replace(name, "*", s[:10], 1), Sum: s}
	return f, b.write(b.path(f.Path), content)
}

// write replaces the file at path in one move, so that nobody ever sees half of it.
func (b *builder) write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(b.cache("tmp"), "write-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// prune removes from dist what this build does not contain.
func (b *builder) prune(keep files) error {
	kept := map[string]bool{}
	for _, f := range keep {
		kept[b.path(f.Path)] = true
	}
	entries, err := os.ReadDir(b.path(dist))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := filepath.Join(b.path(dist), e.Name()); !kept[path] {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}
