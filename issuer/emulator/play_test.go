package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted runs f in a bubble with a server that plays the scenario.
func scripted(t *testing.T, scenario string, f func(t *testing.T, b *bench)) {
	t.Helper()
	parsed, err := ParseScenario([]byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, &Server{Scenario: parsed}, f)
}

func (b *bench) verdict(t *testing.T) Verdict {
	t.Helper()
	synctest.Wait()
	code, _, text := b.do(t, "GET", "/__emulator/scenario", "")
	var v Verdict
	if err := json.Unmarshal([]byte(text), &v); err != nil || code != 200 {
		t.Fatalf("verdict: %d %s", code, text)
	}
	return v
}

func (b *bench) wantPassed(t *testing.T) {
	t.Helper()
	if v := b.verdict(t); !v.Passed || !v.Done || len(v.Unexpected) > 0 || v.Waiting != "" {
		t.Errorf("verdict %+v", v)
	}
}

// wantFailed expects that alone, and where the scenario stands.
func (b *bench) wantFailed(t *testing.T, unexpected, waiting string) {
	t.Helper()
	if v := b.verdict(t); v.Passed || !slices.Equal(v.Unexpected, []string{unexpected}) || !strings.HasPrefix(v.Waiting, waiting) || (v.Waiting == "") != (waiting == "") {
		t.Errorf("verdict %+v", v)
	}
}

// refused sets up in vain.
func (b *bench) refused(t *testing.T, setup string, code int, reason string) {
	t.Helper()
	c := b.dial(t, socketPath+"?key="+testKey)
	c.send(t, `{"setup":{`+setup+`}}`)
	c.wantClosed(t, code, reason)
}

// wantNothing expects that nothing comes any more.
func (c *client) wantNothing(t *testing.T) {
	t.Helper()
	time.Sleep(time.Minute)
	if synctest.Wait(); len(c.frames) > 0 {
		t.Errorf("something came: %s", c.next(t).data)
	}
}

func (c *client) wantNext(t *testing.T, message string) {
	t.Helper()
	if got := compact(c.next(t).data); got != message {
		t.Errorf("got %s, want %s", got, message)
	}
}

const timeTools = `,"tools":[{"functionDeclarations":[{"name":"get_time","behavior":"BLOCKING","parameters":{"type":"OBJECT","properties":{"zone":{"type":"STRING"}}}}]}]`

