// Package authn says who is asking. An authenticator reads a request's headers
// and nothing else; it must not read the body.
package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
// text, a number, true or false; a claim of another kind than value's does not hold.
func (c Caller) Holds(claim string, value any) bool {
	switch have := c.Claims[claim].(type) {
	case []any:
		return slices.ContainsFunc(have, func(one any) bool { return same(one, value) })
	case []string:
		text, ok := value.(string)
		return ok && slices.Contains(have, text)
	default:
		return same(have, value)
	}
}

func same(have, value any) bool { return scalar(value) != nil && scalar(have) == scalar(value) }

// scalar brings a text, a number, true or false into a form that can be compared,
// and anything else to nil. A number is not equal to the text of it, and is its
// digits, so that no large one is rounded to another.
func scalar(v any) any {
	switch v := v.(type) {
	case string, bool, json.Number:
		return v
	case float64:
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	case int, int64, uint64:
		return json.Number(fmt.Sprint(v))
	}
	return nil
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

// validID reports whether a name that others gave can be a caller's. White space
// around it would be seen by nobody who is to type it again.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl) && strings.TrimSpace(id) == id
}

// What the IDs of this package's callers begin with.
const (
	ofJWT   = "jwt:"
	ofKey   = "key:"
	ofProxy = "proxy:"
)

// CheckID says why no caller whom this package knows has the ID.
func CheckID(id string) error {
	for _, kind := range []string{ofJWT, ofKey, ofProxy} {
		if name, ok := strings.CutPrefix(id, kind); ok && validID(name) {
			return nil
		}
	}
	return errors.New("no caller is called so: write jwt:, key: or proxy: and the name behind it without a space, as the log and the audit do; anonymous callers have no name")
}
