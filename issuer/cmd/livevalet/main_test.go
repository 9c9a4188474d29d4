package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	// What is said to Google stays on this machine, and meets nobody there.
	os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	// The SDK links a package that starts a goroutine for good.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const canary = "AIzaCANARY-key-00000-last"

// output is a stream that can be read while it is written.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grows chan struct{} // closed at the next write; nil: nobody waits for it
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grows != nil {
		close(o.grows)
		o.grows = nil
	}
	return o.text.Write(p)
}

// await waits until there is that text behind the first so many bytes.
func (o *output) await(t *testing.T, after int, want string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		o.mu.Lock()
		text := o.text.String()[after:]
		if o.grows == nil {
			o.grows = make(chan struct{})
		}
		grows := o.grows
		o.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-grows:
		case <-late:
			t.Fatalf("it does not say %q: %s", want, text)
		}
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// running is the program, serving.
type running struct {
	url    string
	stdout string // up to the ready line
	log    *output
	stop   func() error
}

// start runs the program until the test ends. It fails if it does not serve.
func start(t *testing.T, env map[string]string, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	log, done := &output{}, make(chan error, 1)
	go func() {
		err := run(ctx, args, environ(env), nil, in, log)
		in.Close()
		done <- err
	}()
	r := running{log: log}
	for lines, line := bufio.NewReader(out), ""; r.url == ""; r.stdout += line {
		var err error
		if line, err = lines.ReadString('\n'); err != nil {
			cancel()
			t.Fatalf("it does not serve: %v\n%s", <-done, log)
		}
		if url, ok := strings.CutPrefix(line, "livevalet: ready "); ok {
			r.url = strings.TrimSuffix(url, "\n")
		}
	}
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func environ(env map[string]string) (list []string) {
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// refused runs a program that must not serve, and gives what it says.
func refused(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	var stdout, log output
	// Should it serve after all, it ends at once.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, args, environ(env), nil, &stdout, &log)
	if err == nil {
		t.Fatalf("it was not refused: %s%s", &stdout, &log)
	}
	if all := err.Error() + stdout.String() + log.String(); strings.Contains(all, "CANARY") {
		t.Errorf("it tells a secret: %s", all)
	}
	if strings.Contains(stdout.String(), "ready") {
		t.Errorf("it says it is ready: %s", &stdout)
	}
	return err.Error()
}

// call sends a request and gives status and body.
func (r running) call(t *testing.T, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

type grant struct{ Token, LeaseID, WebSocketURL, TokenParam string }

func (r running) token(t *testing.T, header ...string) grant {
	t.Helper()
	status, _, text := r.call(t, http.MethodPost, "/v1/token", "", header...)
	var g grant
	if err := json.Unmarshal([]byte(text), &g); status != http.StatusOK || err != nil {
		t.Fatalf("token endpoint gives %d: %s", status, text)
	}
	return g
}

// open sends a setup and waits for the answer.
func (g grant) open(t *testing.T) *websocket.Conn {
	t.Helper()
	return g.openWith(t, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}) // as browsers do
}

func (g grant) openWith(t *testing.T, client *http.Client) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), g.WebSocketURL+"?"+g.TokenParam+"="+g.Token, &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://any.example"}},
		HTTPClient: client,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"setup":{}}`)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(text), "setupComplete") {
		t.Fatalf("the socket says %s, %v", text, err)
	}
	return conn
}

func TestDevTriesTheProfilesOfAFile(t *testing.T) {
	config := write(t, `
hosts: [voice.example]
auth: {apiKeysFile: nowhere}
profiles:
  brief: {model: gemini-3.8-live, setup: {generationConfig: {maxOutputTokens: 100}}, limits: {concurrent: 1}}
