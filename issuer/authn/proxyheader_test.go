package authn

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAProxysHeader(t *testing.T) {
	p, err := NewProxyHeader("x-forwarded-user", []string{"10.1.0.0/16", "127.0.0.1", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer   string
		values []string
		caller string
		err    error
	}{
		"from the network names the caller":        {"10.1.255.9:4711", []string{"alice"}, "proxy:alice", nil},
		"from the address names the caller":        {"127.0.0.1:4711", []string{" alice@id.example "}, "proxy:alice@id.example", nil},
		"from the network of the new kind does":    {"[2001:db8::7]:4711", []string{"alice"}, "proxy:alice", nil},
		"from an address in the other form does":   {"[::ffff:10.1.2.3]:4711", []string{"alice"}, "proxy:alice", nil},
		"from anywhere else is refused":            {"203.0.113.7:4711", []string{"alice"}, "", ErrForbidden},
		"from the next network is refused":         {"10.2.0.1:4711", []string{"alice"}, "", ErrForbidden},
		"from the next address is refused":         {"127.0.0.2:4711", []string{"alice"}, "", ErrForbidden},
		"from nowhere is refused":                  {"", []string{"alice"}, "", ErrForbidden},
		"from a Unix socket is refused":            {"@", []string{"alice"}, "", ErrForbidden},
		"from a name like an address is refused":   {"10.1.0.1.evil.example:80", []string{"alice"}, "", ErrForbidden},
		"from elsewhere is refused, also if empty": {"203.0.113.7:4711", []string{""}, "", ErrForbidden},
		"that is not there says nothing":           {"10.1.0.1:4711", nil, "", ErrNoCredential},
		"that is empty says nothing":               {"10.1.0.1:4711", []string{" "}, "", ErrNoCredential},
		"that is there twice is refused":           {"10.1.0.1:4711", []string{"alice", "CANARY"}, "", ErrBadCredential},
		"that is there twice, the same, is, too":   {"10.1.0.1:4711", []string{"alice", "alice"}, "", ErrBadCredential},
		"that is two in one is refused":            {"10.1.0.1:4711", []string{"CANARY, alice"}, "", ErrBadCredential},
		"that is endless is refused":               {"10.1.0.1:4711", []string{strings.Repeat("CANARY", 50)}, "", ErrBadCredential},
		"that is no text is refused":               {"10.1.0.1:4711", []string{"CANARY\xff"}, "", ErrBadCredential},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/token", nil)
			r.RemoteAddr, r.Header["X-Forwarded-User"] = c.peer, c.values
			r.Header.Set("X-Forwarded-For", "10.1.0.1") // is nobody's address
			caller, err := p.Authenticate(r)
			if caller.ID != c.caller || !errors.Is(err, c.err) {
				t.Errorf("caller %q, error %v", caller.ID, err)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the error quotes the header: %v", err)
			}
		})
	}
}

func TestABadProxyIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		from   []string
		want   string
	}{
		"without a name":                {"", []string{"127.0.0.1"}, "name"},
		"with a name that is none":      {"X User", []string{"127.0.0.1"}, "name"},
		"with a name that CGI confuses": {"X_User", []string{"127.0.0.1"}, "name"},
		"with a header of browsers":     {"authorization", []string{"127.0.0.1"}, "name"},
		"without addresses":             {"X-User", nil, "from"},
		"with a name for an address":    {"X-User", []string{"proxy.example"}, "from"},
		"with a port":                   {"X-User", []string{"127.0.0.1:80"}, "from"},
		"with bits too many":            {"X-User", []string{"10.1.0.1/16"}, "10.1.0.0/16"},
		"with everybody":                {"X-User", []string{"0.0.0.0/0"}, "everybody"},
		"with everybody else":           {"X-User", []string{"127.0.0.1", "::/0"}, "everybody"},
		"with everybody in disguise":    {"X-User", []string{"::ffff:0.0.0.0/96"}, "from"},
	} {
		_, err := NewProxyHeader(c.header, c.from)
		if _, ok := errors.AsType[*ConfigError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a proxy %s: %v", name, err)
		}
	}
}
