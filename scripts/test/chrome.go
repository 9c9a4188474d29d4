package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// wasmTests run the tests of the browser build in headless Chrome.
func (p *project) wasmTests(ctx context.Context) (tally, report) {
	edge := p.cache("edgetest")
	services := []service{
		p.livevalet("TEST_ISSUER_URL", "dev", "--listen", "127.0.0.1:0",
			"--origin", "http://localhost:*", "--origin", "http://127.0.0.1:*"), // wasmbrowsertest's page has the latter
		{"TEST_EDGE_URL", []string{"go", "build", "-o", edge, "./wasm/edge/edgetest/serve"}, []string{edge}},
	}
	return p.with(ctx, services, func(settings []string) (tally, report) {
		runner, err := p.browserRunner(ctx, settings)
		if err != nil {
			return tally{failed: 1}, report(err.Error())
		}
		return events(p.in(ctx, "js", "go", "test", "-json", "-count=1", "-vet=off",
			"-timeout=6m", "-exec", runner, "./wasm/..."))
	})
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
	words := []string{"env", "-i", "GOROOT=" + goroot, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LONG_TESTS=" + os.Getenv("LONG_TESTS")}
	words = append(append(words, settings...), tool)
	for i, w := range words {
		words[i] = "'" + w + "'"
	}
	return strings.Join(words, " "), nil
}
