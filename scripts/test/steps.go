package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// steps are all that must hold, in an order in which each finds what it needs.
func (p *project) steps() []step {
	const all = "-tags=bundle,engines" // with what the build made: all files are looked at
	return []step{
		{"tools", 5 * time.Minute, one(p.install(tools))},
		{"gofmt", time.Minute, one(p.gofmt)},
		{"build", 5 * time.Minute, one(p.command("", "go", "run", "./scripts/build"))},
		{"build without page", 3 * time.Minute, one(p.command("", "go", "build", "./..."))},
		{"types", 3 * time.Minute, one(p.types)},
		{"vet", 5 * time.Minute, one(p.command("", "go", "vet", all, "./..."))},
		{"vet wasm", 3 * time.Minute, one(p.command("js", "go", "vet", "./wasm/..."))},
		{"staticcheck", 5 * time.Minute, one(p.staticcheck("", all, "./..."))},
		{"staticcheck wasm", 3 * time.Minute, one(p.staticcheck("js", "./wasm/..."))},
		{"tests", 15 * time.Minute, p.nativeTests},
		{"tests in Chrome", 8 * time.Minute, p.wasmTests},
		{"SDK in Node", 3 * time.Minute, p.sdkTests},
		{"examples", 3 * time.Minute, p.examples},
	}
}

// engineSteps are what must hold in every browser engine.
func (p *project) engineSteps() []step {
	return []step{
		{"tools", 10 * time.Minute, one(p.install(slices.Concat(tools, engineTools)))},
		{"build", 5 * time.Minute, one(p.command("", "go", "run", "./scripts/build"))},
		{"Chromium", 8 * time.Minute, p.engineTests("Chromium")},
		{"Firefox", 8 * time.Minute, p.engineTests("Firefox")},
		{"WebKitGTK", 8 * time.Minute, p.engineTests("WebKitGTK")},
	}
}

// command is a check that a command in the root ends well; target "js" is the
// browser's, "" this machine's.
func (p *project) command(target, name string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := run(p.in(ctx, target, name, args...))
		return err
	}
}

func (p *project) staticcheck(target string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		tool, err := p.tool(ctx, "staticcheck")
		if err != nil {
			return err
		}
		return p.command(target, tool, args...)(ctx)
	}
}

// tool builds one of the tools in go.mod for this machine and names its program.
// `go tool` itself would run it for the target under test.
func (p *project) tool(ctx context.Context, name string) (string, error) {
	return output(ctx, p.root, "go", "tool", "-n", name)
}

// drivers are the packages whose tests drive browsers, and wait for them.
var drivers = []string{"./scripts/browser", "./web"}

// nativeTests run after the build, as the page's tests open what it made, and
// without vet, which has a step of its own. The drivers begin first and run beside
// all others, which would else leave a core idle at the end: one after the other, as
// each has a browser for every core. They go without the race detector, that sees
// nothing of the programs and pages that they drive.
func (p *project) nativeTests(ctx context.Context) (result tally, why report) {
	const tags = "-tags=bundle"
	driving, err := output(ctx, p.root, "go", append([]string{"list", tags}, drivers...)...)
	if err != nil {
		return tally{failed: 1}, report(err.Error())
	}
	all, err := output(ctx, p.root, "go", "list", tags, "./...")
	if err != nil {
		return tally{failed: 1}, report(err.Error())
	}
	apart := strings.Fields(driving)
	others := slices.DeleteFunc(strings.Fields(all), func(pkg string) bool { return slices.Contains(apart, pkg) })

	test := func(packages []string, more ...string) (tally, report) {
		args := append([]string{"test", "-json", "-count=1", "-vet=off", "-timeout=12m", tags}, more...)
		return events(p.in(ctx, "", "go", append(args, packages...)...))
	}
	var group sync.WaitGroup
	group.Go(func() { result, why = test(apart, "-p=1") })
	// Of SQLite, which is C made Go, the detector would learn nothing but how to be slow.
	beside, told := test(others, "-race", "-gcflags=modernc.org/sqlite/lib=-race=false", "-gcflags=modernc.org/libc=-race=false")
	group.Wait()
	result.add(beside)
	return result, told + why
}
