package issuer

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

func (d desk) slog() *slog.Logger { return slog.New(slog.NewJSONHandler(d.log, nil)) }

// minting is an issuer whose tokens come from that service.
func minting(t *testing.T, key, url string, profiles ...profile.Profile) desk {
	t.Helper()
	client, err := upstream.New(upstream.Config{APIKey: live.NewSecret(key), BaseURL: url, SendKeyTo: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return open(t, func(c *Config) { c.Minter, c.Profiles = client, profiles })
}

var timestamp = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)

func TestTheDefaultProfileIsMintedByteForByte(t *testing.T) {
	var got []byte
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, `{"name":"auth_tokens/x"}`)
	}))
	defer ts.Close()
	minting(t, "emulator-test", ts.URL).grant(t, "/v1/token", "")
	want, err := os.ReadFile("testdata/mint-default.json")
	if err != nil {
		t.Fatal(err)
	}
	if got = timestamp.ReplaceAll(got, []byte(`"<time>"`)); !bytes.Equal(got, want) {
		t.Errorf("body is %s", got)
	}
}

func TestTheEmulatorAcceptsWhatIsMinted(t *testing.T) {
	var e emulator.Server
	defer e.Close()
	ts := httptest.NewServer(&e)
	defer ts.Close()
	a := minting(t, "emulator-test", ts.URL).grant(t, "/v1/token", "")
	if !strings.HasPrefix(a.Token, "auth_tokens/") {
		t.Errorf("token is %q", a.Token)
	}
	res, err := ts.Client().Get(ts.URL + "/__emulator/tokens")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	tokens, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Contains(tokens, []byte("systemInstruction")) || bytes.Contains(tokens, []byte("sessionResumption")) {
		t.Errorf("the emulator knows of %s, %v", tokens, err)
	}
}

func TestTheEmulatorsRefusalsBecomeOurs(t *testing.T) {
	var e emulator.Server
	defer e.Close()
	ts := httptest.NewServer(&e)
	defer ts.Close()
	// The emulator refuses other keys than its own as Google refuses a bad one.
	if c := codeOf(t, minting(t, "AIzaCANARY-key", ts.URL).ask("/v1/token", "", nil)); c != upstreamRefused {
		t.Errorf("a bad key gives %s", c)
	}
}

func TestSecretsStayWhereTheyBelong(t *testing.T) {
	const key, token, instruction = "AIzaCANARY-key-000000", "auth_tokens/CANARY-token", "CANARY-instruction"
	fails := ""
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		switch {
		case fails == "":
			fmt.Fprintf(w, `{"name":%q}`, token)
		case fails == "hang up":
			panic(http.ErrAbortHandler)
		case fails == "text":
			fmt.Fprintf(w, "%s %s %s", r.Header.Get("X-Goog-Api-Key"), token, sent)
		default:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"code":400,"message":%q,"status":%q}}`, r.Header.Get("X-Goog-Api-Key")+token+string(sent), token)
		}
	}))
	defer ts.Close()
	p, err := profile.New("default", profile.Spec{Setup: map[string]any{
		"systemInstruction": map[string]any{"parts": []any{map[string]any{"text": instruction}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := minting(t, key, ts.URL, p)

	a := d.grant(t, "/v1/token", "")
	var answers strings.Builder
	collect := func(res *http.Response) {
		if err := res.Write(&answers); err != nil {
			t.Fatal(err)
		}
	}
	for _, fails = range []string{"quote", "text", "hang up"} {
		collect(d.ask("/v1/token", "", nil))
		collect(d.ask("/v1/token/renew", renewing(a, "refused"), nil))
	}
	collect(d.ask("/v1/token/renew", renewing(a, "renew"), nil))
	collect(d.ask("/v1/token/renew?lease="+a.LeaseID, `{"leaseId":"`+a.LeaseID+`",`, nil))
	collect(d.ask("/v1/token/"+a.LeaseID+token, "", nil))
	collect(d.ask("/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, a.LeaseID), nil))
	collect(d.ask("/v1/token/renew", renewing(a, "refused"), nil))

	for name, text := range map[string]string{"the log": d.log.String(), "an answer": answers.String()} {
		for _, secret := range []string{"CANARY", a.LeaseID} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s holds a secret: …%s…", name, text[max(0, at-80):min(len(text), at+80)])
			}
		}
	}
	if strings.Count(d.log.String(), "\n") != 12 {
		t.Errorf("not every request was logged: %s", d.log)
	}
}
