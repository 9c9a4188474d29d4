package main

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/upstream"
)

type emulateCommand struct {
	Listen string   `placeholder:"HOST:PORT" help:"Where to listen (127.0.0.1:8089)."`
	Host   []string `help:"Another name under which clients reach this server."`
	Origin []string `help:"Origin of another site's pages that may use the control endpoints, such as http://localhost:*."`
	Config string   `placeholder:"FILE" help:"The emulator's options, a YAML file. Flags win over it."`

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
	options, err := c.Emulator.over(c.Config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	host, _ := reachable(listener)
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: slices.Concat(issuer.Loopback(), []string{host}, c.Host), Origins: c.Origin})
	if err != nil {
		return err
	}
	e := options.server(p)
	r := &routes{log: p.log, guard: guard, emulator: e, site: e, upstream: "emulator"}
	return p.serve(ctx, server{listener: listener, handler: r.handler(), stop: func() { r.stopping.Store(true); e.Close() }})
}
