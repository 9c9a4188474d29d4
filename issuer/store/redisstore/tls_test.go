package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/livevalet/livevalet/scripts/redistest"
)

// terminate speaks TLS in front of a server, until the test ends, on a port of
// this machine's 127.0.0.1. Who trusts the pool trusts it.
func terminate(t *testing.T, server *redistest.Server) (port string, trusted *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // has a certificate for 127.0.0.1, not for localhost
	s.Close()
	socket, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("unix", socket.Path)
			if err != nil {
				front.Close()
				continue
			}
			all.Go(func() { _, _ = io.Copy(back, front); back.Close() })
			all.Go(func() { _, _ = io.Copy(front, back); front.Close() })
		}
	})
	t.Cleanup(func() { listener.Close(); all.Wait() })
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	trusted = x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	return port, trusted
}

func TestTLSIsForTheHostOfTheURL(t *testing.T) {
	port, trusted := terminate(t, redistest.Start(t, "user voice on >CANARY ~* +@all"))
	for _, c := range []struct {
		host string
		pool *x509.CertPool
		want string
	}{
		{"127.0.0.1", trusted, ""},
		{"localhost", trusted, "certificate"},
		{"127.0.0.1", x509.NewCertPool(), "certificate"},
	} {
		o, err := options("rediss://voice:CANARY@" + c.host + ":" + port)
		if err != nil {
			t.Fatal(err)
		}
		o.TLSConfig.RootCAs = c.pool
		client := redis.NewClient(o)
		err = supported(t.Context(), client)
		client.Close()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CANARY")) {
			t.Errorf("%s, trusting %v: %v", c.host, c.pool == trusted, err)
		}
	}
}
