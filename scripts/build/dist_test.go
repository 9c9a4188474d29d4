//go:build bundle

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// loose is what only a loose policy allows, by the kind of file it would be in.
var loose = map[string]*regexp.Regexp{
	".js":   regexp.MustCompile("[\"'`](blob|data|javascript):|\\beval\\(|\\bFunction\\(|\\bset(Timeout|Interval)\\([\"'`]|createObjectURL"),
	".html": regexp.MustCompile(`(?i)<script(\s+(type|async|defer)\S*)*>|<style|\s(on[a-z]+|style)\s*=|(blob|data|javascript):`),
	".css":  regexp.MustCompile(`(?i)@import|url\(\s*["']?(blob|data|https?):`),
}

// saving is the demo's way to give the visitor a file, which no policy of scripts or
// of connections is asked about.
const saving = "createObjectURL(new Blob("

func TestNothingShippedNeedsALoosePolicy(t *testing.T) {
	seen := make(map[string]int)
	err := filepath.WalkDir(filepath.Join("..", "..", filepath.FromSlash(dist)), func(path string, entry os.DirEntry, err error) error {
		if err != nil || loose[filepath.Ext(path)] == nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen[filepath.Ext(path)]++
		if strings.HasPrefix(entry.Name(), "demo-") {
			text = bytes.Replace(text, []byte(saving), nil, 1)
		}
		for _, found := range loose[filepath.Ext(path)].FindAll(text, -1) {
			t.Errorf("%s has %q", entry.Name(), found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind := range loose {
		if seen[kind] == 0 {
			t.Errorf("there is no %s in %s: run make build", kind, dist)
		}
	}
}

func TestWhatALoosePolicyAllowsIsFound(t *testing.T) {
	for _, bad := range []struct{ kind, text string }{
		{".js", `new Worker("data:text/javascript,1")`},
		{".js", "addModule(`blob:x`)"},
		{".js", `addModule(URL.createObjectURL(b))`},
		{".js", `x=eval("1")`},
		{".js", `new Function("return 1")`},
		{".js", `setTimeout("f()",1)`},
		{".html", `<script type="module">f()</script>`},
		{".html", `<p onclick="f()">`},
		{".html", `<p style="color:red">`},
		{".html", `<img src="data:image/png,">`},
		{".css", `p{background:url(data:image/png,)}`},
	} {
		if !loose[bad.kind].MatchString(bad.text) {
			t.Errorf("%s is not found", bad.text)
		}
	}
}
