package authn

import (
	"errors"
	"fmt"
	"net/http"
)

// Chain knows callers by any of several kinds of credential. A request shows one:
// two at once are refused, since only one of them can say who is asking.
type Chain struct {
	// Methods know one kind each, and say ErrNoCredential to all other requests.
	Methods []Authenticator

	// Otherwise is asked about requests that show no credential, not even an
	// Authorization header that nobody knows. Nil refuses them.
	Otherwise Authenticator
}

// Authenticate asks all methods.
func (c Chain) Authenticate(r *http.Request) (caller Caller, err error) {
	err = ErrNoCredential
	for _, m := range c.Methods {
		who, why := m.Authenticate(r)
		switch {
		case errors.Is(why, ErrNoCredential):
		case errors.Is(err, ErrNoCredential):
			caller, err = who, why
		default:
			return Caller{}, fmt.Errorf("%w: there are two credentials", ErrBadCredential)
		}
	}
	if errors.Is(err, ErrNoCredential) && c.Otherwise != nil && r.Header.Get("Authorization") == "" {
		return c.Otherwise.Authenticate(r)
	}
	return caller, err
}
