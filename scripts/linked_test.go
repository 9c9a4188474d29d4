package scripts_test

import (
	"slices"
	"strings"
	"testing"
)

// unlinked is kept out of the wasm for its size. One import anywhere below is
// enough to drag a package in: `go list -deps` says through whom.
var unlinked = []string{
	"net/http",
	"net/url", // the browser's URL does it
	"log/slog",
	"encoding/json",
	"crypto/tls",
	"text/template",
	"regexp",
	"google.golang.org/genai",
	"github.com/coder/websocket", // the browser build has its own socket
}

func TestWasmLinksNoHeavyPackage(t *testing.T) {
	linked := strings.Fields(goList(t, []string{"GOOS=js", "GOARCH=wasm"}, "-deps", "./wasm"))
	if !slices.Contains(linked, "syscall/js") {
		t.Fatalf("go list does not see the module: %q", linked)
	}
	for _, pkg := range unlinked {
		if slices.Contains(linked, pkg) {
			t.Errorf("%s is linked into the wasm", pkg)
		}
	}
}
