package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour // so that it has to be trusted once
	serverLife    = 365 * 24 * time.Hour      // of one start; browsers refuse much longer ones

	authorityKey         = "ca-key.pem" // certificate and key; nobody but this program needs it
	authorityCertificate = "ca.pem"     // for clients
)

// authority signs certificates for servers on this machine. It is made once in
// a directory and kept there, so that clients can trust it for good; the
// certificates are new at every start and never on disk.
type authority struct {
	file        string // that clients are told to trust
	certificate *x509.Certificate
	key         crypto.Signer
}

// openAuthority gives the authority of a directory, made now if there is none.
func openAuthority(dir string, now time.Time) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, authorityKey)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(dir, now); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: delete it for a new one, which clients then have to trust", name, err)
	}
	if !now.Before(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("%s expired on %s: delete it for a new one, which clients then have to trust",
			name, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	a := &authority{filepath.Join(dir, authorityCertificate), pair.Leaf, pair.PrivateKey.(crypto.Signer)}
	return a, a.publish()
}

// makeAuthority makes one, unless another process does so first.
func makeAuthority(dir string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "LiveValet emulator, local authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife), // clocks differ a little
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(pemOf("CERTIFICATE", certificate), pemOf("PRIVATE KEY", private)...)
	temporary, err := writeTemporary(dir, text)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	// A link, because renaming would replace what another process just made.
	if err := os.Link(temporary, filepath.Join(dir, authorityKey)); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// publish writes the certificate where clients can read it.
func (a *authority) publish() error {
	text := pemOf("CERTIFICATE", a.certificate.Raw)
	if there, err := os.ReadFile(a.file); err == nil && bytes.Equal(there, text) {
		return nil
	}
	temporary, err := writeTemporary(filepath.Dir(a.file), text)
	if err != nil {
		return err
	}
	return os.Rename(temporary, a.file)
}

// writeTemporary makes a file that nobody else can read.
func writeTemporary(dir string, text []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// server is a configuration for a server that is reached under these names and
// addresses.
func (a *authority) server(hosts []string, now time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	until := now.Add(serverLife)
	if until.After(a.certificate.NotAfter) {
		until = a.certificate.NotAfter
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "LiveValet emulator"},
		NotBefore: now.Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}, nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
