package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genai"
)

func TestAnAuthorityIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "down")
	made := make([]*authority, 8)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = openAuthority(dir, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	for _, a := range made {
		if !a.certificate.Equal(made[0].certificate) {
			t.Error("two that began at once have two authorities")
		}
	}
	for name, want := range map[string]os.FileMode{".": 0o700, authorityKey: 0o600, authorityCertificate: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", name, info.Mode(), err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if text, err := os.ReadFile(made[0].file); err != nil || strings.Contains(string(text), "PRIVATE") || !pool(t, made[0].file).Equal(poolOf(made[0].certificate)) {
		t.Errorf("clients read %s, %v", text, err)
	}
}

func TestAnAuthorityThatExpiredIsNotUsed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if _, err := openAuthority(dir, now.Add(-authorityLife)); err != nil {
		t.Fatal(err)
	}
	if _, err := openAuthority(dir, now); err == nil || !strings.Contains(err.Error(), "expired on") || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("got %v", err)
	}
}

func TestACertificateIsForTheNamesOfTheServer(t *testing.T) {
	now := time.Now()
	a, err := openAuthority(t.TempDir(), now.Add(serverLife/2-authorityLife)) // its end is near
	if err != nil {
		t.Fatal(err)
	}
	config, err := a.server([]string{"localhost", "127.0.0.1", "::1", "emulator.test"}, now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "emulator.test": true, "127.0.0.2": false, "google.com": false} {
		_, err := certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: pool(t, a.file)})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if certificate.IsCA || certificate.NotAfter.After(a.certificate.NotAfter) {
		t.Errorf("it is an authority: %v; it ends %v, its authority %v", certificate.IsCA, certificate.NotAfter, a.certificate.NotAfter)
	}
}

func TestTheEmulatorSpeaksTLS(t *testing.T) {
	dir := t.TempDir()
	r := start(t, nil, "emulate", "--listen", ":0", "--tls", "--tls-dir", dir)
	ca := filepath.Join(dir, "ca.pem")
	if want := "livevalet: clients must trust " + ca + "\nlivevalet: ready https://localhost:"; !strings.HasPrefix(r.stdout, want) {
		t.Fatalf("it says %q", r.stdout)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, ca)}}}
	defer client.CloseIdleConnections()
	sdk, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, APIKey: "emulator", HTTPClient: client, HTTPOptions: genai.HTTPOptions{BaseURL: r.url, APIVersion: "v1alpha"},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := sdk.AuthTokens.Create(t.Context(), &genai.CreateAuthTokenConfig{LiveConnectConstraints: &genai.LiveConnectConstraints{
		Model: "gemini-3.8-live", Config: &genai.LiveConnectConfig{ResponseModalities: []genai.Modality{genai.ModalityAudio}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := grant{Token: token.Name, TokenParam: "access_token",
		WebSocketURL: strings.Replace(r.url, "https", "wss", 1) + "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"}
	g.openWith(t, client)
	if _, err := http.Get(r.url); err == nil {
		t.Error("who does not trust the authority is served")
	}

	// The next start has another certificate by the same authority.
	again := start(t, nil, "emulate", "--listen", ":0", "--tls", "--tls-dir", dir, "--host", "emulator.test")
	res, err := client.Get(again.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	p := x509.NewCertPool()
	if err != nil || !p.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate: %v", file, err)
	}
	return p
}

func poolOf(c *x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c)
	return p
}
