package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// A step is one thing that must hold. Its run reports what passed and, readably,
// what did not; it ends when ctx does.
type step struct {
	name  string
	limit time.Duration
	run   func(ctx context.Context) (tally, report)
}

// A tally counts. Of Go tests, the leaves count; any other step counts as one.
type tally struct{ passed, failed int }

func (t tally) String() string { return fmt.Sprintf("%d passed, %d failed", t.passed, t.failed) }

func (t *tally) add(o tally) { t.passed, t.failed = t.passed+o.passed, t.failed+o.failed }

// A report is what a person has to read about what failed.
type report string

// runAll runs every step, whatever became of those before it.
func runAll(ctx context.Context, steps []step, out io.Writer) (total tally) {
	start := time.Now()
	for _, s := range steps {
		fmt.Fprintf(out, "%-19s ", s.name)
		begin := time.Now()
		result, why := s.runWithin(ctx)
		total.add(result)
		fmt.Fprintf(out, "%7.1fs  %v\n", time.Since(begin).Seconds(), result)
		if why != "" {
			fmt.Fprintf(out, "\n%s\n\n", strings.TrimRight(string(why), "\n"))
		}
	}
	fmt.Fprintf(out, "%-19s %7.1fs\n", "all", time.Since(start).Seconds())
	return total
}

// runWithin runs a step within its limit. To run out of time is to fail, even
// if what was finished until then passed.
func (s step) runWithin(ctx context.Context) (tally, report) {
	if ctx.Err() != nil {
		return tally{failed: 1}, report("not run: " + ctx.Err().Error())
	}
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	result, why := s.run(ctx)
	if ctx.Err() != nil {
		result.failed = max(result.failed, 1)
		if why != "" {
			why += "\n"
		}
		why += report(fmt.Sprintf("ended early: %v (this step has %v)", ctx.Err(), s.limit))
	}
	return result, why
}

// one makes a run of something that holds or does not.
func one(check func(ctx context.Context) error) func(context.Context) (tally, report) {
	return func(ctx context.Context) (tally, report) {
		if err := check(ctx); err != nil {
			return tally{failed: 1}, report(err.Error())
		}
		return tally{passed: 1}, ""
	}
}
