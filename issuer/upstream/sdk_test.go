package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"github.com/livevalet/livevalet/wasm/live"
)

// sent is what the service was asked.
type sent struct {
	method, path string
	header       http.Header
	body         []byte
}

// mintTo mints once at a service that answers so.
func mintTo(t *testing.T, r Request, code int, answer string) (all []sent, token live.Secret, err error) {
	t.Helper()
	bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
		s.before = func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			all = append(all, sent{r.Method, r.RequestURI, r.Header, body})
			status(code, answer)(w)
			panic(answered{})
		}
		token, err = u.Mint(t.Context(), r)
	})
	return all, token, err
}

// The quirks of the SDK's v1.77.0, found by running it, are numbered here and
// below, 1 to 20. Each is held off by a test that names it.
func TestWhatTheSDKWouldSend(t *testing.T) {
	const good = `{"name":"auth_tokens/x"}`
	everything := map[string]any{
		"model":                    "publishers/p/models/m?a&b..c", // 11: it prefixes and refuses names
		"historyConfig":            map[string]any{"initialHistoryInClientContent": true},
		"sessionResumption":        map[string]any{"transparent": true}, // 8: it refuses both
		"explicitVadSignal":        false,
		"generationConfig":         map[string]any{"temperature": 0.5, "responseModalities": []any{"AUDIO"}},
		"contextWindowCompression": map[string]any{"slidingWindow": map[string]any{}},
	}
	const mask = "temperature,model,model,generationConfig.temperature"
	for quirk, c := range map[string]struct {
		setup map[string]any
		mask  string
	}{
		"3: a nil list is another lock than an empty one; ours is what the mask says": {everything, ""},
		"4: generated masks have any order; ours is as written":                       {everything, mask},
		"5: a configuration that sets nothing makes a body that is refused":           {map[string]any{}, mask},
		"6: constraints that are empty are left out, and lock nothing":                {map[string]any{}, ""},
		"6: a token that is to lock nothing has no constraints at all":                {nil, ""},
		"7: listed fields are sometimes prefixed":                                     {map[string]any{"model": "models/m"}, mask},
		"8: it refuses fields that the service may take":                              {map[string]any{"sessionResumption": map[string]any{"transparent": true}, "explicitVadSignal": false}, mask},
		"9: it has no historyConfig and no generationConfig":                          {map[string]any{"historyConfig": map[string]any{"a": 1.0}, "generationConfig": map[string]any{"b": 1.0}}, mask},
		"11: it changes names of models, and refuses some":                            {map[string]any{"model": "m?a&b..c"}, mask},
	} {
		t.Run(quirk, func(t *testing.T) {
			r := request()
			r.Setup, r.FieldMask = c.setup, c.mask
			before := mustJSON(t, r.Setup)
			var first []byte
			for range 20 { // an order by chance would show
				all, _, err := mintTo(t, r, 200, good)
				if err != nil || len(all) != 1 {
					t.Fatalf("%d requests, error %v", len(all), err)
				}
				if first == nil {
					first = all[0].body
				}
				if !bytes.Equal(all[0].body, first) {
					t.Fatalf("once %s, then %s", first, all[0].body)
				}
			}
			var got map[string]any
			if err := json.Unmarshal(first, &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"uses": 1.0, "expireTime": "2026-11-21T11:12:00Z", "newSessionExpireTime": "2026-11-21T11:01:00Z",
			}
			if c.setup != nil {
				want["bidiGenerateContentSetup"] = c.setup
			}
			if c.mask != "" {
				want["fieldMask"] = c.mask
			}
			if got, want := mustJSON(t, got), mustJSON(t, want); got != want {
				t.Errorf("body is %s, want %s", got, want)
			}
			if after := mustJSON(t, r.Setup); after != before {
				t.Errorf("the setup was changed to %s", after)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatTheSDKWouldDo(t *testing.T) {
	for quirk, c := range map[string]struct {
		code   int
		answer string
		check  func(all []sent, token live.Secret, err error) bool
	}{
		"1: its version would be v1beta, whose tokens Google's Go client refuses": {200, `{"name":"auth_tokens/x"}`, func(all []sent, _ live.Secret, err error) bool {
			return err == nil && all[0].method == "POST" && all[0].path == "/v1alpha/auth_tokens"
		}},
		"2: without a configuration it sends no body": {200, `{"name":"auth_tokens/x"}`, func(all []sent, _ live.Secret, err error) bool {
			return err == nil && len(all[0].body) > 0 && all[0].header.Get("Content-Type") == "application/json"
		}},
		"10 and 19: options of each call count, others do not": {200, `{"name":"auth_tokens/x"}`, func(all []sent, _ live.Secret, err error) bool {
			return err == nil && bytes.Contains(all[0].body, []byte("bidiGenerateContentSetup")) && all[0].header.Get("X-Server-Timeout") == "4"
		}},
		"12: it takes an answer without a name for a token": {200, `{}`, func(_ []sent, token live.Secret, err error) bool {
			return token.IsZero() && errors.Is(err, ErrUnavailable)
		}},
		"13: what is not JSON becomes the error's text": {502, "<p>" + canary, func(_ []sent, _ live.Secret, err error) bool {
			e, ok := errors.AsType[*Error](err)
			return ok && e.HTTP == 502 && e.Status == "" && !strings.Contains(fmt.Sprintf("%+v", e), "CANARY")
		}},
		"14: it repeats nothing, so we count": {503, "", func(all []sent, _ live.Secret, err error) bool {
			return len(all) == maxAttempts && errors.Is(err, ErrUnavailable)
		}},
		"20: it passes over fields that it does not know": {200, `{"name":"auth_tokens/x","new":{"a":[1]}}`, func(_ []sent, token live.Secret, err error) bool {
			return err == nil && token.Reveal() == "auth_tokens/x"
		}},
	} {
		t.Run(quirk, func(t *testing.T) {
			if all, token, err := mintTo(t, request(), c.code, c.answer); !c.check(all, token, err) {
				t.Errorf("token %q, error %v, sent %s", token.Reveal(), err, all)
			}
		})
	}
}

// 15: the SDK writes into the headers of the configuration that it is given.
func TestTheSDKGetsAConfigurationOfItsOwn(t *testing.T) {
	u := client(t, Config{BaseURL: "http://localhost"})
	a, b := u.request(request()), u.request(request())
	if a == b || a.HTTPOptions == b.HTTPOptions || a.HTTPOptions.Headers != nil {
		t.Error("two mints share a configuration")
	}
}

// 17: errors of the SDK print its configuration, so it gets no key.
func TestTheSDKsErrorsWouldTellTheKey(t *testing.T) {
	_, err := genai.NewClient(t.Context(), &genai.ClientConfig{Backend: genai.BackendGeminiAPI, APIKey: canary, Project: "p", Location: "l"})
	if err == nil || !strings.Contains(err.Error(), "CANARY") {
		t.Errorf("they do not any more, so it may have one: %v", err)
	}
}

// 16: the SDK tells through package log that it is experimental, and what it sees in
// the environment, by which 18: it lets choose the key, the service and its address.
// It looks when the process begins, so there is a process with such an environment.
func TestTheEnvironmentChoosesNothing(t *testing.T) {
	const inside = "INSIDE_THE_ENVIRONMENT"
	if os.Getenv(inside) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), inside+"=1",
			"GOOGLE_API_KEY="+canary, "GEMINI_API_KEY="+canary, "GOOGLE_CLOUD_PROJECT=p", "GOOGLE_CLOUD_LOCATION=l",
			"GOOGLE_GENAI_USE_VERTEXAI=true", "GOOGLE_GENAI_USE_ENTERPRISE=false",
			"GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:1", "GOOGLE_VERTEX_BASE_URL=http://127.0.0.1:1")
		var stderr strings.Builder
		again.Stderr = &stderr
		if out, err := again.Output(); err != nil || stderr.Len() > 0 {
			t.Errorf("%v, it says %q:\n%s", err, stderr.String(), out)
		}
		return
	}
	all, token, err := mintTo(t, request(), 200, `{"name":"auth_tokens/x"}`)
	if err != nil || token.Reveal() != "auth_tokens/x" || all[0].path != "/v1alpha/auth_tokens" || !slices.Equal(all[0].header["X-Goog-Api-Key"], []string{"emulator-test"}) {
		t.Errorf("token %q, error %v, sent %s", token.Reveal(), err, all)
	}
	if log.Writer() != &standardLog || standardLog.Len() > 0 {
		t.Errorf("the standard log has %q", &standardLog)
	}
}

// BenchmarkMint tells what a mint costs beside the bare request, at a service
// that answers at once, one after the other.
func BenchmarkMint(b *testing.B) {
	ways := map[string]func(u *Client, body []byte) func() error{
		"bare request": func(u *Client, body []byte) func() error {
			return func() error {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, u.config.BaseURL+"/v1alpha/auth_tokens", bytes.NewReader(body))
				if err != nil {
					return err
				}
				r.Header.Set("X-Goog-Api-Key", "emulator-test")
				answer, err := u.keyed.Load().http.Do(r)
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				var token struct{ Name string }
				return json.NewDecoder(answer.Body).Decode(&token)
			}
		},
		"mint": func(u *Client, _ []byte) func() error {
			return func() error {
				_, err := u.Mint(b.Context(), now())
				return err
			}
		},
	}
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		b.Run(name, func(b *testing.B) {
			s := new(upstream)
			defer s.Close()
			u := client(b, Config{BaseURL: service(b, s.ServeHTTP).URL})
			r := now()
			body, err := json.Marshal(map[string]any{"uses": 1, "expireTime": r.Expire, "newSessionExpireTime": r.NewSessionExpire, "bidiGenerateContentSetup": r.Setup})
			if err != nil {
				b.Fatal(err)
			}
			mint := ways[name](u, body)
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				begin := time.Now()
				if err := mint(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}
