package edge

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// These tests run in both builds: natively and in a browser.

//go:embed testdata
var testdata embed.FS

const secret = "auth_tokens/canary5d1f"

// dialPath opens the socket with the given path of the odd server.
func dialPath(t *testing.T, ctx context.Context, p string) (*Socket, error) {
	t.Helper()
	url := "ws" + strings.TrimPrefix(server(t), "http") + "/socket/" + p
	return Dial(ctx, live.Token{Secret: live.NewSecret(secret), URL: url, Param: "access_token"})
}

func mustDial(t *testing.T, p string) *Socket {
	t.Helper()
	s, err := dialPath(t, t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Close(ctx)
	})
	return s
}

func receive(t *testing.T, s *Socket) live.Message {
	t.Helper()
	m, err := s.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantClose(t *testing.T, s *Socket, code int, reason string) {
	t.Helper()
	_, err := s.Receive(t.Context())
	closed, ok := errors.AsType[*live.CloseError](err)
	if !ok || closed.Code != code || closed.Reason != reason {
		t.Errorf("the socket ended with %v, want %d %q", err, code, reason)
	}
}

func TestACloseRightBehindMessagesLosesNothing(t *testing.T) {
	s := mustDial(t, "close")
	time.Sleep(100 * time.Millisecond) // a late reader: all is there before the first Receive
	for n := range 3 {
		if got := nodeOf(receive(t, s).Body).get("n").number(); got != float64(n) {
			t.Errorf("message %v, want %d", got, n)
		}
	}
	wantClose(t, s, live.ClosePolicy, "the reason")
	wantClose(t, s, live.ClosePolicy, "the reason") // and stays so
}

func TestMessagesKeepTheirOrderWhateverTheirKindAndSize(t *testing.T) {
	s := mustDial(t, "mixed")
	for n := range 40 {
		if got := nodeOf(receive(t, s).Body).get("n").number(); got != float64(n) {
			t.Fatalf("message %v, want %d", got, n)
		}
	}
	wantClose(t, s, live.CloseNormal, "")
}

func TestALargeMessagePasses(t *testing.T) {
	if got := len(nodeOf(receive(t, mustDial(t, "big")).Body).get("big").text()); got != 256<<10 {
		t.Errorf("%d characters arrived", got)
	}
}

func TestACutLineIs1006(t *testing.T) { wantClose(t, mustDial(t, "cut"), live.CloseAbnormal, "") }

func TestAMalformedFrameIsAnErrorThatQuotesNothing(t *testing.T) {
	if _, err := mustDial(t, "malformed").Receive(t.Context()); !errors.Is(err, live.ErrMalformed) {
		t.Errorf("Receive: %v", err)
	}
}

func TestARefusedUpgradeIs1006AndNamesNoURL(t *testing.T) {
	_, err := dialPath(t, t.Context(), "refuse")
	closed, ok := errors.AsType[*live.CloseError](err)
	if !ok || closed.Code != live.CloseAbnormal {
		t.Errorf("Dial: %v", err)
	}
	if strings.Contains(fmt.Sprint(err), secret) {
		t.Errorf("the error shows the token: %v", err)
	}
}

func TestADialEndsWithItsContext(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if _, err := dialPath(t, ctx, "never"); !errors.Is(err, cause) {
		t.Errorf("Dial: %v", err)
	}
}

func TestReceiveEndsWithItsContext(t *testing.T) {
	s := mustDial(t, "echo")
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := s.Receive(ctx); !errors.Is(err, cause) {
		t.Errorf("Receive: %v", err)
	}
}

func TestCloseWaitsForADeafServerOnlyAsLongAsItsContext(t *testing.T) {
	s := mustDial(t, "deaf")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	s.Close(ctx)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Close took %v", took)
	}
	if _, err := s.Receive(t.Context()); err == nil {
		t.Error("a closed socket receives")
	}
	if err := s.Setup(live.Setup{}); !errors.Is(err, live.ErrNotOpen) {
		t.Errorf("Setup on a closed socket: %v", err)
	}
}

