package issuer

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// GuardConfig says who may knock at a listener.
type GuardConfig struct {
	// Hosts are the names and addresses under which the server may be asked for,
	// without port. Required: a page whose name was made to point at this server
	// (DNS rebinding) passes for same-origin, and only its Host gives it away.
	Hosts []string

	// Origins are those of other sites' pages that may ask, such as
	// "https://app.example", and any port of one host, "http://localhost:*".
	// There is no "*". The server's own pages need no entry.
	Origins []string

	// Headers are those that pages of Origins may send beside Content-Type and
	// Authorization, such as the one in which a challenge is answered. There is no
	// "*".
	Headers []string

	// Proxied admits requests that came through a proxy. Without it they are
	// refused: a server meant for this machine is then reached from another,
	// through a tunnel for example.
	Proxied bool
}

// Guard checks requests before anything else does. It is immutable; its
// methods may be called from anywhere.
type Guard struct {
	hosts      map[string]bool
	origins    []origin
	proxied    bool
	protection *http.CrossOriginProtection
	cors       *cors.Cors
}

// Loopback are the hosts that mean this machine.
func Loopback() []string { return []string{"localhost", "127.0.0.1", "::1"} }

// NewGuard checks the lists.
func NewGuard(c GuardConfig) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}, proxied: c.Proxied, protection: http.NewCrossOriginProtection()}
	if len(c.Hosts) == 0 {
		return nil, errors.New("hosts: name at least one host under which pages reach this server")
	}
	for _, h := range c.Hosts {
		name, ok := hostName(h)
		if _, _, err := net.SplitHostPort(h); err == nil || !ok {
			return nil, fmt.Errorf("hosts: %q is not a host name or an address, without a port", h)
		}
		g.hosts[name] = true
	}
	for _, text := range c.Origins {
		o, err := parseOrigin(text)
		if err != nil {
			return nil, err
		}
		g.origins = append(g.origins, o)
	}
	for _, name := range c.Headers {
		if name == "" || strings.ContainsFunc(name, notInHeaderName) {
			return nil, fmt.Errorf("headers: %q is not the name of a header, such as X-Challenge", name)
		}
	}
	g.cors = cors.New(cors.Options{
		AllowOriginFunc:  g.trusts,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   append([]string{"Content-Type", "Authorization"}, c.Headers...),
		ExposedHeaders:   []string{"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"},
		AllowCredentials: true, // never with a star, which is no origin here
		MaxAge:           600,
	})
	return g, nil
}

// Wrap puts all checks before next: Host, proxies, origin; and answers CORS
// preflights. Requests that only read pass from any origin, whose pages cannot
// see the answer.
func (g *Guard) Wrap(next http.Handler) http.Handler { return g.wrap(next, g.protection.Check) }

// WrapControl is Wrap for endpoints that other origins may not even read.
func (g *Guard) WrapControl(next http.Handler) http.Handler {
	return g.wrap(next, func(r *http.Request) error {
		asWrite := *r
		asWrite.Method = http.MethodPost
		return g.protection.Check(&asWrite)
	})
}

func (g *Guard) wrap(next http.Handler, check func(*http.Request) error) http.Handler {
	return g.Host(g.cors.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := proxyHeader(r); name != "" && !g.proxied {
			fail(w, r, &problem{
				code:   proxiedAnonymous,
				detail: "requests through a proxy or tunnel come from other machines, and this server is for its own",
				cause:  fmt.Errorf("the request has the header %s", name),
			})
			return
		}
		if !g.trusts(r.Header.Get("Origin")) {
			if err := check(r); err != nil {
				fail(w, r, &problem{code: originNotAllowed, detail: "pages of this origin may not ask: list it under origins"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})))
}

// Host checks the Host header alone. It is what stands before the Live socket,
// which pages of any origin may open, as they may open Google's.
func (g *Guard) Host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := hostName(r.Host); !ok || !g.hosts[name] {
			fail(w, r, &problem{code: hostNotAllowed, detail: "this server does not answer under that Host: add it to the hosts it knows"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// proxyHeader names a header that shows that the request came through a proxy
// or a tunnel, or is empty.
func proxyHeader(r *http.Request) string {
	for name := range r.Header {
		switch {
		case name == "Forwarded", name == "Via", name == "X-Real-Ip", strings.HasPrefix(name, "X-Forwarded-"):
			return name
		}
	}
	return ""
}

func notInHeaderName(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// hostName takes the port off a Host header and brings the name into one form.
func hostName(host string) (name string, ok bool) {
	name = host
	if h, port, err := net.SplitHostPort(host); err == nil {
		for _, c := range port {
			if c < '0' || c > '9' {
				return "", false
			}
		}
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(bracketless(name), "."))
	if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
		return ip.Unmap().String(), true
	}
	for _, c := range name {
		if c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", false
		}
	}
	return name, name != ""
}

func bracketless(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			return inner
		}
	}
	return host
}

// origin is an entry of the list.
type origin struct {
	scheme, host string
	port         string // "*": any
}

func parseOrigin(text string) (origin, error) {
	fail := fmt.Errorf("origins: %q is not an origin such as https://app.example or http://localhost:*", text)
	plain, anyPort := strings.CutSuffix(text, ":*")
	u, err := url.Parse(plain)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "*") ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || anyPort && u.Port() != "" {
		return origin{}, fail
	}
	o := origin{u.Scheme, strings.ToLower(u.Hostname()), portOf(u)}
	if anyPort {
		o.port = "*"
	}
	return o, nil
}

// trusts reports whether an Origin header is on the list.
func (g *Guard) trusts(header string) bool {
	u, err := url.Parse(header)
	if err != nil || header == "" || header != u.Scheme+"://"+u.Host { // nothing but an origin
		return false
	}
	return slices.ContainsFunc(g.origins, func(o origin) bool {
		return o.scheme == u.Scheme && o.host == strings.ToLower(u.Hostname()) && (o.port == "*" || o.port == portOf(u))
	})
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
