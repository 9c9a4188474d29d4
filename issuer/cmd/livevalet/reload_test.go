package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFileIsFollowed(t *testing.T) {
	const gone = "\x00"
	for name, c := range map[string]struct {
		looks []string // what is there at each look
		want  int      // changes told
	}{
		"that stays":                    {[]string{"a", "a", "a"}, 0},
		"that is written anew":          {[]string{"b", "b", "b"}, 1},
		"that changes twice":            {[]string{"b", "b", "c", "c"}, 2},
		"that is seen half written":     {[]string{"b", "bb", "bbb", "bbb"}, 1},
		"that is gone":                  {[]string{gone, gone, gone}, 0},
		"that comes back as it was not": {[]string{gone, "b", "b"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "f")
				there, tick := "", 0
				put := func(text string) {
					if text == there {
						return
					}
					there = text
					os.Remove(file)
					if text == gone {
						return
					}
					if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
					tick++ // so that no two have one time
					if err := os.Chtimes(file, time.Time{}, time.Unix(int64(tick), 0)); err != nil {
						t.Fatal(err)
					}
				}
				put("a")
				seen, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				told, signals := 0, make(chan os.Signal)
				var following sync.WaitGroup
				following.Go(func() { followFile(t.Context(), file, seen, signals, func() { told++ }) })
				t.Cleanup(following.Wait)
				for _, text := range c.looks {
					put(text)
					time.Sleep(lookAtFile)
					synctest.Wait()
				}
				if told != c.want {
					t.Errorf("%d changes are told", told)
				}
				signals <- syscall.SIGHUP
				synctest.Wait()
				if told != c.want+1 {
					t.Error("a signal is not obeyed at once")
				}
			})
		})
	}
}

func TestServeTakesNewProfilesWithoutARestart(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0", "--emulator-u3-strict-mask")
	rest := "\nauth: {apiKeysFile: " + write(t, "shop:"+hashOf("sesame")) + "}\nprofiles:\n"
	const hosts = "hosts: [localhost]"
	config := write(t, hosts+rest+"  default: {lock: full, limits: {perCaller: 1000/m, concurrent: 1000}}")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", config, "--listen", ":0", "--base-url", google.url)
	ask := func(profile string) (int, string) {
		status, _, text := r.call(t, http.MethodPost, "/v1/token", `{"profile":"`+profile+`"}`, "Authorization", "Bearer sesame")
		return status, text
	}
	lease := r.token(t, "Authorization", "Bearer sesame").LeaseID
	renew := func(lease, handle string) int {
		status, _, _ := r.call(t, http.MethodPost, "/v1/token/renew", `{"reason":"refused","leaseId":"`+lease+`","handle":"`+handle+`"}`, "Authorization", "Bearer sesame")
		return status
	}
	if status := renew(lease, "h1"); status != http.StatusOK {
		t.Errorf("a renewal gives %d", status)
	}
	for _, change := range []struct {
		text, says string
		new        int // status for the profile "new"
	}{
		{hosts + rest + "  default: {lock: full, limits: {perCaller: 1000/m, concurrent: 1000}}\n  new: {lock: none, uses: 0}", "line 5: write a whole number from 1 on", 404},
		{"hosts: [", "still those of before", 404},
		{hosts + rest + "  default: {lock: full, limits: {perCaller: 1000/m, concurrent: 1000}}\n  new: {}", "refuses the mask path tools", 404}, // the service does
		{hosts + rest + "  default: {lock: full, limits: {perCaller: 1000/m, concurrent: 1000}}\n  new: {lock: none, limits: {perCaller: 1000/m, concurrent: 1000}}", `"profiles":2`, 200},
		{"hosts: [localhost, voice.test]" + rest + "  default: {lock: full, limits: {perCaller: 1000/m, concurrent: 1000}}\n  new: {lock: none, limits: {perCaller: 1000/m, concurrent: 1000}}", `needs a restart","file":"` + config + `","keys":["hosts"]`, 200},
	} {
		seen := len(r.log.String())
		if err := os.WriteFile(config, []byte(change.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.log.await(t, seen, change.says)
		if says := strings.Contains(r.log.String()[seen:], "needs a restart"); says != strings.Contains(change.text, "voice.test") {
			t.Errorf("after %q it says that it must start again: %v", change.says, says)
		}
		if status, text := ask("new"); status != change.new {
			t.Errorf("after %q the profile gives %d %s", change.says, status, text)
		}
		if status, text := ask("default"); status != http.StatusOK {
			t.Errorf("after %q the old profile gives %d %s", change.says, status, text)
		}
	}
	if status := renew(r.token(t, "Authorization", "Bearer sesame").LeaseID, "h1"); status != http.StatusForbidden {
		t.Errorf("a handle of before, shown by another lease, gives %d", status)
	}
	if status := renew(lease, "h1"); status != http.StatusOK {
		t.Errorf("its own lease gives %d", status)
	}
}

func TestServeTakesNewLimitsWithoutARestart(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	rest := "hosts: [localhost]\nauth: {apiKeysFile: " + write(t, "shop:"+hashOf("sesame")) + "}\nprofiles: {default: {limits: {perCaller: 1000/m, concurrent: 1000}}}\n"
	config := write(t, "store: memory\n"+rest)
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", config, "--listen", ":0", "--base-url", google.url)
	for _, change := range []struct {
		text, says string
		all        bool // of three tokens are given
	}{
		{"store: memory\n" + rest, "uses new profiles and limits", true},
		{"store: memory\nlimits: {global: 1/d}\n" + rest, "uses new profiles and limits", false},
		{"store: memory\nlimits: {global: 0/d}\n" + rest, "profiles and limits are still those of before", false},
		{"store: memory\nlimits: {global: 1000/s}\n" + rest, "uses new profiles and limits", true},
		{"listen: ':0'\nlimits: {global: 1000/s}\n" + rest, `"keys":["listen","store"]`, true},
	} {
		seen := len(r.log.String())
		if err := os.WriteFile(config, []byte(change.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.log.await(t, seen, change.says)
		allowed := 0
		for range 3 {
			if status, _, _ := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer sesame"); status == http.StatusOK {
				allowed++
			}
		}
		if (allowed == 3) != change.all {
			t.Errorf("after %q %d tokens are given", change.text, allowed)
		}
	}
}
