package emulator_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"

	"github.com/livevalet/livevalet/issuer/emulator"
)

// Google's own Go client is the oracle: what it sends is accepted and what it
// receives is understood.

// sdk gives a client of the emulator at base; Live needs the scheme ws.
func sdk(t *testing.T, base, key string) *genai.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, APIKey: key,
		HTTPClient:  &http.Client{Transport: transport},
		HTTPOptions: genai.HTTPOptions{BaseURL: base, APIVersion: "v1alpha"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T) (httpBase, wsBase string) {
	t.Helper()
	var s emulator.Server
	ts := httptest.NewServer(&s)
	t.Cleanup(func() {
		s.Close()
		ts.Close()
	})
	return ts.URL, "ws" + strings.TrimPrefix(ts.URL, "http")
}

func liveConfig() *genai.LiveConnectConfig {
	return &genai.LiveConnectConfig{
		ResponseModalities:       []genai.Modality{genai.ModalityAudio},
		Temperature:              new(float32(0.7)),
		TopK:                     new(float32(40)),
		SpeechConfig:             &genai.SpeechConfig{VoiceConfig: &genai.VoiceConfig{PrebuiltVoiceConfig: &genai.PrebuiltVoiceConfig{VoiceName: "Kore"}}},
		SystemInstruction:        genai.NewContentFromText("Be brief.", genai.RoleUser),
		Tools:                    []*genai.Tool{{GoogleSearch: &genai.GoogleSearch{}}, {FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "f", Parameters: &genai.Schema{Type: genai.TypeObject, MinProperties: new(int64(1)), Properties: map[string]*genai.Schema{"a": {Type: genai.TypeString}}}}}}},
		InputAudioTranscription:  &genai.AudioTranscriptionConfig{},
		OutputAudioTranscription: &genai.AudioTranscriptionConfig{},
		ContextWindowCompression: &genai.ContextWindowCompressionConfig{TriggerTokens: new(int64(25600)), SlidingWindow: &genai.SlidingWindow{}},
	}
}

func TestGenaiMintsAndTalks(t *testing.T) {
	t.Parallel()
	const model = "gemini-3.8-live"
	constraints := func() *genai.LiveConnectConstraints {
		return &genai.LiveConnectConstraints{Model: model, Config: liveConfig()}
	}
	soon := time.Now().Add(10 * time.Minute).In(time.FixedZone("", 3600))
	for _, tt := range []struct {
		sentence string
		mint     *genai.CreateAuthTokenConfig
		live     *genai.LiveConnectConfig
	}{
		{"a nil configuration", nil, liveConfig()},
		{"times and uses alone", &genai.CreateAuthTokenConfig{Uses: new(int32(0)), ExpireTime: soon, NewSessionExpireTime: soon}, liveConfig()},
		{"constraints, a nil list: full lock", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints()}, &genai.LiveConnectConfig{}},
		{"constraints, an empty list: what is set is locked", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints(), LockAdditionalFields: []string{}}, &genai.LiveConnectConfig{SessionResumption: &genai.SessionResumptionConfig{}}},
		{"constraints and a list", &genai.CreateAuthTokenConfig{LiveConnectConstraints: constraints(), LockAdditionalFields: []string{"topP", "topK", "tools", "proactivity", "stopSequences"}}, &genai.LiveConnectConfig{SessionResumption: &genai.SessionResumptionConfig{}}},
		{"a list alone", &genai.CreateAuthTokenConfig{LockAdditionalFields: []string{"generationConfig.temperature", "labels"}}, liveConfig()},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel() // speech takes its time here
			base, ws := start(t)
			token, err := sdk(t, base, "emulator").AuthTokens.Create(t.Context(), tt.mint)
			if err != nil {
				t.Fatal(err)
			}
			session, err := sdk(t, ws, token.Name).Live.Connect(t.Context(), model, tt.live)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if err := session.SendClientContent(genai.LiveClientContentInput{Turns: genai.Text("my name is Ada"), TurnComplete: new(true)}); err != nil {
				t.Fatal(err)
			}
			hear(t, session, "Hello Ada, nice to meet you.", false)
		})
	}
}

