package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// defaultLeeway is for clocks that are kept by NTP, badly.
const defaultLeeway = 30 * time.Second

// authFile says who may have tokens.
type authFile struct {
	JWT         jwtFile   `yaml:"jwt"`
	APIKeysFile string    `yaml:"apiKeysFile"`
	ProxyHeader proxyFile `yaml:"proxyHeader"`
	Anonymous   bool      `yaml:"anonymous"`
}

type jwtFile struct{ checked *authn.JWT }

// UnmarshalYAML checks the settings where their lines are known.
func (j *jwtFile) UnmarshalYAML(node ast.Node) error {
	f := struct {
		Issuer         string               `yaml:"issuer"`
		Audience       string               `yaml:"audience"`
		Leeway         time.Duration        `yaml:"leeway"`
		SubjectClaim   string               `yaml:"subjectClaim"`
		RequiredClaims map[string]oneOrMore `yaml:"requiredClaims"`
		Algorithms     []string             `yaml:"algorithms"`
	}{Leeway: defaultLeeway}
	err := yamlfile.Decode(node, &f)
	if err != nil {
		return err
	}
	required := map[string][]any{}
	for claim, values := range f.RequiredClaims {
		required[claim] = values
	}
	j.checked, err = authn.NewJWT(authn.JWTConfig{
		Issuer: f.Issuer, Audience: f.Audience, Leeway: f.Leeway,
		SubjectClaim: f.SubjectClaim, RequiredClaims: required, Algorithms: f.Algorithms,
	})
	return atSetting(node, err)
}

// oneOrMore is a list, or a value that stands for a list of one.
type oneOrMore []any

// UnmarshalYAML takes either.
func (o *oneOrMore) UnmarshalYAML(node ast.Node) error {
	if _, list := node.(*ast.SequenceNode); list {
		return yamlfile.Decode(node, (*[]any)(o))
	}
	*o = make([]any, 1)
	return yamlfile.Decode(node, &(*o)[0])
}

type proxyFile struct{ checked *authn.ProxyHeader }

// UnmarshalYAML checks the settings where their lines are known.
func (p *proxyFile) UnmarshalYAML(node ast.Node) error {
	var f struct {
		Name string   `yaml:"name"`
		From []string `yaml:"from"`
	}
	err := yamlfile.Decode(node, &f)
	if err != nil {
		return err
	}
	p.checked, err = authn.NewProxyHeader(f.Name, f.From)
	return atSetting(node, err)
}

// atSetting gives an error of package authn the line of the setting that it
// names, or of the whole if that is missing.
func atSetting(node ast.Node, err error) error {
	wrong, ok := errors.AsType[*authn.ConfigError](err)
	if !ok {
		return err
	}
	where := node
	switch node := node.(type) {
	case *ast.MappingNode:
		for _, pair := range node.Values {
			if pair.Key.GetToken().Value == wrong.Setting {
				where = pair.Key
			}
		}
	case *ast.MappingValueNode:
		if node.Key.GetToken().Value == wrong.Setting {
			where = node.Key
		}
	}
	return yamlfile.Wrong(where, "%v", wrong)
}

// warm asks the provider of JWTs for its keys, so that the first caller need not
// wait for them.
func (a authFile) warm(ctx context.Context, log *slog.Logger) {
	if a.JWT.checked == nil {
		return
	}
	if err := a.JWT.checked.Warm(ctx); err != nil {
		log.Error("nobody gets a token by JWT until the provider gives its keys", "error", err)
	}
}

// needs is the provider of JWTs. Callers of another kind do without it.
func (a authFile) needs() []need {
	if a.JWT.checked == nil {
		return nil
	}
	others := a.APIKeysFile != "" || a.ProxyHeader.checked != nil || a.Anonymous
	return []need{{name: "jwt provider", check: a.JWT.checked.Ready, some: others}}
}

// authenticator is never a default: whoever may have tokens spends the key's
// quota. Anyone is whether the operator said that everybody may.
func (a authFile) authenticator(anyone bool, log *slog.Logger) (issuer.Authenticator, error) {
	const flag = "--anonymous-anyone-can-spend-your-quota"
	var chain authn.Chain
	if a.JWT.checked != nil {
		chain.Methods = append(chain.Methods, a.JWT.checked)
	}
	if a.APIKeysFile != "" {
		keys, err := authn.OpenKeyFile(a.APIKeysFile, log)
		if err != nil {
			return nil, fmt.Errorf("auth.apiKeysFile: %w", err)
		}
		chain.Methods = append(chain.Methods, keys)
	}
	if a.ProxyHeader.checked != nil {
		chain.Methods = append(chain.Methods, a.ProxyHeader.checked)
	}
	switch {
	case a.Anonymous && !anyone:
		return nil, errors.New("auth.anonymous lets everyone spend your quota, and this program has no challenge for them: accept that with " +
			flag + ", or embed the issuer in a server of yours with authn.Anonymous and its Challenge")
	case anyone && len(chain.Methods) > 0 && !a.Anonymous:
		return nil, errors.New(flag + " and the known callers of auth exclude each other, unless auth.anonymous is true")
	case anyone:
		chain.Otherwise = authn.Anonymous{}
	case len(chain.Methods) == 0:
		return nil, errors.New("nothing says who may have tokens: set auth.jwt, auth.apiKeysFile or auth.proxyHeader, " +
			"or accept everyone with " + flag)
	}
	return chain, nil
}
