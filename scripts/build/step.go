package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// A file is something that a step made.
type file struct {
	Path string // under the root, with slashes
	Sum  string // SHA-256 of its content, in hex
}

// files are what a step made, by the role that later steps know them by.
type files map[string]file

// A stamp is what a finished step leaves behind.
type stamp struct {
	Inputs string // digest of all that went in
	Files  files
}

// step runs make, unless its last run had the same inputs and all that it made
// is still there, unchanged. The stamp is removed before and written after, so a
// step that was interrupted runs again.
func (b *builder) step(name string, inputs []string, make func() (files, error)) (files, error) {
	start := time.Now()
	want := digest(slices.Concat(b.self, inputs))
	if last, ok := b.readStamp(name); ok && last.Inputs == want && b.intact(last.Files) {
		b.report("fresh", name, start)
		return last.Files, nil
	}
	if err := os.RemoveAll(b.stampPath(name)); err != nil {
		return nil, err
	}
	made, err := make()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	text, err := json.Marshal(stamp{want, made})
	if err != nil {
		return nil, err
	}
	if err := b.write(b.stampPath(name), text); err != nil {
		return nil, err
	}
	b.report("built", name, start)
	return made, nil
}

func (b *builder) stampPath(name string) string { return b.cache(name + ".json") }

// readStamp reports false for a stamp that is missing or unreadable: both mean
// that the step has to run.
func (b *builder) readStamp(name string) (s stamp, ok bool) {
	text, err := os.ReadFile(b.stampPath(name))
	return s, err == nil && json.Unmarshal(text, &s) == nil
}

func (b *builder) intact(made files) bool {
	for f := range maps.Values(made) {
		if sum, err := sumFile(b.path(f.Path)); err != nil || sum != f.Sum {
			return false
		}
	}
	return true
}

func (b *builder) report(verb, name string, start time.Time) {
	fmt.Fprintf(b.out, "%s  %-12s %6.2fs\n", verb, name, time.Since(start).Seconds())
}

func join(sets ...files) files {
	all := files{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

// inputs is what was made, as part of a later step's inputs.
func (fs files) inputs() []string {
	var lines []string
	for _, role := range slices.Sorted(maps.Keys(fs)) {
		lines = append(lines, role+" "+fs[role].Path+" "+fs[role].Sum)
	}
	return lines
}