func TestAScenarioIsPlayed(t *testing.T) {
	for _, tt := range []struct {
		sentence, scenario string
		run                func(t *testing.T, b *bench)
	}{
		{"on connecting, and on text", `
steps:
  - expect: connect
    do:
      - say: Good morning.
  - expect: {text: weather}
    do:
      - say: It rains.
`, func(t *testing.T, b *bench) {
			if v := b.verdict(t); v.Step != 1 || v.Steps != 2 || v.Waiting != "step 1 (line 3): expects connect" {
				t.Errorf("verdict %+v", v)
			}
			c := b.openKey(t, textSetup)
			if a := c.turn(t, false); a.text != "Good morning." || !slices.Equal(a.order, []string{"content", "generationComplete", "turnComplete"}) {
				t.Errorf("said %q, %v", a.text, a.order)
			}
			// What does not fit is the model's.
			if got := c.ask(t, "my name is Ada", false).text; got != "Hello Ada, nice to meet you." {
				t.Errorf("said %q", got)
			}
			if v := b.verdict(t); v.Step != 2 || v.Done || v.Passed || v.Waiting != `step 2 (line 6): expects text containing "weather"` {
				t.Errorf("verdict %+v", v)
			}
			if got := c.ask(t, "how is the weather", false).text; got != "It rains." {
				t.Errorf("said %q", got)
			}
			b.wantPassed(t)
			if got := c.ask(t, "who am I", false).text; got != "Your name is Ada." {
				t.Errorf("after the scenario: %q", got)
			}
		}},
		{"by a regular expression, in clientContent too", `
steps:
  - expect: {matches: "^(?i)WEATHER in \\w+$"}
    do: [say: It rains.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.ask(t, "the weather in Rome", false)
			c.send(t, `{"clientContent":{"turns":[{"parts":[{"text":"weather"},{"text":"in Rome"}]}],"turnComplete":true}}`)
			if got := c.turn(t, false).text; got != "It rains." {
				t.Errorf("said %q", got)
			}
			b.wantPassed(t)
		}},
		{"with a voice", `
steps:
  - expect: {text: hello}
    do: [say: It rains.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup)
			a := c.ask(t, "hello", true)
			if a.transcript != "It rains." || len(a.pcm) < 10000 || !slices.Equal(a.order, []string{"not resumable", "content", "generationComplete", "turnComplete", "resumable"}) {
				t.Errorf("said %q, %v", a.transcript, a.order)
			}
		}},
		{"with raw messages, known or not, and nothing else", `
steps:
  - expect: text
    do:
      - send: {serverContent: {modelTurn: {parts: [{text: "<b>"}]}, fieldOfTomorrow: 12345678901234567890}}
      - send: {}
      - send: {messageOfTomorrow: {x: [1, null, 1.50]}}
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			c.say(t, "my name is Ada")
			c.wantNext(t, `{"serverContent":{"fieldOfTomorrow":12345678901234567890,"modelTurn":{"parts":[{"text":"<b>"}]}}}`)
			c.wantNext(t, `{}`)
			c.wantNext(t, `{"messageOfTomorrow":{"x":[1,null,1.5]}}`)
			c.wantNothing(t)
			b.wantPassed(t)
			if got := c.ask(t, "who am I", false).text; got != "Your name is Ada." {
				t.Errorf("the model did not hear it: %q", got)
			}
		}},
		{"by calling a function, whose response it answers", `
strict: true
steps:
  - expect: {text: time}
    do:
      - call: {name: get_time, args: {zone: UTC}}
  - expect: {toolResponse: get_time}
    do:
      - say: It is noon.
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable+timeTools)
			c.say(t, "what time is it")
			c.wantNext(t, `{"sessionResumptionUpdate":{}}`)
			a := c.calls(t)
			if !slices.Equal(a.called, []string{"get_time"}) || !strings.Contains(compact(a.frames[0].data), `"args":{"zone":"UTC"}`) {
				t.Errorf("called %s", a.frames[0].data)
			}
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+a.ids[0]+`","response":{"output":"noon"}}]}}`)
			if a := c.turn(t, true); a.text != "It is noon." || a.handle == "" {
				t.Errorf("said %q, %v", a.text, a.order)
			}
			c.wantNothing(t)
			b.wantPassed(t)
		}},
		{"with arguments that are made up, and a response that is the model's", `
steps:
  - expect: connect
    do: [call: get_time]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+timeTools)
			a := c.calls(t)
			if !strings.Contains(compact(a.frames[0].data), `"args":{"zone":"zone"}`) {
				t.Errorf("called %s", a.frames[0].data)
			}
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+a.ids[0]+`","response":{"output":"noon"}}]}}`)
			if got := c.turn(t, false).text; got != "get_time says noon." {
				t.Errorf("said %q", got)
			}
		}},
		{"with calls that are sent raw", `
steps:
  - expect: connect
    do: [send: {toolCall: {functionCalls: [{id: a, name: f}, {id: b, name: f}]}}, send: {toolCallCancellation: {ids: [b]}}]
  - expect: {toolResponse: f}
    do: [say: Thank you.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			c.calls(t)
			if got := b.handles(t); len(got) > 0 {
				t.Errorf("handles while a call waits: %v", got)
			}
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"a","response":{}},{"id":"b","response":{}}]}}`)
			if got := c.turn(t, true).text; got != "Thank you." {
				t.Errorf("said %q", got)
			}
			b.wantPassed(t)
		}},
		{"when the model called", `
steps:
  - expect: {toolResponse: get_time}
    do: [say: It is noon.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+timeTools)
			c.say(t, "call a tool")
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+c.calls(t).ids[0]+`","response":{"output":"noon"}}]}}`)
			if a := c.turn(t, false); a.text != "" || !slices.Equal(a.order, []string{"turnComplete"}) {
				t.Errorf("the model said %q, %v", a.text, a.order)
			}
			if got := c.turn(t, false).text; got != "It is noon." {
				t.Errorf("said %q", got)
			}
		}},
		{"when speech has ended", `
strict: true
steps:
  - expect: audio
  - expect: speech
    do: [say: I did not understand.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			c.stream(t, "-90/200ms -20/500ms -90/1s")
			if got := c.turn(t, true).text; got != "I did not understand." {
				t.Errorf("said %q", got)
			}
			c.stream(t, "-90/1s")
			b.wantPassed(t)
			if got, seqs := b.last(t), b.received(t, 0); got.Contains < seqs[len(seqs)-40] {
				t.Errorf("the handle is as of %d of %v", got.Contains, seqs)
			}
		}},
		{"on any message", `
strict: true
steps:
  - expect: {message: {realtimeInput: {activityStart: {}}}}
    do: [send: {a: 1}]
  - expect: {message: {clientContent: {turns: [{parts: [{text: hi}]}], turnComplete: true}}}
    do: [send: {b: 1}]
  - expect: {message: {contextUpdate: {}}}
    do: [send: {c: 1}]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+`,"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}`)
			c.send(t, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
			c.send(t, `{"realtimeInput":{"activityStart":{}}}`)
			c.wantNext(t, `{"a":1}`)
			c.send(t, `{"client_content":{"turns":[{"role":"user","parts":[{"text":"hi"}]}],"turn_complete":true}}`)
			c.wantNext(t, `{"b":1}`)
			c.send(t, `{"contextUpdate":{"systemInstruction":{"parts":[]}}}`)
			c.wantNext(t, `{"c":1}`)
			b.wantPassed(t)
		}},
		{"after a time, by the emulator's clock", `
steps:
  - expect: connect
    after: 5m
    do: [send: {a: 1}]
  - after: 10s
    do: [send: {b: 1}]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			start := time.Now()
			if err := b.server.Advance(5*time.Minute + 5*time.Second); err != nil {
				t.Fatal(err)
			}
			c.wantNext(t, `{"a":1}`)
			if v := b.verdict(t); v.Waiting != "step 2 (line 6): acts" {
				t.Errorf("verdict %+v", v)
			}
			c.wantNext(t, `{"b":1}`)
			if got := time.Since(start); got != 5*time.Second {
				t.Errorf("after %v", got)
			}
		}},
		{"one action after the other", `
steps:
  - expect: connect
    do:
      - say: Once upon a time there was a king.
      - send: {a: 1}
      - say: He died.
      - fault: {kind: goaway, timeLeft: 5s}
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			first := c.turn(t, false)
			c.wantNext(t, `{"a":1}`)
			second := c.turn(t, false)
			if first.text != "Once upon a time there was a king." || second.text != "He died." {
				t.Errorf("said %q, %q", first.text, second.text)
			}
			c.wantNext(t, `{"goAway":{"timeLeft":"5s"}}`)
			b.wantPassed(t)
		}},
		{"a step in the middle of the answer before", `
steps:
  - expect: connect
    do: [say: Once upon a time there was a king. He had three sons. And they had a horse.]
  - after: 100ms
    do: [fault: {kind: drop}]
`, func(t *testing.T, b *bench) {
			start := time.Now()
			c := b.openKey(t, audioSetup)
			c.wantClosed(t, 1006, "")
			if got := time.Since(start); got != 100*time.Millisecond {
				t.Errorf("after %v", got)
			}
			b.wantPassed(t)
		}},
		{"and an interruption of it", `
strict: true
steps:
  - expect: connect
    do: [say: Once upon a time there was a king. He had three sons. And they had a horse.]
  - expect: {text: stop}
    do: [say: Sorry.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup)
			time.Sleep(time.Second)
			c.say(t, "stop")
			if got := c.turn(t, true).order; !slices.Equal(got, []string{"not resumable", "content", "interrupted", "turnComplete", "resumable"}) {
				t.Errorf("got %v", got)
			}
			if got := c.turn(t, true).transcript; got != "Sorry." {
				t.Errorf("said %q", got)
			}
			b.wantPassed(t)
		}},
		{"an answer waits where nothing interrupts", `
strict: true
steps:
  - expect: connect
    do: [say: Once upon a time there was a king.]
  - expect: text
    do: [say: Sorry.]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup+`,"realtimeInputConfig":{"activityHandling":"NO_INTERRUPTION"}`)
			c.say(t, "stop")
			for _, want := range []string{"Once upon a time there was a king.", "Sorry."} {
				if got := c.turn(t, true).transcript; got != want {
					t.Errorf("said %q", got)
				}
			}
			c.wantNothing(t)
		}},
		{"and goes on when a phantom has interrupted", `
steps:
  - expect: connect
    do:
      - fault: {kind: phantom-interrupt, after: 50ms}
      - say: Once upon a time there was a king.
      - send: {a: 1}
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, audioSetup)
			c.turn(t, false)
			c.wantNext(t, `{"a":1}`)
		}},
		{"over reconnections", `
strict: true
steps:
  - expect: connect
  - expect: text
    do: [say: Good., fault: {kind: refuse-resume}, fault: {kind: close, code: 1011, reason: bye}]
  - expect: resume
    do: [say: Welcome back.]
  - expect: close
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "remember tea", true).handle
			c.wantClosed(t, 1011, "bye")
			b.refused(t, withHandle(resumable, handle), 1011, "The service is currently unavailable.")
			c = b.openKey(t, withHandle(resumable, handle))
			if got := c.turn(t, true).text; got != "Welcome back." {
				t.Errorf("said %q", got)
			}
			if v := b.verdict(t); v.Waiting != "step 4 (line 9): expects close" {
				t.Errorf("verdict %+v", v)
			}
			c.conn.Close(1000, "")
			b.wantPassed(t)
		}},
		{"on minting, with and without a connection", `
strict: true
steps:
  - do: [fault: {kind: mint-error, status: 403}]
  - expect: mint
  - expect: mint
    do: [fault: {kind: mint-error, status: 429, times: 2}]
  - expect: connect
  - expect: mint
    do: [fault: {kind: mint-error}, send: {a: 1}]
  - after: 1m
    do: [fault: {kind: mint-error, status: 500}]
`, func(t *testing.T, b *bench) {
			try := func(want int) {
				t.Helper()
				if code, _, _ := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", testKey); code != want {
					t.Errorf("minting: %d, want %d", code, want)
				}
			}
			try(403)
			try(429)
			try(429)
			c := b.open(t, tokenPath+b.mint(t, ""), textSetup)
			try(503)
			c.wantNext(t, `{"a":1}`)
			try(200)
			time.Sleep(time.Minute)
			b.wantPassed(t)
			try(500)
		}},
		{"for one connection; others have the model", `
steps:
  - expect: text
    do: [say: Good.]
  - expect: text
    do: [say: Bad.]
`, func(t *testing.T, b *bench) {
			c, d := b.openKey(t, textSetup), b.openKey(t, textSetup)
			if got := d.ask(t, "who am I", false).text; got != "You have not told me your name yet." {
				t.Errorf("the other says %q", got)
			}
			if got := c.ask(t, "hello", false).text; got != "Good." {
				t.Errorf("said %q", got)
			}
			c.conn.Close(1000, "")
			synctest.Wait()
			if v := b.verdict(t); v.Waiting != "step 2 (line 5): expects text" {
				t.Errorf("verdict %+v", v)
			}
			d.ask(t, "hello", false)
			if got := b.openKey(t, textSetup).ask(t, "hello", false).text; got != "Bad." { // the next one to come
				t.Errorf("said %q", got)
			}
		}},
		{"what is left of a step waits for nobody", `
steps:
  - expect: text
    do: [say: Good., fault: {kind: drop}, say: Bad.]
  - do: [say: Who is there?]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.say(t, "hello")
			c.wantClosed(t, 1006, "")
			b.wantFailed(t, "scenario step 1: the connection ended before all was done", "step 2 (line 5): waits for a connection")
			if got := b.openKey(t, textSetup).turn(t, false).text; got != "Who is there?" {
				t.Errorf("said %q", got)
			}
			b.wantFailed(t, "scenario step 1: the connection ended before all was done", "")
		}},
		{"a fault of a token needs one", `
steps:
  - expect: connect
    do: [fault: {kind: expire-token}]
`, func(t *testing.T, b *bench) {
			b.openKey(t, textSetup).ask(t, "hello", false)
			b.wantFailed(t, "scenario step 1: expire-token needs a session by token", "")
		}},
		{"an activity of typed text alone", `
strict: true
steps:
  - expect: {text: Ada}
    do: [send: {a: 1}]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup+`,"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}`)
			c.send(t, `{"realtimeInput":{"activityStart":{}}}`)
			c.say(t, "my name is Ada")
			c.wantNext(t, `{"a":1}`)
			c.send(t, `{"realtimeInput":{"activityEnd":{}}}`)
			c.wantNothing(t)
			b.wantPassed(t)
		}},
		{"sound and the end of speech in one message", `
strict: true
steps:
  - expect: audio
  - expect: speech
    do: [send: {a: 1}]
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.send(t, audioMessage("audio/pcm", pcmBytes(sound(earRate, "-20/500ms -90/1s"))))
			c.wantNext(t, `{"a":1}`)
		}},
		{"a response that nothing is said about gives a handle", `
strict: true
steps:
  - expect: connect
    do: [call: get_time]
  - expect: toolResponse
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable+timeTools)
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+c.calls(t).ids[0]+`","response":{"output":"noon"}}]}}`)
			if a := c.turn(t, true); !slices.Equal(a.order, []string{"resumable"}) {
				t.Errorf("got %v", a.order)
			}
			c.wantNothing(t)
			if got, seqs := b.last(t), b.received(t, 0); got.Contains != seqs[0] {
				t.Errorf("it contains %+v of %v", got, seqs)
			}
		}},
		{"the end of a connection that the server ends is no close", `
steps:
  - expect: text
    do: [fault: {kind: close}]
  - expect: close
`, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.say(t, "hello")
			c.wantClosed(t, 1011, "The service")
			if v := b.verdict(t); v.Waiting != "step 2 (line 5): expects close" {
				t.Errorf("verdict %+v", v)
			}
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) { scripted(t, tt.scenario, tt.run) })
	}
}

