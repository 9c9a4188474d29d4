package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
)

// connection is how long the service keeps one (documented).
const connection = 10 * time.Minute

// tryLimit bounds how long a start waits for the token service to judge the
// profiles.
const tryLimit = 30 * time.Second

type checkCommand struct {
	Config    string `required:"" placeholder:"FILE" help:"The configuration, a YAML file."`
	Anonymous bool   `name:"anonymous-anyone-can-spend-your-quota" help:"Serve will be started with this flag."`
	Mint      bool   `help:"Also mint a token with each profile, which nobody gets, and say what the service refuses."`
	Connect   bool   `help:"Also open a Live socket with each profile, say nothing in it, and tell whether the session becomes ready. Mints as --mint does."`
	upstreamFlags
}

// Run prints all mistakes, or what each profile leaves open.
func (c *checkCommand) Run(ctx context.Context, p *program) error {
	serve := serveCommand{Config: c.Config, Anonymous: c.Anonymous}
	f, profiles, err := serve.load(p.getenv)
	if all, ok := errors.AsType[mistakes](err); ok {
		fmt.Fprintln(p.stdout, all)
		return fmt.Errorf("mistakes in %s: %d", c.Config, len(all))
	} else if err != nil {
		return err
	}
	for _, checked := range orDefault(profiles) {
		tell(p.stdout, checked)
	}
	for _, warning := range f.warnings(c.Anonymous) {
		fmt.Fprintf(p.stdout, "Mind: %s.\n", warning)
	}
	if !c.Mint && !c.Connect {
		return nil
	}
	s, _, _, err := c.open(p)
	if err != nil {
		return err
	}
	defer s.client.Close()
	refused := 0
	for _, checked := range orDefault(profiles) {
		if err := issuer.Try(ctx, s.client, checked, s.client.Now); err != nil {
			fmt.Fprintln(p.stdout, err)
			refused++
			continue
		}
		fmt.Fprintf(p.stdout, "profile %q: minted at %s\n", checked.Name(), s.name)
		if !c.Connect {
			continue
		}
		if err := s.converses(ctx, checked); err != nil {
			fmt.Fprintf(p.stdout, "profile %q: %v\n", checked.Name(), err)
			refused++
		} else {
			fmt.Fprintf(p.stdout, "profile %q: a session is ready at %s\n", checked.Name(), s.name)
		}
	}
	if refused > 0 {
		return fmt.Errorf("profiles of %s that do not work at %s: %d", c.Config, s.name, refused)
	}
	return nil
}

// warnings tell what of the file works, and will surprise. Anyone is whether the
// command line lets everybody in.
func (f *file) warnings(anyone bool) (all []string) {
	if f.Auth.ProxyHeader.checked != nil && f.AddressHeader.checked == nil {
		all = append(all, fmt.Sprintf("auth.proxyHeader without addressHeader: all who come through the proxy share its address, and so the %v of limits.perAddress",
			cmp.Or(f.Limits.PerAddress.Rate, issuer.DefaultPerAddress)))
	}
	if anyone && (f.Auth.JWT.checked != nil || f.Auth.APIKeysFile != "" || f.Auth.ProxyHeader.checked != nil) {
		all = append(all, "anonymous callers have no name by which access could be taken back: "+
			"one whose access was revoked goes on without a credential, within the limits of its address")
	}
	return all
}

// orDefault is what an issuer without profiles has.
func orDefault(profiles []profile.Profile) []profile.Profile {
	if len(profiles) == 0 {
		return []profile.Profile{profile.Default()}
	}
	return profiles
}

// tell writes for people what a profile leaves open.
func tell(w io.Writer, p profile.Profile) {
	fmt.Fprintf(w, "profile %s: %s, lock %s\n", p.Name(), strings.TrimPrefix(p.Model(), "models/"), p.Lock())
	fmt.Fprintln(w, "  What a page with its token can still change, and what its caller can ask for:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range p.Freedoms() {
		fmt.Fprintf(table, "    %s\t%s\t%s\n", f.What, f.Who, f.How)
	}
	_ = table.Flush() // as for the lines above: if nobody reads, there is nobody to tell
	fmt.Fprintf(w, "  The most that one hostile caller can have: %v.\n", p.Bound())
	for _, warning := range p.Warnings(connection) {
		fmt.Fprintf(w, "  Mind: %s.\n", warning)
	}
	fmt.Fprintln(w)
}

// warn tells what will surprise.
func warn(log *slog.Logger, profiles []profile.Profile) {
	for _, p := range profiles {
		for _, warning := range p.Warnings(connection) {
			log.Warn(warning, "profile", p.Name())
		}
	}
}

// tried lets the token service judge the profiles and gives those to use. Where it
// refuses a mask, orFull gives the profile a full lock, and says so; any other refusal
// is an error. It is none that the service cannot be asked: it may be there when the
// first page comes.
func (s service) tried(ctx context.Context, log *slog.Logger, profiles []profile.Profile, orFull bool) ([]profile.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	profiles = slices.Clone(orDefault(profiles))
	var refused []error
	for n, p := range profiles {
		err := issuer.Try(ctx, s.client, p, s.client.Now)
		_, mask := errors.AsType[*issuer.MaskError](err)
		switch {
		case mask && orFull:
			log.Warn("the profile has a full lock from now on", "error", err)
			profiles[n] = p.AsFull()
		case errors.Is(err, upstream.ErrRefused):
			refused = append(refused, err)
		case err != nil:
			log.Warn("the token service cannot be asked whether it takes the profiles", "error", err)
			return profiles, errors.Join(refused...)
		}
	}
	return profiles, errors.Join(refused...)
}
