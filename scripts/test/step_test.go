package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := func(ctx context.Context) (tally, report) {
			<-ctx.Done()
			return tally{passed: 3}, ""
		}
		good := func(context.Context) error { return nil }
		steps := []step{
			{"good", time.Minute, one(good)},
			{"bad", time.Minute, one(func(context.Context) error { return errors.New("the words of bad") })},
			{"slow", time.Minute, forever},
			{"many", time.Minute, func(context.Context) (tally, report) { return tally{passed: 5}, "" }},
			{"slower", time.Hour, forever},
			{"late", time.Minute, one(good)},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var out strings.Builder
		start := time.Now()
		total := runAll(ctx, steps, &out)

		if want := (tally{passed: 1 + 3 + 5 + 3, failed: 4}); total != want {
			t.Errorf("counted %v, want %v", total, want)
		}
		if took := time.Since(start); took != 10*time.Minute {
			t.Errorf("took %v: the limit of all did not end the step that was running", took)
		}
		const want = `good                    0.0s  1 passed, 0 failed
bad                     0.0s  0 passed, 1 failed

the words of bad

slow                   60.0s  3 passed, 1 failed

ended early: context deadline exceeded (this step has 1m0s)

many                    0.0s  5 passed, 0 failed
slower                540.0s  3 passed, 1 failed

ended early: context deadline exceeded (this step has 1h0m0s)

late                    0.0s  0 passed, 1 failed

not run: context deadline exceeded

all                   600.0s
`
		if out.String() != want {
			t.Errorf("printed\n%s\nwant\n%s", &out, want)
		}
	})
}

func TestTheLastLineHasTheAgreedForm(t *testing.T) {
	if got, want := (tally{12, 0}).String(), "12 passed, 0 failed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
