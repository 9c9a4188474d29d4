package main

import (
	"cmp"
	"fmt"
	"net"
	"strings"
)

// address is where to listen: what was asked for, else the fallback, with the
// port of PORT if that is set. An omitted host means this machine alone.
func address(asked string, getenv func(string) string, fallback string) (string, error) {
	if port := getenv("PORT"); asked == "" && port != "" {
		host, _, _ := net.SplitHostPort(fallback)
		asked = net.JoinHostPort(host, port)
	}
	host, port, err := net.SplitHostPort(cmp.Or(asked, fallback))
	if err != nil {
		return "", fmt.Errorf("listen address %q: write host:port, such as 127.0.0.1:8080 or :8080", cmp.Or(asked, fallback))
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return "", fmt.Errorf("listen address %q: %q is no port: choose a number up to 65535, or a free port with --listen :0", cmp.Or(asked, fallback), port)
	}
	return net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port), nil
}

// listen opens a port.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with --listen, such as 127.0.0.1:8088, or a free port with --listen :0", err)
	}
	return l, nil
}

// isLoopback reports whether only this machine can reach the address.
func isLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// browserURL is how a browser on this machine reaches a listener. Localhost is
// what people type, and a secure context for every browser.
func browserURL(l net.Listener, secure bool) string {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	host, port := reachable(l)
	if host == "127.0.0.1" {
		host = "localhost"
	}
	return scheme + net.JoinHostPort(host, port)
}

// reachable is a listener's own address, as this program can dial it.
func reachable(l net.Listener) (host, port string) {
	host, port, _ = net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}
