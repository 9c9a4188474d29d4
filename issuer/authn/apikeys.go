package authn

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// APIKeys knows callers by static keys, of which it holds only hashes. It is
// meant for servers: a key in a page is anybody's. It is immutable and may be
// shared.
type APIKeys struct{ keys []apiKey }

type apiKey struct {
	name string
	hash [sha256.Size]byte
}

// ParseAPIKeys reads lines of the form name:hash, where hash is the SHA-256 of
// the key in 64 hexadecimal digits. Empty lines and lines that begin with # are
// left out. A name may stand twice, so that its key can be changed without a
// gap; it holds no slash, which ends it where callers name users of theirs. Errors
// name the line and never quote it.
//
// A plain hash suffices because the keys are random: take 32 bytes, as in
//
//	key=$(openssl rand -hex 32); printf %s "$key" | sha256sum
//
// What has two dots in it is taken for a JWT, and for no key.
func ParseAPIKeys(r io.Reader) (*APIKeys, error) {
	var a APIKeys
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		var k apiKey
		name, digits, _ := strings.Cut(line, ":")
		hash, err := hex.DecodeString(strings.TrimSpace(digits))
		if k.name = strings.TrimSpace(name); !validID(k.name) || strings.Contains(k.name, "/") || err != nil || len(hash) != len(k.hash) {
			return nil, fmt.Errorf("line %d: write name:hash with a name of at most %d bytes and without a slash, and the key's SHA-256 in 64 hexadecimal digits", n, maxID)
		}
		copy(k.hash[:], hash)
		a.keys = append(a.keys, k)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(a.keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return &a, nil
}

// Authenticate knows the caller by the header "Authorization: Bearer <key>". It may
// name users.
// How long it takes does not depend on which key matches, or how well.
func (a *APIKeys) Authenticate(r *http.Request) (Caller, error) {
	key, err := bearer(r)
	if err != nil {
		return Caller{}, err
	}
	if isJWT(key) {
		return Caller{}, ErrNoCredential
	}
	hash := sha256.Sum256([]byte(key))
	name := ""
	for _, k := range a.keys {
		if subtle.ConstantTimeCompare(hash[:], k.hash[:]) == 1 {
			name = k.name
		}
	}
	if name == "" {
		return Caller{}, ErrBadCredential
	}
	return Caller{ID: ofKey + name, NamesUsers: true}, nil
}
