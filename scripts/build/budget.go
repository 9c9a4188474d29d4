package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"text/tabwriter"
)

// budget is how many bytes, compressed by brotli, a page may have to load
// before connect can run.
const budget = 800_000

// loaded are the roles that connect loads.
var loaded = []string{"wasm", "worker", "library"}

// A row is one file of the size table, in bytes.
type row struct {
	role, name          string
	plain, gzip, brotli int64
}

// budget prints the size table and fails if there is too much to load.
func (b *builder) budget(plain files) error {
	var rows []row
	for role, f := range plain {
		rows = append(rows, row{role, path.Base(f.Path), b.size(f),
			b.size(file{Path: f.Path + ".gz"}), b.size(file{Path: f.Path + ".br"})})
	}
	return weigh(b.out, rows, budget)
}

// size is a file's length in bytes, 0 if it is not there.
func (b *builder) size(f file) int64 {
	info, err := os.Stat(b.path(f.Path))
	if err != nil {
		return 0
	}
	return info.Size()
}

func weigh(out io.Writer, rows []row, limit int64) error {
	slices.SortFunc(rows, func(x, y row) int { return cmp.Compare(y.brotli, x.brotli) })
	var load row
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "bytes\tgzip\tbrotli\t  file")
	for _, r := range rows {
		mark := ""
		if slices.Contains(loaded, r.role) {
			mark = " *"
			load.plain, load.gzip, load.brotli = load.plain+r.plain, load.gzip+r.gzip, load.brotli+r.brotli
		}
		fmt.Fprintf(table, "%d\t%d\t%d\t  %s%s\n", r.plain, r.gzip, r.brotli, r.name, mark)
	}
	fmt.Fprintf(table, "%d\t%d\t%d\t  * loaded by connect, of %d brotli\n", load.plain, load.gzip, load.brotli, limit)
	if err := table.Flush(); err != nil {
		return err
	}
	if over := load.brotli - limit; over > 0 {
		return fmt.Errorf("what connect loads is %d bytes over the budget of %d: "+
			"look for new packages in `GOOS=js GOARCH=wasm go list -deps ./wasm` and new imports in web/src", over, limit)
	}
	return nil
}
