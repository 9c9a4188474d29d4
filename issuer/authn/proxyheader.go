package authn

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ProxyHeader knows callers by a header that a proxy sets, which has
// authenticated them. From anybody else the header is refused, not passed over:
// it is an attempt, or a proxy that is missing in the list. It is immutable and
// may be shared.
type ProxyHeader struct {
	name string
	from []netip.Prefix
}

// NewProxyHeader trusts a header in requests whose peer is in one of the
// networks, such as "10.1.0.0/16", or one of the addresses. The peer is the
// request's RemoteAddr, so nothing in front may rewrite that. Errors are of type
// *ConfigError.
func NewProxyHeader(name string, from []string) (*ProxyHeader, error) {
	p := &ProxyHeader{name: http.CanonicalHeaderKey(name)}
	switch {
	case name == "" || strings.ContainsFunc(name, notInHeaderName):
		return nil, &ConfigError{"name", "write a header's name, such as X-Forwarded-User"}
	case slices.Contains([]string{"Authorization", "Cookie", "Host", "Origin"}, p.name):
		return nil, &ConfigError{"name", "browsers send " + p.name + " by themselves: name a header that only the proxy sets"}
	case len(from) == 0:
		return nil, &ConfigError{"from", "list the proxy's addresses, such as [127.0.0.1] or [10.1.0.0/16]"}
	}
	for _, text := range from {
		prefix, err := netip.ParsePrefix(text)
		if addr, notNetwork := netip.ParseAddr(text); notNetwork == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil || prefix.Addr().Is4In6():
			return nil, &ConfigError{"from", fmt.Sprintf("%q is no address and no network, such as 10.1.0.0/16", text)}
		case prefix != prefix.Masked():
			return nil, &ConfigError{"from", fmt.Sprintf("%s has bits behind its length: write %s or a single address", text, prefix.Masked())}
		case prefix.Bits() == 0:
			return nil, &ConfigError{"from", text + " is everybody: whoever sends the header would be whom it names"}
		}
		p.from = append(p.from, prefix)
	}
	return p, nil
}

func notInHeaderName(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// Authenticate gives the caller the ID "proxy:" and what the header says.
func (p *ProxyHeader) Authenticate(r *http.Request) (Caller, error) {
	said, err := p.Value(r)
	if err != nil {
		return Caller{}, err
	}
	return Caller{ID: ofProxy + said}, nil
}

// Value is what the header says. Its errors are those of an Authenticator:
// ErrNoCredential where there is no header.
func (p *ProxyHeader) Value(r *http.Request) (string, error) {
	values := r.Header.Values(p.name)
	if len(values) == 0 {
		return "", ErrNoCredential
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	addr := peer.Addr().Unmap().WithZone("")
	if err != nil || !slices.ContainsFunc(p.from, func(n netip.Prefix) bool { return n.Contains(addr) }) {
		return "", fmt.Errorf("%w: %s comes from an address that is not listed", ErrForbidden, p.name)
	}
	// Two headers may have become one with a comma on the way.
	value := strings.TrimSpace(values[0])
	switch {
	case len(values) > 1 || strings.Contains(value, ","):
		return "", fmt.Errorf("%w: %s names two callers", ErrBadCredential, p.name)
	case value == "":
		return "", ErrNoCredential
	case !validID(value):
		return "", fmt.Errorf("%w: %s holds no name", ErrBadCredential, p.name)
	}
	return value, nil
}
