package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settingPrefix begins the variables that are ours.
const settingPrefix = "LIVEVALET_"

// settings is an environment, of the form of os.Environ.
type settings []string

// get gives a variable's value, "" if it is not set. The last one wins, as it
// does in a program's own environment.
func (s settings) get(name string) string {
	for _, setting := range slices.Backward(s) {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}

// flag gives a flag that the command line does not set.
func (s settings) flag(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if value := s.get(flagSetting(flag)); value != "" && flag.Name != "help" {
		return value, nil
	}
	return nil, nil
}

func flagSetting(flag *kong.Flag) string {
	return settingPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// check refuses variables of ours that set nothing: a misspelt protection must
// not be taken for one.
func (s settings) check(app *kong.Application) error {
	known := map[string]bool{}
	for _, command := range app.Leaves(true) {
		for _, flags := range command.AllFlags(true) {
			for _, flag := range flags {
				known[flagSetting(flag)] = true
			}
		}
	}
	for name := range (&file{}).overrides() {
		known[settingPrefix+name] = true
	}
	for _, setting := range s {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, settingPrefix) && !known[name] {
			return fmt.Errorf("%s sets nothing: see livevalet --help for the flags, and the documentation of serve's file", name)
		}
	}
	return nil
}
