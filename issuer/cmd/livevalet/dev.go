package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/site"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/web"
)

// emulatorKey is what dev mints with when there is no key.
const emulatorKey = "emulator-dev"

type devCommand struct {
	Listen string   `placeholder:"HOST:PORT" help:"Where to listen (127.0.0.1:8080)."`
	Host   []string `help:"Another name under which pages reach this server."`
	Origin []string `help:"Origin of another site's pages that may ask for tokens, such as http://localhost:*."`
	Config string   `placeholder:"FILE" help:"Try the profiles of a configuration for serve. Of its other keys none is used."`
	Expose bool     `name:"expose-dev-to-the-network-anyone-can-mint" help:"Listen on an address that other machines reach, although everybody there can then mint tokens. Name yours with --host, too."`

	upstreamFlags
	Emulator         emulatorOptions `embed:"" prefix:"emulator-"`
	EmulatorScenario string          `placeholder:"FILE" help:"A scenario for the emulator to play, a YAML file."`
}

// Run serves everything on one listener. With the emulator, the issuer mints
// over a real connection to that same listener: only base URL and key differ
// from Google.
func (c *devCommand) Run(ctx context.Context, p *program) error {
	addr, err := address(c.Listen, p.getenv, "127.0.0.1:8080")
	if err != nil {
		return err
	}
	if !isLoopback(addr) && !c.Expose {
		return errors.New("dev gives tokens to everyone who reaches " + addr + ": listen on 127.0.0.1, " +
			"or accept that with --expose-dev-to-the-network-anyone-can-mint")
	}
	profiles, err := c.profiles()
	if err != nil {
		return err
	}
	key, from, err := apiKey(p.getenv)
	if err != nil {
		return err
	}
	if key.IsZero() {
		key, from = live.NewSecret(emulatorKey), "none"
	}
	emulated := !upstream.Real(key) && c.BaseURL == ""
	flags := c.upstreamFlags
	var s service
	if !emulated { // before listening, so that a wrong key or URL is told first
		if s, err = flags.connect(key, p.log); err != nil {
			return err
		}
		announce(p.log, key, from, s.name)
	}
	scenario, err := readScenario(c.EmulatorScenario)
	if err != nil {
		return err
	}
	listener, err := listen(addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	host, port := reachable(listener)
	r := &routes{log: p.log}
	stop := func() { r.stopping.Store(true) }
	var e *emulator.Server
	var now func() time.Time
	if emulated {
		flags.BaseURL = "http://" + net.JoinHostPort(host, port)
		if s, err = flags.connect(key, nil); err != nil { // its clock is moved on purpose
			return err
		}
		s.live = issuer.LiveHere
		announce(p.log, key, from, s.name)
		e = c.Emulator.server(p)
		e.Scenario = scenario
		r.emulator, now = e, func() time.Time { return e.NowFor(key.Reveal()) }
		stop = func() { r.stopping.Store(true); e.Close() }
	}
	defer s.client.Close()
	if now == nil {
		now = s.client.Now
	}
	r.upstream = s.name

	if r.guard, err = issuer.NewGuard(issuer.GuardConfig{Hosts: slices.Concat(issuer.Loopback(), []string{host}, c.Host), Origins: c.Origin}); err != nil {
		return err
	}
	tokens, err := newTokens(ctx, issuer.Config{
		Guard: r.guard, Authenticator: authn.Anonymous{}, Minter: s.client, Live: s.live,
		Connection: max(time.Duration(c.Emulator.Connection), 0), Now: now, Logger: p.log,
	}, &store.Memory{})
	if err != nil {
		return err
	}
	if err := tokens.use(profiles, devLimits()); err != nil {
		return err
	}
	r.token = tokens
	if r.site, err = newSite(true, s.live); err != nil {
		return err
	}
	return p.serve(ctx, server{listener: listener, handler: r.handler(), stop: stop, begin: func(ctx context.Context) {
		if c.Config != "" {
			warn(p.log, profiles)
		}
		fitting, err := s.tried(ctx, p.log, profiles, true)
		if err = errors.Join(err, tokens.use(fitting, devLimits())); err != nil {
			p.log.Error("pages get no tokens", "error", err)
		}
		if e != nil {
			e.Reset() // as if nobody had asked yet
		}
	}})
}

// profiles are those of the file, or one whose limits nobody reaches: everybody is
// on this machine, and tries things out.
func (c *devCommand) profiles() ([]profile.Profile, error) {
	if c.Config == "" {
		p, err := profile.New(profile.DefaultName, profile.Spec{
			Allow:  []profile.Allowance{{Path: "tools"}}, // the demo page has some
			Limits: profile.Limits{PerCaller: limit.Rate{Count: 1000, Per: time.Second}, Concurrent: 100_000},
		})
		return []profile.Profile{p}, err
	}
	f, err := readFile(c.Config)
	if err != nil {
		return nil, err
	}
	profiles, err := f.profiles(func(int) bool { return false })
	return orDefault(profiles), err
}

// devLimits bound what all profiles give together.
func devLimits() issuer.Limits {
	all := limit.Rate{Count: 1000, Per: time.Second}
	return issuer.Limits{PerAddress: all, Global: all, Refusals: all}
}

func newSite(demo bool, live issuer.LiveOrigin) (http.Handler, error) {
	files, _ := web.Dist()
	return site.New(site.Config{Files: files, Demo: demo, Live: live})
}
