package authn

import (
	"fmt"
	"net/http"
	"strings"
)

// bearer is what stands in the header "Authorization: Bearer …". Two such headers
// are refused: what stands in front of this server may have looked at the other.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", fmt.Errorf("%w: there are two Authorization headers", ErrBadCredential)
	}
	scheme, token, _ := strings.Cut(strings.Join(values, ""), " ")
	if token = strings.TrimSpace(token); token == "" || !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNoCredential
	}
	return token, nil
}

// isJWT tells the two kinds of bearer credentials apart, by form alone.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }
