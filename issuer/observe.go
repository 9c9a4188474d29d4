package issuer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/issuer/store"
)

// event is the log line of one request: filled on the way, written at the end.
// It belongs to the request's goroutine.
type event struct {
	id     string
	status int
	code   code
	err    error // for operators; never sent
	attrs  []slog.Attr

	address   netip.Addr       // for which it counts
	noAddress error            // why there is none
	lease     audit.Hash       // that it is about, if it names one
	refused   func(code) error // puts a refusal on record; nil: nobody wants it
	untraced  bool             // nothing is written
}

type eventKey struct{}

// callerAttr is the name of who asks, once that is known.
const callerAttr = "caller"

// add notes something about the request that operators want to know. Said again,
// as by a second attempt, it replaces what was said.
func add(ctx context.Context, attrs ...slog.Attr) {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		for _, a := range attrs {
			e.attrs = append(slices.DeleteFunc(e.attrs, func(b slog.Attr) bool { return b.Key == a.Key }), a)
		}
	}
}

// about notes which lease the request is about, whether there is one or not.
func about(ctx context.Context, lease store.Key) {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		e.lease = audit.Hash(lease)
	}
}

// said is what was added under a name, "" for nothing.
func (e *event) said(name string) string {
	for _, a := range e.attrs {
		if a.Key == name {
			return a.Value.String()
		}
	}
	return ""
}

// Observe logs one event for each request, names the request in the header
// X-Request-Id, and makes a 500 of a panic. Neither path nor query are logged:
// they may carry a token. Answers are not to be kept unless next says otherwise.
// Logger nil discards. Inside another Observe it does nothing.
func Observe(logger *slog.Logger, next http.Handler) http.Handler {
	logger = cmp.Or(logger, slog.New(slog.DiscardHandler))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(eventKey{}) != nil { // an outer Observe tells it all
			next.ServeHTTP(w, r)
			return
		}
		e, begin := &event{id: rand.Text()}, time.Now()
		w.Header().Set("X-Request-Id", e.id)
		w.Header().Set("Cache-Control", "no-store") // what may be kept says so itself
		r = r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
		rec := &recorder{ResponseWriter: w, event: e}
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				// The value may hold anything, so only its type is told.
				add(r.Context(), slog.String("stack", string(debug.Stack())))
				err := fmt.Errorf("panic with a value of type %T", v)
				if e.status == 0 {
					fail(rec, r, err)
				} else {
					e.err = err
				}
			}
			if e.untraced {
				return
			}
			level := slog.LevelInfo
			if e.status >= 500 || e.err != nil && e.code == "" {
				level = slog.LevelError
			}
			attrs := []slog.Attr{
				slog.String("requestId", e.id), slog.String("method", r.Method), slog.String("route", r.Pattern),
				slog.String("peer", r.RemoteAddr), slog.Int("status", cmp.Or(e.status, http.StatusOK)),
				slog.Int64("microseconds", time.Since(begin).Microseconds()),
			}
			if e.code != "" {
				attrs = append(attrs, slog.String("code", string(e.code)))
			}
			if e.err != nil {
				attrs = append(attrs, slog.String("error", e.err.Error()))
			}
			logger.LogAttrs(r.Context(), level, "request", append(attrs, e.attrs...)...)
		}()
		next.ServeHTTP(rec, r)
	})
}

// fail is the border: every error that is to be sent passes here.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{code: internalError, detail: "this is our fault: tell the operator the requestId", cause: err}
	}
	e, ok := r.Context().Value(eventKey{}).(*event)
	if !ok {
		e = &event{}
	}
	if e.refused != nil && !p.untraced {
		if lost, ok := errors.AsType[*problem](e.refused(p.code)); ok {
			p = lost
		}
	}
	e.code, e.err, e.untraced = p.code, p.cause, p.untraced
	p.write(w, e.id)
}

// recorder notes the status. Unwrap lets WebSockets hijack.
type recorder struct {
	http.ResponseWriter
	event *event
}

func (r *recorder) WriteHeader(status int) {
	if r.event.status == 0 {
		r.event.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.event.status = cmp.Or(r.event.status, http.StatusOK)
	return r.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
