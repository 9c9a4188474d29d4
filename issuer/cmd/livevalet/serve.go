package main

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/livevalet/livevalet/issuer"
)

const defaultServe = "127.0.0.1:8080"

type serveCommand struct {
	Config    string `required:"" placeholder:"FILE" help:"The configuration, a YAML file."`
	Listen    string `placeholder:"HOST:PORT" help:"Where to listen, instead of what the file says."`
	Anonymous bool   `name:"anonymous-anyone-can-spend-your-quota" help:"Give tokens to everyone who asks."`

	VolatileStore bool          `help:"Accept a Redis that may forget who was revoked and what was spent."`
	StopNotice    time.Duration `placeholder:"DURATION" help:"How long requests are still taken when the program was told to stop, and /readyz says that it stops (0s). Make it longer than what your load balancer takes to notice."`

	upstreamFlags
}

// Run serves what the file says.
func (c *serveCommand) Run(ctx context.Context, p *program) error {
	f, profiles, err := c.load(p.getenv)
	if err != nil {
		return err
	}
	for _, warning := range f.warnings(c.Anonymous) {
		p.log.Warn(warning)
	}
	addr, err := f.address(c.Listen, p.getenv)
	if err != nil {
		return err
	}
	who, err := f.Auth.authenticator(c.Anonymous, p.log)
	if err != nil {
		return err
	}
	f.Auth.warm(ctx, p.log)
	var secure *tls.Config
	if f.TLS.Cert != "" {
		pair, err := readCertificate(f.TLS.Cert, f.TLS.Key, p.log)
		if err != nil {
			return err
		}
		secure = pair.config()
	}
	// A terminator of TLS may stand in front, so proxied requests are expected.
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: f.Hosts, Origins: f.Origins, Proxied: true})
	if err != nil {
		return err
	}
	s, key, from, err := c.open(p)
	if err != nil {
		return err
	}
	defer s.client.Close()
	defer s.tend(ctx, p, key, from)()
	ops, err := openOperations(p, f, s.client.Now)
	if err != nil {
		return err
	}
	defer ops.close()
	if profiles, err = s.tried(ctx, p.log, profiles, false); err != nil {
		return err
	}
	warn(p.log, profiles)

	held, err := f.openStore(ctx, p, c.VolatileStore)
	if err != nil {
		return err
	}
	defer held.Close()
	held = ops.metrics.watched(held)
	tokens, err := newTokens(ctx, issuer.Config{
		Guard: guard, Authenticator: who, Minter: ops.metrics.timed(s.client), Live: s.live,
		Address: f.clientAddress(),
		Now:     s.client.Now, Record: ops.record, Logger: p.log,
	}, held)
	if err != nil {
		return err
	}
	if err := tokens.use(profiles, f.Limits.limits()); err != nil {
		return err
	}
	r := &routes{log: p.log, guard: guard, upstream: s.name, token: tokens}
	r.readiness = ops.readiness(p.log, append(f.Auth.needs(), need{name: "store", check: held.Ready},
		need{name: "upstream key", check: func(context.Context) error { return s.client.Ready() }})...)
	if r.site, err = newSite(f.Demo, s.live); err != nil {
		return err
	}
	listener, err := listen(addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	defer c.follow(ctx, p, s, f, tokens)()
	stopAdmin, err := ops.serveAdmin(p, held)
	if err != nil {
		return err
	}
	defer stopAdmin()
	if secure == nil && !isLoopback(addr) {
		p.log.Warn("tokens cross the network in clear unless something in front of this server speaks TLS")
	}
	handler := r.handler()
	if secure != nil {
		handler = strictTransport(handler)
	}
	return p.serve(ctx, server{
		listener: listener, handler: handler, tls: secure,
		stop: func() { r.stopping.Store(true) }, notice: c.StopNotice,
	})
}
