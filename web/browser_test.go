package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/evanw/esbuild/pkg/api"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestInBrowser runs testdata/browser/tests.ts in headless Chromium: the real
// page and Worker code with a fake engine where the Go module would be.
func TestInBrowser(t *testing.T) {
	site := newSite(t, bundle(t))
	page := openPage(t, site.url+"/tests.html")

	names := browser.Eval[[]string](page, "import('/tests.js').then((tests) => (window.tests = tests).names())")
	if len(names) < 100 {
		t.Fatalf("the page knows only %d tests", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			quoted, _ := json.Marshal(name)
			if failure := browser.Eval[string](page.With(t), fmt.Sprintf("window.tests.run(%s)", quoted)); failure != "" {
				t.Error(failure)
			}
		})
	}
}

// bundle builds what a page loads, by file name.
func bundle(t testing.TB) map[string][]byte {
	t.Helper()
	result := api.Build(api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: "src/livevalet.ts", OutputPath: "livevalet"},
			{InputPath: "src/worker.ts", OutputPath: "worker"},
			{InputPath: "src/sound/worklets.ts", OutputPath: "worklets"},
			{InputPath: "src/demo/main.ts", OutputPath: "demo"},
			{InputPath: "testdata/browser/tests.ts", OutputPath: "tests"},
			{InputPath: "testdata/browser/echo.worklet.ts", OutputPath: "echo"},
		},
		Bundle:   true,
		Format:   api.FormatESModule,
		Target:   api.ES2022,
		Outdir:   t.TempDir(),
		External: []string{"/livevalet.js"},
		Define:   map[string]string{"__WASM_FILE__": `"engine.wasm"`, "__WORKER_FILE__": `"worker.js"`, "__WORKLET_FILE__": `"worklets.js"`},
		Plugins: []api.Plugin{{Name: "fake engine", Setup: func(build api.PluginBuild) {
			build.OnResolve(api.OnResolveOptions{Filter: `^wasm_exec\.js$`}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
				path, err := filepath.Abs("testdata/browser/fake_go.ts")
				return api.OnResolveResult{Path: path}, err
			})
		}}},
	})
	for _, message := range append(result.Errors, result.Warnings...) {
		t.Fatal(message.Text)
	}
	files := make(map[string][]byte)
	for _, file := range result.OutputFiles {
		files[filepath.Base(file.Path)] = file.Contents
	}
	for _, name := range []string{"index.html", "style.css", "icon.svg"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	files["tests.html"] = []byte("<!doctype html><title>tests</title>")
	files["engine.wasm"] = []byte("\x00asm\x01\x00\x00\x00")
	return files
}

var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm",
}

// foreignWasm wants an import that no glue has.
const foreignWasm = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x07\x01\x01a\x01b\x00\x00"

// site serves a bundle, the same bundle as other servers would have it, and a
// token endpoint that tells what it saw.
type site struct {
	url   string
	files map[string][]byte

	mu      sync.Mutex
	journal []*visit
	late    map[string]bool // variants whose wasm was asked for once
}

// visit is a request for a token, as the endpoint saw it.
type visit struct {
	Path          string          `json:"path"`
	Query         string          `json:"query"`
	Method        string          `json:"method"`
	ContentType   string          `json:"contentType"`
	Authorization string          `json:"authorization"`
	Cookie        string          `json:"cookie"`
	Body          json.RawMessage `json:"body"`
	Gone          bool            `json:"gone"` // the client did not wait for the answer
}

func newSite(t testing.TB, files map[string][]byte) *site {
	s := &site{files: files, journal: []*visit{}, late: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{file...}", func(w http.ResponseWriter, r *http.Request) { s.serveFile(w, r, r.PathValue("file")) })
	mux.HandleFunc("GET /variant/{kind}/{n}/{file}", s.serveVariant)
	mux.HandleFunc("GET /token/journal", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.journal)
	})
	mux.HandleFunc("POST /token/{act}", s.serveToken)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version":"1.2.3","go":"go1.26","upstream":"emulator","emulator":true}`))
	})
	mux.HandleFunc("POST /__emulator/fault", s.serveToken)
	mux.HandleFunc("POST /v1/token", s.serveToken)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
	return s
}

func (s *site) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	if name == "" {
		name = "index.html"
	}
	content, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", contentTypes[filepath.Ext(name)])
	}
	foreign := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; worker-src 'self'; base-uri 'none'; "+
		"script-src 'self' 'wasm-unsafe-eval' "+foreign+"; connect-src 'self' "+foreign)
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(content)
}

// serveVariant serves the bundle with one file spoiled.
func (s *site) serveVariant(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	switch kind := r.PathValue("kind"); kind + " " + name {
	case "no-worker worker.js", "no-wasm engine.wasm", "no-worklets worklets.js":
		http.NotFound(w, r)
		return
	case "html-worker worker.js":
		w.Header().Set("Content-Type", "text/html")
	case "untyped-wasm engine.wasm":
		w.Header().Set("Content-Type", "application/octet-stream")
	case "garbage-wasm engine.wasm":
		w.Header().Set("Content-Type", "application/wasm")
		_, _ = w.Write([]byte("no module"))
		return
	case "foreign-wasm engine.wasm":
		w.Header().Set("Content-Type", "application/wasm")
		_, _ = w.Write([]byte(foreignWasm))
		return
	case "stuck-wasm engine.wasm":
		<-r.Context().Done()
		return
	case "late-wasm engine.wasm":
		s.mu.Lock()
		again := s.late[r.PathValue("n")]
		s.late[r.PathValue("n")] = true
		s.mu.Unlock()
		if !again {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
	}
	s.serveFile(w, r, name)
}

func (s *site) serveToken(w http.ResponseWriter, r *http.Request) {
	v := &visit{
		Path: r.URL.Path, Query: r.URL.RawQuery, Method: r.Method, ContentType: r.Header.Get("Content-Type"),
		Authorization: r.Header.Get("Authorization"), Cookie: r.Header.Get("Cookie"),
	}
	if err := json.NewDecoder(r.Body).Decode(&v.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.journal = append(s.journal, v)
	s.mu.Unlock()

	switch r.PathValue("act") {
	case "hang-up":
		panic(http.ErrAbortHandler)
	case "slow":
		<-r.Context().Done()
		s.mu.Lock()
		v.Gone = true
		s.mu.Unlock()
	case "busy":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"code":"rate_limited"}`))
	case "redirect":
		http.Redirect(w, r, "/token/echo", http.StatusTemporaryRedirect)
	case "grant":
		_ = json.NewEncoder(w).Encode(map[string]string{"leaseId": r.URL.Query().Get("lease"), "releaseUrl": "/token/release"})
	default:
		_ = json.NewEncoder(w).Encode(v)
	}
}

// openPage opens a URL in a Chromium of its own, where sound needs no click.
func openPage(t testing.TB, url string) *browser.Page {
	t.Helper()
	return browser.Launch(t, chromedp.Flag("autoplay-policy", "no-user-gesture-required")).Open(url)
}