// hear reads one turn, to the end of its playback if whole is set, and compares
// its transcript.
func hear(t *testing.T, s *genai.Session, want string, whole bool) {
	t.Helper()
	var transcript strings.Builder
	var audio int
	for done := false; !done; {
		m, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		c := m.ServerContent
		if c == nil {
			continue
		}
		done = c.TurnComplete || c.GenerationComplete && !whole
		if c.OutputTranscription != nil {
			transcript.WriteString(c.OutputTranscription.Text)
		}
		if c.ModelTurn != nil {
			for _, part := range c.ModelTurn.Parts {
				if part.InlineData.MIMEType != "audio/pcm;rate=24000" {
					t.Errorf("audio is %q", part.InlineData.MIMEType)
				}
				audio += len(part.InlineData.Data)
			}
		}
		if c.TurnComplete && (m.UsageMetadata == nil || m.UsageMetadata.TotalTokenCount == 0) {
			t.Error("turnComplete without usage")
		}
	}
	if transcript.String() != want || audio < 24000 {
		t.Errorf("heard %q in %d bytes of audio, want %q", transcript.String(), audio, want)
	}
}

func TestGenaiResumes(t *testing.T) {
	t.Parallel()
	base, ws := start(t)
	connect := func(handle string) *genai.Session {
		t.Helper()
		token, err := sdk(t, base, "emulator").AuthTokens.Create(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		config := liveConfig()
		config.SessionResumption = &genai.SessionResumptionConfig{Handle: handle}
		session, err := sdk(t, ws, token.Name).Live.Connect(t.Context(), "gemini-3.8-live", config)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	first := connect("")
	first.SendRealtimeInput(genai.LiveRealtimeInput{Text: "My name is Ada."})
	hear(t, first, "Hello Ada, nice to meet you.", true)
	m, err := first.Receive()
	if err != nil || m.SessionResumptionUpdate == nil || !m.SessionResumptionUpdate.Resumable {
		t.Fatalf("after the turn came %v, %v", m, err)
	}
	first.Close()
	second := connect(m.SessionResumptionUpdate.NewHandle)
	defer second.Close()
	second.SendRealtimeInput(genai.LiveRealtimeInput{Text: "Who am I?"})
	hear(t, second, "Your name is Ada.", false)
}

func TestGenaiCallsFunctions(t *testing.T) {
	t.Parallel()
	_, ws := start(t)
	session, err := sdk(t, ws, "emulator").Live.Connect(t.Context(), "gemini-3.8-live", liveConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	session.SendRealtimeInput(genai.LiveRealtimeInput{Text: "call a tool"})
	var call *genai.FunctionCall
	for call == nil {
		m, err := session.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.ToolCall != nil {
			call = m.ToolCall.FunctionCalls[0]
		}
	}
	if call.Name != "f" || call.Args["a"] != "a" {
		t.Errorf("got %+v", call)
	}
	hear(t, session, "I called f, and go on while it works.", true)
	err = session.SendToolResponse(genai.LiveToolResponseInput{FunctionResponses: []*genai.FunctionResponse{{
		ID: call.ID, Name: "f", Response: map[string]any{"output": "12:05"}, Scheduling: genai.FunctionResponseSchedulingWhenIdle}}})
	if err != nil {
		t.Fatal(err)
	}
	hear(t, session, "f says 12:05.", false)
}

func TestGenaiUnderstandsRefusals(t *testing.T) {
	t.Parallel()
	base, ws := start(t)
	_, err := sdk(t, base, "not-a-key").AuthTokens.Create(t.Context(), nil)
	if e, ok := errors.AsType[genai.APIError](err); !ok || e.Code != 400 || e.Status != "INVALID_ARGUMENT" || e.Message != "API key not valid. Please pass a valid API key." {
		t.Errorf("fact 15: got %v", err)
	}
	_, err = sdk(t, ws, "emulator").Live.Connect(t.Context(), "gemini-0", liveConfig())
	if err == nil || !strings.Contains(err.Error(), "1008 (policy violation): models/gemini-0 is not found for API version v1alpha") {
		t.Errorf("fact 32: got %v", err)
	}
}
