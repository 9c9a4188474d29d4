//go:build bundle

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// These tests hold what the last build left in web/dist.

func TestTheBuiltWorkerHasThisToolchainsGlue(t *testing.T) {
	tools, err := findToolchain(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	glue, err := tools.glue()
	if err != nil {
		t.Fatal(err)
	}
	workers, err := filepath.Glob(filepath.Join(tools.moduleDir(), filepath.FromSlash(dist), "livevalet-worker-*.js"))
	if err != nil || len(workers) != 1 {
		t.Fatalf("workers in %s: %q, want one: run make build", dist, workers)
	}
	worker, err := os.ReadFile(workers[0])
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := bytes.Cut(worker, []byte("\n")); string(first) != glueMark(glue) {
		t.Errorf("the worker begins %q, want %q: run make build", first, glueMark(glue))
	}
	// What the glue gives the module survives minification by its names.
	for _, name := range []string{"runtime.wasmExit", "syscall/js.valueGet", "importObject"} {
		if !bytes.Contains(worker, []byte(name)) {
			t.Errorf("the worker does not contain %s", name)
		}
	}
}

// Which model there is says the token's answer. A module that named one would have to
// be built again for the next.
func TestTheBuiltModuleNamesNoModel(t *testing.T) {
	modules, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dist), "livevalet-*.wasm"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("modules in %s: %q, want one: run make build", dist, modules)
	}
	module, err := os.ReadFile(modules[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(module, []byte("setupComplete")) {
		t.Error("it does not speak of setupComplete: texts cannot be found in it")
	}
	if i := bytes.Index(module, []byte("gemini-")); i >= 0 {
		t.Errorf("it names a model: %q", module[i:min(i+40, len(module))])
	}
}
