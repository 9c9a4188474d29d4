package engines

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// preferences are Firefox's. When it is driven it sets others by itself.
var preferences = map[string]any{
	"app.update.disabledForTesting":   true,
	"media.gmp-manager.updateEnabled": false,
	// Whatever else it asks the world for, such as its settings, ends here.
	"network.proxy.type":             1,
	"network.proxy.socks":            "127.0.0.1",
	"network.proxy.socks_port":       9, // where nobody listens
	"network.proxy.socks_remote_dns": true,

	"media.navigator.permission.disabled": true, // the microphone needs nobody to allow it
}

type firefox struct {
	bidi    *bidi
	context string // its tab

	mu         sync.Mutex
	complaints []string
}

func launchFirefox(t testing.TB, rate int) Page {
	t.Helper()
	env := home(t)
	soundCard(t, env, rate)
	server := serve(t, env, `^WebDriver BiDi listening on (\S+)`, "firefox-esr",
		"--headless", "--no-remote", "--profile", profile(t), "--remote-debugging-port", "0", "about:blank")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := new(firefox)
	var err error
	if f.bidi, err = dialBiDi(ctx, server.URL+"/session", f.hear); err != nil {
		t.Fatalf("drive Firefox: %v\n%s", err, server.Log())
	}
	t.Cleanup(f.bidi.close)
	f.do(t, "session.new", object{"capabilities": object{}}, new(any))
	f.do(t, "session.subscribe", object{"events": []string{"log.entryAdded"}}, new(any))
	var tree struct{ Contexts []struct{ Context string } }
	f.do(t, "browsingContext.getTree", object{}, &tree)
	f.context = tree.Contexts[0].Context
	return f
}

func profile(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(preferences)) {
		value, err := json.Marshal(preferences[name])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "user_pref(%q, %s);\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (f *firefox) do(t testing.TB, method string, params object, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.bidi.call(ctx, method, params, result); err != nil {
		t.Fatal(err)
	}
}

func (f *firefox) Open(t testing.TB, url string) {
	t.Helper()
	f.do(t, "browsingContext.navigate", object{"context": f.context, "url": url, "wait": "complete"}, new(any))
}

func (f *firefox) Click(t testing.TB, selector string) {
	t.Helper()
	var found struct{ Nodes []struct{ SharedID string } }
	f.do(t, "browsingContext.locateNodes", object{"context": f.context, "locator": object{"type": "css", "value": selector}}, &found)
	if len(found.Nodes) == 0 {
		t.Fatalf("there is no %s", selector)
	}
	element := object{"type": "element", "element": object{"sharedId": found.Nodes[0].SharedID}}
	f.do(t, "input.performActions", object{"context": f.context, "actions": []object{{
		"type": "pointer", "id": "mouse", "actions": []object{
			{"type": "pointerMove", "x": 0, "y": 0, "origin": element},
			{"type": "pointerDown", "button": 0},
			{"type": "pointerUp", "button": 0},
		},
	}}}, new(any))
}

func (f *firefox) Eval(t testing.TB, expression string) json.RawMessage {
	t.Helper()
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails *struct{ Text string }
	}
	f.do(t, "script.evaluate", object{"expression": inJSON(expression), "awaitPromise": true, "target": object{"context": f.context}}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		t.Fatalf("%s: %s", expression, e.Text)
	}
	return json.RawMessage(answer.Result.Value)
}

// hear takes what the page's console shows.
func (f *firefox) hear(_ string, params json.RawMessage) {
	entry := struct{ Level, Text string }{Level: "error", Text: string(params)}
	_ = json.Unmarshal(params, &entry) // what cannot be read is a complaint
	if entry.Level != "error" && entry.Level != "warn" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.complaints = append(f.complaints, entry.Text)
}

func (f *firefox) Complaints() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.complaints)
}
