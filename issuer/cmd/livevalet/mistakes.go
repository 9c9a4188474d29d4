package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// mistake is one thing wrong with a file.
type mistake struct {
	file string
	line int // 0: it is in no line
	text string
}

func (m mistake) String() string {
	if m.line == 0 {
		return fmt.Sprintf("%s: %s", m.file, m.text)
	}
	return fmt.Sprintf("%s: line %d: %s", m.file, m.line, m.text)
}

// mistakes is all that is wrong with a file.
type mistakes []mistake

func (all mistakes) Error() string {
	var lines []string
	for _, m := range all {
		lines = append(lines, m.String())
	}
	return strings.Join(lines, "\n")
}

// load reads the configuration, with what the environment puts into it, and finds
// all mistakes that can be found without asking anybody. The file is nil if it
// cannot be read.
func (c *serveCommand) load(getenv func(string) string) (*file, []profile.Profile, error) {
	f, err := readFile(c.Config)
	if f == nil {
		return nil, nil, err
	}
	wrong, _ := errors.AsType[mistakes](err)
	unread := slices.Clone(wrong)
	misread := func(line int) bool {
		return line != 0 && slices.ContainsFunc(unread, func(m mistake) bool { return m.line == line })
	}
	note := func(err error, path ...string) {
		if line := yamlfile.Line(f.root, path...); err != nil && !misread(line) {
			wrong = append(wrong, mistake{f.name, line, err.Error()})
		}
	}
	note(f.override(getenv))
	_, err = f.Auth.authenticator(c.Anonymous, slog.New(slog.DiscardHandler))
	note(err, "auth")
	f.checkGuard(note)
	f.checkOperations(note)
	if (f.TLS.Cert == "") != (f.TLS.Key == "") {
		note(errors.New("tls: name both files, cert and key"), "tls")
	}
	profiles, err := f.profiles(misread)
	inProfiles, _ := errors.AsType[mistakes](err)
	if wrong = append(wrong, inProfiles...); len(wrong) > 0 {
		slices.SortStableFunc(wrong, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
		return f, profiles, wrong
	}
	return f, profiles, nil
}

// checkGuard notes what is wrong with hosts and origins, each by itself.
func (f *file) checkGuard(note func(err error, path ...string)) {
	if len(f.Hosts) == 0 {
		_, err := issuer.NewGuard(issuer.GuardConfig{})
		note(err, "hosts")
	}
	for i, host := range f.Hosts {
		_, err := issuer.NewGuard(issuer.GuardConfig{Hosts: []string{host}})
		note(err, "hosts", fmt.Sprint(i))
	}
	for i, origin := range f.Origins {
		_, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback(), Origins: []string{origin}})
		note(err, "origins", fmt.Sprint(i))
	}
}
