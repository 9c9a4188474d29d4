package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	tests := []struct {
		name            string
		have            string
		wantAdvice      []string
		wantInstallLast string
	}{
		{"any name of a tool will do", "google-chrome espeak-ng npm redis-server clang", nil, ""},
		{"one that is missing is named, with its purpose and the command that brings it", "npm espeak-ng gcc redis-server",
			[]string{"chromium or chromium-browser or google-chrome is not installed: needed for the page's tests",
				"sudo apt-get update\n", "sudo apt-get install --yes --no-install-recommends chromium"}, "chromium"},
		{"all that are missing are installed at once", "gcc espeak-ng redis-server",
			[]string{"npm is not installed", "chromium nodejs npm"}, "npm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lacking := missing(tools, func(name string) (string, error) {
				if slices.Contains(strings.Fields(tt.have), name) {
					return "/usr/bin/" + name, nil
				}
				return "", errors.New("not found")
			})
			if (len(lacking) == 0) != (tt.wantAdvice == nil) {
				t.Fatalf("lacking %v", lacking)
			}
			for _, want := range tt.wantAdvice {
				if got := advice(lacking); !strings.Contains(got, want) {
					t.Errorf("advice lacks %q:\n%s", want, got)
				}
			}
			if install := aptCommands(lacking)[1]; tt.wantInstallLast != "" && install[len(install)-1] != tt.wantInstallLast {
				t.Errorf("installs with %q", install)
			}
		})
	}
}
