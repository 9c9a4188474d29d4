package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/session"
)

// A hostile page asks for all that is not the profile's. %s is its resumption.
const tampered = `{"setup":{"model":"models/none","systemInstruction":{"parts":[{"text":"obey"}]},"tools":[{"functionDeclarations":[{"name":"steal"}]}],` +
	`"generationConfig":{"responseModalities":["TEXT"],"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Puck"}}}},"sessionResumption":%s}}`

// raw is a client that takes the token and does what it likes. It remembers every
// byte that it gets.
type raw struct {
	*websocket.Conn
	google running
	seen   *strings.Builder
	handle string // the newest
}

// heard is what a model answered.
type heard struct{ words, sound, called, callID string }

func (g grant) dial(t *testing.T, google running, seen *strings.Builder) *raw {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), g.WebSocketURL+"?"+g.TokenParam+"="+g.Token, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	t.Cleanup(func() { conn.CloseNow() })
	return &raw{conn, google, seen, ""}
}

func (c *raw) send(t *testing.T, message string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// setUp sends a setup and gives why it was refused.
func (c *raw) setUp(t *testing.T, setup string) error {
	t.Helper()
	c.send(t, setup)
	_, text, err := c.Read(t.Context())
	c.seen.Write(text)
	if err == nil && !strings.Contains(string(text), "setupComplete") {
		t.Fatalf("the socket says %s", text)
	}
	return err
}

// say types something and hears the answer, up to the handle that covers it, or to
// a call.
func (c *raw) say(t *testing.T, message string) (h heard) {
	t.Helper()
	c.send(t, message)
	complete := false
	for n := range 10_000 {
		// Once it answers, let it have said all. The first frame may be of before.
		if 1 <= n && n <= 3 && !complete {
			c.google.call(t, http.MethodPost, "/__emulator/clock", `{"advance":"15s"}`)
		}
		_, text, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("after %s: %v", message, err)
		}
		c.seen.Write(text)
		var m struct {
			ServerContent struct {
				TurnComplete        bool
				OutputTranscription struct{ Text string }
				ModelTurn           struct {
					Parts []struct {
						Text       string
						InlineData struct{ Data string }
					}
				}
			}
			ToolCall struct {
				FunctionCalls []struct{ ID, Name string }
			}
			SessionResumptionUpdate struct{ NewHandle string }
		}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		h.words += m.ServerContent.OutputTranscription.Text
		for _, part := range m.ServerContent.ModelTurn.Parts {
			h.words += part.Text
			h.sound += part.InlineData.Data
		}
		complete = complete || m.ServerContent.TurnComplete
		if new := m.SessionResumptionUpdate.NewHandle; new != "" {
			c.handle = new
			if complete {
				return h
			}
		}
		for _, call := range m.ToolCall.FunctionCalls {
			h.called, h.callID = call.Name, call.ID
			return h
		}
	}
	t.Fatalf("%s is answered without end", message)
	return h
}

func typed(text string) string {
	return fmt.Sprintf(`{"clientContent":{"turns":[{"role":"user","parts":[{"text":%q}]}],"turnComplete":true}}`, text)
}

func TestATamperedClientChangesNothing(t *testing.T) {
	const setup = `{systemInstruction: {parts: [{text: CANARY-instruction}]}, tools: [{functionDeclarations: [{name: get_time, behavior: BLOCKING, description: CANARY-tool}]}],
      generationConfig: {responseModalities: [AUDIO], speechConfig: {voiceConfig: {prebuiltVoiceConfig: {voiceName: Kore}}}}}`
	for name, c := range map[string]struct{ lock, service string }{
		"a masked lock": {"masked", ""},
		"a full lock":   {"full", ""},
		"a full lock of a service that takes few masks":           {"full", "--emulator-u3-strict-mask"},
		"a full lock of a service that looks at clients' handles": {"full", "--emulator-u2-honour-handle"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"emulate", "--listen", ":0"}
			if c.service != "" {
				args = append(args, c.service)
			}
			google := start(t, nil, args...)
			config := write(t, "hosts: [localhost]\ndemo: true\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}\nprofiles:\n  default:\n    lock: "+c.lock+
				"\n    limits: {perCaller: 100/m, concurrent: 100}\n    setup: "+setup)
			r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", config, "--listen", ":0", "--base-url", google.url)
			seen := &strings.Builder{}
			ask := func(path, body string) (g grant) {
				t.Helper()
				status, header, text := r.call(t, http.MethodPost, path, body, "Authorization", "Bearer sesame")
				fmt.Fprint(seen, header, text)
				if err := json.Unmarshal([]byte(text), &g); status != http.StatusOK || err != nil {
					t.Fatalf("%s gives %d %s", path, status, text)
				}
				return g
			}

			honest := ask("/v1/token", "").dial(t, google, seen)
			if err := honest.setUp(t, `{"setup":{"sessionResumption":{}}}`); err != nil {
				t.Fatal(err)
			}
			fair := honest.say(t, typed("my name is Ada"))

			g := ask("/v1/token", "")
			evil := g.dial(t, google, seen)
			if err := evil.setUp(t, fmt.Sprintf(tampered, `{}`)); err != nil {
				t.Fatalf("a locked model is not the profile's: %v", err)
			}
			if got := evil.say(t, typed("my name is Ada")); got.sound == "" || got.sound != fair.sound {
				t.Errorf("it hears another voice, or none: %q", got.words)
			}
			if got := evil.say(t, typed("call steal")); got.called == "steal" {
				t.Error("its own tool is called")
			} else if got.called != "" {
				evil.say(t, response(got))
			}
			got := evil.say(t, typed("call get_time"))
			if got.called != "get_time" {
				t.Errorf("the profile's tool is not there, but %q", got)
			}
			evil.say(t, response(got))
			if _, _, sessions := google.call(t, http.MethodGet, "/__emulator/sessions", ""); strings.Contains(sessions, "models/none") || strings.Count(sessions, "models/gemini-3.8-live") != 2 {
				t.Errorf("the sessions are %s", sessions)
			}

			handle := evil.handle
			evil.Close(websocket.StatusNormalClosure, "")
			resumption := fmt.Sprintf(`{"handle":%q}`, handle)
			if c.lock == "full" {
				g = ask("/v1/token/renew", fmt.Sprintf(`{"leaseId":%q,"reason":"refused","handle":%q}`, g.LeaseID, handle))
				if c.service != "--emulator-u2-honour-handle" {
					resumption = `{"handle":"of another"}`
				}
			}
			again := g.dial(t, google, seen)
			if err := again.setUp(t, fmt.Sprintf(tampered, resumption)); err != nil {
				t.Fatalf("its handle does not work: %v", err)
			}
			if got := again.say(t, typed("what is my name?")); !strings.Contains(got.words, "Ada") || got.sound == "" {
				t.Errorf("after its return it hears %q", got.words)
			}

			for _, page := range []string{"/", "/livevalet.js", "/version"} {
				_, header, text := r.call(t, http.MethodGet, page, "")
				fmt.Fprint(seen, header, text)
			}
			if at := strings.Index(seen.String(), "CANARY"); at >= 0 {
				t.Errorf("the browser sees …%s…", seen.String()[max(0, at-100):min(seen.Len(), at+100)])
			}
			if log := r.log.String() + google.log.String(); strings.Contains(log, "CANARY") || strings.Contains(log, handle) {
				t.Error("a log holds the setup or a handle")
			}
			// The emulator's model follows no instruction; what it was told is known.
			_, _, tokens := google.call(t, http.MethodGet, "/__emulator/tokens", "")
			if !strings.Contains(tokens, "systemInstruction") && c.lock == "masked" {
				t.Errorf("the mask does not lock the instruction: %s", tokens)
			}
		})
	}
}

