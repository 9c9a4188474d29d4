package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/livevalet/livevalet/wasm/live"
)

// unixPrefix begins the address of a Unix socket.
const unixPrefix = "unix:"

// minWord is the length, in bytes, below which a secret may be guessed.
const minWord = 16

// listenAdmin opens a listener that only this machine reaches.
func listenAdmin(addr string) (net.Listener, error) {
	network, addr, err := adminAddress(addr)
	if err != nil {
		return nil, err
	}
	open := net.Listen
	if network == "unix" {
		open = listenUnix
	}
	l, err := open(network, addr)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	return l, nil
}

// adminAddress is what to listen on or to dial.
func adminAddress(addr string) (network, host string, err error) {
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		if path == "" {
			return "", "", errors.New("admin.listen: unix: lacks a path, such as unix:/run/livevalet.sock")
		}
		return "unix", path, nil
	}
	host, err = address(addr, func(string) string { return "" }, addr)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("admin.listen: %w, or unix:/path", err)
	case !isLoopback(host):
		return "", "", fmt.Errorf("admin.listen: %s can be reached from other machines: use 127.0.0.1 or unix:/path", addr)
	}
	return "tcp", host, nil
}

// listenUnix opens a socket for its owner alone. One that a killed process left
// behind is replaced; one that is answered on, or another file, is not.
func listenUnix(network, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s is there and is no socket: name another path", path)
		}
		conn, err := net.Dial(network, path)
		if err == nil {
			conn.Close()
			return nil, fmt.Errorf("another process answers on %s: stop it, or name another path", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, path)
	if err != nil {
		return nil, err
	}
	// Who connects before this is asked for the token all the same.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// readWord reads the file that a setting names, and that not everybody can read.
func readWord(setting, name string) (live.Secret, error) {
	fail := func(err error) (live.Secret, error) { return live.Secret{}, fmt.Errorf("%s: %w", setting, err) }
	if name == "" {
		return fail(errors.New("name a file, made with: openssl rand -hex 32"))
	}
	info, err := os.Stat(name)
	if err != nil {
		return fail(err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fail(fmt.Errorf("everybody on this machine may use %s: chmod 600 or 640", name))
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return fail(err)
	}
	word := strings.TrimSpace(string(text))
	if len(word) < minWord || strings.ContainsAny(word, " \t\r\n") {
		return fail(fmt.Errorf("%s does not hold one word of at least %d characters: make it with openssl rand -hex 32", name, minWord))
	}
	return live.NewSecret(word), nil
}

// serveAdmin serves operators until stop is called, which lets their requests
// end.
func (p *program) serveAdmin(l net.Listener, handler http.Handler) (stop func()) {
	h := p.httpServer(handler)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("the admin listener ended", "error", err)
		}
	}()
	p.log.Info("serves operators", "address", l.Addr().String())
	return func() {
		bounded, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if h.Shutdown(bounded) != nil {
			h.Close()
		}
		<-ended
	}
}
