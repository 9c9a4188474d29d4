package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A tool is a program that the tests need beside Go.
type tool struct {
	names    []string // any of them will do
	packages []string // Debian's, that bring it
	why      string
}

var tools = []tool{
	{[]string{"chromium", "chromium-browser", "google-chrome"}, []string{"chromium"}, "the page's tests"},
	{[]string{"espeak-ng"}, []string{"espeak-ng"}, "the tests that speak"},
	{[]string{"npm"}, []string{"nodejs", "npm"}, "the type check and the tests in Node"},
	{[]string{"redis-server"}, []string{"redis-server"}, "the tests of many issuers over one Redis"},
	{[]string{"gcc", "clang"}, []string{"gcc", "libc6-dev"}, "the race detector"},
}

// engineTools are what the tests in three engines need beside tools.
var engineTools = []tool{
	{[]string{"firefox-esr"}, []string{"firefox-esr"}, "the tests in Firefox"},
	{[]string{"WebKitWebDriver"}, []string{"webkit2gtk-driver", "gstreamer1.0-pulseaudio", "gstreamer1.0-plugins-good"}, "the tests in WebKitGTK"},
	{[]string{"Xvfb"}, []string{"xvfb"}, "WebKitGTK, which has no headless form"},
	{[]string{"pulseaudio"}, []string{"pulseaudio"}, "sound where there is no sound card"},
}

// install is a check that the tools are there. It installs what is missing, if
// it may.
func (p *project) install(tools []tool) func(context.Context) error {
	return func(ctx context.Context) error {
		lacking := missing(tools, exec.LookPath)
		if len(lacking) == 0 {
			return nil
		}
		if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
			return errors.New(advice(lacking))
		}
		for _, args := range aptCommands(lacking) {
			cmd := p.in(ctx, "", "apt-get", args...)
			cmd.Env = append(cmd.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if _, err := run(cmd); err != nil {
				return fmt.Errorf("%w\n%s", err, advice(lacking))
			}
		}
		if lacking = missing(tools, exec.LookPath); len(lacking) > 0 {
			return errors.New(advice(lacking))
		}
		return nil
	}
}

func missing(tools []tool, look func(string) (string, error)) (lacking []tool) {
	for _, t := range tools {
		if !slices.ContainsFunc(t.names, func(name string) bool { _, err := look(name); return err == nil }) {
			lacking = append(lacking, t)
		}
	}
	return lacking
}

func aptCommands(lacking []tool) [][]string {
	install := []string{"install", "--yes", "--no-install-recommends"}
	for _, t := range lacking {
		install = append(install, t.packages...)
	}
	return [][]string{{"update"}, install}
}

func advice(lacking []tool) string {
	var b strings.Builder
	for _, t := range lacking {
		fmt.Fprintf(&b, "%s is not installed: needed for %s\n", strings.Join(t.names, " or "), t.why)
	}
	b.WriteString("install, on Debian:")
	for _, args := range aptCommands(lacking) {
		b.WriteString("\n  sudo apt-get " + strings.Join(args, " "))
	}
	return b.String()
}
