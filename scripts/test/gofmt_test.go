package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGofmt(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"a.go":                        "package a\n",
		"deep/down/b.go":              "package b\n\nvar  b = 1\n",
		"deep/notes.md":               "package  no\n",
		"web/node_modules/theirs.go":  "package  theirs\n",
		".cache/build/generated/c.go": "package  c\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	found, err := goFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(root, "a.go"), filepath.Join(root, "deep", "down", "b.go")}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	goroot, err := output(t.Context(), ".", "go", "env", "GOROOT")
	if err != nil {
		t.Fatal(err)
	}
	p := &project{root, goroot}
	if err := p.gofmt(t.Context()); err == nil || !strings.Contains(err.Error(), "b.go") || strings.Contains(err.Error(), "a.go") {
		t.Errorf("error %v, want one that names b.go alone", err)
	}
}
