package site

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var built = fstest.MapFS{
	"index.html":                         {Data: []byte("<!doctype html>")},
	"index.html.br":                      {Data: []byte("page in br")},
	"index.html.gz":                      {Data: []byte("page in gz")},
	"doctor.html":                        {Data: []byte("<!doctype html>")},
	"livevalet.js":                       {Data: []byte("export {}")},
	"livevalet.d.ts":                     {Data: []byte("export {}")},
	"livevalet-0123456789.wasm":          {Data: []byte("\x00asm")},
	"livevalet-0123456789.wasm.br":       {Data: []byte("wasm in br")},
	"livevalet-worker-0123456789.js":     {Data: []byte("worker")},
	"style-0123456789.css":               {Data: []byte("a{}")},
	"demo-0123456789.js":                 {Data: []byte("demo")},
	"livevalet-worklet-0123456789.js.gz": {Data: []byte("a form without its file")},
}

func get(t *testing.T, c Config, path string, header ...string) *http.Response {
	t.Helper()
	c.Live = func(*http.Request) string { return "wss://live.example" }
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func TestAFileHasItsTypeAndLife(t *testing.T) {
	const kept, asked = "public, max-age=31536000, immutable", "no-cache"
	for path, want := range map[string]struct{ media, life string }{
		"/":                               {"text/html; charset=utf-8", asked},
		"/doctor":                         {"text/html; charset=utf-8", asked},
		"/index.html":                     {"text/html; charset=utf-8", asked},
		"/livevalet.js":                   {"text/javascript; charset=utf-8", asked},
		"/livevalet.d.ts":                 {"text/plain; charset=utf-8", asked},
		"/livevalet-0123456789.wasm":      {"application/wasm", kept},
		"/livevalet-worker-0123456789.js": {"text/javascript; charset=utf-8", kept},
		"/style-0123456789.css":           {"text/css; charset=utf-8", kept},
	} {
		t.Run(path, func(t *testing.T) {
			res := get(t, Config{Files: built, Demo: true}, path)
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != want.media || res.Header.Get("Cache-Control") != want.life {
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
		})
	}
}

func TestTheBestAcceptedFormIsSent(t *testing.T) {
	for accept, want := range map[string]string{
		"gzip, deflate, br, zstd": "br",
		"gzip":                    "gzip",
		"br;q=0, gzip;q=0.5":      "gzip",
		"identity":                "",
		"":                        "",
		"brotli":                  "",
	} {
		res := get(t, Config{Files: built, Demo: true}, "/", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q gets %q, Vary %q", accept, got, res.Header.Get("Vary"))
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	first := get(t, Config{Files: built, Demo: true}, "/", "Accept-Encoding", "br")
	tag := first.Header.Get("ETag")
	for header, want := range map[string]int{tag: 304, `"x", W/` + tag: 304, "*": 304, `"x"`: 200} {
		if res := get(t, Config{Files: built, Demo: true}, "/", "Accept-Encoding", "br", "If-None-Match", header); res.StatusCode != want {
			t.Errorf("If-None-Match %s gives %d", header, res.StatusCode)
		}
	}
	if plain := get(t, Config{Files: built, Demo: true}, "/"); plain.Header.Get("ETag") == tag {
		t.Error("two forms of a file share a tag")
	}
}

func TestWithoutTheDemoOnlyTheLibraryIsThere(t *testing.T) {
	for path, want := range map[string]int{
		"/": 404, "/index.html": 404, "/doctor": 404, "/doctor.html": 404, "/demo-0123456789.js": 404, "/style-0123456789.css": 404,
		"/livevalet.js": 200, "/livevalet.d.ts": 200, "/livevalet-0123456789.wasm": 200, "/livevalet-worker-0123456789.js": 200,
	} {
		if res := get(t, Config{Files: built}, path); res.StatusCode != want {
			t.Errorf("%s gives %d", path, res.StatusCode)
		}
	}
}

func TestAPathThatIsNotInTheTableIsNotFound(t *testing.T) {
	for _, path := range []string{"/../index.html", "/index.html.br", "/livevalet.js/", "//livevalet.js", "/livevalet-worklet-0123456789.js", "/LIVEVALET.js"} {
		if res := get(t, Config{Files: built, Demo: true}, "http://h"+path); res.StatusCode != 404 {
			t.Errorf("%s gives %d", path, res.StatusCode)
		}
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self' wss://live.example; " +
			"worker-src 'self'; img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
	}
	for _, path := range []string{"/", "/livevalet-worker-0123456789.js", "/nothing"} {
		res := get(t, Config{Files: built, Demo: true}, path)
		for name, value := range want {
			if res.Header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, res.Header.Get(name))
			}
		}
		if p := res.Header.Get("Permissions-Policy"); !strings.Contains(p, "microphone=(self)") || !strings.Contains(p, "geolocation=()") {
			t.Errorf("%s: Permissions-Policy is %q", path, p)
		}
	}
}

func TestAProgramWithoutThePageSaysSo(t *testing.T) {
	if res := get(t, Config{Demo: true}, "/"); res.StatusCode != 404 {
		t.Errorf("status %d", res.StatusCode)
	}
}
