package main

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// issue writes a new pair for this machine into a directory, by an authority of
// its own, and gives the pool that trusts it.
func issue(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	a, err := openAuthority(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	config, err := a.server([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"tls.crt": pemOf("CERTIFICATE", pair.Certificate[0]), "tls.key": pemOf("PRIVATE KEY", key)} {
		temporary, err := writeTemporary(dir, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func TestANewCertificateIsServedAndABrokenOneIsNot(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	synctest.Test(t, func(t *testing.T) {
		first := issue(t, dir)
		log := &output{}
		c, err := readCertificate(in("tls.crt"), in("tls.key"), slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serves := func(pool *x509.CertPool) bool {
			time.Sleep(lookAgain)
			_, err := c.current().Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "127.0.0.1"})
			return err == nil
		}
		if !serves(first) {
			t.Fatal("the first is not served")
		}

		told := 0
		for name, spoil := range map[string]func() error{
			"is no certificate":      func() error { return os.WriteFile(in("tls.crt"), []byte("CANARY"), 0o600) },
			"is gone":                func() error { return os.Remove(in("tls.crt")) },
			"does not fit its key":   func() error { return os.Rename(lend(t), in("tls.crt")) },
			"is there without a key": func() error { issue(t, dir); return os.Rename(in("tls.key"), in("old.key")) },
		} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if !serves(first) {
					t.Errorf("when the new one %s, the old one is not served", name)
				}
			}
			if told++; strings.Count(log.String(), "keeps the old certificate") != told {
				t.Errorf("that the new one %s is not told once: %s", name, log)
			}
		}

		second := issue(t, dir)
		if !serves(second) || serves(first) {
			t.Errorf("the second is not served: %s", log)
		}
		if strings.Contains(log.String(), "CANARY") || strings.Count(log.String(), "serves a new certificate") != 1 {
			t.Errorf("the log is %s", log)
		}
	})
}

// lend is a good certificate's file.
func lend(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	issue(t, dir)
	return filepath.Join(dir, "tls.crt")
}

func TestHTTP2IsSpokenOverTLS(t *testing.T) {
	dir := t.TempDir()
	pool := issue(t, dir)
	config := write(t, "listen: ':0'\nhosts: [127.0.0.1]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+
		"}\ntls: {cert: "+filepath.Join(dir, "tls.crt")+", key: "+filepath.Join(dir, "tls.key")+"}")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "serve", "--config", config, "--base-url", "http://127.0.0.1:9")
	for _, two := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: two}
		res, err := (&http.Client{Transport: transport}).Get(strings.Replace(r.url, "localhost", "127.0.0.1", 1) + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		err = res.Body.Close()
		transport.CloseIdleConnections()
		if (res.ProtoMajor == 2) != two || res.StatusCode != http.StatusOK || err != nil {
			t.Errorf("%s %d %v", res.Proto, res.StatusCode, err)
		}
	}
}
