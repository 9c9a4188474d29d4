package emulator

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed console
var consoleFiles embed.FS

// consoleFile is a file of the page at /__emulator/.
type consoleFile struct {
	media string
	etag  string
	body  []byte
}

// console is the page by path below /__emulator/: plain files, which use the
// control endpoints and nothing else.
var console = map[string]consoleFile{
	"":            newConsoleFile("index.html", "text/html; charset=utf-8"),
	"console.css": newConsoleFile("console.css", "text/css; charset=utf-8"),
	"console.js":  newConsoleFile("console.js", "text/javascript; charset=utf-8"),
	"icon.svg":    newConsoleFile("icon.svg", "image/svg+xml"),
}

func newConsoleFile(name, media string) consoleFile {
	body, err := consoleFiles.ReadFile("console/" + name)
	if err != nil {
		panic(err) // it is not embedded
	}
	sum := sha256.Sum256(body)
	return consoleFile{media, `"` + hex.EncodeToString(sum[:12]) + `"`, body}
}

// serveConsole answers GET and HEAD. The page shows what strangers sent, so its
// policy lets nothing run but its own script.
func serveConsole(rw http.ResponseWriter, r *http.Request, f consoleFile) {
	h := rw.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		problem{http.StatusMethodNotAllowed, "method_not_allowed", "use GET"}.write(rw)
		return
	}
	h.Set("Content-Type", f.media)
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(f.body))
}
