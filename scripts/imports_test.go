package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is this project's import path; packages are named without it below.
const module = "github.com/livevalet/livevalet"

// A rule says what one package, or with /... all that has no row of its own in
// a folder, may import of this project. Tests are free.
type rule struct {
	pkg  string
	may  string // space-separated
	pure bool   // standard library only, and none of impure
}

// impure is what the engine's state machine must do without, so that it runs in
// a bubble, natively and in a browser alike.
var impure = []string{"syscall/js", "net", "net/http", "encoding/json"}

var rules = []rule{
	{pkg: "wasm", may: "wasm/session wasm/edge wasm/live"},
	{pkg: "wasm/session", may: "wasm/live", pure: true},
	{pkg: "wasm/edge", may: "wasm/live"},
	{pkg: "wasm/edge/edgetest/...", may: "wasm/edge/edgetest"},
	{pkg: "wasm/live", pure: true},

	{pkg: "issuer/cmd/...", may: "issuer/... wasm/live web"},
	{pkg: "issuer", may: "issuer/authn issuer/profile issuer/limit issuer/store issuer/audit issuer/upstream wasm/live"},
	{pkg: "issuer/authn", may: "wasm/live"},
	{pkg: "issuer/authn/authntest"},
	{pkg: "issuer/profile", may: "issuer/limit issuer/schema wasm/live"},
	{pkg: "issuer/schema", pure: true},
	{pkg: "issuer/limit"},
	{pkg: "issuer/store", may: "issuer/limit wasm/live"},
	{pkg: "issuer/store/redisstore", may: "issuer/limit issuer/store"},
	{pkg: "issuer/store/storetest", may: "issuer/limit issuer/store"},
	{pkg: "issuer/audit", may: "wasm/live"},
	{pkg: "issuer/upstream", may: "issuer/schema wasm/live"},
	{pkg: "issuer/site"},
	{pkg: "issuer/yamlfile"},
	{pkg: "issuer/openapitest"},
	{pkg: "issuer/emulator/...", may: "issuer/emulator/... issuer/schema issuer/yamlfile"},
	{pkg: "issuer/conformance/...", may: "issuer/conformance/..."},

	{pkg: "web"},
	{pkg: "scripts/...", may: "scripts/..."},
	{pkg: "scripts/bench", may: "scripts/... wasm/session wasm/edge wasm/live"},
	{pkg: "docs/examples/..."},
}

// An edge is one import.
type edge struct{ from, to string }

func TestImportsPointOneWay(t *testing.T) {
	for name, list := range map[string][]edge{
		"on this machine":    imports(t, nil, "-tags=bundle", "./..."),
		"in the browser":     imports(t, []string{"GOOS=js", "GOARCH=wasm"}, "./wasm/..."),
		"without the bundle": imports(t, nil, "./web"),
	} {
		t.Run(name, func(t *testing.T) {
			if len(list) == 0 {
				t.Fatal("go list names no import")
			}
			for _, e := range list {
				if wrong := check(rules, e); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}

// check says what is wrong with an import, or nothing.
func check(rules []rule, e edge) string {
	from, _ := strings.CutPrefix(e.from, module+"/")
	r, ok := find(rules, from)
	if !ok {
		return fmt.Sprintf("%s has no rule: give it one in imports_test.go", from)
	}
	to, ours := strings.CutPrefix(e.to, module+"/")
	switch {
	case ours && !slices.ContainsFunc(strings.Fields(r.may), func(p string) bool { return matches(p, to) }):
		return fmt.Sprintf("%s imports %s, but may import only %q of this project", from, to, r.may)
	case !ours && r.pure && strings.Contains(first(to), "."):
		return fmt.Sprintf("%s imports %s, but may use only the standard library", from, to)
	case !ours && r.pure && slices.Contains(impure, to):
		return fmt.Sprintf("%s imports %s, but must stay free of it", from, to)
	}
	return ""
}

// find prefers a package's own row to that of a folder.
func find(rules []rule, pkg string) (found rule, ok bool) {
	for _, r := range rules {
		if r.pkg == pkg {
			return r, true
		}
		if matches(r.pkg, pkg) {
			found, ok = r, true
		}
	}
	return found, ok
}

func matches(pattern, pkg string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return pkg == folder || all && strings.HasPrefix(pkg, folder+"/")
}

// first is a path's first element: only one that names a host has a dot.
func first(path string) string {
	element, _, _ := strings.Cut(path, "/")
	return element
}

// imports asks the go command who imports whom. -e, because before the first
// build there is no bundle to embed.
func imports(t *testing.T, env []string, args ...string) (list []edge) {
	t.Helper()
	format := `{{$from := .ImportPath}}{{range .Imports}}{{$from}} {{.}}{{"\n"}}{{end}}`
	for line := range strings.Lines(goList(t, env, append([]string{"-e", "-f", format}, args...)...)) {
		if from, to, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			list = append(list, edge{from, to})
		}
	}
	return list
}

// goList runs go list in the module's root.
func goList(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %q: %v", args, err)
	}
	return string(out)
}

func TestCheckSeesWrongImports(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"an allowed import is fine", "wasm/session", "wasm/live", ""},
		{"the standard library is fine", "wasm/session", "time", ""},
		{"a library is fine where nothing forbids it", "wasm/edge", "github.com/coder/websocket", ""},
		{"the folder may use its own parts", "issuer/emulator", "issuer/emulator/voice", ""},
		{"the engine knows no page", "wasm/session", "syscall/js", "free of it"},
		{"the engine knows no network", "wasm/session", "net", "free of it"},
		{"the engine speaks no HTTP", "wasm/session", "net/http", "free of it"},
		{"the vocabulary marshals nothing", "wasm/live", "encoding/json", "free of it"},
		{"the vocabulary uses no library", "wasm/live", "github.com/coder/websocket", "only the standard library"},
		{"arrows do not point up", "wasm/live", "wasm/session", "may import only"},
		{"the engine does not choose its edge", "wasm/session", "wasm/edge", "may import only"},
		{"the edge does not know the engine", "wasm/edge", "wasm/session", "may import only"},
		{"the issuer takes secrets and no more from the module", "issuer", "wasm/session", "may import only"},
		{"the issuer does not know its stand-in for Google", "issuer", "issuer/emulator", "may import only"},
		{"the emulator does not know the issuer", "issuer/emulator", "issuer", "may import only"},
		{"the emulator shares no type with the client", "issuer/emulator", "wasm/live", "may import only"},
		{"the conformance suite does not know the emulator", "issuer/conformance", "issuer/emulator", "may import only"},
		{"the conformance suite does not know the issuer", "issuer/conformance", "issuer/profile", "may import only"},
		{"nobody imports the command", "issuer", "issuer/cmd/livevalet", "may import only"},
		{"not even a script imports the command", "scripts/test", "issuer/cmd/livevalet", "may import only"},
		{"a part does not know another", "issuer/upstream", "issuer/profile", "may import only"},
		{"a part does not know the whole", "issuer/profile", "issuer", "may import only"},
		{"a new package needs a row", "issuer/newcomer", "fmt", "has no rule"},
		{"a new part of the module needs a row", "wasm/newcomer", "fmt", "has no rule"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := tt.to
			if ours := []string{"wasm", "issuer", "web", "scripts"}; slices.Contains(ours, first(to)) {
				to = module + "/" + to
			}
			got := check(rules, edge{module + "/" + tt.from, to})
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
