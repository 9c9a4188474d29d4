package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// file is serve's configuration. Its fields are the keys there are.
type file struct {
	Listen  string   `yaml:"listen"`
	Hosts   []string `yaml:"hosts"`
	Origins []string `yaml:"origins"`
	Auth    authFile `yaml:"auth"`
	TLS     struct {
		Cert string `yaml:"cert"`
		Key  string `yaml:"key"`
	} `yaml:"tls"`
	Demo     bool                   `yaml:"demo"`
	Profiles map[string]profileFile `yaml:"profiles"`

	Store later `yaml:"store"`
	Audit later `yaml:"audit"`
	Admin later `yaml:"admin"`

	name string
}

type profileFile struct {
	Model      string         `yaml:"model"`
	Setup      map[string]any `yaml:"setup"`
	Lock       string         `yaml:"lock"`
	Uses       int            `yaml:"uses"`
	Leash      time.Duration  `yaml:"leash"`
	NewSession time.Duration  `yaml:"newSession"`
	MaxSession time.Duration  `yaml:"maxSession"`

	Allow  later `yaml:"allow"`
	Limits later `yaml:"limits"`
	Who    later `yaml:"who"`

	line int
}

// UnmarshalYAML notes where the profile stands.
func (p *profileFile) UnmarshalYAML(node ast.Node) error {
	type plain profileFile
	if err := yamlfile.Decode(node, (*plain)(p)); err != nil {
		return err
	}
	p.line = node.GetToken().Position.Line
	return nil
}

// later is a key of the documented configuration that does nothing yet. To pass
// over it in silence would be to promise a protection that is not there.
type later struct{}

// UnmarshalYAML refuses.
func (*later) UnmarshalYAML(node ast.Node) error {
	return yamlfile.Wrong(node, "%s is not supported by this version: leave it out", strings.TrimPrefix(node.GetPath(), "$."))
}

// readFile reads a configuration. Errors name the line and quote no value:
// a setup may hold a system instruction that nobody should find in a log.
func readFile(name string) (*file, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &file{name: name}
	if err := yamlfile.Read(text, f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// override lets the environment replace what the file says: LIVEVALET_ and the
// key's path. Lists are written with commas.
func (f *file) override(getenv func(string) string) error {
	for name, set := range f.overrides() {
		if value := getenv(settingPrefix + name); value != "" {
			if err := set(value); err != nil {
				return fmt.Errorf("%s%s: write true or false", settingPrefix, name)
			}
		}
	}
	return nil
}

// overrides are the keys that the environment can replace, by the names that
// they have there.
func (f *file) overrides() map[string]func(string) error {
	return map[string]func(string) error{
		"HOSTS":            func(v string) error { f.Hosts = list(v); return nil },
		"ORIGINS":          func(v string) error { f.Origins = list(v); return nil },
		"AUTH_APIKEYSFILE": func(v string) error { f.Auth.APIKeysFile = v; return nil },
		"TLS_CERT":         func(v string) error { f.TLS.Cert = v; return nil },
		"TLS_KEY":          func(v string) error { f.TLS.Key = v; return nil },
		"DEMO":             func(v string) (err error) { f.Demo, err = strconv.ParseBool(v); return err },
	}
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// profiles checks the profiles, all of them. None is the built-in one.
func (f *file) profiles() ([]profile.Profile, error) {
	var good []profile.Profile
	var bad []error
	for _, name := range slices.Sorted(maps.Keys(f.Profiles)) {
		p := f.Profiles[name]
		checked, err := profile.New(name, profile.Spec{
			Model: p.Model, Setup: p.Setup, Lock: p.Lock, Uses: p.Uses,
			Leash: p.Leash, NewSession: p.NewSession, MaxSession: p.MaxSession,
		})
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: line %d: %w", f.name, p.line, err))
		}
		good = append(good, checked)
	}
	return good, errors.Join(bad...)
}
