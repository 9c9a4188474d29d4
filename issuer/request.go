package issuer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

// post makes a handler of a function that returns errors. It answers POST only.
func post(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			if err := handle(w, r); err != nil {
				fail(w, r, err)
			}
		case http.MethodOptions:
			w.Header().Set("Allow", "OPTIONS, POST")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", "OPTIONS, POST")
			fail(w, r, &problem{code: methodNotAllowed, detail: "use POST"})
		}
	})
}

// read decodes a JSON body into a struct that has its defaults. No body is {}.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &problem{code: bodyTooLarge, detail: fmt.Sprintf("send at most %d bytes", maxBody)}
	} else if err != nil {
		return &problem{code: invalidRequest, detail: "the body ended early", cause: err}
	}
	if len(body) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &problem{code: unsupportedMediaType, detail: "send Content-Type: application/json"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &problem{code: invalidRequest, detail: explain(err)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return &problem{code: invalidRequest, detail: "send one JSON object and nothing after it"}
	}
	return nil
}

// fieldName is what names of fields look like, and credentials do not.
var fieldName = regexp.MustCompile(`^"[A-Za-z_]{1,32}"$`)

// explain tells the sender what is wrong with their JSON. It quotes a field's
// name if it looks like one: a credential in the wrong place is not repeated.
func explain(err error) string {
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if fieldName.MatchString(field) {
			return "there is no field " + field
		}
		return "there is a field that does not belong here"
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return "the body must be a JSON object"
		}
		return fmt.Sprintf("%s must be a %s", wrong.Field, wrong.Type)
	}
	return "the body is not JSON"
}
