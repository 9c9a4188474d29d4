package main

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestAKeyFileIsFollowed(t *testing.T) {
	const gone = "\x00"
	for sentence, c := range map[string]struct {
		files []string // one text for each look; gone is no file
		used  []string
		said  []string // errors in the log
	}{
		"that does not change":             {[]string{"a", "a", "a", "a"}, nil, nil},
		"to a new key":                     {[]string{"a", "b\n", "b\n", "b\n"}, []string{"b"}, nil},
		"to two new keys":                  {[]string{"b", "b", "c", "c"}, []string{"b", "c"}, nil},
		"over a look at half a key":        {[]string{"b", "bcd", "bcd"}, []string{"bcd"}, nil},
		"over a look at nothing":           {[]string{"", "b", "b"}, []string{"b"}, nil},
		"while it is empty, with one word": {[]string{"", "", "", ""}, nil, []string{"holds no key"}},
		"while it is not there":            {[]string{gone, gone, gone}, nil, []string{"no such file"}},
		"through two kinds of trouble":     {[]string{gone, gone, "", "", gone, gone}, nil, []string{"no such file", "holds no key", "no such file"}},
		"back to its key after trouble":    {[]string{"", "", "a", "a"}, []string{"a"}, []string{"holds no key"}},
		"to a key that is refused":         {[]string{"CANARY", "CANARY", "CANARY", "b", "b"}, []string{"b"}, []string{"not that one"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				name := filepath.Join(t.TempDir(), "key")
				var used []string
				var log output
				var following sync.WaitGroup
				following.Go(func() {
					followKey(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), "X_FILE", name, live.NewSecret("a"), func(key live.Secret) error {
						if key.Reveal() == "CANARY" {
							return errors.New("not that one")
						}
						used = append(used, key.Reveal())
						return nil
					})
				})
				t.Cleanup(following.Wait)
				for _, text := range c.files {
					os.Remove(name)
					if text != gone {
						if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(lookAtKey)
					synctest.Wait()
				}
				if !slices.Equal(used, c.used) {
					t.Errorf("used %v, want %v", used, c.used)
				}
				said := slices.Collect(strings.Lines(log.String()))
				if len(said) != len(c.said) || strings.Contains(log.String(), "CANARY") {
					t.Fatalf("the log has %s", &log)
				}
				for i, want := range c.said {
					if !strings.Contains(said[i], want) || !strings.Contains(said[i], "X_FILE") {
						t.Errorf("line %d is %s, want %s", i, said[i], want)
					}
				}
			})
		})
	}
}

func TestServeTakesANewKeyWithoutARestart(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	name := write(t, "emulator-old")
	config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}")
	r := start(t, map[string]string{"GEMINI_API_KEY_FILE": name}, "serve", "--listen", ":0", "--config", config, "--base-url", google.url)
	// Namespaces tell the keys apart. What was minted to try the profiles is forgotten.
	for _, ns := range []string{"old", "new"} {
		google.call(t, http.MethodPost, "/__emulator/reset?ns="+ns, "{}")
	}
	minted := func(ns string) int {
		t.Helper()
		r.token(t, "Authorization", "Bearer sesame")
		_, _, text := google.call(t, http.MethodGet, "/__emulator/tokens?ns="+ns, "")
		return strings.Count(text, `"lock"`)
	}
	if minted("old") != 1 {
		t.Error("the old key does not mint")
	}
	for _, change := range []struct{ text, says string }{
		{"", "still the one of before"},
		{canary, "this key is sent only to"},
		{"emulator-new", "nothing is spent"},
	} {
		seen := len(r.log.String())
		if err := os.WriteFile(name, []byte(change.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.log.await(t, seen, change.says)
	}
	if minted("new") != 1 {
		t.Error("the new key does not mint")
	}
	if strings.Contains(r.log.String(), "CANARY") {
		t.Errorf("the log holds a key: %s", r.log)
	}
}

func TestServeTellsOfAWrongClockAtItsStart(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	google.call(t, http.MethodPost, "/__emulator/clock", `{"advance":"2h"}`)
	config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "serve", "--listen", ":0", "--config", config, "--base-url", google.url)
	r.log.await(t, 0, `"secondsBehind":7`)
	r.token(t, "Authorization", "Bearer sesame")
	if n := strings.Count(r.log.String(), "secondsBehind"); n != 1 {
		t.Errorf("it says so %d times", n)
	}
}
