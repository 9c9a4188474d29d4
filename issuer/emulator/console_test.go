package emulator

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestConsoleFiles(t *testing.T) {
	var s Server
	defer s.Close()
	do := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/__emulator/"+path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	for path, f := range console {
		w := do("GET", path)
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != string(f.body) || h.Get("Content-Type") != f.media || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %d %v", path, w.Code, h)
		}
		if p := h.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; ") || strings.Contains(p, "unsafe") || !strings.Contains(p, "frame-ancestors 'none'") {
			t.Errorf("%q: policy %q", path, p)
		}
		if h.Get("Cache-Control") != "no-cache" {
			t.Errorf("%q may be kept: %q", path, h.Get("Cache-Control"))
		}
		if again := do("GET", path, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%q asked for again: %d", path, again.Code)
		}
		if head := do("HEAD", path); head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("Content-Length") == "" {
			t.Errorf("%q, HEAD: %d %v", path, head.Code, head.Header())
		}
		if post := do("POST", path); post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%q, POST: %d %v", path, post.Code, post.Header())
		}
	}
	embedded, err := fs.Glob(consoleFiles, "console/*")
	if err != nil || len(embedded) != len(console) {
		t.Errorf("%d of the files %v are served", len(console), embedded)
	}
	// The policy would keep it from working, and only a browser would tell.
	if inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|<script(?:[^>]*)>[^<]|https?://`).Find(console[""].body); inline != nil {
		t.Errorf("the page has %q in it", inline)
	}
}
