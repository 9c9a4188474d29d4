package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/wasm/live"
)

type mintCommand struct {
	Config  string `placeholder:"FILE" help:"A configuration with the profile. Without it there is the built-in one, \"default\"."`
	Profile string `default:"default" placeholder:"NAME" help:"What the token may do (default)."`
	URL     bool   `help:"Print the whole address of the Live socket, with the token in it."`
	upstreamFlags
}

// Run prints one token.
func (c *mintCommand) Run(ctx context.Context, p *program) error {
	f := &file{}
	if c.Config != "" {
		var err error
		if f, err = readFile(c.Config); err != nil {
			return err
		}
	}
	if err := f.override(p.getenv); err != nil {
		return err
	}
	if f.Audit.Required && f.Audit.File == auditStdout {
		return errors.New("audit.required: no record can go to standard output, where the token goes: name a file with LIVEVALET_AUDIT_FILE")
	}
	chosen, err := c.choose(f)
	if err != nil {
		return err
	}
	s, _, _, err := c.open(p)
	if err != nil {
		return err
	}
	defer s.client.Close()
	token, terms, err := issuer.Single(ctx, s.client, chosen, s.client.Now)
	if err != nil {
		return err
	}
	if err := f.recordSingle(chosen, token, terms.Expire); err != nil {
		if f.Audit.Required {
			return fmt.Errorf("audit: %w", err)
		}
		p.log.Error("the token is not on record", "error", err)
	}
	p.log.Warn("whoever has this token talks to the model at the expense of your key: show it to nobody and keep it nowhere",
		"profile", chosen.Name(), "model", chosen.Model(), "lock", chosen.Lock(), "sessions", chosen.Uses(),
		"startsUntil", terms.NewSessionExpire, "expires", terms.Expire)
	if c.URL {
		token = issuer.ConnectURL(s.live(nil), token)
	}
	_, err = fmt.Fprintln(p.stdout, token.Reveal())
	return err
}

// choose finds the profile by its name.
func (c *mintCommand) choose(f *file) (profile.Profile, error) {
	profiles, err := f.profiles(func(int) bool { return false })
	if err != nil {
		return profile.Profile{}, err
	}
	var names []string
	for _, p := range orDefault(profiles) {
		if p.Name() == c.Profile {
			return p, nil
		}
		names = append(names, p.Name())
	}
	return profile.Profile{}, fmt.Errorf("there is no profile %q: there are %s", c.Profile, strings.Join(names, ", "))
}

// recordSingle puts an operator's token on record, where there is a file: what
// goes to standard output is the token.
func (f *file) recordSingle(p profile.Profile, token live.Secret, expires time.Time) error {
	if f.Audit.File == "" || f.Audit.File == auditStdout {
		return nil
	}
	key, err := readWord("keyFile", f.Audit.KeyFile)
	if err != nil {
		return err
	}
	l, err := audit.Open(f.Audit.File)
	if err != nil {
		return err
	}
	err = l.Write(audit.Entry{
		Time: time.Now(), Decision: audit.Granted, Caller: "operator", Profile: p.Name(), Token: audit.HashOf(key, token), Expires: expires,
	})
	return errors.Join(err, l.Close())
}