`)
	r := start(t, nil, "dev", "--listen", ":0", "--config", config)
	for n, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if status, _, text := r.call(t, http.MethodPost, "/v1/token", `{"profile":"brief"}`); status != want {
			t.Errorf("token %d is %d %s", n, status, text)
		}
	}
	if status, _, text := r.call(t, http.MethodPost, "/v1/token", ""); status != http.StatusNotFound {
		t.Errorf("the default profile, which is not in the file, gives %d %s", status, text)
	}

	wrong := write(t, "profiles:\n  brief: {setup: {generationConfig: {max_output_tokens: 100}}}")
	err := run(t.Context(), []string{"dev", "--listen", ":0", "--config", wrong}, environ(nil), nil, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "line 2") && !strings.Contains(err.Error(), ":2:") || !strings.Contains(err.Error(), "maxOutputTokens") {
		t.Errorf("it starts with %v", err)
	}
}

func TestDevTakesAPageToTheEmulator(t *testing.T) {
	r := start(t, nil, "dev", "--listen", ":0")
	if !strings.HasPrefix(r.stdout, "livevalet: ready http://localhost:") || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("stdout is %q", r.stdout)
	}
	g := r.token(t)
	if want := "ws" + strings.TrimPrefix(r.url, "http") + "/ws/google.ai."; !strings.HasPrefix(g.WebSocketURL, want) {
		t.Errorf("websocketUrl is %s, want it to begin with %s", g.WebSocketURL, want)
	}
	g.open(t)

	// The SDKs of two languages ask for //ws/.
	g = r.token(t)
	g.WebSocketURL = strings.Replace(g.WebSocketURL, "/ws/", "//ws/", 1)
	g.open(t)
}

func TestDevGuardsEveryDoor(t *testing.T) {
	r := start(t, nil, "dev", "--listen", "127.0.0.1:0", "--host", "voice.test", "--origin", "http://app.test:*")
	const mint, socket = "/v1alpha/auth_tokens", "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"the page under a rebound name":             {"GET", "/", "", []string{"Host", "evil.test"}, 421},
		"a token under a rebound name":              {"POST", "/v1/token", "", []string{"Host", "evil.test"}, 421},
		"the journal under a rebound name":          {"GET", "/__emulator/journal", "", []string{"Host", "evil.test"}, 421},
		"a reset under a rebound name":              {"POST", "/__emulator/reset", "{}", []string{"Host", "evil.test"}, 421},
		"the token service under a rebound name":    {"POST", mint, "{}", []string{"Host", "evil.test", "X-Goog-Api-Key", "emulator"}, 421},
		"the socket under a rebound name":           {"GET", socket, "", []string{"Host", "evil.test"}, 421},
		"the socket under a rebound name, two ways": {"GET", "/" + socket, "", []string{"Host", "evil.test"}, 421},
		"the version under a rebound name":          {"GET", "/version", "", []string{"Host", "evil.test"}, 421},
		"a reset from a page elsewhere":             {"POST", "/__emulator/reset", "{}", []string{"Origin", "https://evil.test"}, 403},
		"a reset that looks like a form":            {"POST", "/__emulator/reset", "x", []string{"Content-Type", "text/plain"}, 415},
		"a reset through a tunnel":                  {"POST", "/__emulator/reset", "{}", []string{"X-Forwarded-For", "203.0.113.7"}, 403},
		"the journal through a tunnel":              {"GET", "/__emulator/journal", "", []string{"X-Forwarded-For", "203.0.113.7"}, 403},
		"a token through a tunnel":                  {"POST", "/v1/token", "", []string{"X-Forwarded-For", "203.0.113.7"}, 403},
		"a token for a page elsewhere":              {"POST", "/v1/token", "", []string{"Origin", "https://evil.test"}, 403},
		"a token for a page that was named":         {"POST", "/v1/token", "", []string{"Origin", "http://app.test:5173", "Sec-Fetch-Site", "cross-site"}, 200},
		"a token under a name that was named":       {"POST", "/v1/token", "", []string{"Host", "voice.test:1"}, 200},
		"the journal for a page elsewhere":          {"GET", "/__emulator/journal", "", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"}, 403},
		"the journal for a page of another port":    {"GET", "/__emulator/tokens", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"the journal typed into the address bar":    {"GET", "/__emulator/journal", "", []string{"Sec-Fetch-Site", "none"}, 200},
		"the emulator's page from a link elsewhere": {"GET", "/__emulator/", "", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		"its script for a page elsewhere":           {"GET", "/__emulator/console.js", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"the emulator's page under a rebound name":  {"GET", "/__emulator/", "", []string{"Host", "evil.test"}, 421},
		"the emulator's page through a tunnel":      {"GET", "/__emulator/", "", []string{"X-Forwarded-For", "203.0.113.7"}, 403},
		"a POST to the emulator's page":             {"POST", "/__emulator/", "{}", nil, 405},
		"the token service for a page elsewhere":    {"POST", mint, "{}", []string{"X-Goog-Api-Key", "emulator", "Origin", "https://evil.test"}, 403},
		"the token service for a program":           {"POST", mint, "{}", []string{"X-Goog-Api-Key", "emulator"}, 200},
		"an origin with something behind it":        {"POST", "/v1/token", "", []string{"Origin", "http://app.test:1/x"}, 403},
		"the journal for ourselves":                 {"GET", "/__emulator/journal", "", nil, 200},
		"a token service of a key that is no dummy": {"POST", mint, "{}", []string{"X-Goog-Api-Key", canary}, 400},
		"a POST to the page":                        {"POST", "/", "", nil, 405},
		"a page that is not there":                  {"GET", "/nothing", "", nil, 404},
		"an operation that is not there":            {"POST", "/v1/token/other", "", nil, 404},
		"a body of a megabyte":                      {"POST", "/v1/token", strings.Repeat(" ", 1<<20), nil, 413},
		"headers without end":                       {"GET", "/", "", []string{"X-Long", strings.Repeat("x", 64<<10)}, 431},
	} {
		t.Run(name, func(t *testing.T) {
			if status, header, text := r.call(t, c.method, c.path, c.body, c.header...); status != c.want {
				t.Errorf("%d %v %s", status, header, text)
			}
		})
	}
	if strings.Contains(r.log.String(), "CANARY") {
		t.Errorf("the log holds the key: %s", r.log)
	}
}

func TestThePageMayOpenOneSocketOnly(t *testing.T) {
	r := start(t, nil, "dev", "--listen", ":0")
	_, h, _ := r.call(t, http.MethodGet, "/", "")
	if want := "connect-src 'self' ws" + strings.TrimPrefix(r.url, "http") + ";"; !strings.Contains(h.Get("Content-Security-Policy"), want) {
		t.Errorf("policy is %s, want %s in it", h.Get("Content-Security-Policy"), want)
	}
}

func TestHealthIsTold(t *testing.T) {
	r := start(t, nil, "dev", "--listen", ":0")
	for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`} {
		if status, h, text := r.call(t, http.MethodGet, path, ""); status != 200 || strings.TrimSpace(text) != want || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s gives %d %s", path, status, text)
		}
	}
	for _, path := range []string{"//v1/token", "/v1/token/other", "/nothing"} {
		if _, h, _ := r.call(t, http.MethodPost, path, ""); h.Get("X-Request-Id") == "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s answers with %v", path, h)
		}
	}
	var v struct {
		Version, Go, Upstream string
		Emulator              bool
	}
	if _, _, text := r.call(t, http.MethodGet, "/version", ""); json.Unmarshal([]byte(text), &v) != nil || v.Version == "" || !strings.HasPrefix(v.Go, "go1.") || v.Upstream != "emulator" || !v.Emulator {
		t.Errorf("version is %s", text)
	}
}

