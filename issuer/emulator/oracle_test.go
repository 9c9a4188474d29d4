package emulator_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"github.com/livevalet/livevalet/issuer/emulator"
)

// Google's own Go client is the oracle: what it sends is accepted and what it
// receives is understood. The suites of issuer/emulator/sdktest are the same for
// JavaScript.

const (
	oracleKey = "emulator-oracle"
	speaks    = "gemini-3.8-live"
	writes    = "gemini-3.5-transcribe-live"
)

// oracle is an emulator of its own behind a real listener, as the SDK sees it.
type oracle struct {
	*testing.T
	http, ws string // Live needs the scheme ws
}

func newOracle(t *testing.T) oracle {
	t.Helper()
	var s emulator.Server
	ts := httptest.NewServer(&s)
	t.Cleanup(func() {
		s.Close()
		ts.Close()
	})
	return oracle{t, ts.URL, "ws" + strings.TrimPrefix(ts.URL, "http")}
}

func (o oracle) client(base, key, version string) *genai.Client {
	o.Helper()
	transport := &http.Transport{}
	o.Cleanup(transport.CloseIdleConnections)
	c, err := genai.NewClient(o.Context(), &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, APIKey: key,
		HTTPClient:  &http.Client{Transport: transport},
		HTTPOptions: genai.HTTPOptions{BaseURL: base, APIVersion: version},
	})
	if err != nil {
		o.Fatal(err)
	}
	return c
}

func (o oracle) mint(config *genai.CreateAuthTokenConfig) string {
	o.Helper()
	token, err := o.client(o.http, oracleKey, "v1alpha").AuthTokens.Create(o.Context(), config)
	if err != nil {
		o.Fatal(err)
	}
	return token.Name
}

func (o oracle) connect(key, model string, config *genai.LiveConnectConfig) talk {
	o.Helper()
	s, err := o.client(o.ws, key, "v1alpha").Live.Connect(o.Context(), model, config)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { s.Close() })
	t := talk{o, s}
	if m := t.next(); m.SetupComplete == nil {
		o.Fatalf("first came %+v", m)
	}
	return t
}

