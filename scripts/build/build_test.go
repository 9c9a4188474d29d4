package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// tree is a small project of the same shape as this one.
var tree = map[string]string{
	"go.mod":                       "module tree.example\n\ngo 1.26\n",
	"go.sum":                       "",
	"scripts/build/main.go":        "package main\n",
	"wasm/main.go":                 "package main\n\nfunc main() { println(\"wasm\") }\n",
	"issuer/cmd/livevalet/main.go": "package main\n\nimport _ \"tree.example/web\"\n\nvar version string\n\nfunc main() { println(version) }\n",
	"web/embed.go":                 "//go:build bundle\n\npackage web\n\nimport \"embed\"\n\n//go:embed dist\nvar Dist embed.FS\n",
	"web/tsconfig.json":            `{"compilerOptions": {"paths": {"/livevalet.js": ["./src/livevalet.d.ts"]}}}`,
	"web/package.json":             `{"type": "module"}`,
	"web/index.html":               `<!doctype html><link href="/style.css" rel="stylesheet"><link href="/icon.svg" rel="icon"><script type="module" src="/demo.js"></script>`,
	"web/doctor.html":              `<!doctype html><link href="/style.css" rel="stylesheet"><link href="/doctor.css" rel="stylesheet"><link href="/icon.svg" rel="icon"><script type="module" src="/doctor.js"></script>`,
	"web/doctor.css":               "ol { color: green }\n",
	"web/style.css":                "body { color: red }\n",
	"web/icon.svg":                 `<svg xmlns="http://www.w3.org/2000/svg"/>`,
	"web/src/livevalet.ts":         "export const connect = (): string[] => [__WASM_FILE__, __WORKER_FILE__, __WORKLET_FILE__, __GO_VERSION__];\n",
	"web/src/livevalet.d.ts":       "export function connect(): string[];\n",
	"web/src/globals.d.ts":         "declare const __WASM_FILE__: string;\n",
	"web/src/worker.ts":            "import \"wasm_exec.js\";\nexport const start = (): unknown => globalThis.Go;\n",
	"web/src/sound/worklets.ts":    "export {};\n",
	"web/src/doctor/main.ts":       "document.title = \"doctor\";\n",
	"web/src/demo/main.ts":         "import { connect } from \"/livevalet.js\";\ndocument.title = connect().join();\n",
}

// A plot is a tree on disk that a test builds.
type plot struct {
	t    *testing.T
	root string
}

func newPlot(t *testing.T) plot {
	t.Helper()
	t.Setenv("GOFLAGS", "") // what the caller's go command is told about this module is not for the small tree
	p := plot{t, t.TempDir()}
	for name, content := range tree {
		p.put(name, content)
	}
	return p
}

func (p plot) path(name string) string { return filepath.Join(p.root, filepath.FromSlash(name)) }

func (p plot) put(name, content string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(content), 0o666); err != nil {
		p.t.Fatal(err)
	}
}

func (p plot) get(name string) string {
	p.t.Helper()
	content, err := os.ReadFile(p.path(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// find returns the one file in dist that matches pattern.
func (p plot) find(pattern string) string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.root, "web", "dist", pattern))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("%s matches %q, want one file", pattern, found)
	}
	return "web/dist/" + filepath.Base(found[0])
}

