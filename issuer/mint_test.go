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
	"time"

	"github.com/coder/websocket"

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

// Each kind of lock is minted as its file in testdata says.
func TestProfilesAreMintedByteForByte(t *testing.T) {
	voice := profile.Allowance{Path: "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName", Values: []string{"Kore", "Puck"}}
	instruction := map[string]any{"systemInstruction": map[string]any{"parts": []any{map[string]any{"text": "Be brief."}}}}
	for name, c := range map[string]struct {
		spec  profile.Spec
		grant string
		renew string
	}{
		"default":      {},
		"masked-allow": {spec: profile.Spec{Setup: instruction, Allow: []profile.Allowance{{Path: "generationConfig.temperature"}, {Path: "tools"}}}},
		"masked-voice": {spec: profile.Spec{Allow: []profile.Allowance{voice}}, grant: `{"overrides":{"generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName":"Puck"}}`},
		"full":         {spec: profile.Spec{Setup: instruction, Lock: profile.Full}},
		"full-resumed": {spec: profile.Spec{Lock: profile.Full, Allow: []profile.Allowance{voice}}, grant: `{"overrides":{"generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName":"Puck"}}`, renew: "0123-handle"},
		"listed":       {spec: profile.Spec{Setup: instruction, Lock: profile.Listed, Locked: []string{"systemInstruction", "model", "generationConfig.responseModalities"}}},
		"none":         {spec: profile.Spec{Lock: profile.None}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, _ = io.ReadAll(r.Body)
				fmt.Fprint(w, `{"name":"auth_tokens/x"}`)
			}))
			defer ts.Close()
			p, err := profile.New("default", c.spec)
			if err != nil {
				t.Fatal(err)
			}
			d := minting(t, "emulator-test", ts.URL, p)
			a := d.grant(t, "/v1/token", c.grant)
			if c.renew != "" {
				d.grant(t, "/v1/token/renew", resuming(a, c.renew))
			}
			want, err := os.ReadFile("testdata/mint-" + name + ".json")
			if err != nil {
				t.Error(err)
			}
			if got = timestamp.ReplaceAll(got, []byte(`"<time>"`)); !bytes.Equal(got, want) {
				t.Errorf("body is %s", got)
			}
		})
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

// An emulator's clock can be moved. Whether it is in this process or in another,
// what comes after the move works as it does after waiting.
func TestTokensAreGoodAfterTheEmulatorsClockHasMoved(t *testing.T) {
	for _, shared := range []bool{true, false} {
		for _, move := range []time.Duration{30 * time.Second, 9 * time.Minute, 12 * time.Minute, time.Hour, 30 * time.Hour} {
			t.Run(fmt.Sprintf("by %v, one clock %v", move, shared), func(t *testing.T) {
				var e emulator.Server
				defer e.Close()
				ts := httptest.NewServer(&e)
				defer ts.Close()
				client, err := upstream.New(upstream.Config{APIKey: live.NewSecret("emulator-test"), BaseURL: ts.URL})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				d := open(t, func(c *Config) {
					c.Minter, c.Now = client, client.Now
					if shared {
						c.Now = e.Now
					}
				})
				connects := func(a grantAnswer) {
					t.Helper()
					conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+livePath+"?access_token="+a.Token, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.CloseNow()
					if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"setup":{}}`)); err != nil {
						t.Fatal(err)
					}
					if _, answer, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(answer), "setupComplete") {
						t.Errorf("got %s, %v", answer, err)
					}
				}
				first := d.grant(t, "/v1/token", "")
				connects(first)
				if err := e.Advance(move); err != nil {
					t.Fatal(err)
				}
				// The engine asks so when its token has been refused, or is old.
				switch res := d.ask("/v1/token/renew", renewing(first, "refused"), nil); {
				case move < time.Hour:
					connects(d.read(t, res))
				case codeOf(t, res) != leaseEnded:
					t.Error("a lease lives longer than it may")
				}
				connects(d.grant(t, "/v1/token", ""))
				if got := client.Now().Sub(e.Now()).Abs(); got > 3*time.Second && move > 3*time.Second {
					t.Errorf("their clocks differ by %v", got)
				}
				if log := d.log.String(); strings.Contains(log, first.Token) || strings.Contains(log, first.LeaseID) {
					t.Error("the log has a secret")
				}
			})
		}
	}
}
