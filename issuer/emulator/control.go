package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// control is one endpoint under /__emulator/. GET shows, everything else
// changes, and what is in the body of a POST is JSON.
type control struct {
	method, name string
	limit        int64 // bytes of the body
	serve        func(s *Server, w *world, rw http.ResponseWriter, r *http.Request, body []byte)
}

const maxControlBody = 64 << 10

var controls = []control{
	{http.MethodPost, "clock", maxControlBody, (*Server).serveClock},
	{http.MethodPost, "fault", maxControlBody, (*Server).serveFault},
	{http.MethodPost, "reset", maxControlBody, (*Server).serveReset},
	{http.MethodGet, "journal", 0, (*Server).serveJournal},
	{http.MethodGet, "handles", 0, (*Server).serveHandles},
	{http.MethodGet, "tokens", 0, (*Server).serveTokens},
	{http.MethodGet, "sessions", 0, (*Server).serveSessions},
	{http.MethodGet, "faults", 0, (*Server).serveFaults},
	{http.MethodGet, "help", 0, (*Server).serveHelp},
	{http.MethodGet, "scenario", 0, (*Server).serveVerdict},
	{http.MethodPost, "scenario", maxScenario, (*Server).serveScenario},
	{http.MethodDelete, "scenario", 0, (*Server).removeScenario},
}

// problem is an RFC 9457 answer of a control endpoint.
type problem struct {
	status int
	code   string
	detail string
}

// serveControl answers under /__emulator/. ns in the query names the namespace.
func (s *Server) serveControl(rw http.ResponseWriter, r *http.Request, name string) {
	var all, methods []string
	var found *control
	for i, one := range controls {
		all = append(all, one.method+" "+one.name)
		if one.name == name {
			methods = append(methods, one.method)
			if one.method == r.Method {
				found = &controls[i]
			}
		}
	}
	switch {
	case methods == nil:
		problem{http.StatusNotFound, "not_found", "there are: " + strings.Join(all, ", ")}.write(rw)
		return
	case found == nil:
		rw.Header().Set("Allow", strings.Join(methods, ", "))
		problem{http.StatusMethodNotAllowed, "method_not_allowed", "use " + strings.Join(methods, " or ")}.write(rw)
		return
	}
	w, err := s.open(r.URL.Query().Get("ns"))
	if err != nil {
		problem{http.StatusBadRequest, "invalid_request", err.Error()}.write(rw)
		return
	}
	rw.Header().Set("Date", w.clock.Now().Format(http.TimeFormat))
	var body []byte
	if r.Method == http.MethodPost {
		var ok bool
		if body, ok = readControl(rw, r, found.limit); !ok {
			return
		}
	}
	found.serve(s, w, rw, r, body)
}

// readControl reads a body, or says why not and reports false.
func readControl(rw http.ResponseWriter, r *http.Request, limit int64) (body []byte, ok bool) {
	// Even without a body: a page elsewhere cannot send this type unasked.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		problem{http.StatusUnsupportedMediaType, "unsupported_media_type", "send Content-Type: application/json"}.write(rw)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, limit))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		problem{http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("send at most %d KiB", limit>>10)}.write(rw)
		return nil, false
	} else if err != nil {
		problem{http.StatusBadRequest, "invalid_request", "the body ended early: nothing was done"}.write(rw)
		return nil, false
	}
	return body, true
}

func (s *Server) serveReset(_ *world, rw http.ResponseWriter, r *http.Request, _ []byte) {
	s.reset(r.URL.Query().Get("ns"))
	writeJSON(rw, http.StatusOK, "application/json", struct{}{})
}

// serveHelp tells what to say to the model.
func (*Server) serveHelp(_ *world, rw http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"help": hints()})
}

func (s *Server) serveJournal(w *world, rw http.ResponseWriter, r *http.Request, _ []byte) {
	after, err := strconv.ParseInt("0"+r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		problem{http.StatusBadRequest, "invalid_request", "after is the seq of the last entry you have seen"}.write(rw)
		return
	}
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"entries": w.journal.since(after)})
}

func (s *Server) serveHandles(w *world, rw http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"handles": w.sessions.report()})
}

func (s *Server) serveTokens(w *world, rw http.ResponseWriter, r *http.Request, _ []byte) {
	newest := maxTokens
	if limit := r.URL.Query().Get("limit"); limit != "" {
		var err error
		if newest, err = strconv.Atoi(limit); err != nil || newest < 1 {
			problem{http.StatusBadRequest, "invalid_request", "limit is how many of the newest tokens to list, 1 or more"}.write(rw)
			return
		}
	}
	tokens, count := w.tokens.report(newest)
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"tokens": tokens, "count": count})
}

func (s *Server) serveSessions(w *world, rw http.ResponseWriter, r *http.Request, _ []byte) {
	writeJSON(rw, http.StatusOK, "application/json", w.reportSessions(r.Context()))
}

func (s *Server) serveFaults(_ *world, rw http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(rw, http.StatusOK, "application/json", map[string]any{"kinds": reportFaults()})
}

// serveScenario begins a scenario, in place of the one there is. An empty object
// is none.
func (s *Server) serveScenario(w *world, rw http.ResponseWriter, r *http.Request, body []byte) {
	var keys map[string]json.RawMessage
	// It is not deeper than the parser bears, either.
	if err := json.Unmarshal(body, &keys); len(bytes.TrimSpace(body)) > 0 && err != nil {
		problem{http.StatusBadRequest, "invalid_request", "send the scenario as one JSON object"}.write(rw)
		return
	}
	if len(keys) == 0 {
		s.removeScenario(w, rw, r, nil)
		return
	}
	scenario, err := ParseScenario(body)
	if err != nil {
		problem{http.StatusBadRequest, "invalid_request", err.Error()}.write(rw)
		return
	}
	w.install(scenario)
	s.serveVerdict(w, rw, r, nil)
}

func (s *Server) removeScenario(w *world, rw http.ResponseWriter, _ *http.Request, _ []byte) {
	w.install(nil)
	writeJSON(rw, http.StatusOK, "application/json", struct{}{})
}

func (s *Server) serveVerdict(w *world, rw http.ResponseWriter, _ *http.Request, _ []byte) {
	p := w.play.Load()
	if p == nil {
		problem{http.StatusNotFound, "no_scenario", "no scenario is played here: POST one"}.write(rw)
		return
	}
	writeJSON(rw, http.StatusOK, "application/json", p.verdict())
}

// serveClock moves the time, by nothing to ask for it.
func (s *Server) serveClock(w *world, rw http.ResponseWriter, _ *http.Request, body []byte) {
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
		return plainJSON(err, into)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errOneObject
	}
	return nil
}

var errOneObject = errors.New("send one JSON object")

// plainJSON is what the decoder says, without Go's types.
func plainJSON(err error, into any) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", errOneObject, err)
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case ok && wrong.Field == "":
		return errOneObject
	case ok && wrong.Type == reflect.TypeFor[duration]():
		return fmt.Errorf("%s is a duration in quotes, such as \"10s\"", wrong.Field)
	case ok && wrong.Type.Kind() == reflect.Int:
		return fmt.Errorf("%s is a whole number", wrong.Field)
	case ok:
		return fmt.Errorf("%s is a text", wrong.Field)
	}
	message, unknown := strings.CutPrefix(err.Error(), "json: ")
	if unknown { // field
		var names []string
		for field := range reflect.TypeOf(into).Elem().Fields() {
			names = append(names, field.Tag.Get("json"))
		}
		message += ": there are " + strings.Join(names, ", ")
	}
	return errors.New(message)
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
