package emulator

import "net/http"

// status is a canonical code and what it becomes on either transport. The
// close codes are inferred from what third parties observed.
type status struct {
	name  string
	http  int
	close int
}

var (
	invalidArgument  = status{"INVALID_ARGUMENT", http.StatusBadRequest, 1007}
	permissionDenied = status{"PERMISSION_DENIED", http.StatusForbidden, 1008}
	notFound         = status{"NOT_FOUND", http.StatusNotFound, 1008}
	internal         = status{"INTERNAL", http.StatusInternalServerError, 1011}
	unavailable      = status{"UNAVAILABLE", http.StatusServiceUnavailable, 1011}
	exhausted        = status{"RESOURCE_EXHAUSTED", http.StatusTooManyRequests, 1011}
)

// refusal is how the service says no: an error body over HTTP, a close frame
// on the socket.
type refusal struct {
	status  status
	message string
	details []any
}

func refuse(s status, message string) *refusal { return &refusal{status: s, message: message} }

// body is the JSON that Google answers with (observed).
func (r *refusal) body() tree {
	e := tree{"code": r.status.http, "message": r.message, "status": r.status.name}
	if len(r.details) > 0 {
		e["details"] = r.details
	}
	return tree{"error": e}
}

func (r *refusal) ending() ending { return ending{code: r.status.close, reason: r.message} }

// Sentences of the real service; the label says how they are known.

// errBadKey answers a key that does not exist (observed).
func errBadKey() *refusal {
	r := refuse(invalidArgument, "API key not valid. Please pass a valid API key.")
	r.details = []any{tree{
		"@type":    "type.googleapis.com/google.rpc.ErrorInfo",
		"reason":   "API_KEY_INVALID",
		"domain":   "googleapis.com",
		"metadata": tree{"service": "generativelanguage.googleapis.com"},
	}}
	return r
}

// errUnregistered answers callers without a usable credential (observed on the
// socket; on HTTP the wording varies).
func errUnregistered() *refusal {
	return refuse(permissionDenied, "Method doesn't allow unregistered callers (callers without established identity). "+
		"Please use API Key or other form of API consumer identity to call this API.")
}

// errArgument is the service's shrug (observed).
func errArgument() *refusal { return refuse(invalidArgument, "Request contains an invalid argument.") }

// errNoSession answers an unknown or outdated handle (observed).
func errNoSession() *refusal { return refuse(notFound, "BidiGenerateContent session not found") }

// errInternal is what a resume gets while the old socket is open (observed:
// 1011; its reason is assumed).
func errInternal() *refusal { return refuse(internal, "Internal error encountered.") }
