package main

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

func TestStep(t *testing.T) {
	b := newPlot(t).builder(new(bytes.Buffer))
	runs := 0
	make := func() (files, error) {
		runs++
		f, err := b.publish("out-*.txt", []byte("content"))
		return files{"out": f}, err
	}
	step := func(t *testing.T, input string, wantRuns int) files {
		t.Helper()
		made, err := b.step("step", []string{input}, make)
		if err != nil {
			t.Fatal(err)
		}
		if runs != wantRuns {
			t.Fatalf("ran %d times, want %d", runs, wantRuns)
		}
		return made
	}

	first := step(t, "a", 1)
	t.Run("with the same inputs it is not run and gives the same files", func(t *testing.T) {
		if again := step(t, "a", 1); again["out"] != first["out"] {
			t.Errorf("gave %v, then %v", first, again)
		}
	})
	t.Run("with another input it is run", func(t *testing.T) { step(t, "b", 2) })
	t.Run("back at the first input it is run: only the last run counts", func(t *testing.T) { step(t, "a", 3) })
	t.Run("when its output is gone it is run", func(t *testing.T) {
		if err := os.Remove(b.path(first["out"].Path)); err != nil {
			t.Fatal(err)
		}
		step(t, "a", 4)
	})
	t.Run("when its stamp is cut short it is run", func(t *testing.T) {
		if err := os.WriteFile(b.stampPath("step"), []byte(`{"Inputs":"`), 0o666); err != nil {
			t.Fatal(err)
		}
		step(t, "a", 5)
	})
	t.Run("when its last run broke off it is run, even with inputs that once were good", func(t *testing.T) {
		broken := errors.New("broken")
		if _, err := b.step("step", []string{"c"}, func() (files, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Fatalf("error %v, want that of the step", err)
		}
		step(t, "a", 6)
	})
}

func TestWriteLeavesNoTemporaryFile(t *testing.T) {
	p := newPlot(t)
	b := p.builder(new(bytes.Buffer))
	if err := b.write(p.path("web/dist/a.txt"), []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := b.write(p.path("web/dist"), []byte("over a directory")); err == nil {
		t.Error("a file replaced a directory")
	}
	if left := dirNames(t, b.cache("tmp")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if got := p.get("web/dist/a.txt"); got != "one" {
		t.Errorf("content is %q", got)
	}
}
