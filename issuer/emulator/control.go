package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxControlBody = 64 << 10

// problem is an RFC 9457 answer of a control endpoint.
type problem struct {
	status int
	code   string
	detail string
}

// serveControl answers under /__emulator/: GET shows, POST changes. ns in the
// query names the namespace.
func (s *Server) serveControl(rw http.ResponseWriter, r *http.Request, name string) {
	method := map[string]string{
		"clock": http.MethodPost, "fault": http.MethodPost, "reset": http.MethodPost,
		"journal": http.MethodGet, "tokens": http.MethodGet,
	}[name]
	switch {
	case method == "":
		problem{http.StatusNotFound, "not_found", "there are: POST clock, POST fault, POST reset, GET journal, GET tokens"}.write(rw)
		return
	case method != r.Method:
		rw.Header().Set("Allow", method)
		problem{http.StatusMethodNotAllowed, "method_not_allowed", "use " + method}.write(rw)
		return
	}
	ns := r.URL.Query().Get("ns")
	w, err := s.open(ns)
	if err != nil {
		problem{http.StatusBadRequest, "invalid_request", err.Error()}.write(rw)
		return
	}
	rw.Header().Set("Date", w.clock.Now().Format(http.TimeFormat))
	var body []byte
	if method == http.MethodPost {
		// Even without a body: a page elsewhere cannot send this type unasked.
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
			problem{http.StatusUnsupportedMediaType, "unsupported_media_type", "send Content-Type: application/json"}.write(rw)
			return
		}
		var err error
		body, err = io.ReadAll(http.MaxBytesReader(rw, r.Body, maxControlBody))
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			problem{http.StatusRequestEntityTooLarge, "body_too_large", "send at most 64 KiB"}.write(rw)
			return
		} else if err != nil {
			problem{http.StatusBadRequest, "invalid_request", "the body ended early: nothing was done"}.write(rw)
			return
		}
	}
	switch name {
	case "clock":
		w.serveClock(rw, body)
	case "fault":
		w.serveFault(rw, r, body)
	case "reset":
		s.reset(ns)
		writeJSON(rw, http.StatusOK, "application/json", struct{}{})
	case "journal":
		after, err := strconv.ParseInt("0"+r.URL.Query().Get("after"), 10, 64)
		if err != nil {
			problem{http.StatusBadRequest, "invalid_request", "after is the seq of the last entry you have seen"}.write(rw)
			return
		}
		writeJSON(rw, http.StatusOK, "application/json", map[string]any{"entries": w.journal.since(after)})
	case "tokens":
		writeJSON(rw, http.StatusOK, "application/json", map[string]any{"tokens": w.tokens.report()})
	}
}

// serveClock moves the time, by nothing to ask for it.
func (w *world) serveClock(rw http.ResponseWriter, body []byte) {
	var in struct {
		Advance duration `json:"advance"`
	}
	err := decodeStrict(body, &in)
	if err == nil {
		err = w.advance(time.Duration(in.Advance))
	}
	if err != nil {
		problem{http.StatusBadRequest, "invalid_request", err.Error()}.write(rw)
		return
	}
	now := w.clock.Now()
	rw.Header().Set("Date", now.Format(http.TimeFormat))
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"now": now})
}

// decodeStrict reads one JSON value without unknown names. An empty body is
// the zero value.
func decodeStrict(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("send one JSON object")
	}
	return nil
}

func (p problem) write(rw http.ResponseWriter) {
	writeJSON(rw, p.status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(p.status), "status": p.status, "detail": p.detail, "code": p.code,
	})
}

func writeJSON(rw http.ResponseWriter, code int, media string, body any) {
	rw.Header().Set("Content-Type", media)
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(code)
	json.NewEncoder(rw).Encode(body)
}