// control calls a control endpoint: POST with a body, GET without.
func (o oracle) control(name, body string) (answer map[string]any) {
	o.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(o.Context(), method, o.http+"/__emulator/"+name, strings.NewReader(body))
	if err != nil {
		o.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		o.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil {
		o.Fatalf("%s: %d %s, %v", name, res.StatusCode, text, err)
	}
	return answer
}

func (o oracle) advance(d time.Duration) {
	o.Helper()
	o.control("clock", fmt.Sprintf(`{"advance":"%v"}`, d))
}

// talk is a session.
type talk struct {
	oracle
	*genai.Session
}

func (t talk) next() *genai.LiveServerMessage {
	t.Helper()
	m, err := t.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (t talk) send(in genai.LiveRealtimeInput) {
	t.Helper()
	if err := t.SendRealtimeInput(in); err != nil {
		t.Fatal(err)
	}
}

// ended reads up to the end of the socket and gives the SDK's words for it.
func (t talk) ended() string {
	t.Helper()
	for {
		if _, err := t.Receive(); err != nil {
			return err.Error()
		}
	}
}

// said is a turn: what was written, or the transcript of what was spoken and
// the bytes of that.
type said struct {
	text, heard string
	audio       int
}

// turn reads up to the end of a turn. Playback is skipped.
func (t talk) turn() (turn said) {
	t.Helper()
	for {
		m := t.next()
		c := m.ServerContent
		if c == nil {
			continue
		}
		if c.OutputTranscription != nil {
			turn.text += c.OutputTranscription.Text
		}
		if c.InputTranscription != nil {
			turn.heard += c.InputTranscription.Text
		}
		if c.ModelTurn != nil {
			for _, part := range c.ModelTurn.Parts {
				turn.text += part.Text
				if part.InlineData == nil {
					continue
				}
				if part.InlineData.MIMEType != "audio/pcm;rate=24000" {
					t.Errorf("audio is %q", part.InlineData.MIMEType)
				}
				if turn.audio == 0 {
					t.advance(time.Minute)
				}
				turn.audio += len(part.InlineData.Data)
			}
		}
		if c.TurnComplete {
			if m.UsageMetadata == nil || m.UsageMetadata.TotalTokenCount == 0 {
				t.Error("turnComplete came without usage")
			}
			return turn
		}
	}
}

// hear expects a spoken turn.
func (t talk) hear(want string) {
	t.Helper()
	if got := t.turn(); got.text != want || got.audio < 24000 {
		t.Errorf("heard %q in %d bytes of audio, want %q", got.text, got.audio, want)
	}
}

// read expects a written one.
func (t talk) read(want string) {
	t.Helper()
	if got := t.turn(); got.text != want || got.audio != 0 {
		t.Errorf("read %q and heard %d bytes of audio, want %q", got.text, got.audio, want)
	}
}

// handle waits for the update after a turn.
func (t talk) handle() string {
	t.Helper()
	for {
		if u := t.next().SessionResumptionUpdate; u != nil && u.Resumable {
			return u.NewHandle
		}
	}
}

func written() *genai.LiveConnectConfig {
	return &genai.LiveConnectConfig{ResponseModalities: []genai.Modality{genai.ModalityText}}
}

func spoken() *genai.LiveConnectConfig {
	return &genai.LiveConnectConfig{ResponseModalities: []genai.Modality{genai.ModalityAudio}, OutputAudioTranscription: &genai.AudioTranscriptionConfig{}}
}

// full is a configuration with something of everything.
func full() *genai.LiveConnectConfig {
	c := spoken()
	c.Temperature, c.TopK = new(float32(0.7)), new(float32(40))
	c.SpeechConfig = &genai.SpeechConfig{VoiceConfig: &genai.VoiceConfig{PrebuiltVoiceConfig: &genai.PrebuiltVoiceConfig{VoiceName: "Kore"}}}
	c.SystemInstruction = genai.NewContentFromText("Be brief.", genai.RoleUser)
	c.Tools = []*genai.Tool{{GoogleSearch: &genai.GoogleSearch{}}, functions(genai.BehaviorUnspecified)}
	c.InputAudioTranscription = &genai.AudioTranscriptionConfig{}
	c.ContextWindowCompression = &genai.ContextWindowCompressionConfig{TriggerTokens: new(int64(25600)), SlidingWindow: &genai.SlidingWindow{}}
	return c
}

func functions(b genai.Behavior) *genai.Tool {
	return &genai.Tool{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "f", Behavior: b, Parameters: &genai.Schema{
		Type: genai.TypeObject, MinProperties: new(int64(1)), Properties: map[string]*genai.Schema{"a": {Type: genai.TypeString}},
	}}}}
}

func constraints() *genai.LiveConnectConstraints {
	return &genai.LiveConnectConstraints{Model: speaks, Config: full()}
}

func TestGenaiMintsEveryKindOfToken(t *testing.T) {
	t.Parallel()
	// What the SDK makes of full; the order differs from call to call (run).
	mask := []string{
		"model", "generationConfig.responseModalities", "generationConfig.speechConfig", "generationConfig.temperature", "generationConfig.topK",
		"systemInstruction.parts", "systemInstruction.role", "tools", "inputAudioTranscription", "outputAudioTranscription",
		"contextWindowCompression.triggerTokens", "contextWindowCompression.slidingWindow",
	}
	soon := time.Now().Add(10 * time.Minute).In(time.FixedZone("", 3600))
	for _, tt := range []struct {
		sentence string
		mint     *genai.CreateAuthTokenConfig
		live     *genai.LiveConnectConfig // the client's; what is locked it may leave out
		lock     string
		mask     []string
	}{
		{"a nil configuration", nil, full(), "none", nil},
		{"times and uses alone", &genai.CreateAuthTokenConfig{Uses: new(int32(0)), ExpireTime: soon, NewSessionExpireTime: soon}, full(), "none", nil},
		{"constraints, a nil list: full lock", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints()}, nil, "full", nil},
		{"constraints, an empty list: what is set is locked", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints(), LockAdditionalFields: []string{}}, nil, "masked", mask},
		{"constraints and a list", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints(), LockAdditionalFields: []string{"topP", "topK", "tools", "proactivity", "stopSequences"}}, nil,
			"masked", append(slices.Clone(mask), "generationConfig.topP", "proactivity", "generationConfig.stopSequences")},
		{"a list alone", &genai.CreateAuthTokenConfig{LockAdditionalFields: []string{"generationConfig.temperature", "labels"}}, full(), "masked", []string{"generationConfig.temperature", "labels"}},
		{"constraints without anything in them: none", &genai.CreateAuthTokenConfig{LiveConnectConstraints: &genai.LiveConnectConstraints{}}, full(), "none", nil},
		{"a body of one's own", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints(), HTTPOptions: &genai.HTTPOptions{ExtraBody: map[string]any{
			"fieldMask": "model", "bidiGenerateContentSetup": map[string]any{"historyConfig": map[string]any{"initialHistoryInClientContent": true}}}}}, full(), "masked", []string{"model"}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			o := newOracle(t)
			s := o.connect(o.mint(tt.mint), speaks, tt.live)
			if err := s.SendClientContent(genai.LiveClientContentInput{Turns: genai.Text("my name is Ada"), TurnComplete: new(true)}); err != nil {
				t.Fatal(err)
			}
			s.hear("Hello Ada, nice to meet you.")
			token := o.control("tokens", "")["tokens"].([]any)[0].(map[string]any)
			var got []string
			locked, _ := token["fieldMask"].([]any)
			for _, path := range locked {
				got = append(got, path.(string))
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(tt.mask)); token["lock"] != tt.lock || !slices.Equal(got, want) {
				t.Errorf("lock is %v %q, want %v %q", token["lock"], got, tt.lock, want)
			}
		})
	}
}

