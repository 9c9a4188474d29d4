package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

// A service is a server that the tests in Chrome talk to.
type service struct {
	setting string   // the environment variable that tells them its address
	build   []string // what makes its program, if the build has not
	start   []string
}

func (p *project) services() []service {
	edge := p.cache("edgetest")
	return []service{
		{"TEST_ISSUER_URL", nil,
			[]string{filepath.Join(p.root, "bin", "livevalet"), "dev", "--listen", "127.0.0.1:0",
				"--origin", "http://localhost:*", "--origin", "http://127.0.0.1:*"}}, // wasmbrowsertest's page has the latter
		{"TEST_EDGE_URL", []string{"go", "build", "-o", edge, "./wasm/edge/edgetest/serve"}, []string{edge}},
	}
}

// wasmTests run the tests of the browser build in headless Chrome.
func (p *project) wasmTests(ctx context.Context) (result tally, why report) {
	var settings []string
	for _, s := range p.services() {
		server, err := p.serve(ctx, s)
		if err != nil {
			// Its tests will fail too, but the others can run.
			result.add(tally{failed: 1})
			why += report(err.Error() + "\n")
			continue
		}
		defer func() {
			if err := server.Stop(10 * time.Second); err != nil {
				result.add(tally{failed: 1})
				why += report("--- " + s.start[0] + " did not end well: " + err.Error() + "\n" + indent(server.Log()))
			}
		}()
		settings = append(settings, s.setting+"="+server.URL)
	}
	runner, err := p.browserRunner(ctx, settings)
	if err != nil {
		return tally{failed: 1}, why + report(err.Error())
	}
	tests, told := goTest(p.in(ctx, "js", "go", "test", "-json", "-count=1", "-vet=off",
		"-timeout=3m", "-exec", runner, "./wasm/..."))
	result.add(tests)
	return result, why + told
}

func (p *project) serve(ctx context.Context, s service) (*child.Server, error) {
	if s.build != nil {
		if err := p.command("", s.build[0], s.build[1:]...)(ctx); err != nil {
			return nil, err
		}
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return child.Serve(ready, p.in(ctx, "", s.start[0], s.start[1:]...))
}

// browserRunner is what go test runs a test module with: wasmbrowsertest, in an
// environment of its own. It hands that to the page, where Go's runtime refuses
// more than about 12 kB, and looks for wasm_exec.js where GOROOT had it before
// Go 1.24.
func (p *project) browserRunner(ctx context.Context, settings []string) (string, error) {
	tool, err := p.tool(ctx, "wasmbrowsertest")
	if err != nil {
		return "", err
	}
	goroot := p.cache("goroot")
	link := filepath.Join(goroot, "misc", "wasm", "wasm_exec.js")
	err = errors.Join(os.RemoveAll(goroot), os.MkdirAll(filepath.Dir(link), 0o777),
		os.Symlink(filepath.Join(p.goroot, "lib", "wasm", "wasm_exec.js"), link))
	if err != nil {
		return "", err
	}
	words := []string{"env", "-i", "GOROOT=" + goroot, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	words = append(append(words, settings...), tool)
	for i, w := range words {
		words[i] = "'" + w + "'"
	}
	return strings.Join(words, " "), nil
}