func TestStoppingClosesSocketsSoon(t *testing.T) {
	r := start(t, nil, "dev", "--listen", ":0")
	conn := r.token(t).open(t)
	began := time.Now()
	closed := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.Read(t.Context()); err != nil {
				closed <- err
				return
			}
		}
	}()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-closed:
	case <-time.After(drain):
		t.Error("the socket stayed open")
		conn.CloseNow()
	}
	if took := time.Since(began); took > drain {
		t.Errorf("it took %v", took)
	}
}

func TestARealKeyInDevIsAnnouncedBeforeItCanBeSpent(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"the SDK's first choice wins":   {map[string]string{"GEMINI_API_KEY": "emulator-x", "GOOGLE_API_KEY": canary}, []string{"spends on key …last", `"variable":"GOOGLE_API_KEY"`, `"service":"google"`}},
		"the other is taken alone":      {map[string]string{"GEMINI_API_KEY": canary}, []string{"spends on key …last", `"variable":"GEMINI_API_KEY"`, `"service":"google"`}},
		"a file is read":                {map[string]string{"GEMINI_API_KEY_FILE": write(t, canary+"\n")}, []string{"spends on key …last", `"variable":"GEMINI_API_KEY_FILE"`, `"service":"google"`}},
		"a key of the emulator is free": {map[string]string{"GEMINI_API_KEY": "emulator-x"}, []string{"nothing is spent", `"variable":"GEMINI_API_KEY"`, `"service":"emulator"`}},
		"without one there is no cost":  {nil, []string{"nothing is spent", `"variable":"none"`, `"service":"emulator"`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c.env, "dev", "--listen", ":0")
			first, _, _ := strings.Cut(r.log.String(), "\n")
			for _, want := range c.want {
				if !strings.Contains(first, want) {
					t.Errorf("log begins with %s, want %s in it", first, want)
				}
			}
			_, h, text := r.call(t, http.MethodGet, "/version", "")
			google := strings.Contains(strings.Join(c.want, ""), "google")
			if google != strings.Contains(text, `"upstream":"google"`) || google != strings.Contains(r.policy(t), " wss://generativelanguage.googleapis.com;") {
				t.Errorf("version is %s, headers are %v", text, h)
			}
			if strings.Contains(r.log.String(), "CANARY") {
				t.Errorf("the log holds the key: %s", r.log)
			}
		})
	}
}

