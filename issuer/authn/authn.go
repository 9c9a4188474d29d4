// Package authn says who is asking. An authenticator reads a request's headers
// and nothing else; it must not read the body.
package authn

import (
	"errors"
	"net/http"
)

// Why a caller is not known. Wrap one of these to say more: the wrapping goes
// into no answer.
var (
	ErrNoCredential  = errors.New("the request has no credential")
	ErrBadCredential = errors.New("the credential is not valid")
	ErrForbidden     = errors.New("the caller may not have tokens")
)

// Caller is who asks.
type Caller struct {
	// ID names the caller in leases and logs, the same for every request. Empty
	// for an anonymous caller.
	ID string
}

// Anonymous takes everybody for the same nobody: whoever reaches the server can
// spend the key's quota.
type Anonymous struct{}

// Authenticate refuses nobody.
func (Anonymous) Authenticate(*http.Request) (Caller, error) { return Caller{}, nil }
