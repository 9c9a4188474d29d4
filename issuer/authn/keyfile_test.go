package authn

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAChangedKeyFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "callers")
		put := func(text string) {
			t.Helper()
			if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(name+".new", name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookAgain)
		}
		var log bytes.Buffer
		put("shop:" + hashOf("first"))
		f, err := OpenKeyFile(name, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		check := func(when, first, second string) {
			t.Helper()
			for key, want := range map[string]string{"first": first, "second": second} {
				if caller, _ := f.Authenticate(bearing(t, key)); caller.ID != want {
					t.Errorf("%s: the %s key is that of %q", when, key, caller.ID)
				}
			}
		}
		check("at start", "key:shop", "")
		put("desk:" + hashOf("second"))
		check("changed", "", "key:desk")
		put("desk:CANARY")
		check("broken", "", "key:desk")
		time.Sleep(lookAgain)
		check("still broken", "", "key:desk")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(lookAgain)
			check("gone", "", "key:desk")
		}
		put("shop:" + hashOf("first"))
		check("mended", "key:shop", "")
		if said := log.String(); strings.Count(said, "level=ERROR") != 2 || strings.Count(said, "level=INFO") != 2 || strings.Contains(said, "CANARY") {
			t.Errorf("log is %s", said)
		}
	})
}

func TestAKeyFileThatCannotBeReadIsRefused(t *testing.T) {
	if _, err := OpenKeyFile(filepath.Join(t.TempDir(), "none"), nil); !os.IsNotExist(err) {
		t.Errorf("error is %v", err)
	}
}
