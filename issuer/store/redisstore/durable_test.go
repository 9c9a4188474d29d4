package redisstore_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/store/redisstore"
	"github.com/livevalet/livevalet/scripts/redistest"
)

func open(t testing.TB, address string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// as gives a server's URL for one of its users, whose password is "CANARY".
func as(t *testing.T, server *redistest.Server, user string) string {
	t.Helper()
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "CANARY")
	return u.String()
}

// aUser has the rights that docs/issuer.md names, but for the last.
const aUser = "user voice on >CANARY ~livevalet:* resetchannels -@all +@connection +@read +@write +@scripting +time +info"

func TestDurable(t *testing.T) {
	tests := []struct {
		name          string
		directives    []string
		warning, fail string
	}{
		{"every command written through is what it takes", nil, "", ""},
		{"a second may be lost", []string{"appendfsync everysec"}, "last second", ""},
		{"the kernel must not choose when to write", []string{"appendfsync no"}, "", `appendfsync is "no"`},
		{"snapshots are not enough", []string{"appendonly no", "save 60 1"}, "", "set appendonly yes"},
		{"revocations must not be evicted", []string{"maxmemory 100mb", "maxmemory-policy volatile-ttl"}, "", `"volatile-ttl": set noeviction`},
		{"a bound without eviction is fine", []string{"maxmemory 100mb", "maxmemory-policy noeviction"}, "", ""},
		{"nothing is evicted without a bound", []string{"maxmemory-policy allkeys-lru"}, "", ""},
		{"a user that may see all sees it", []string{aUser + " +config|get"}, "", ""},
		{"one without CONFIG is told what stays open", []string{aUser}, "CONFIG GET is not allowed", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t, tt.directives...)
			address := server.URL()
			if slices.ContainsFunc(tt.directives, func(line string) bool { return strings.HasPrefix(line, "user ") }) {
				address = as(t, server, "voice")
			}
			warning, err := open(t, address).Durable(t.Context())
			if (warning == "") != (tt.warning == "") || !strings.Contains(warning, tt.warning) {
				t.Errorf("it warns %q, want %q", warning, tt.warning)
			}
			if (err == nil) != (tt.fail == "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("it says %v, want %q", err, tt.fail)
			}
		})
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	server := redistest.Start(t, "user voice on >other ~livevalet:* +@all", "user blind on >CANARY ~livevalet:* +ping +hello +auth")
	gone := redistest.Start(t)
	gone.Kill()
	for name, tt := range map[string]struct{ address, want string }{
		"a wrong password":      {as(t, server, "voice"), "WRONGPASS"},
		"a user without rights": {as(t, server, "blind"), "INFO"},
		"nobody there":          {gone.URL(), "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redisstore.Open(t.Context(), tt.address)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("it says %v, want %q", err, tt.want)
			}
		})
	}
}