// listing is the tree's files with their sums, without the build's memory.
func (p plot) listing() map[string]string {
	p.t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(p.root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".cache":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(p.root, path)
		if err != nil {
			return err
		}
		sums[filepath.ToSlash(rel)], err = sumFile(path)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return sums
}

func (p plot) builder(out *bytes.Buffer) *builder {
	p.t.Helper()
	tools, err := findToolchain(p.t.Context(), p.root)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := newBuilder(p.t.Context(), tools, out)
	if err != nil {
		p.t.Fatal(err)
	}
	b.level = 1
	return b
}

// build builds the tree and says which steps ran.
func (p plot) build() (ran []string, err error) {
	p.t.Helper()
	var out bytes.Buffer
	err = p.builder(&out).build()
	for _, m := range regexp.MustCompile(`(?m)^built +(\S+)`).FindAllStringSubmatch(out.String(), -1) {
		ran = append(ran, m[1])
	}
	return ran, err
}

func (p plot) mustBuild(want ...string) {
	p.t.Helper()
	ran, err := p.build()
	if err != nil {
		p.t.Fatal(err)
	}
	if !slices.Equal(ran, want) {
		p.t.Fatalf("steps that ran: %q, want %q", ran, want)
	}
}

func TestBuild(t *testing.T) {
	p := newPlot(t)
	p.mustBuild("wasm", "typescript", "page", "compress", "binary")

	t.Run("it makes bin/livevalet and web/dist and nothing else", func(t *testing.T) {
		for name := range p.listing() {
			made := name == "bin/livevalet" || strings.HasPrefix(name, "web/dist/")
			if _, source := tree[name]; !made && !source {
				t.Errorf("%s appeared", name)
			}
		}
	})
	t.Run("dist holds what the server expects, each with its compressed forms", func(t *testing.T) {
		for _, pattern := range []string{"index.html", "doctor.html", "style-*.css", "doctor-*.css", "icon-*.svg", "demo-*.js", "doctor-*.js", "livevalet.js", "livevalet.d.ts",
			"livevalet-worker-*.js", "livevalet-worklets-*.js", "livevalet-*.wasm"} {
			name := p.find(pattern)
			var plain bytes.Buffer
			if _, err := plain.ReadFrom(brotli.NewReader(strings.NewReader(p.get(name + ".br")))); err != nil {
				t.Error(err)
			}
			if plain.String() != p.get(name) {
				t.Errorf("%s.br does not unpack to %s", name, name)
			}
			p.get(name + ".gz")
		}
		if got := len(dirNames(t, p.path("web/dist"))); got != 12*3 {
			t.Errorf("dist holds %d files, want 36", got)
		}
	})
	t.Run("a hashed name is that of the content", func(t *testing.T) {
		for _, pattern := range []string{"style-*.css", "icon-*.svg", "demo-*.js", "livevalet-worker-*.js", "livevalet-worklets-*.js", "livevalet-*.wasm"} {
			name := p.find(pattern)
			if hash := sum([]byte(p.get(name)))[:10]; !strings.Contains(name, "-"+hash+".") {
				t.Errorf("%s: its content hashes to %s", name, hash)
			}
		}
	})
	t.Run("the pages and the library refer to the hashed names", func(t *testing.T) {
		for page, patterns := range map[string][]string{
			"index.html":  {"style-*.css", "icon-*.svg", "demo-*.js"},
			"doctor.html": {"style-*.css", "doctor-*.css", "icon-*.svg", "doctor-*.js"},
		} {
			for _, pattern := range patterns {
				if name := filepath.Base(p.find(pattern)); !strings.Contains(p.get("web/dist/"+page), `"/`+name+`"`) {
					t.Errorf("%s does not name %s", page, name)
				}
			}
		}
		for _, pattern := range []string{"livevalet-worker-*.js", "livevalet-worklets-*.js", "livevalet-*.wasm"} {
			if name := filepath.Base(p.find(pattern)); !strings.Contains(p.get("web/dist/livevalet.js"), `"`+name+`"`) {
				t.Errorf("livevalet.js does not name %s", name)
			}
		}
	})
	t.Run("the demo imports the library from the server, whatever tsconfig maps it to", func(t *testing.T) {
		if js := p.get(p.find("demo-*.js")); !strings.Contains(js, `from"/livevalet.js"`) {
			t.Errorf("demo is %s", js)
		}
	})
	t.Run("a second build runs no step and changes nothing", func(t *testing.T) {
		before := p.listing()
		p.mustBuild()
		if after := p.listing(); !maps.Equal(before, after) {
			t.Errorf("files were %v, are %v", before, after)
		}
	})
	t.Run("a change in TypeScript leaves the wasm alone", func(t *testing.T) {
		p.put("web/src/demo/main.ts", tree["web/src/demo/main.ts"]+"document.title += 1;\n")
		p.mustBuild("typescript", "page", "compress", "binary")
	})
	t.Run("a change in the engine runs every step but leaves no old module behind", func(t *testing.T) {
		p.put("wasm/main.go", strings.Replace(tree["wasm/main.go"], `"wasm"`, `"other"`, 1))
		p.mustBuild("wasm", "typescript", "compress", "binary")
		p.find("livevalet-*.wasm")
		p.find("livevalet-*.wasm.br")
	})
	t.Run("a change in the server makes the binary alone", func(t *testing.T) {
		p.put("issuer/cmd/livevalet/other.go", "package main\n")
		p.mustBuild("binary")
	})
	t.Run("a change in a Go test makes nothing", func(t *testing.T) {
		p.put("wasm/main_test.go", "package main\n")
		p.mustBuild()
	})
	t.Run("a change in go.sum or in the build itself makes everything", func(t *testing.T) {
		for _, name := range []string{"go.sum", "scripts/build/main.go"} {
			p.put(name, p.get(name)+"\n")
			p.mustBuild("wasm", "typescript", "page", "compress", "binary")
		}
	})
	t.Run("a file that is lost or damaged is made again", func(t *testing.T) {
		style := p.find("style-*.css")
		p.put(style, "half")
		p.mustBuild("page")
		if p.get(style) != tree["web/style.css"] {
			t.Error("style sheet is still damaged")
		}
		if err := os.Remove(p.path("bin/livevalet")); err != nil {
			t.Fatal(err)
		}
		p.mustBuild("binary")
	})
	t.Run("a file that the build does not know is removed from dist", func(t *testing.T) {
		p.put("web/dist/livevalet-0123456789.wasm", "old")
		p.mustBuild()
		p.find("livevalet-*.wasm")
	})
	t.Run("after a mistake the step runs again, and no step after it ran", func(t *testing.T) {
		good := p.get("web/src/livevalet.ts")
		p.put("web/src/livevalet.ts", "export const = 1\n")
		for range 2 {
			ran, err := p.build()
			if err == nil || !strings.Contains(err.Error(), "web/src/livevalet.ts") || len(ran) > 0 {
				t.Fatalf("ran %q, error %v; want none and the file's name", ran, err)
			}
		}
		p.put("web/src/livevalet.ts", good)
		p.mustBuild("typescript")
	})
}

func dirNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
