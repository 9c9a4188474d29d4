package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"

	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/issuer/store/redisstore"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// keeper is a store, and what its owner does with it.
type keeper interface {
	issuer.Store
	issuer.Access
	HandleKey(context.Context) ([]byte, error)
	Ready(context.Context) error
	Close() error
}

// storeName is where serve keeps what it must not forget: memory, or the URL of a
// SQLite file or a Redis. Empty is livevalet.db beside the configuration.
type storeName string

const (
	inMemory     = "memory"
	defaultStore = "livevalet.db"
)

// UnmarshalYAML checks the form.
func (s *storeName) UnmarshalYAML(node ast.Node) error {
	var text string
	if err := yamlfile.Decode(node, &text); err != nil {
		return err
	}
	*s = storeName(text)
	if err := s.check(); err != nil {
		return yamlfile.Wrong(node, "%v", err)
	}
	return nil
}

// check says what is wrong with the form.
func (s storeName) check() error {
	if s.isRedis() {
		return redisstore.CheckURL(string(s))
	}
	_, err := s.path("")
	return err
}

// path is that of the SQLite file, empty for memory.
func (s storeName) path(config string) (string, error) {
	switch s {
	case "":
		return filepath.Join(filepath.Dir(config), defaultStore), nil
	case inMemory:
		return "", nil
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Scheme != "sqlite" || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("write sqlite:///path/to/state.db, redis://host for one that issuers share, or %s to forget revocations and limits at each restart", inMemory)
	}
	return u.Path, nil
}

// openStore opens the store of a configuration. Volatile accepts a Redis that may
// forget.
func (f *file) openStore(ctx context.Context, p *program, volatile bool) (keeper, error) {
	if f.Store.isRedis() {
		return openRedis(ctx, p, string(f.Store), volatile)
	}
	path, err := f.Store.path(f.name)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if path == "" {
		p.log.Warn("the store is in memory: revocations and limits are forgotten when this process ends")
		return &store.Memory{}, nil
	}
	return store.OpenSQLite(ctx, path)
}

// limitsFile bounds all callers together.
type limitsFile struct {
	PerAddress rateText `yaml:"perAddress"`
	PerProfile rateText `yaml:"perProfile"`
	Global     rateText `yaml:"global"`
	Refusals   rateText `yaml:"refusals"`
}

func (l limitsFile) limits() issuer.Limits {
	return issuer.Limits{PerAddress: l.PerAddress.Rate, PerProfile: l.PerProfile.Rate, Global: l.Global.Rate, Refusals: l.Refusals.Rate}
}

type rateText struct{ limit.Rate }

// UnmarshalYAML reads 30/m.
func (r *rateText) UnmarshalYAML(node ast.Node) error { return readText(node, &r.Rate) }

// clientAddress says for whose address a request counts: its peer's, unless a proxy
// tells.
func (f *file) clientAddress() func(*http.Request) (netip.Addr, error) {
	if f.AddressHeader.checked == nil {
		return issuer.Peer
	}
	return issuer.AddressFrom(f.AddressHeader.checked)
}
