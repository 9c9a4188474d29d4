package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// profileFile is a profile as it is written.
type profileFile struct {
	Model      string         `yaml:"model"`
	Setup      map[string]any `yaml:"setup"`
	NewFields  []string       `yaml:"newFields"`
	Lock       lockFile       `yaml:"lock"`
	Allow      []allowFile    `yaml:"allow"`
	Who        map[string]any `yaml:"who"`
	Uses       count          `yaml:"uses"`
	Leash      life           `yaml:"leash"`
	NewSession life           `yaml:"newSession"`
	MaxSession life           `yaml:"maxSession"`
	Limits     struct {
		PerCaller     rateText `yaml:"perCaller"`
		Concurrent    count    `yaml:"concurrent"`
		MinutesPerDay count    `yaml:"minutesPerDay"`
	} `yaml:"limits"`
}

func (p profileFile) spec() profile.Spec {
	s := profile.Spec{
		Model: p.Model, Setup: p.Setup, NewFields: p.NewFields, Lock: p.Lock.kind, Locked: p.Lock.paths, Uses: int(p.Uses),
		Leash: time.Duration(p.Leash), NewSession: time.Duration(p.NewSession), MaxSession: time.Duration(p.MaxSession),
		Limits: profile.Limits{
			PerCaller: p.Limits.PerCaller.Rate, Concurrent: int(p.Limits.Concurrent), MinutesPerDay: int(p.Limits.MinutesPerDay),
		},
	}
	for _, a := range p.Allow {
		s.Allow = append(s.Allow, profile.Allowance(a))
	}
	for claim, v := range p.Who {
		if s.Who == nil {
			s.Who = map[string][]any{}
		}
		switch v := v.(type) {
		case nil: // a mistake
			s.Who[claim] = nil
		case []any:
			s.Who[claim] = v
		default:
			s.Who[claim] = []any{v}
		}
	}
	return s
}

// profiles checks the profiles, all of them. None is the built-in one. Errors are
// [mistakes], but not of exceptions that could not be read.
func (f *file) profiles(misread func(line int) bool) ([]profile.Profile, error) {
	var good []profile.Profile
	var wrong mistakes
	for _, name := range slices.Sorted(maps.Keys(f.Profiles)) {
		checked, err := profile.New(name, f.Profiles[name].spec())
		all, _ := errors.AsType[profile.Mistakes](err)
		for _, m := range all {
			line := yamlfile.Line(f.root, append([]string{"profiles", name}, strings.Split(m.Field, ".")...)...)
			if !misread(line) || !strings.HasPrefix(m.Field, "allow.") {
				wrong = append(wrong, mistake{f.name, line, m.Error()})
			}
		}
		good = append(good, checked)
	}
	if wrong != nil {
		return good, wrong
	}
	return good, nil
}

// lockFile is the name of a lock, or a list of paths.
type lockFile struct {
	kind  string
	paths []string
}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (l *lockFile) UnmarshalYAML(node ast.Node) error {
	if yaml.NodeToValue(node, &l.paths) == nil {
		l.kind = profile.Listed
		return nil
	}
	if yaml.NodeToValue(node, &l.kind) != nil {
		return yamlfile.Wrong(node, "write %s, %s, %s or a list of paths", profile.Masked, profile.Full, profile.None)
	}
	return nil
}

// allowFile is a path, or a path with its bounds.
type allowFile profile.Allowance

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (a *allowFile) UnmarshalYAML(node ast.Node) error {
	if yaml.NodeToValue(node, &a.Path) == nil {
		return nil
	}
	form := yamlfile.Wrong(node, "write a path, or one with bounds: {generationConfig.temperature: {min: 0, max: 1}}")
	var entry map[string]ast.Node
	if mapping, ok := node.(ast.MapNode); ok {
		entry = map[string]ast.Node{}
		for pair := mapping.MapRange(); pair.Next(); {
			entry[pair.Key().GetToken().Value] = pair.Value()
		}
	}
	if len(entry) != 1 {
		return form
	}
	var bounds struct {
		Min    *float64 `yaml:"min"`
		Max    *float64 `yaml:"max"`
		Values []string `yaml:"values"`
	}
	for path, value := range entry {
		if err := yamlfile.Decode(value, &bounds); err != nil {
			return err
		}
		if bounds.Max == nil && bounds.Values == nil {
			bounds.Values = []string{} // to write no bounds is not to lift them
		}
		*a = allowFile{Path: path, Min: bounds.Min, Max: bounds.Max, Values: bounds.Values}
	}
	return nil
}

// count is a number that is not zero: to leave a key out is how to say nothing,
// and zero often means "no limit" elsewhere.
type count int

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (c *count) UnmarshalYAML(node ast.Node) error {
	if err := yaml.NodeToValue(node, (*int)(c)); err != nil || *c < 1 {
		*c = 0
		return yamlfile.Wrong(node, "write a whole number from 1 on")
	}
	return nil
}

// life is a duration that is not zero, for the same reason.
type life time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (l *life) UnmarshalYAML(node ast.Node) error {
	var d time.Duration
	if err := yaml.NodeToValue(node, &d); err != nil || d <= 0 {
		return yamlfile.Wrong(node, "write a duration such as 12m")
	}
	*l = life(d)
	return nil
}
