// Package authn says who is asking. An authenticator reads a request's headers
// and nothing else; it must not read the body.
package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Why a caller is not known. Wrap one of these to say more: the wrapping goes
// into no answer.
var (
	ErrNoCredential  = errors.New("the request has no credential")
	ErrBadCredential = errors.New("the credential is not valid")
	ErrForbidden     = errors.New("the caller may not have tokens")
	ErrUnavailable   = errors.New("who is asking cannot be found out now")
)

// Authenticator says who is asking. Its errors wrap those above.
type Authenticator interface {
	Authenticate(*http.Request) (Caller, error)
}

// Caller is who asks.
type Caller struct {
	// ID names the caller in leases and logs, the same for every request. Empty
	// for an anonymous caller.
	ID string

	// Claims is what else is known of the caller, as encoding/json decodes it with
	// UseNumber. Only to be read, and not to be logged. Nil for callers of whom
	// nothing more is known.
	Claims map[string]any

	// NamesUsers is whether the caller is a server that asks for users of its own,
	// whom it may name: see [Caller.For].
	NamesUsers bool

	// Server is the ID of the server that named this user, without whose access
	// there is none. Empty for callers who ask for themselves.
	Server string
}

// ErrBadUser means that a name cannot be a user's.
var ErrBadUser = errors.New("a user's name has 1 to 255 bytes of UTF-8 and no control characters")

// For is the user of a server, as a caller: its ID is the server's, a slash and the
// name, and it has no claims.
func (c Caller) For(user string) (Caller, error) {
	if !validID(user) {
		return Caller{}, ErrBadUser
	}
	return Caller{ID: c.ID + "/" + user, Server: c.ID}, nil
}

// Holds reports whether a claim is value, or a list with value in it. Value is a
// string, a bool, an int, int64, uint64 or float64; a claim of another type than
// value's does not hold.
func (c Caller) Holds(claim string, value any) bool {
	if list, ok := c.Claims[claim].([]any); ok {
		return slices.ContainsFunc(list, func(have any) bool { return same(have, value) })
	}
	return same(c.Claims[claim], value)
}

func same(have, value any) bool {
	switch value := value.(type) {
	case string, bool:
		return have == value
	case int, int64, uint64, float64:
		n, ok := have.(json.Number)
		return ok && n.String() == fmt.Sprint(value) // digits, so that no large number is rounded
	}
	return false
}

// Anonymous takes everybody for the same nobody: without a challenge, whoever
// reaches the server can spend the key's quota.
type Anonymous struct {
	// Challenge refuses requests that do not prove what it asks for, such as a
	// solved puzzle in a header. It is asked for every request, also to renew and to
	// release, which bring a lease id as their proof and can be let pass. It may be
	// called from many goroutines at once; its errors wrap those of this package.
	// Nil refuses nobody.
	Challenge func(*http.Request) error
}

// Authenticate refuses whom the challenge refuses.
func (a Anonymous) Authenticate(r *http.Request) (Caller, error) {
	if a.Challenge == nil {
		return Caller{}, nil
	}
	return Caller{}, a.Challenge(r)
}

// ConfigError is a setting that cannot be used.
type ConfigError struct {
	Setting string // by its name in serve's file, such as "leeway"
	reason  string
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.reason }

// maxID bounds what others call a caller. Leases and logs hold it.
const maxID = 255 // bytes

// validID reports whether a name that others gave can be a caller's.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}
