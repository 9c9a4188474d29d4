package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a caller decides on.
var (
	// ErrRefused: the service will say the same if asked again.
	ErrRefused = errors.New("the token service refused")
	// ErrMisdated is an ErrRefused to which the service's clock is the likely
	// reason: it has moved, and the client's Now with it.
	ErrMisdated = fmt.Errorf("%w, and its clock has moved", ErrRefused)
	// ErrUnavailable: the service may do it later.
	ErrUnavailable = errors.New("the token service is not available")
)

// Error is why there is no token. It wraps one of the three. Its
// text holds nothing that the service or the SDK wrote, which may quote the
// request or even the key, but the names of fields that we know.
type Error struct {
	Kind       error
	HTTP       int           // status of the answer; 0: nothing answered
	Status     string        // canonical code such as "INVALID_ARGUMENT"; may be empty
	Reason     string        // our own words, for what is not an answer
	RetryAfter time.Duration // the service's advice; 0 when it gave none
	Fields     []string      // of the request that are wrong, such as "setup.tools.0"; may be empty
	Key        bool          // it is the API key that is refused, whatever is asked
}

func (e *Error) Error() string {
	switch {
	case e.HTTP == 0:
		return fmt.Sprintf("%v: %s", e.Kind, e.Reason)
	case e.Reason != "":
		return fmt.Sprintf("%v: http %d: %s", e.Kind, e.HTTP, e.Reason)
	case len(e.Fields) > 0:
		return fmt.Sprintf("%v: http %d %s, because of %s", e.Kind, e.HTTP, e.Status, strings.Join(e.Fields, ", "))
	default:
		return fmt.Sprintf("%v: http %d %s", e.Kind, e.HTTP, e.Status)
	}
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// kindOf tells what a status means for the next try.
func kindOf(status int) error {
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout {
		return ErrUnavailable
	}
	return ErrRefused
}

// refusesKey reports whether an answer is about the key: it is none (documented as
// the reason API_KEY_INVALID with a 400), or it may not do this or not from here.
func refusesKey(status int, details []map[string]any) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden ||
		slices.ContainsFunc(details, func(d map[string]any) bool { return d["reason"] == "API_KEY_INVALID" })
}

// canonical passes a gRPC code name through and nothing else: an error's status
// is the service's text, and where the body is no JSON the SDK puts other text
// there.
func canonical(status string) string {
	for _, c := range status {
		if c != '_' && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	if len(status) > 40 {
		return ""
	}
	return status
}

// retryAfter reads the header in both of its forms.
func retryAfter(header string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(s, 0), 24*3600)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
