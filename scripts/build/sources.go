package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sources lists the files at and below the given paths, each with its content's
// sum. Go tests are left out: no build contains them.
func (b *builder) sources(paths ...string) ([]string, error) {
	var lines []string
	for _, top := range paths {
		err := filepath.WalkDir(b.path(top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			sum, err := sumFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(b.root, path)
			lines = append(lines, filepath.ToSlash(rel)+" "+sum)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read sources: %w", err)
		}
	}
	return lines, nil
}

// goFiles lists the Go files of one directory, not of those below.
func (b *builder) goFiles(dir string) ([]string, error) {
	found, err := filepath.Glob(b.path(dir + "/*.go"))
	if err != nil {
		return nil, err
	}
	for i, path := range found {
		found[i] = dir + "/" + filepath.Base(path)
	}
	return b.sources(found...)
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sum(content []byte) string {
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:])
}

// digest is one sum for a list of lines.
func digest(lines []string) string { return sum([]byte(strings.Join(lines, "\n"))) }
