package main

import (
	"strings"
	"testing"
)

func TestWeigh(t *testing.T) {
	rows := []row{
		{"library", "livevalet.js", 30, 20, 10},
		{"wasm", "livevalet-1.wasm", 2000, 1000, 700},
		{"worker", "livevalet-worker-2.js", 40, 30, 20},
		{"demo", "demo-3.js", 9000, 9000, 9000},
	}
	const table = `  bytes  gzip  brotli  file
   9000  9000    9000  demo-3.js
   2000  1000     700  livevalet-1.wasm *
     40    30      20  livevalet-worker-2.js *
     30    20      10  livevalet.js *
   2070  1050     730  * loaded by connect, of LIMIT brotli
`
	tests := []struct {
		name, wantErr string
		limit         int64
	}{
		{"the budget to the byte is kept, and the demo does not count", "", 730},
		{"one byte over fails, after the table, and says by how much and where to look", "1 bytes over the budget of 729: look for new packages", 729},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := weigh(&out, rows, tt.limit)
			got := strings.NewReplacer("730 brotli", "LIMIT brotli", "729 brotli", "LIMIT brotli").Replace(out.String())
			if trimLines(got) != table {
				t.Errorf("table is\n%s\nwant\n%s", got, table)
			}
			if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
		})
	}
}

// trimLines removes the spaces that pad the table's last column.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
