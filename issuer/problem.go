package issuer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// A code is what machines read in an error answer. Codes are never renamed.
type code string

const (
	invalidRequest       code = "invalid_request"
	methodNotAllowed     code = "method_not_allowed"
	unsupportedMediaType code = "unsupported_media_type"
	bodyTooLarge         code = "body_too_large"
	unknownProfile       code = "unknown_profile"
	hostNotAllowed       code = "host_not_allowed"
	originNotAllowed     code = "origin_not_allowed"
	unauthenticated      code = "unauthenticated"
	forbidden            code = "forbidden"
	proxiedAnonymous     code = "proxied_anonymous"
	revoked              code = "revoked"
	rateLimited          code = "rate_limited"
	budgetExhausted      code = "budget_exhausted"
	tooManyLeases        code = "too_many_leases"
	leaseNotFound        code = "lease_not_found"
	leaseEnded           code = "lease_ended"
	tooEarly             code = "too_early"
	upstreamRefused      code = "upstream_refused"
	upstreamUnavailable  code = "upstream_unavailable"
	storeUnavailable     code = "store_unavailable"
	authnUnavailable     code = "authenticator_unavailable"
	auditUnavailable     code = "audit_unavailable"
	internalError        code = "internal"
)

var statusOf = map[code]int{
	invalidRequest:       http.StatusBadRequest,
	methodNotAllowed:     http.StatusMethodNotAllowed,
	unsupportedMediaType: http.StatusUnsupportedMediaType,
	bodyTooLarge:         http.StatusRequestEntityTooLarge,
	unknownProfile:       http.StatusNotFound,
	hostNotAllowed:       http.StatusMisdirectedRequest,
	originNotAllowed:     http.StatusForbidden,
	unauthenticated:      http.StatusUnauthorized,
	forbidden:            http.StatusForbidden,
	proxiedAnonymous:     http.StatusForbidden,
	revoked:              http.StatusForbidden,
	rateLimited:          http.StatusTooManyRequests,
	budgetExhausted:      http.StatusTooManyRequests,
	tooManyLeases:        http.StatusTooManyRequests,
	leaseNotFound:        http.StatusNotFound,
	leaseEnded:           http.StatusGone,
	tooEarly:             http.StatusConflict,
	upstreamRefused:      http.StatusBadGateway,
	upstreamUnavailable:  http.StatusServiceUnavailable,
	storeUnavailable:     http.StatusServiceUnavailable,
	authnUnavailable:     http.StatusServiceUnavailable,
	auditUnavailable:     http.StatusServiceUnavailable,
	internalError:        http.StatusInternalServerError,
}

// defaultWait is the Retry-After of a 429 or 503 for which nobody knows better.
const defaultWait = 5 * time.Second

// problem is the one error that goes out: a code for machines, a detail for
// people, a cause for us, which is logged and not sent.
type problem struct {
	code   code
	detail string
	cause  error
	wait   time.Duration // of Retry-After; 0: the default, where there must be one
	status int           // 0: the code's

	untraced bool // neither the audit nor the log hears of it
}

func (p *problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %v", p.code, p.cause)
	}
	return fmt.Sprintf("%s: %s", p.code, p.detail)
}

func (p *problem) Unwrap() error { return p.cause }

// write sends the problem as RFC 9457 has it.
func (p *problem) write(w http.ResponseWriter, requestID string) {
	status := cmp.Or(p.status, statusOf[p.code])
	wait := p.wait
	if wait <= 0 && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) {
		wait = defaultWait
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(wholeSeconds(wait), 10))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	WriteJSON(w, status, "application/problem+json", struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Code      code   `json:"code"`
		RequestID string `json:"requestId"`
	}{"about:blank", http.StatusText(status), status, p.detail, p.code, requestID})
}

// WriteJSON sends an answer of that media type that nobody may keep, or take for
// another.
func WriteJSON(w http.ResponseWriter, status int, media string, body any) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client may be gone; there is nobody else to tell
}
