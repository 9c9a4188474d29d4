package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

// A service is a server that tests talk to.
type service struct {
	setting string   // the environment variable that tells them its address
	build   []string // what makes its program, if the build has not
	start   []string
}

// livevalet is a service of the binary that the build makes.
func (p *project) livevalet(setting string, args ...string) service {
	return service{setting: setting, start: append([]string{filepath.Join(p.root, "bin", "livevalet")}, args...)}
}

// with runs tests while services run, in settings that name them.
func (p *project) with(ctx context.Context, services []service, tests func(settings []string) (tally, report)) (result tally, why report) {
	var settings []string
	for _, s := range services {
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
	done, told := tests(settings)
	result.add(done)
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