func TestAStrictScenarioFails(t *testing.T) {
	const hello = `{"realtimeInput":{"text":"hello"}}`
	for _, tt := range []struct {
		sentence, steps string
		setup           string
		messages        []string
		want            string
	}{
		{"on another text", "- expect: {text: weather}", textSetup, []string{hello}, `scenario step 1: expected text containing "weather", got realtimeInput.text`},
		{"on text in clientContent", "- expect: {matches: weather}", textSetup, []string{`{"clientContent":{"turns":[{"parts":[{"text":"hello"}]}]}}`}, `scenario step 1: expected text matching "weather", got clientContent`},
		{"on an empty one", "- expect: text", textSetup, []string{`{"clientContent":{"turnComplete":true}}`}, "scenario step 1: expected text, got clientContent"},
		{"on a message before a step is done", "- expect: connect\n  after: 1m\n  do: [say: Hello.]", textSetup, []string{hello}, "scenario step 1: expected nothing before it is done, got realtimeInput.text"},
		{"on one when it is over", "- expect: text", textSetup, []string{hello, hello}, "scenario is over: expected nothing, got realtimeInput.text"},
		{"on speech", "- expect: text", textSetup, []string{audioMessage("audio/pcm", pcmBytes(sound(earRate, "-20/500ms -90/1s")))}, "scenario step 1: expected text, got speech"},
		{"on an update of the context", "- expect: text", textSetup, []string{`{"contextUpdate":{}}`}, "scenario step 1: expected text, got contextUpdate"},
		{"on the response of another function", "- expect: connect\n  do: [call: get_time]\n- expect: {toolResponse: get_date}", textSetup + timeTools, []string{""}, "scenario step 2: expected a toolResponse of get_date, got a toolResponse of get_time"},
		{"on a new session in place of a resumed one", "- expect: resume", textSetup, nil, "scenario step 1: expected resume, got connect"},
		{"on what a step cannot do", "- expect: connect\n  do: [fault: {kind: expire-token}]", textSetup, nil, "scenario step 1: expire-token needs a session by token"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			scripted(t, "name: exact\nstrict: true\nsteps:\n"+tt.steps, func(t *testing.T, b *bench) {
				var log bytes.Buffer
				b.server.Logger = slog.New(slog.NewTextHandler(&log, nil))
				c := b.dial(t, socketPath+"?key="+testKey)
				c.send(t, `{"setup":{`+tt.setup+`}}`)
				for _, m := range tt.messages {
					if m == "" {
						m = `{"toolResponse":{"functionResponses":[{"id":"` + c.calls(t).ids[0] + `","response":{}}]}}`
					}
					c.send(t, m)
				}
				c.wantClosed(t, 1008, tt.want)
				if v := b.verdict(t); v.Passed || !v.Strict || v.Name != "exact" || !slices.Equal(v.Unexpected, []string{tt.want}) {
					t.Errorf("verdict %+v", v)
				}
				if !strings.Contains(log.String(), "level=ERROR msg=scenario name=exact unexpected=") {
					t.Errorf("log: %s", &log)
				}
				// Coming back makes nothing good.
				b.refused(t, textSetup, 1008, tt.want)
				b.wantFailed(t, tt.want, b.verdict(t).Waiting)
			})
		})
	}
	t.Run("on a second connection", func(t *testing.T) {
		scripted(t, "strict: true\nsteps: [expect: connect, expect: text]", func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			b.refused(t, textSetup, 1008, "scenario step 2: expected text, got connect")
			c.say(t, "hello")
			c.wantClosed(t, 1008, "scenario step 2: expected text, got connect")
		})
	})
	t.Run("on coming back when nobody asked for it", func(t *testing.T) {
		scripted(t, "strict: true\nsteps: [{expect: text, do: [say: Good.]}, expect: text]", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "hello", true).handle
			c.conn.Close(1000, "")
			b.refused(t, withHandle(resumable, handle), 1008, "scenario step 2: expected text, got resume")
		})
	})
	t.Run("but not on sound, pictures, marks and mints", func(t *testing.T) {
		scripted(t, "strict: true\nsteps: [expect: text]", func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.stream(t, "-90/200ms")
			c.send(t, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`)
			c.send(t, `{"realtimeInput":{"audioStreamEnd":true}}`)
			b.mint(t, "")
			c.say(t, "hello")
			c.wantNothing(t)
			b.wantPassed(t)
		})
	})
}

func TestScenariosAreControlled(t *testing.T) {
	const scenario = `{"name":"posted","steps":[{"expect":"connect","do":[{"say":"Grüße"}]},{"expect":"text"}]}`
	t.Run("posted, replaced and removed", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			if code, got := b.control(t, "GET", "scenario", ""); code != 404 || got["code"] != "no_scenario" {
				t.Errorf("without one: %d %v", code, got)
			}
			before := b.openKey(t, textSetup)
			if code, got := b.control(t, "POST", "scenario", scenario); code != 200 || got["waiting"] != "step 1 (line 1): expects connect" || fmt.Sprint(got["unexpected"]) != "[]" {
				t.Errorf("posted: %d %v", code, got)
			}
			before.ask(t, "hello", false) // is none of the scenario's
			c := b.openKey(t, textSetup)
			if got := c.turn(t, false).text; got != "Grüße" {
				t.Errorf("said %q", got)
			}
			b.control(t, "POST", "scenario", scenario)
			if got := c.ask(t, "my name is Ada", false).text; got != "Hello Ada, nice to meet you." {
				t.Errorf("after the replacement: %q", got)
			}
			b.control(t, "POST", "scenario", `{"steps":[{"expect":"connect","after":"1s","do":[{"send":{}}]}]}`)
			c = b.openKey(t, textSetup)
			b.control(t, "POST", "scenario", scenario)
			c.wantNothing(t) // of a step that had begun
			if v := b.verdict(t); v.Step != 1 {
				t.Errorf("verdict %+v", v)
			}
			for _, remove := range [][2]string{{"POST", "{}"}, {"POST", ""}, {"DELETE", ""}} {
				b.control(t, "POST", "scenario", scenario)
				if code, _ := b.control(t, remove[0], "scenario", remove[1]); code != 200 {
					t.Errorf("%v: %d", remove, code)
				}
				if code, _ := b.control(t, "GET", "scenario", ""); code != 404 {
					t.Errorf("after %v: %d", remove, code)
				}
			}
		})
	})
	t.Run("for each namespace its own", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			b.control(t, "POST", "scenario?ns=mine", scenario)
			if code, _ := b.control(t, "GET", "scenario", ""); code != 404 {
				t.Errorf("it is in the shared one: %d", code)
			}
			b.openKey(t, textSetup).wantNothing(t)
			if got := b.open(t, socketPath+"?key=emulator-mine", textSetup).turn(t, false).text; got != "Grüße" {
				t.Errorf("said %q", got)
			}
		})
	})
	t.Run("a reset removes what was posted and begins the server's own again", func(t *testing.T) {
		scripted(t, "name: own\nsteps: [expect: connect, expect: text]", func(t *testing.T, b *bench) {
			b.openKey(t, textSetup)
			if v := b.verdict(t); v.Step != 2 {
				t.Errorf("verdict %+v", v)
			}
			b.control(t, "POST", "scenario", scenario)
			b.control(t, "POST", "reset", "")
			if v := b.verdict(t); v.Name != "own" || v.Step != 1 {
				t.Errorf("verdict %+v", v)
			}
			b.control(t, "POST", "scenario?ns=mine", scenario)
			b.control(t, "POST", "reset?ns=mine", "")
			if code, _ := b.control(t, "GET", "scenario?ns=mine", ""); code != 404 {
				t.Errorf("in a namespace: %d", code)
			}
		})
	})
	t.Run("what is no scenario is refused, and leaves the one there is", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			b.control(t, "POST", "scenario", scenario)
			for body, want := range map[string]string{
				`{"steps":[{"expect":"hello"}]}`:     "line 1: expect is one of",
				`[]`:                                 "one JSON object",
				`steps: []`:                          "one JSON object",
				`{"a":` + strings.Repeat("[", 20000): "one JSON object",
				`{"a":` + strings.Repeat(" ", maxScenario) + `1}`:     "send at most 1024 KiB",
				`{"name":"x"}` + "\n---\n" + `{"name":"y","steps":1}`: "one JSON object",
			} {
				code, got := b.control(t, "POST", "scenario", body)
				if detail := fmt.Sprint(got["detail"]); code < 400 || !strings.Contains(detail, want) {
					t.Errorf("%.40s: %d %v", body, code, got)
				}
			}
			if v := b.verdict(t); v.Name != "posted" {
				t.Errorf("verdict %+v", v)
			}
		})
	})
	t.Run("closing the server ends no scenario", func(t *testing.T) {
		scripted(t, "steps: [expect: connect, expect: close]", func(t *testing.T, b *bench) {
			b.openKey(t, textSetup)
			synctest.Wait()
			b.server.Close()
			if v, ok := b.server.Verdict(); !ok || v.Done || v.Step != 2 {
				t.Errorf("verdict %+v, %v", v, ok)
			}
		})
	})
}

func TestAScenarioKeepsSecrets(t *testing.T) {
	const handle = "0f7d2c1e-5b1a-4c7b-9e55-2f1d3a4b5c6d"
	scripted(t, `
strict: true
steps:
  - expect: connect
    do: [send: {sessionResumptionUpdate: {newHandle: `+handle+`, resumable: true}}]
  - expect: {text: `+handle+`}
`, func(t *testing.T, b *bench) {
		var log bytes.Buffer
		b.server.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c := b.openKey(t, textSetup)
		if got := string(c.next(t).data); !strings.Contains(got, handle) {
			t.Errorf("sent %s", got)
		}
		c.say(t, "hello")
		c.closed(t)
		_, _, journal := b.do(t, "GET", "/__emulator/journal", "")
		_, _, verdict := b.do(t, "GET", "/__emulator/scenario", "")
		for where, text := range map[string]string{"journal": journal, "verdict": verdict, "log": log.String()} {
			if !strings.Contains(text, "#"+digestOf(handle).String()) || strings.Contains(text, handle) {
				t.Errorf("%s: %s", where, text)
			}
		}
	})
}
