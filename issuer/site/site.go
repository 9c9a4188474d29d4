// Package site serves the built browser files: the library, and, if wanted, the
// demo page and the doctor.
//
// Invariants:
//
//   - What is served is decided at the start: a table of names, so no request
//     can name a file that is not in it.
//   - Every answer carries the content security policy, scripts included,
//     because a Worker takes its policy from the answer that brought its script.
package site

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Config says what to serve.
type Config struct {
	// Files is the built bundle. Nil serves a note that says how to build one.
	Files fs.FS

	// Demo adds the demo page and the doctor to the library.
	Demo bool

	// Live is the origin, such as "wss://example.org", of the one Live socket that
	// pages may open. Required.
	Live func(*http.Request) string
}

// variant is one form of a file.
type variant struct {
	encoding string // "" is the file as it is
	etag     string
	body     []byte
}

type file struct {
	media     string
	immutable bool
	variants  []variant // best first; the last is the file as it is
}

type site struct {
	files map[string]*file // by URL path
	live  func(*http.Request) string
}

// New reads all files once. The handler may be used from anywhere.
func New(c Config) (http.Handler, error) {
	s := &site{map[string]*file{}, c.Live}
	if c.Files == nil {
		return s, nil
	}
	err := fs.WalkDir(c.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !wanted(name, c.Demo) {
			return err
		}
		return s.add(c.Files, name)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the built page: %w", err)
	}
	for short, page := range pages {
		if f, ok := s.files[page]; ok {
			s.files[short] = f
		}
	}
	return s, nil
}

// pages have an address without a suffix, too.
var pages = map[string]string{"/": "/index.html", "/doctor": "/doctor.html"}

// encodings are tried in this order.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// wanted leaves out the compressed forms, which come with their file, and, if
// there is to be no demo, all that is not the library.
func wanted(name string, demo bool) bool {
	for _, e := range encodings {
		if strings.HasSuffix(name, e.suffix) {
			return false
		}
	}
	return demo || strings.HasPrefix(path.Base(name), "livevalet")
}

// hashed matches names that change with their content.
var hashed = regexp.MustCompile(`-[0-9a-f]{10}\.[a-z0-9]+$`)

// media are the types of what is built. Anything else is served as bytes.
var media = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".ts":   "text/plain; charset=utf-8",
	".wasm": "application/wasm",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".json": "application/json",
}

func (s *site) add(files fs.FS, name string) error {
	f := &file{media: cmp.Or(media[path.Ext(name)], "application/octet-stream"), immutable: hashed.MatchString(name)}
	for _, e := range encodings {
		if body, err := fs.ReadFile(files, name+e.suffix); err == nil {
			f.variants = append(f.variants, newVariant(e.name, body))
		}
	}
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	f.variants = append(f.variants, newVariant("", body))
	s.files["/"+name] = f
	return nil
}

func newVariant(encoding string, body []byte) variant {
	sum := sha256.Sum256(body)
	return variant{encoding, `"` + hex.EncodeToString(sum[:12]) + `"`, body}
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	s.protect(h, r)
	f, ok := s.files[r.URL.Path]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	case !ok && len(s.files) == 0:
		http.Error(w, "this program was built without the page: build it with make", http.StatusNotFound)
		return
	case !ok:
		h.Set("Cache-Control", "no-cache")
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	v := f.choose(r.Header.Get("Accept-Encoding"))
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", v.etag)
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if matches(r.Header.Get("If-None-Match"), v.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.Itoa(len(v.body)))
	if v.encoding != "" {
		h.Set("Content-Encoding", v.encoding)
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(v.body)
	}
}

// choose takes the best form that the header accepts.
func (f *file) choose(accept string) variant {
	for _, v := range f.variants {
		if v.encoding == "" || accepts(accept, v.encoding) {
			return v
		}
	}
	return f.variants[len(f.variants)-1]
}

// accepts reads an Accept-Encoding header as far as it names encodings.
func accepts(header, encoding string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(item, ";")
		if strings.TrimSpace(name) != encoding {
			continue
		}
		q, ok := strings.CutPrefix(strings.TrimSpace(quality), "q=")
		if !ok {
			return true
		}
		value, err := strconv.ParseFloat(q, 64)
		return err == nil && value > 0
	}
	return false
}

// matches reports whether an If-None-Match header names the tag.
func matches(header, etag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == etag {
			return true
		}
	}
	return false
}

// protect sets what every answer carries. The page needs no more than this:
// wasm may be compiled, but nothing evaluated; microphone and camera are the
// page's own; one socket may be opened.
func (s *site) protect(h http.Header, r *http.Request) {
	connect := "'self'"
	if live := s.live(r); !strings.Contains(live, "[") { // a policy cannot name an IPv6 address
		connect += " " + live
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "+
		"connect-src "+connect+"; worker-src 'self'; img-src 'self'; media-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Permissions-Policy", "microphone=(self), camera=(self), display-capture=(self), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=()")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
