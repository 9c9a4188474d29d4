package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/andybalholm/brotli"
	"golang.org/x/sync/errgroup"
)

// encodings are the forms a server may send instead of the file itself.
var encodings = []struct {
	ext       string
	newWriter func(w io.Writer, level int) (io.WriteCloser, error)
}{
	{".br", func(w io.Writer, level int) (io.WriteCloser, error) {
		return brotli.NewWriterLevel(w, level), nil
	}},
	{".gz", func(w io.Writer, _ int) (io.WriteCloser, error) {
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	}},
}

// keepCompressed is for how long compressed content is remembered after its
// last use.
const keepCompressed = 14 * 24 * time.Hour

// compress puts the compressed forms beside each file.
func (b *builder) compress(plain files) (files, error) {
	return b.step("compress", plain.inputs(), func() (files, error) {
		type job struct {
			from file
			enc  int
			made file
		}
		var jobs []*job
		for _, f := range plain {
			for enc := range encodings {
				jobs = append(jobs, &job{from: f, enc: enc})
			}
		}
		// The slowest first: brotli, by size.
		slices.SortFunc(jobs, func(x, y *job) int {
			return cmp.Or(cmp.Compare(x.enc, y.enc), cmp.Compare(b.size(y.from), b.size(x.from)))
		})
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for _, j := range jobs {
			group.Go(func() (err error) {
				j.made, err = b.compressFile(j.from, j.enc)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		made := files{}
		for _, j := range jobs {
			made[j.made.Path] = j.made
		}
		return made, nil
	})
}

// compressFile writes one compressed form. The result is kept by content: the
// best compression of the module takes seconds, and most builds change
// something else.
func (b *builder) compressFile(f file, enc int) (file, error) {
	e := encodings[enc]
	made := file{Path: f.Path + e.ext}
	known := b.compressed(f.Sum + e.ext)
	packed, err := os.ReadFile(known)
	if err != nil {
		plain, err := os.ReadFile(b.path(f.Path))
		if err != nil {
			return file{}, err
		}
		var buf bytes.Buffer
		w, err := e.newWriter(&buf, b.level)
		if err != nil {
			return file{}, err
		}
		if _, err := w.Write(plain); err != nil {
			return file{}, err
		}
		if err := w.Close(); err != nil {
			return file{}, err
		}
		packed = buf.Bytes()
	}
	made.Sum = sum(packed)
	// Written even if known: its time says when it was last of use.
	if err := b.write(known, packed); err != nil {
		return file{}, err
	}
	return made, b.write(b.path(made.Path), packed)
}

func (b *builder) compressed(name string) string { return b.cache("compressed", name) }

// forget removes compressed content that no build has used for a while.
func (b *builder) forget() error {
	entries, err := os.ReadDir(b.compressed(""))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) > keepCompressed {
			if err := os.Remove(b.compressed(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