func TestWhatIsSentArrives(t *testing.T) {
	s := mustDial(t, "echo")
	if err := s.Setup(live.Setup{Model: "models/m", Handle: live.NewSecret("h1"), Body: value(t, `{"tools":[],"model":"models/other"}`)}); err != nil {
		t.Fatal(err)
	}
	setup := nodeOf(receive(t, s).Body).get("received").get("setup")
	if got := setup.get("model").text(); got != "models/m" {
		t.Errorf("model %q", got)
	}
	if got := setup.get("sessionResumption").get("handle").text(); got != "h1" {
		t.Errorf("handle %q", got)
	}
	if !has(setup, "tools") {
		t.Error("the page's setup is lost")
	}

	in, err := newInput(t, `{"realtimeInput":{"text":"größe <b> & \u2028"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(in); err != nil {
		t.Fatal(err)
	}
	if got := nodeOf(receive(t, s).Body).get("received").get("realtimeInput").get("text").text(); got != "größe <b> & \u2028" {
		t.Errorf("text %q", got)
	}
	// The answer may be here before whoever sent the question has counted it out.
	for deadline := time.Now().Add(5 * time.Second); s.Buffered() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes wait after all was answered", s.Buffered())
		}
	}
}

// What a setup says of a history is the session's word, not the page's.
func TestASetupAnnouncesAHistoryOnlyIfOneComes(t *testing.T) {
	s := mustDial(t, "echo")
	for _, seeded := range []bool{true, false} {
		body := value(t, `{"historyConfig":{"initialHistoryInClientContent":true}}`)
		if err := s.Setup(live.Setup{Seeded: seeded, Body: body}); err != nil {
			t.Fatal(err)
		}
		setup := nodeOf(receive(t, s).Body).get("received").get("setup").body()
		if got := (Editor{}).Announces(setup); got != seeded {
			t.Errorf("announced: %v, want %v", got, seeded)
		}
		if !(Editor{}).Announces(body) {
			t.Error("the page's setup is changed")
		}
	}
}

func TestNoNullGoesOnTheWire(t *testing.T) {
	s := mustDial(t, "echo")
	sent := func(err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return nodeOf(receive(t, s).Body).get("received").canonical()
	}
	setup := value(t, `{"tools":null,"labels":{"a":null,"b":"null"},"safetySettings":[null,{"category":"x","threshold":null}],"generationConfig":{"seed":12345678901}}`)
	want := `{"setup":{"generationConfig":{"seed":12345678901},"labels":{"b":"null"},"safetySettings":[{"category":"x"}],"sessionResumption":{}}}`
	if got := sent(s.Setup(live.Setup{Body: setup})); got != nodeOf(value(t, want)).canonical() {
		t.Errorf("setup %s, want %s", got, want)
	}
	for wire, want := range map[string]string{
		`{"realtimeInput":{"text":"null","audio":null},"clientContent":null}`:                                                  `{"realtimeInput":{"text":"null"}}`,
		`{"clientContent":{"turns":[null,{"role":null,"parts":[{"text":"a","inlineData":null}]}],"turnComplete":null}}`:        `{"clientContent":{"turns":[{"parts":[{"text":"a"}]}]}}`,
		`{"toolResponse":{"functionResponses":[{"id":"a","scheduling":null,"response":{"output":null,"list":[1,null,"x"]}}]}}`: `{"toolResponse":{"functionResponses":[{"id":"a","response":{"output":null,"list":[1,null,"x"]}}]}}`,
	} {
		in, err := newInput(t, wire)
		if err != nil {
			t.Fatal(wire, err)
		}
		if got := sent(s.Send(in)); got != nodeOf(value(t, want)).canonical() {
			t.Errorf("%s is sent as %s", wire, got)
		}
	}
}

func TestANewSessionAsksForResumptionWithoutAHandle(t *testing.T) {
	s := mustDial(t, "echo")
	if err := s.Setup(live.Setup{Model: "models/m"}); err != nil {
		t.Fatal(err)
	}
	setup := nodeOf(receive(t, s).Body).get("received").get("setup")
	if !has(setup, "sessionResumption") || has(setup.get("sessionResumption"), "handle") {
		t.Errorf("setup has the keys %v", setup.keys())
	}
}

func has(n node, key string) bool {
	for _, k := range n.keys() {
		if k == key {
			return true
		}
	}
	return false
}

// Files of wire text hold both builds to the same reading of it.
func TestWireTextIsReadAsItsFileSays(t *testing.T) {
	files, err := testdata.ReadDir("testdata")
	if err != nil || len(files) == 0 {
		t.Fatal("no files of wire text", err)
	}
	for _, f := range files {
		text, err := testdata.ReadFile(path.Join("testdata", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f.Name(), ".txt") {
			continue
		}
		for _, entry := range strings.Split(string(text), "\n\n") {
			wire, want, ok := strings.Cut(strings.TrimSpace(entry), "\n=> ")
			if !ok {
				continue // a note
			}
			t.Run(f.Name()+" "+wire, func(t *testing.T) {
				read := readClient
				if f.Name() == "server.txt" {
					read = readServer
				}
				got := read(t, wire)
				if got != want {
					t.Errorf("read as %q, want %q", got, want)
				}
			})
		}
	}
}

// readServer says what a server message is read as.
func readServer(t *testing.T, wire string) string {
	body := value(t, wire)
	m, err := decode(nodeOf(body))
	if err != nil {
		return "error: " + err.Error()
	}
	if has(nodeOf(m.Body).get("sessionResumptionUpdate"), "newHandle") {
		t.Error("the body still holds the handle")
	}
	var words []string
	say := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	say(m.SetupComplete, "setupComplete")
	say(m.GoAway, "goAway in "+m.TimeLeft.String())
	say(!m.Handle.IsZero(), "handle "+m.Handle.Reveal())
	say(m.Content, "content")
	say(m.Output, "output")
	say(m.Heard != "", "hears "+strconv.Quote(m.Heard))
	say(m.Said != "", "says "+strconv.Quote(m.Said))
	say(m.Written != "", "writes "+strconv.Quote(m.Written))
	say(m.Interrupted, "interrupted")
	say(m.GenerationComplete, "generationComplete")
	complete := "turnComplete"
	if m.TurnReason != "" {
		complete += " for " + m.TurnReason
	}
	say(m.TurnComplete, complete)
	say(m.Waits, "waits")
	say(m.UserSpeaks, "the user speaks")
	say(m.Usage != live.Usage{}, fmt.Sprint("usage ", m.Usage))
	for _, c := range m.Calls {
		say(true, "calls "+c.ID)
	}
	say(len(m.Cancelled) > 0, "cancels "+strings.Join(m.Cancelled, ","))
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// readClient says what a client message is read as.
func readClient(t *testing.T, wire string) string {
	in, err := newInput(t, wire)
	if err != nil {
		return "error: " + err.Error()
	}
	words := []string{"input"}
	if in.Asks {
		words = append(words, "asks")
	}
	if in.Audio > 0 {
		word := fmt.Sprintf("sound of level %.0f for ", in.Level)
		if in.Quiet {
			word = "silence for "
		}
		words = append(words, word+in.Audio.String())
	}
	for _, a := range in.Answers {
		word := "answers "
		if a.More {
			word = "answers in part "
		}
		words = append(words, word+a.ID)
	}
	for _, line := range in.Lines {
		word := "types " + strconv.Quote(line.Text)
		if line.Model {
			word += " as the model"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestTheEditorRewritesACopy(t *testing.T) {
	var editor Editor
	for name, c := range map[string]struct {
		body string
		edit func(live.Payload) live.Payload
		want string
	}{
		"one response of two, readdressed": {
			`{"toolResponse": {"functionResponses": [{"id": "a", "name": "f", "response": {"x": [1]}}, {"id": "b"}]}}`,
			func(p live.Payload) live.Payload { return editor.Answer(p, "a", "z") },
			`{"toolResponse": {"functionResponses": [{"id": "z", "name": "f", "response": {"x": [1]}}]}}`,
		},
		"a call less": {
			`{"toolCall": {"functionCalls": [{"id": "a", "name": "f"}, {"id": "b", "name": "g", "args": {}}], "odd": 1}, "usageMetadata": {}}`,
			func(p live.Payload) live.Payload { return editor.WithoutCalls(p, []string{"a"}) },
			`{"toolCall": {"functionCalls": [{"id": "b", "name": "g", "args": {}}], "odd": 1}, "usageMetadata": {}}`,
		},
		"a history": {
			`{}`, func(live.Payload) live.Payload {
				return editor.History([]live.Line{{Text: "hi"}, {Model: true, Text: "hello"}})
			},
			`{"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "hello"}]}], "turnComplete": true}}`,
		},
		"no history": {
			`{}`, func(live.Payload) live.Payload { return editor.History(nil) }, `{"clientContent": {"turns": [], "turnComplete": true}}`,
		},
		"a recap": {
			`{}`, func(live.Payload) live.Payload {
				return editor.Recap([]live.Line{{Text: "hi"}, {Model: true, Text: "hello"}})
			},
			`{"clientContent": {"turns": [{"role": "user", "parts": [{"text": "So far in this conversation:\nI said: hi\nYou said: hello"}]}]}}`,
		},
		"another setup": {
			`{"tools": [1], "labels": {"a": "b"}}`, func(p live.Payload) live.Payload {
				return editor.Merge(p, value(t, `{"tools": [], "systemInstruction": {"parts": []}}`))
			},
			`{"tools": [], "labels": {"a": "b"}, "systemInstruction": {"parts": []}}`,
		},
		"a first setup": {
			`{"tools": []}`, func(p live.Payload) live.Payload { return editor.Merge(nil, p) }, `{"tools": []}`,
		},
		"the end of a stream": {
			`{}`, func(live.Payload) live.Payload { return editor.StreamEnd() }, `{"realtimeInput": {"audioStreamEnd": true}}`,
		},
		"a cancellation by other ids": {
			`{"toolCallCancellation": {"ids": ["a", "b"]}}`,
			func(p live.Payload) live.Payload {
				return editor.Cancellation(p, map[string]string{"a": "z", "b": "b"})
			},
			`{"toolCallCancellation": {"ids": ["z", "b"]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := value(t, c.body)
			before := nodeOf(body).canonical()
			if got, want := nodeOf(c.edit(body)).canonical(), nodeOf(value(t, c.want)).canonical(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if nodeOf(body).canonical() != before {
				t.Error("the body it was given is changed")
			}
		})
	}
}

func TestAnUpdateChangesWhatCanBeChanged(t *testing.T) {
	for text, fields := range map[string][]string{
		`{"tools": []}`:                          {"tools"},
		`{"systemInstruction": {}, "tools": []}`: {"systemInstruction", "tools"},
		`{}`:                                     nil,
		`null`:                                   nil,
		`{"tools": [], "model": "m"}`:            nil,
		`{"sessionResumption": {}}`:              nil,
	} {
		got, err := update(nodeOf(value(t, text)))
		slices.Sort(got.Fields)
		if !slices.Equal(got.Fields, fields) || (err == nil) != (fields != nil) {
			t.Errorf("%s changes %q, error %v", text, got.Fields, err)
		}
	}
}

func TestTypedTextTakesTheFormOfTheModel(t *testing.T) {
	anytime, byTurns, seedsOnly := live.Capabilities{Turns: "anytime"}, live.Capabilities{Text: "clientContent"}, live.Capabilities{}
	const (
		text   = `{"realtimeInput": {"text": "hi"}}`
		turns  = `{"clientContent": {"turns": [{"role": "user", "parts": [{"text": "a"}, {"text": "b", "inlineData": null}]}, {"parts": [{"text": "c"}]}], "turnComplete": true}}`
		tells  = `{"clientContent": {"turns": [{"role": "user", "parts": [{"text": "a"}]}]}}`
		spoken = `{"realtimeInput": {"audioStreamEnd": true}}`
		answer = `{"toolResponse": {"functionResponses": [{"id": "a"}]}}`
	)
	for name, c := range map[string]struct {
		body   string
		can    live.Capabilities
		asides []string
		want   string
		is     string // of its flags
	}{
		"text as it is":             {text, anytime, nil, text, "asks"},
		"text in a turn":            {text, byTurns, nil, `{"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": true}}`, "asks content"},
		"turns as they are":         {turns, anytime, nil, turns, "asks content"},
		"turns where text is turns": {turns, byTurns, nil, turns, "asks content"},
		"turns as text":             {turns, seedsOnly, nil, `{"realtimeInput": {"text": "a\nb\n\nc"}}`, "asks"},
		"a turn that asks nothing":  {tells, seedsOnly, nil, `{"realtimeInput": {"text": "a"}}`, "aside"},
		"which can be said so":      {tells, anytime, nil, tells, "content"},
		"text with asides":          {text, seedsOnly, []string{"x", "y"}, `{"realtimeInput": {"text": "x\n\ny\n\nhi"}}`, "asks"},
		"a turn with asides":        {turns, seedsOnly, []string{"x"}, `{"realtimeInput": {"text": "x\n\na\nb\n\nc"}}`, "asks"},
		"asides alone":              {`{"clientContent": {"turnComplete": true}}`, seedsOnly, []string{"x"}, `{"realtimeInput": {"text": "x"}}`, "asks"},
		"what was not typed":        {spoken, byTurns, nil, spoken, ""},
		"the answer to a call":      {answer, seedsOnly, nil, answer, ""},
		"nothing":                   {`{"clientContent": {"turnComplete": true}}`, seedsOnly, nil, "", "refused"},
		"the model's turn":          {`{"clientContent": {"turns": [{"role": "model", "parts": [{"text": "a"}]}]}}`, seedsOnly, nil, "", "refused"},
		"a picture":                 {`{"clientContent": {"turns": [{"parts": [{"text": "a"}, {"inlineData": {}}]}]}}`, seedsOnly, nil, "", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := newInput(t, c.body)
			if err != nil {
				t.Fatal(err)
			}
			before := nodeOf(in.Body).canonical()
			var asides []live.Payload
			for _, text := range c.asides {
				asides = append(asides, value(t, `{"realtimeInput": {"text": "`+text+`"}}`))
			}
			out, err := Editor{}.Fit(in, c.can, asides)
			if c.is == "refused" {
				if !errors.Is(err, live.ErrUnsupported) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var is []string
			for word, set := range map[string]bool{"asks": out.Asks, "content": out.Content, "aside": out.Aside} {
				if set {
					is = append(is, word)
				}
			}
			slices.Sort(is)
			if got := strings.Join(is, " "); got != c.is {
				t.Errorf("it is %q, want %q", got, c.is)
			}
			if got, want := nodeOf(out.Body).canonical(), nodeOf(value(t, c.want)).canonical(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if nodeOf(in.Body).canonical() != before {
				t.Error("the body it was given is changed")
			}
			if !slices.Equal(out.Lines, in.Lines) {
				t.Errorf("it says %v, want %v", out.Lines, in.Lines)
			}
		})
	}
}

func TestEqualArgumentsAreEqualTexts(t *testing.T) {
	text := func(wire string) string { return nodeOf(value(t, wire)).canonical() }
	if a, b := text(`{"b": [1, "x", null], "a": {"d": true, "c": 1.5}}`), text(`{"a": {"c": 1.5, "d": true}, "b": [1, "x", null]}`); a != b {
		t.Errorf("%s is not %s", a, b)
	}
	seen := map[string]string{}
	for _, wire := range []string{`{}`, `[]`, `""`, `0`, `null`, `false`, `{"a": 1}`, `{"a": "1"}`, `{"a": [1]}`, `{"a": {}}`, `[1, 2]`, `["1,2"]`, `["a", "b"]`, `["a\",\"b"]`} {
		if other, ok := seen[text(wire)]; ok {
			t.Errorf("%s and %s are %s", wire, other, text(wire))
		}
		seen[text(wire)] = wire
	}
}