func (r running) policy(t *testing.T) string {
	t.Helper()
	_, h, _ := r.call(t, http.MethodGet, "/", "")
	return h.Get("Content-Security-Policy")
}

func TestDevWithARealKeyHasNoEmulator(t *testing.T) {
	r := start(t, map[string]string{"GEMINI_API_KEY": canary}, "dev", "--listen", ":0")
	for _, path := range []string{"/__emulator/journal", "/v1alpha/auth_tokens", "/ws/x"} {
		if status, _, _ := r.call(t, http.MethodGet, path, ""); status != http.StatusNotFound {
			t.Errorf("%s gives %d", path, status)
		}
	}
}

func TestTheListenAddressIsTheMostExplicitOne(t *testing.T) {
	for name, c := range map[string]struct {
		flag string
		env  map[string]string
		want string
	}{
		"the flag":                      {"127.0.0.1:1", map[string]string{"PORT": "3"}, "127.0.0.1:1"},
		"PORT, on this machine only":    {"", map[string]string{"PORT": "3"}, "127.0.0.1:3"},
		"the fallback":                  {"", nil, "127.0.0.1:8080"},
		"a port alone, on this machine": {":4", nil, "127.0.0.1:4"},
		"an address of the new kind":    {"[::1]:5", nil, "[::1]:5"},
	} {
		got, err := address(c.flag, func(n string) string { return c.env[n] }, "127.0.0.1:8080")
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if got, err := address("", func(string) string { return "3" }, "192.0.2.1:8080"); err != nil || got != "192.0.2.1:3" {
		t.Errorf("PORT replaces more than the port: %s, %v", got, err)
	}
	r := start(t, map[string]string{"LIVEVALET_LISTEN": "[::1]:0", "PORT": "1"}, "emulate")
	if !strings.HasPrefix(r.url, "http://[::1]:") {
		t.Errorf("LIVEVALET_LISTEN does not win over PORT: %s", r.url)
	}
}

func TestTheEmulatorAlone(t *testing.T) {
	r := start(t, nil, "emulate", "--listen", ":0")
	if status, _, text := r.call(t, http.MethodPost, "/v1beta/auth_tokens", "{}", "X-Goog-Api-Key", "emulator-any"); status != 200 || !strings.Contains(text, "auth_tokens/") {
		t.Errorf("a token costs %d %s", status, text)
	}
	if status, _, text := r.call(t, http.MethodPost, "/v1/auth_tokens", "{}", "X-Goog-Api-Key", "emulator-any"); status != 404 || !strings.Contains(text, `"status": "Not Found"`) {
		t.Errorf("a version that it does not know gives %d %s, not what Google answers", status, text)
	}
	for _, path := range []string{"/", "/__emulator", "/__emulator/"} {
		if status, _, text := r.call(t, http.MethodGet, path, ""); status != 200 || !strings.Contains(text, "<title>LiveValet emulator</title>") {
			t.Errorf("%s does not lead to the emulator's page: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/v1beta/auth_tokens", "/__emulator/reset"} {
		if status, _, _ := r.call(t, http.MethodPost, path, "{}", "Host", "evil.test"); status != 421 {
			t.Errorf("%s under a rebound name gives %d", path, status)
		}
	}
}

func TestAnUnsafeStartIsRefused(t *testing.T) {
	real := map[string]string{"GEMINI_API_KEY": canary}
	keys := write(t, "shop:"+hashOf("sesame"))
	config := func(text string) string { return write(t, strings.ReplaceAll(text, "KEYS", keys)) }
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"dev for the whole network":                {nil, []string{"dev", "--listen", "0.0.0.0:0"}, "--expose-dev-to-the-network-anyone-can-mint"},
		"dev on an address of a network":           {nil, []string{"dev", "--listen", "192.0.2.1:0"}, "--expose-dev"},
		"dev on all addresses of the new kind":     {nil, []string{"dev", "--listen", "[::]:0"}, "--expose-dev"},
		"dev on half an address":                   {nil, []string{"dev", "--listen", "localhost"}, "write host:port"},
		"a real key for elsewhere":                 {real, []string{"dev", "--listen", ":0", "--base-url", "http://127.0.0.1:1"}, "--send-key-to"},
		"an empty key file":                        {map[string]string{"GEMINI_API_KEY_FILE": write(t, "\n")}, []string{"dev", "--listen", ":0"}, "holds no key"},
		"a key file that is not there":             {map[string]string{"GOOGLE_API_KEY_FILE": "/nowhere"}, []string{"dev", "--listen", ":0"}, "GOOGLE_API_KEY_FILE"},
		"an origin for everyone":                   {nil, []string{"dev", "--listen", ":0", "--origin", "*"}, "origins"},
		"an emulator that meets a real key":        {real, []string{"emulate", "--listen", ":0"}, "GEMINI_API_KEY looks like a real key"},
		"one that meets it under another name":     {map[string]string{"GOOGLE_API_KEY": canary}, []string{"emulate", "--listen", ":0"}, "GOOGLE_API_KEY looks like a real key"},
		"one that meets it in a file":              {map[string]string{"GEMINI_API_KEY_FILE": write(t, canary)}, []string{"emulate", "--listen", ":0"}, "GEMINI_API_KEY_FILE looks like a real key"},
		"one with an authority and no TLS":         {nil, []string{"emulate", "--listen", ":0", "--tls-dir", "x"}, "--tls-dir does nothing without --tls"},
		"one whose authority is no certificate":    {nil, []string{"emulate", "--listen", ":0", "--tls", "--tls-dir", filepath.Dir(writeAs(t, "ca-key.pem", "CANARY"))}, "delete it for a new one"},
		"a key on the command line":                {nil, []string{"dev", "--api-key", "x"}, "unknown flag"},
		"a variable that sets nothing":             {map[string]string{"LIVEVALET_HOTS": "x"}, []string{"dev", "--listen", ":0"}, "LIVEVALET_HOTS sets nothing"},
		"a key with a line break in it":            {map[string]string{"GEMINI_API_KEY": "CAN\nARY"}, []string{"dev", "--listen", ":0"}, "control character"},
		"the emulator's key for Google":            {map[string]string{"GEMINI_API_KEY": "emulator"}, []string{"serve", "--anonymous-anyone-can-spend-your-quota", "--listen", ":0", "--config", config("hosts: [localhost]")}, "--base-url"},
		"serve with TLS files that are not there":  {real, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {apiKeysFile: KEYS}\ntls: {cert: /nowhere, key: /nowhere}")}, "tls:"},
		"a duration without its unit":              {real, []string{"serve", "--config", config("profiles:\n  default:\n    leash: 12")}, "write a duration such as 12m"},
		"a word where a switch stands":             {real, []string{"serve", "--config", config("demo: CANARY")}, "write true or false"},
		"an unknown command":                       {nil, []string{"mind"}, "unexpected argument"},
		"serve without a file":                     {real, []string{"serve"}, "--config"},
		"serve with a file that is not there":      {real, []string{"serve", "--config", "/nowhere"}, "no such file"},
		"serve without hosts":                      {real, []string{"serve", "--listen", ":0", "--config", config("auth: {apiKeysFile: KEYS}")}, "hosts:"},
		"serve for anyone":                         {real, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]")}, "--anonymous-anyone-can-spend-your-quota"},
		"serve for known callers and anyone":       {real, []string{"serve", "--anonymous-anyone-can-spend-your-quota", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {apiKeysFile: KEYS}")}, "exclude"},
		"serve without a key":                      {nil, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {apiKeysFile: KEYS}")}, "GEMINI_API_KEY"},
		"serve with keys in clear":                 {real, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {apiKeysFile: " + write(t, "shop:CANARY") + "}")}, "line 1"},
		"serve with half of TLS":                   {real, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {apiKeysFile: KEYS}\ntls: {cert: x}")}, "tls:"},
		"an unknown key":                           {real, []string{"serve", "--config", config("hosts: [localhost]\norigin: [x]")}, "line 2: unknown field \"origin\""},
		"an unknown key in a profile":              {real, []string{"serve", "--config", config("profiles:\n  default:\n    ttl: 60s")}, "line 3: unknown field \"ttl\""},
		"two documents":                            {real, []string{"serve", "--config", config("hosts: [localhost]\n---\ndemo: true")}, "write one document"},
		"a value of the wrong kind":                {real, []string{"serve", "--config", config("hosts: [localhost]\ndemo: CANARY")}, "line 2"},
		"what is no YAML":                          {real, []string{"serve", "--config", config("hosts: [CANARY\n")}, "line 1"},
		"a setup that is no YAML":                  {real, []string{"serve", "--config", config("profiles:\n  default:\n    setup: {a: 'CANARY\n")}, "line"},
		"a store that is none":                     {real, []string{"serve", "--config", config("hosts: [localhost]\nstore: sqlite://x/y")}, "line 2: write sqlite:///path/to/state.db"},
		"a store in a folder that is none":         {real, []string{"serve", "--anonymous-anyone-can-spend-your-quota", "--config", config("hosts: [localhost]\nstore: sqlite:///nowhere/state.db")}, "line 2: store: stat /nowhere: no such file"},
		"a Redis whose URL is none":                {real, []string{"serve", "--config", config("hosts: [localhost]\nstore: redis://voice:12#CANARY@host")}, "line 2: the URL cannot be read"},
		"a limit that is none":                     {real, []string{"serve", "--config", config("hosts: [localhost]\nlimits:\n  global: 0/m")}, "line 3: choose a rate"},
		"a header of addresses that is everyone's": {real, []string{"serve", "--config", config("hosts: [localhost]\naddressHeader: {name: X-Real-Ip, from: [0.0.0.0/0]}")}, "line 2: from: 0.0.0.0/0 is everybody"},
		"JWT without an audience":                  {real, []string{"serve", "--config", config("auth:\n  jwt:\n    issuer: https://id.example")}, "line 3: audience: say"},
		"JWT of a provider in clear":               {real, []string{"serve", "--config", config("auth:\n  jwt:\n    audience: voice\n    issuer: http://id.example")}, "line 4: issuer: write https"},
		"JWT by a shared secret":                   {real, []string{"serve", "--config", config("auth:\n  jwt:\n    issuer: https://id.example\n    audience: voice\n    algorithms: [HS256]")}, "line 5: algorithms: there are"},
		"JWT with an endless leeway":               {real, []string{"serve", "--config", config("auth: {jwt: {issuer: https://id.example, audience: voice, leeway: 1h}}")}, "line 1: leeway: write at most"},
		"JWT with a claim that is a mapping":       {real, []string{"serve", "--config", config("auth:\n  jwt:\n    issuer: https://id.example\n    audience: voice\n    requiredClaims: {plan: {a: CANARY}}")}, "line 5: requiredClaims: plan"},
		"JWT with an unknown key":                  {real, []string{"serve", "--config", config("auth:\n  jwt:\n    issuer: https://id.example\n    audiense: voice")}, "line 4: unknown field \"audiense\""},
		"a proxy that is everybody":                {real, []string{"serve", "--config", config("auth:\n  proxyHeader:\n    name: X-User\n    from: [0.0.0.0/0]")}, "line 4: from: 0.0.0.0/0 is everybody"},
		"a proxy that is nowhere":                  {real, []string{"serve", "--config", config("auth:\n  proxyHeader: {name: X-User}")}, "line 2: from: list"},
		"anyone by the file alone":                 {real, []string{"serve", "--listen", ":0", "--config", config("hosts: [localhost]\nauth: {anonymous: true}")}, "Challenge"},
		"limits that there are not":                {real, []string{"serve", "--config", config("profiles:\n  a:\n    limits: {perHour: 3}")}, "unknown field \"perHour\""},
		"every bad profile at once": {real, []string{"serve", "--listen", ":0", "--config",
			config("hosts: [localhost]\nauth: {apiKeysFile: KEYS}\nprofiles:\n  a: {leash: 21h}\n  b: {uses: 99}")}, `line 5: profile "b": uses`},
	} {
		t.Run(name, func(t *testing.T) {
			if said := refused(t, c.env, c.args...); !strings.Contains(said, c.want) {
				t.Errorf("it says %s, want %s", said, c.want)
			}
		})
	}
}

func TestServe(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	keys := write(t, "shop:"+hashOf("sesame"))
	config := write(t, fmt.Sprintf(`
listen: 127.0.0.1:0
hosts: [voice.test]
origins: [https://app.test]
auth: {apiKeysFile: %s}
profiles:
  default:
    model: gemini-3.8-live
    setup: {systemInstruction: {parts: [{text: CANARY-instruction}]}, generationConfig: {seed: 7}}
    leash: 5m
    limits: {perCaller: 100/m, concurrent: 100}
  short: {leash: 30s, newSession: 10s, maxSession: 1m, uses: 2}
`, keys))
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-serve"}, "serve", "--config", config, "--base-url", google.url)
	ours := []string{"Host", "voice.test", "Authorization", "Bearer sesame"}

	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"a known caller":                    {"POST", "/v1/token", "", ours, 200},
		"a known caller through a proxy":    {"POST", "/v1/token", "", append(ours, "X-Forwarded-For", "203.0.113.7"), 200},
		"a known caller of a listed page":   {"POST", "/v1/token", "", append(ours, "Origin", "https://app.test"), 200},
		"a known caller of another page":    {"POST", "/v1/token", "", append(ours, "Origin", "https://evil.test"), 403},
		"a known caller with another name":  {"POST", "/v1/token", `{"profile":"short"}`, ours, 200},
		"nobody":                            {"POST", "/v1/token", "", ours[:2], 401},
		"nobody on this machine":            {"POST", "/v1/token", "", ours[2:], 421},
		"the demo, which was not asked for": {"GET", "/", "", ours[:2], 404},
		"the emulator, which is not here":   {"GET", "/__emulator/journal", "", ours[:2], 404},
		"health":                            {"GET", "/readyz", "", ours[:2], 200},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, text := r.call(t, c.method, c.path, c.body, c.header...); status != c.want || strings.Contains(text, "CANARY") {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	g := r.token(t, ours...)
	if want := "ws" + strings.TrimPrefix(google.url, "http"); !strings.HasPrefix(g.WebSocketURL, want) {
		t.Errorf("websocketUrl is %s", g.WebSocketURL)
	}
	g.open(t)
	for _, secret := range []string{"CANARY", "sesame", g.Token, g.LeaseID} {
		if log := r.log.String() + google.log.String(); strings.Contains(log, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	if !strings.Contains(r.log.String(), `"caller":"key:shop"`) {
		t.Errorf("the log does not name the caller: %s", r.log)
	}
}

func TestTheEnvironmentOverridesTheFile(t *testing.T) {
	config := write(t, "hosts: [voice.test]\nlisten: 192.0.2.1:1\ndemo: false")
	r := start(t, map[string]string{
		"GEMINI_API_KEY": "emulator", "LIVEVALET_CONFIG": config, "LIVEVALET_LISTEN": ":0", "LIVEVALET_HOSTS": "other.test, localhost",
		"LIVEVALET_AUTH_APIKEYSFILE": write(t, "shop:"+hashOf("sesame")), "LIVEVALET_DEMO": "true", "LIVEVALET_BASE_URL": "http://127.0.0.1:9",
	}, "serve")
	if status, _, text := r.call(t, http.MethodPost, "/v1/token", ""); status != 401 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, _ := r.call(t, http.MethodPost, "/v1/token", "", "Host", "voice.test"); status != 421 {
		t.Errorf("the file's host gives %d", status)
	}
	if said := refused(t, map[string]string{"LIVEVALET_CONFIG": config, "LIVEVALET_DEMO": "perhaps"}, "serve"); !strings.Contains(said, "LIVEVALET_DEMO") {
		t.Errorf("it says %s", said)
	}
}

func TestPathsOfTheFileBeginAtItsFolder(t *testing.T) {
	config := write(t, `
listen: 127.0.0.1:0
hosts: [localhost]
auth: {apiKeysFile: callers}
tls: {cert: tls.crt, key: ./tls.key}
audit: {file: log/audit.jsonl, keyFile: token}
admin: {listen: 'unix:a.sock', tokenFile: log/../token}
`)
	dir := filepath.Dir(config)
	issue(t, dir)
	for name, text := range map[string]string{"callers": "shop:" + hashOf("sesame"), "token": adminCanary} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	google := start(t, nil, "emulate", "--listen", ":0")
	start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "serve", "--config", config, "--base-url", google.url)
	for _, name := range []string{"log/audit.jsonl", "a.sock", defaultStore} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if stdout, _, err := command(t, nil, "leases", "--config", config, "--user", "key:shop"); err != nil || stdout != "key:shop holds no lease\n" {
		t.Errorf("its operator hears %s, %v", stdout, err)
	}
	// What the environment says begins where the program does.
	if status, said := checks(t, map[string]string{"LIVEVALET_AUTH_APIKEYSFILE": "callers"}, "hosts: [localhost]"); status != 1 || !strings.Contains(said, "open callers: no such file") {
		t.Errorf("%d, %s", status, said)
	}
}

func TestServeSpeaksTLS(t *testing.T) {
	lent := httptest.NewTLSServer(nil) // its certificate is good for this machine
	defer lent.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lent.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, fmt.Sprintf("listen: ':0'\nhosts: [127.0.0.1]\nauth: {apiKeysFile: %s}\ntls: {cert: %s, key: %s}",
		write(t, "shop:"+hashOf("sesame")),
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate().Raw}))),
		write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))))
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "serve", "--config", config, "--base-url", "http://127.0.0.1:9")
	port, ok := strings.CutPrefix(r.url, "https://localhost:")
	if !ok {
		t.Fatalf("it serves %s", r.url)
	}
	client := lent.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true // as browsers do
	res, err := client.Get("https://127.0.0.1:" + port + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("status %d over %s", res.StatusCode, res.Proto)
	}
	for _, path := range []string{"/readyz", "/v1/token", "/nowhere"} { // answers, refusals and what is not there
		res, err := client.Get("https://127.0.0.1:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("%s has Strict-Transport-Security %q", path, got)
		}
	}
	client.CloseIdleConnections()
}

func TestVersionAndHelpAreForPeople(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--help"}, {"dev", "--help"}} {
		var stdout, log output
		if err := run(t.Context(), args, nil, nil, &stdout, &log); err != nil || !strings.Contains(stdout.String(), "livevalet") {
			t.Errorf("%v: %v, %s", args, err, &stdout)
		}
	}
}

func TestWhoNamesNoCommandIsHelped(t *testing.T) {
	stdout, _, err := command(t, nil)
	if statusOf(err) != 2 || !strings.Contains(stdout, "livevalet <command>") || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "Exit status: 0 it is done, 1 it failed") || err.Error() != "name a command, such as dev" {
		t.Errorf("%v, %s", err, stdout)
	}
}

func hashOf(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:])
}

// write makes a file of that text.
func write(t *testing.T, text string) string { t.Helper(); return writeAs(t, "file", text) }

func writeAs(t *testing.T, base, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), base)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
