package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/upstream"
)

type emulateCommand struct {
	Listen string   `placeholder:"HOST:PORT" help:"Where to listen (127.0.0.1:8089)."`
	Host   []string `help:"Another name under which clients reach this server."`
	Origin []string `help:"Origin of another site's pages that may use the control endpoints, such as http://localhost:*."`
	TLS    bool     `help:"Speak TLS, with a certificate by an authority of this machine's own. Its path is printed: clients have to trust it."`
	TLSDir string   `placeholder:"DIR" help:"Where that authority is kept (livevalet/tls in the user's configuration directory)."`
	Config string   `placeholder:"FILE" help:"The emulator's options, a YAML file. Flags win over it."`

	Scenario string `placeholder:"FILE" help:"A scenario to play, a YAML file. If it is strict and did not pass, the program fails at its end."`

	Emulator emulatorOptions `embed:"" prefix:"emulator-"`
}

// Run serves the emulator alone.
func (c *emulateCommand) Run(ctx context.Context, p *program) error {
	addr, err := address(c.Listen, p.getenv, "127.0.0.1:8089")
	if err != nil {
		return err
	}
	key, from, err := apiKey(p.getenv)
	if err != nil {
		return err
	}
	if !key.IsZero() && upstream.Real(key) {
		return fmt.Errorf("%s looks like a real key, and the emulator must not meet one: unset it, and use keys that begin with \"emulator\"", from)
	}
	if err := c.Emulator.fill(c.Config, p.given); err != nil {
		return err
	}
	scenario, err := readScenario(c.Scenario)
	if err != nil {
		return err
	}
	listener, err := listen(addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	host, _ := reachable(listener)
	hosts := slices.Concat(issuer.Loopback(), []string{host}, c.Host)
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: hosts, Origins: c.Origin})
	if err != nil {
		return err
	}
	secure, err := c.secure(p, hosts)
	if err != nil {
		return err
	}
	e := c.Emulator.server(p)
	e.Scenario = scenario
	site := http.NewServeMux()
	site.Handle("/", e)
	site.Handle("GET /{$}", http.RedirectHandler("/__emulator/", http.StatusFound)) // for whoever opens the ready line's address
	r := &routes{log: p.log, guard: guard, emulator: e, site: site, upstream: "emulator"}
	if err := p.serve(ctx, server{listener: listener, handler: r.handler(), tls: secure, stop: func() { r.stopping.Store(true); e.Close() }}); err != nil {
		return err
	}
	return judge(e)
}

// judge is the error of a strict scenario that has not passed.
func judge(e *emulator.Server) error {
	v, played := e.Verdict()
	switch {
	case !played || !v.Strict || v.Passed:
		return nil
	case len(v.Unexpected) > 0:
		return fmt.Errorf("the scenario failed: %s", strings.Join(v.Unexpected, "; "))
	}
	return fmt.Errorf("the scenario is not over: %s", v.Waiting)
}

// secure prepares TLS, if it is asked for, and says what clients have to trust.
func (c *emulateCommand) secure(p *program, hosts []string) (*tls.Config, error) {
	switch {
	case !c.TLS && c.TLSDir != "":
		return nil, errors.New("--tls-dir does nothing without --tls")
	case !c.TLS:
		return nil, nil
	}
	dir := c.TLSDir
	if dir == "" {
		configs, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("nowhere to keep the authority, name a directory with --tls-dir: %w", err)
		}
		dir = filepath.Join(configs, "livevalet", "tls")
	}
	dir, err := filepath.Abs(dir) // clients may stand elsewhere
	if err != nil {
		return nil, err
	}
	now := time.Now()
	a, err := openAuthority(dir, now)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if _, err := fmt.Fprintf(p.stdout, "livevalet: clients must trust %s\n", a.file); err != nil {
		p.log.Warn("nobody reads what clients must trust")
	}
	return a.server(hosts, now)
}