func TestGenaiUnderstandsWhatMintingRefuses(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	const invalid = "INVALID_ARGUMENT"
	for _, tt := range []struct {
		sentence, key, version, fault string
		mint                          genai.CreateAuthTokenConfig
		code                          int
		status, message               string
	}{
		{sentence: "a key that is not the emulator's", key: "not-a-key", code: 400, status: invalid, message: "API key not valid. Please pass a valid API key."},
		{sentence: "a version that has no tokens", version: "v1", code: 404, status: "Not Found"},
		{sentence: "an expireTime 20 hours ahead", mint: genai.CreateAuthTokenConfig{ExpireTime: time.Now().Add(20*time.Hour + time.Minute)},
			code: 400, status: invalid, message: "expire_time is too far in the future. Maximum lifetime is 20h"},
		{sentence: "uses below zero", mint: genai.CreateAuthTokenConfig{Uses: new(int32(-1))}, code: 400, status: invalid, message: "uses must not be negative"},
		{sentence: "an unknown field", mint: genai.CreateAuthTokenConfig{HTTPOptions: &genai.HTTPOptions{ExtraBody: map[string]any{"liveConnectConstraints": 1}}},
			code: 400, status: invalid, message: `Invalid JSON payload received. Unknown name "liveConnectConstraints" at 'auth_token': Cannot find field.`},
		{sentence: "a configuration in which nothing is set", mint: genai.CreateAuthTokenConfig{LiveConnectConstraints: &genai.LiveConnectConstraints{Config: &genai.LiveConnectConfig{}}},
			code: 400, status: invalid, message: `Invalid JSON payload received. Unknown name "config" at 'auth_token.bidi_generate_content_setup': Cannot find field.`},
		{sentence: "a list alone, whose names the SDK does not qualify", mint: genai.CreateAuthTokenConfig{LockAdditionalFields: []string{"temperature"}},
			code: 400, status: invalid, message: "field_mask is invalid for BidiGenerateContentSetup"},
		{sentence: "a quota that is used up", fault: `{"kind":"mint-error","status":429}`, code: 429, status: "RESOURCE_EXHAUSTED", message: "Resource has been exhausted (e.g. check quota)."},
		{sentence: "a caller without permission", fault: `{"kind":"mint-error","status":403}`, code: 403, status: "PERMISSION_DENIED", message: "The caller does not have permission"},
		{sentence: "a service that is not there", fault: `{"kind":"mint-error"}`, code: 503, status: "UNAVAILABLE", message: "The service is currently unavailable."},
	} {
		t.Run(tt.sentence, func(t *testing.T) { // one by one: a fault is for the next mint
			if tt.fault != "" {
				o.control("fault", tt.fault)
			}
			_, err := o.client(o.http, or(tt.key, oracleKey), or(tt.version, "v1alpha")).AuthTokens.Create(t.Context(), &tt.mint)
			if e, ok := errors.AsType[genai.APIError](err); !ok || e.Code != tt.code || e.Status != tt.status || e.Message != tt.message {
				t.Errorf("got %v", err)
			}
		})
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func TestGenaiUnderstandsWhyItIsNotConnected(t *testing.T) {
	t.Parallel()
	withHandle := written()
	withHandle.SessionResumption = &genai.SessionResumptionConfig{Handle: "garbage"}
	for _, tt := range []struct {
		sentence string
		key      func(o oracle) string
		version  string
		model    string
		config   *genai.LiveConnectConfig
		want     string
	}{
		{sentence: "a key that is not the emulator's", key: func(oracle) string { return "not-a-key" }, want: "close 1007 (invalid payload data): API key not valid. Please pass a valid API key."},
		{sentence: "a token that is spent", key: func(o oracle) string {
			token := o.mint(nil)
			o.connect(token, writes, written())
			return token
		}, want: "close 1011 (internal server error): Token has been used too many times"},
		{sentence: "a token whose window for new sessions is over", key: func(o oracle) string {
			token := o.mint(nil)
			o.advance(time.Minute)
			return token
		}, want: "close 1011 (internal server error): new_session_expire_time deadline exceeded"},
		{sentence: "a token that has expired", key: func(o oracle) string {
			token := o.mint(&genai.CreateAuthTokenConfig{NewSessionExpireTime: time.Now().Add(time.Hour)})
			o.advance(30 * time.Minute)
			return token
		}, want: "close 1011 (internal server error): Token has expired"},
		{sentence: "a token that nobody minted", key: func(oracle) string { return "auth_tokens/" + strings.Repeat("0", 64) }, want: "close 1011 (internal server error): Token not found"},
		{sentence: "a token for a version that the SDK refuses by itself", key: func(o oracle) string { return o.mint(nil) }, version: "v1beta", want: "only supported in v1alpha"},
		{sentence: "a version that has no socket", version: "v1", want: "bad handshake"},
		{sentence: "a model that does not exist", model: "gemini-0", want: "close 1008 (policy violation): models/gemini-0 is not found for API version v1alpha"},
		{sentence: "a model that does not write", model: speaks, want: "close 1007 (invalid payload data): The requested combination of response modalities (TEXT) is not supported by the model"},
		{sentence: "a handle that is none", config: withHandle, want: "close 1007 (invalid payload data): Invalid session handle"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			o, key, config := newOracle(t), oracleKey, written()
			if tt.key != nil {
				key = tt.key(o)
			}
			if tt.config != nil {
				config = tt.config
			}
			_, err := o.client(o.ws, key, or(tt.version, "v1alpha")).Live.Connect(t.Context(), or(tt.model, writes), config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGenaiUnderstandsHowAConversationEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ sentence, control, body, want string }{
		{"its token is cut short", "fault", `{"kind":"expire-token"}`, "close 1011 (internal server error): auth token has expired"},
		{"its time is over", "clock", `{"advance":"10m"}`, "close 1011 (internal server error): Deadline expired before operation could complete."},
		{"the service stumbles", "fault", `{"kind":"close","code":1008,"reason":"The operation was aborted."}`, "close 1008 (policy violation): The operation was aborted."},
		{"the line is cut", "fault", `{"kind":"drop"}`, "close 1006 (abnormal closure)"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			o := newOracle(t)
			s := o.connect(o.mint(nil), writes, written())
			o.control(tt.control, tt.body)
			if got := s.ended(); !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGenaiWritesByAPIKey(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1alpha", "v1beta"} {
		o := newOracle(t)
		session, err := o.client(o.ws, oracleKey, version).Live.Connect(t.Context(), writes, written())
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		s := talk{o, session}
		s.send(genai.LiveRealtimeInput{Text: "My name is Ada."})
		s.read("Hello Ada, nice to meet you.")
	}
}

func TestGenaiIsHeard(t *testing.T) {
	t.Parallel()
	tone := func(d time.Duration) (pcm []byte) {
		for i := range 16 * d.Milliseconds() {
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(16000*math.Sin(2*math.Pi*200*float64(i)/16000))))
		}
		return pcm
	}
	t.Run("by the service's own ear", func(t *testing.T) {
		config := spoken()
		config.InputAudioTranscription = &genai.AudioTranscriptionConfig{}
		s := newOracle(t).connect(oracleKey, speaks, config)
		for chunk := range slices.Chunk(tone(1200*time.Millisecond), 1280) {
			s.send(genai.LiveRealtimeInput{Audio: &genai.Blob{MIMEType: "audio/pcm;rate=16000", Data: chunk}})
		}
		s.send(genai.LiveRealtimeInput{AudioStreamEnd: true})
		if got := s.turn(); got.heard != "(1.2 seconds of sound)" || got.text != "I heard 1.2 seconds of sound." || got.audio < 24000 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("when the client says so", func(t *testing.T) {
		config := spoken()
		config.RealtimeInputConfig = &genai.RealtimeInputConfig{AutomaticActivityDetection: &genai.AutomaticActivityDetection{Disabled: true}}
		s := newOracle(t).connect(oracleKey, speaks, config)
		s.send(genai.LiveRealtimeInput{ActivityStart: &genai.ActivityStart{}})
		s.send(genai.LiveRealtimeInput{Audio: &genai.Blob{MIMEType: "audio/pcm;rate=16000", Data: tone(time.Second)}})
		s.send(genai.LiveRealtimeInput{ActivityEnd: &genai.ActivityEnd{}})
		s.hear("I heard 1.0 seconds of sound.")
	})
}

func TestGenaiResumesWithASpentToken(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	token := o.mint(&genai.CreateAuthTokenConfig{Uses: new(int32(1))})
	config := written()
	config.SessionResumption = &genai.SessionResumptionConfig{}
	first := o.connect(token, writes, config)
	first.send(genai.LiveRealtimeInput{Text: "My name is Ada."})
	first.read("Hello Ada, nice to meet you.")
	handle := first.handle()
	o.control("fault", `{"kind":"drop"}`)
	first.ended()
	o.advance(5 * time.Minute) // newSessionExpireTime is past, too
	config.SessionResumption.Handle = handle
	second := o.connect(token, writes, config)
	second.send(genai.LiveRealtimeInput{Text: "Who am I?"})
	second.read("Your name is Ada.")
	if second.handle() == handle {
		t.Error("the handle is the same again")
	}
}

func TestGenaiSurvivesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	s := o.connect(oracleKey, writes, written())
	o.control("fault", `{"kind":"empty"}`)
	o.control("fault", `{"kind":"unknown-field"}`)
	s.send(genai.LiveRealtimeInput{Text: "My name is Ada."})
	s.read("Hello Ada, nice to meet you.")
}

func TestGenaiIsToldToGoAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sentence, control, body string
		left                    time.Duration
	}{
		{"when a fault says so", "fault", `{"kind":"goaway","timeLeft":"10s"}`, 10 * time.Second},
		{"after nine minutes", "clock", `{"advance":"9m11s"}`, 50 * time.Second},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			o := newOracle(t)
			s := o.connect(oracleKey, writes, written())
			o.control(tt.control, tt.body)
			if got := s.next().GoAway; got == nil || got.TimeLeft != tt.left {
				t.Errorf("got %+v", got)
			}
			s.send(genai.LiveRealtimeInput{Text: "My name is Ada."})
			s.read("Hello Ada, nice to meet you.")
			o.advance(tt.left)
			if got := s.ended(); !strings.Contains(got, "close 1011 (internal server error): Deadline expired before operation could complete.") {
				t.Errorf("it ends with %q", got)
			}
		})
	}
}

func TestGenaiCallsFunctions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sentence  string
		behavior  genai.Behavior
		meanwhile string
	}{
		{"waiting for a blocking one", genai.BehaviorBlocking, ""},
		{"going on while a non-blocking one runs", genai.BehaviorNonBlocking, "I called f, and go on while it works."},
		{"as the model does when nothing is said", genai.BehaviorUnspecified, "I called f, and go on while it works."},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			config := spoken()
			config.Tools = []*genai.Tool{functions(tt.behavior)}
			s := newOracle(t).connect(oracleKey, speaks, config)
			s.send(genai.LiveRealtimeInput{Text: "call a tool"})
			var call *genai.FunctionCall
			for call == nil {
				if m := s.next(); m.ToolCall != nil {
					call = m.ToolCall.FunctionCalls[0]
				}
			}
			if call.Name != "f" || call.Args["a"] != "a" {
				t.Errorf("got %+v", call)
			}
			if tt.meanwhile != "" {
				s.hear(tt.meanwhile)
			}
			err := s.SendToolResponse(genai.LiveToolResponseInput{FunctionResponses: []*genai.FunctionResponse{{
				ID: call.ID, Name: "f", Response: map[string]any{"output": "12:05"}, Scheduling: genai.FunctionResponseSchedulingWhenIdle}}})
			if err != nil {
				t.Fatal(err)
			}
			s.hear("f says 12:05.")
		})
	}
}
