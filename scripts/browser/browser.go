// Package browser is for tests of pages: it starts the built server, drives a
// headless Chromium and hears everything that goes wrong in a page or in its
// workers.
//
//	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
//	page := browser.Launch(t).Open(server.URL)
//	page.Click("#typing")
//
// Its functions fail the test that they are given. A page belongs to the
// goroutine of that test.
package browser

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/child"
	"github.com/livevalet/livevalet/scripts/chromium"
)

// Serve runs bin/livevalet, which `make build` made, with args until the test
// ends, and then checks that it ends well.
func Serve(t testing.TB, args ...string) *child.Server {
	t.Helper()
	return ServeWith(t, nil, args...)
}

// ServeWith is Serve with settings, such as "NAME=value", in the environment.
func ServeWith(t testing.TB, env []string, args ...string) *child.Server {
	t.Helper()
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := child.Command(context.WithoutCancel(t.Context()), filepath.Join(root(t), "bin", "livevalet"), args...)
	cmd.Env = append(cmd.Env, env...)
	server, err := child.Serve(ready, cmd)
	if err != nil {
		t.Fatalf("%v\nbin/livevalet is made by make build", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(30 * time.Second); err != nil {
			t.Errorf("the server did not end well: %v\n%s", err, server.Log())
		}
	})
	return server
}

// root is the directory of go.mod, at or above the test's own.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatal("no go.mod at or above the test's directory")
	return ""
}

// A Browser is one Chromium with an empty profile.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// Launch starts a Chromium that runs until the test ends. More flags may ask for
// a fake microphone, say.
func Launch(t testing.TB, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	ctx, stop, err := chromium.Start(context.Background(), more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &Browser{t, ctx}
}
