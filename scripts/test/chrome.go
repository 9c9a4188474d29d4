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

// afterExit takes the timers of a program that has exited along with it. Go's
// script leaves them running, and one that fires before the page is closed, be
// it the runtime's own, throws and fails tests that have passed. Whatever else
// calls into the dead program still throws.
const afterExit = `
globalThis.Go = class extends globalThis.Go {
	constructor() {
		super();
		const { gojs } = this.importObject;
		const exit = gojs["runtime.wasmExit"];
		gojs["runtime.wasmExit"] = (sp) => {
			this._scheduledTimeouts.forEach((timer) => clearTimeout(timer));
			exit(sp);
		};
	}
};
`

// browserRunner is what go test runs a test module with: wasmbrowsertest, in an
// environment of its own. It hands that to the page, where Go's runtime refuses
// more than about 12 kB, and looks for wasm_exec.js where GOROOT had it before
// Go 1.24: there it finds Go's own, with afterExit.
func (p *project) browserRunner(ctx context.Context, settings []string) (string, error) {
	tool, err := p.tool(ctx, "wasmbrowsertest")
	if err != nil {
		return "", err
	}
	goroot := p.cache("goroot")
	exec := filepath.Join(goroot, "misc", "wasm", "wasm_exec.js")
	script, err := os.ReadFile(filepath.Join(p.goroot, "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return "", err
	}
	err = errors.Join(os.RemoveAll(goroot), os.MkdirAll(filepath.Dir(exec), 0o777),
		os.WriteFile(exec, append(script, afterExit...), 0o666))
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
