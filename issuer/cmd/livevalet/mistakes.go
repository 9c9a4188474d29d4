package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
	_, err = f.address(c.Listen, getenv)
	note(err, "listen")
	f.checkGuard(note)
	f.checkOperations(note)
	f.checkTLS(note)
	f.checkStore(note)
	profiles, err := f.profiles(misread)
	inProfiles, _ := errors.AsType[mistakes](err)
	if wrong = append(wrong, inProfiles...); len(wrong) > 0 {
		slices.SortStableFunc(wrong, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
		return f, profiles, wrong
	}
	return f, profiles, nil
}

// address is where to listen: asked is what the command line says.
func (f *file) address(asked string, getenv func(string) string) (string, error) {
	return address(asked, getenv, cmp.Or(f.Listen, defaultServe))
}

// checkTLS notes what is wrong with the certificate.
func (f *file) checkTLS(note func(err error, path ...string)) {
	switch {
	case (f.TLS.Cert == "") != (f.TLS.Key == ""):
		note(errors.New("tls: name both files, cert and key"), "tls")
	case f.TLS.Cert != "":
		_, err := readCertificate(f.TLS.Cert, f.TLS.Key, slog.New(slog.DiscardHandler))
		note(err, "tls")
	}
}

// checkStore notes that the store's file cannot be made.
func (f *file) checkStore(note func(err error, path ...string)) {
	if f.Store.isRedis() {
		return
	}
	if path, err := f.Store.path(f.name); err == nil && path != "" { // another form was told
		if err := checkPlace(path); err != nil {
			note(fmt.Errorf("store: %w", err), "store")
		}
	}
}

// checkPlace says why there can be no file of that name. It makes none.
func checkPlace(name string) error {
	info, err := os.Stat(filepath.Dir(name))
	switch {
	case err != nil:
		return fmt.Errorf("%w: make the folder first", err)
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", filepath.Dir(name))
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file in it", name)
	}
	return nil
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
