package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// table is the outcome of one measurement.
type table struct {
	title string
	rows  []row
	note  string // what the figures mean nothing without; "" for nothing
}

// row is one figure. What has no target is told, not judged.
type row struct {
	what   string
	figure string
	target string // "" for none
	missed bool
}

func (t table) missed() bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return r.missed })
}

func (t table) write(out io.Writer) {
	fmt.Fprintln(out, t.title)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, r := range t.rows {
		verdict := ""
		switch {
		case r.missed:
			verdict = "MISSED"
		case r.target != "":
			verdict = "ok"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", r.what, r.figure, r.target, verdict)
	}
	w.Flush()
	if t.note != "" {
		fmt.Fprintln(out, "  "+t.note)
	}
	fmt.Fprintln(out)
}

// lateness is how late many things of one kind were.
type lateness []time.Duration

// quantile is the value that a share of q does not exceed; 0 if there is none.
func (l lateness) quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(l))[int(q*float64(len(l)-1))]
}

func (l lateness) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s", milliseconds(l.quantile(0.5)), milliseconds(l.quantile(0.99)), milliseconds(l.quantile(1)))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