func response(h heard) string {
	return fmt.Sprintf(`{"toolResponse":{"functionResponses":[{"id":%q,"name":%q,"response":{"output":"12:05"}}]}}`, h.callID, h.called)
}

// The same attack has every effect where nothing is locked, so that the test
// above can fail.
func TestATamperedClientChangesEverythingWithoutALock(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}\nprofiles: {default: {lock: none, limits: {perCaller: 100/m, concurrent: 100}}}")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", config, "--listen", ":0", "--base-url", google.url)
	seen := &strings.Builder{}
	open := func() *raw { return r.token(t, "Authorization", "Bearer sesame").dial(t, google, seen) }
	if err := open().setUp(t, fmt.Sprintf(tampered, "{}")); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("a model that is not there: %v", err)
	}
	there := strings.Replace(fmt.Sprintf(tampered, "{}"), "models/none", "models/gemini-3.8-live", 1)
	if err := open().setUp(t, there); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("a modality that the model does not have: %v", err)
	}
	sounds := map[string]bool{}
	for _, voice := range []string{"Puck", "Kore"} {
		evil := open()
		if err := evil.setUp(t, strings.NewReplacer("TEXT", "AUDIO", "Puck", voice).Replace(there)); err != nil {
			t.Fatal(err)
		}
		sounds[evil.say(t, typed("my name is Ada")).sound] = true
		if got := evil.say(t, typed("call steal")); got.called != "steal" {
			t.Errorf("its tool is not called, but %q", got)
		}
	}
	if len(sounds) != 2 {
		t.Error("two voices sound alike")
	}
}

// The real engine goes through a rotation and a cut under a full lock, each with a
// token that holds its handle.
func TestTheEngineKeepsItsConversationUnderAFullLock(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}\nprofiles: {default: {lock: full, limits: {perCaller: 100/m, concurrent: 100}}}")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", config, "--listen", ":0", "--base-url", google.url)
	answers, resumed := make(chan string, 100), make(chan session.Resumed, 100)
	conversation := session.New(session.Config{
		Profile: "default", Setup: map[string]any{}, Editor: edge.Editor{}, Dial: session.Dialing(edge.Dial),
		Source: edge.Issuer{URL: r.url + "/v1/token", Header: http.Header{"Authorization": {"Bearer sesame"}}}.Token,
		Emit: func(e session.Event) {
			switch e := e.(type) {
			case session.Utterance:
				if e.Who == session.SpeakerModel && e.Final {
					answers <- e.Text
				}
			case session.Resumed:
				resumed <- e
			}
		},
	})
	done := make(chan error, 1)
	go func() { done <- conversation.Run(t.Context()) }()
	say := func(text, want string) {
		t.Helper()
		in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{"text": text}})
		if err != nil {
			t.Fatal(err)
		}
		if err := conversation.Send(in, func(error) {}); err != nil {
			t.Fatal(err)
		}
		if got := <-answers; !strings.Contains(got, want) {
			t.Errorf("to %q it says %q", text, got)
		}
	}
	say("My name is Ada.", "Ada")
	for _, fault := range []string{`{"kind":"goaway","session":"*","timeLeft":"5s"}`, `{"kind":"drop","session":"*"}`} {
		google.call(t, http.MethodPost, "/__emulator/fault", fault)
		if how := <-resumed; how.Rung != session.RungHandle && how.Rung != session.RungToken {
			t.Errorf("after %s it resumes by %v", fault, how.Rung)
		}
		say("What is my name?", "Ada")
	}
	conversation.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(r.log.String(), `"route":"/v1/token/renew"`); n < 2 {
		t.Errorf("it renewed %d times", n)
	}
}
