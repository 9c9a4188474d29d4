package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

type webkit struct {
	driver  *child.Server
	session string // its URL
}

func launchWebKit(t testing.TB, rate int) Page {
	t.Helper()
	env := home(t)
	soundCard(t, env, rate)
	display := serve(t, env, `^(\d+)$`, "Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset")
	env = append(env, "DISPLAY=:"+display.URL, "GDK_BACKEND=x11")
	w := webkit{driver: webDriver(t, env)}

	var session struct{ SessionID string }
	w.do(t, http.MethodPost, w.driver.URL+"/session", object{"capabilities": object{"alwaysMatch": object{
		"webkitgtk:browserOptions": object{
			"binary": miniBrowser(t),
			"args":   []string{"--automation"},
		},
		"timeouts": object{"script": patience.Milliseconds(), "pageLoad": patience.Milliseconds(), "implicit": 0},
	}}}, &session)
	w.session = w.driver.URL + "/session/" + url.PathEscape(session.SessionID)
	t.Cleanup(func() { w.do(t, http.MethodDelete, w.session, nil, new(any)) }) // it ends its browser
	return w
}

// webDriver starts WebKit's, which does not announce itself, nor can it tell which
// port it chose.
func webDriver(t testing.TB, env []string) *child.Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	driver := serve(t, env, `^(http:.*)`, "sh", "-c", `echo "http://127.0.0.1:$1"; exec WebKitWebDriver --port="$1"`, "sh", port)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(driver.URL + "/status")
		if err == nil {
			_ = answer.Body.Close()
			return driver
		}
		if time.Now().After(end) {
			t.Fatalf("WebKitWebDriver does not answer: %v\n%s", err, driver.Log())
		}
	}
}

// miniBrowser is the browser that comes with WebKitGTK.
func miniBrowser(t testing.TB) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/*/webkit2gtk-4.1/MiniBrowser", "/usr/lib*/webkit2gtk-4.1/MiniBrowser", "/usr/libexec/webkit2gtk-4.1/MiniBrowser"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("there is no MiniBrowser of webkit2gtk-4.1")
	return ""
}

// do sends one command of WebDriver (https://www.w3.org/TR/webdriver2) and reads
// the value that it is answered into result.
func (w webkit) do(t testing.TB, method, url string, params object, result any) {
	t.Helper()
	if err := w.try(method, url, params, result); err != nil {
		t.Fatalf("%s %s: %v\n%s", method, url, err, w.driver.Log())
	}
}

func (w webkit) try(method, url string, params object, result any) error {
	// Not the test's context, which ends before the browser is told to.
	ctx, cancel := context.WithTimeout(context.Background(), patience+10*time.Second)
	defer cancel()
	var body bytes.Buffer
	if params != nil {
		if err := json.NewEncoder(&body).Encode(params); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, url, &body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Value)
	}
	return json.Unmarshal(answer.Value, result)
}

func (w webkit) Open(t testing.TB, url string) {
	t.Helper()
	w.do(t, http.MethodPost, w.session+"/url", object{"url": url}, new(any))
}

func (w webkit) Click(t testing.TB, selector string) {
	t.Helper()
	var element map[string]string // of one: its id, by a key that the standard fixed
	w.do(t, http.MethodPost, w.session+"/element", object{"using": "css selector", "value": selector}, &element)
	for _, id := range element {
		w.do(t, http.MethodPost, w.session+"/element/"+id+"/click", object{}, new(any))
	}
}

func (w webkit) Eval(t testing.TB, expression string) json.RawMessage {
	t.Helper()
	const script = `const done = arguments[0];
		%s.then((value) => done({ value }), (error) => done({ error: String(error) }))`
	var answer struct{ Value, Error string }
	w.do(t, http.MethodPost, w.session+"/execute/async", object{"script": fmt.Sprintf(script, inJSON(expression)), "args": []any{}}, &answer)
	if answer.Error != "" {
		t.Fatalf("%s: %s", expression, answer.Error)
	}
	return json.RawMessage(answer.Value)
}

// Complaints are none: WebDriver has no words for them, and under automation
// MiniBrowser 2.50 prints none, even if it is asked to (observed).
func (w webkit) Complaints() []string { return nil }
