package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

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

	Store         storeName  `yaml:"store"`
	Limits        limitsFile `yaml:"limits"`
	AddressHeader proxyFile  `yaml:"addressHeader"`

	Audit struct {
		File     string `yaml:"file"` // "-": standard output
		KeyFile  string `yaml:"keyFile"`
		Required bool   `yaml:"required"`
	} `yaml:"audit"`
	Admin struct {
		Listen    string `yaml:"listen"`
		TokenFile string `yaml:"tokenFile"`
	} `yaml:"admin"`

	name string
	root ast.Node    // nil: an empty file
	seen os.FileInfo // before it was read
}

// readFile reads a configuration. Errors are [mistakes], quote no value, since a
// setup may hold a system instruction that nobody should find in a log, and leave
// the file with what is right in it. It is nil only if it cannot be read at all.
func readFile(name string) (*file, error) {
	seen, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &file{name: name, seen: seen}
	if f.root, err = yamlfile.Parse(text); err == nil && f.root != nil {
		err = yamlfile.Decode(f.root, f)
	}
	f.place()
	if err == nil {
		return f, nil
	}
	var wrong mistakes
	all, _ := errors.AsType[yamlfile.Errors](err)
	for _, e := range all {
		wrong = append(wrong, mistake{name, e.Line, strings.TrimPrefix(e.Error(), fmt.Sprintf("line %d: ", e.Line))})
	}
	if f.root == nil {
		return nil, wrong
	}
	return f, wrong
}

// place makes what the file names relative to its folder, wherever the program is
// started.
func (f *file) place() {
	dir := filepath.Dir(f.name)
	for _, name := range []*string{&f.Auth.APIKeysFile, &f.TLS.Cert, &f.TLS.Key, &f.Audit.File, &f.Audit.KeyFile, &f.Admin.TokenFile} {
		if *name != "" && *name != auditStdout && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	if path, ok := strings.CutPrefix(f.Admin.Listen, unixPrefix); ok && path != "" && !filepath.IsAbs(path) {
		f.Admin.Listen = unixPrefix + filepath.Join(dir, path)
	}
}

// override lets the environment replace what the file says: LIVEVALET_ and the
// key's path. Lists are written with commas.
func (f *file) override(getenv func(string) string) error {
	for name, set := range f.overrides() {
		if value := getenv(settingPrefix + name); value != "" {
			if err := set(value); err != nil {
				return fmt.Errorf("%s%s: %w", settingPrefix, name, err)
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
		"STORE":            func(v string) error { f.Store = storeName(v); return f.Store.check() },
		"TLS_CERT":         func(v string) error { f.TLS.Cert = v; return nil },
		"TLS_KEY":          func(v string) error { f.TLS.Key = v; return nil },
		"DEMO":             func(v string) error { return setBool(&f.Demo, v) },
		"AUDIT_FILE":       func(v string) error { f.Audit.File = v; return nil },
		"AUDIT_KEYFILE":    func(v string) error { f.Audit.KeyFile = v; return nil },
		"AUDIT_REQUIRED":   func(v string) error { return setBool(&f.Audit.Required, v) },
		"ADMIN_LISTEN":     func(v string) error { f.Admin.Listen = v; return nil },
		"ADMIN_TOKENFILE":  func(v string) error { f.Admin.TokenFile = v; return nil },
	}
}

func setBool(to *bool, text string) (err error) {
	if *to, err = strconv.ParseBool(text); err != nil {
		return errors.New("write true or false")
	}
	return nil
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
