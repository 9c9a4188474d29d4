package emulator

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestABadScenarioIsRefused(t *testing.T) {
	for _, tt := range []struct{ sentence, text, want string }{
		{"an empty file", "", "write name, strict and steps"},
		{"one with a comment alone", "# later\n", "write name, strict and steps"},
		{"no steps", "name: x\n", "the scenario has no steps"},
		{"no mapping", "- expect: connect\n", "line 1: write keys and values: there are name, strict, steps"},
		{"an empty list", "[]", `line 1: write keys and values: there are name, strict, steps`},
		{"no YAML", "name: [\n", "line 1: "},
		{"an unknown key", "name: x\nstrickt: true\nsteps: []\n", `line 2: unknown field "strickt": there are name, strict, steps`},
		{"a word for a switch", "name: x\nstrict: yes\nsteps: []\n", "line 2: write true or false"},
		{"an unknown key of a step", "steps:\n  - expect: connect\n    then: []\n", `line 3: unknown field "then": there are expect, after, do`},
		{"a key twice", "steps:\n  - expect: connect\n    expect: resume\n", "line 3: mapping key \"expect\" already defined"},
		{"two documents", "steps: [{expect: connect}]\n---\nsteps: []\n", "write one document"},
		{"an empty step", "steps:\n  - expect: connect\n  -\n", "step 2 is empty: write expect, do, or both"},
		{"a step of nothing", "steps:\n  - {}\n", "line 2: a step has expect, do, or both"},
		{"time for nothing", "steps:\n  - expect: text\n    after: 2s\n", "line 2: after is the time before do"},
		{"no duration", "steps:\n  - expect: connect\n    after: soon\n", "line 2: after is a duration, such as 300ms or 1m30s"},
		{"a negative one", "steps: [{expect: connect, after: -1s}]", "line 1: after is a duration"},
		{"an unknown event", "steps:\n  - expect: hello\n", "line 2: expect is one of connect resume text speech audio toolResponse mint close, {text: …}"},
		{"a list of events", "steps:\n  - expect: [connect, resume]\n", "line 2: expect is one of connect"},
		{"two expectations in one", "steps:\n  - expect:\n      text: a\n      matches: b\n", "line 3: write one of text, matches, toolResponse, message"},
		{"an unknown one", "steps:\n  - expect:\n      words: a\n", "line 3: write one of text, matches, toolResponse, message"},
		{"no regular expression", "steps:\n  - expect: {matches: '('}\n", "line 2: matches is a regular expression of RE2: "},
		{"text that is none", "steps:\n  - expect: {text: [a]}\n", "line 2: text takes a text"},
		{"a message that is none", "steps:\n  - expect: {message: hello}\n", "line 2: message is an object"},
		{"the setup, which is no message of a live session", "steps:\n  - expect: {message: {setup: {}}}\n", "line 2: a message has one of clientContent, contextUpdate, realtimeInput, toolResponse; after the setup expect connect or resume"},
		{"a message that no client may send", "steps:\n  - expect: {message: {realtime_input: {}}}\n", "line 2: a message has one of"},
		{"two messages in one", "steps:\n  - expect: {message: {realtimeInput: {}, toolResponse: {}}}\n", "line 2: a message has one of"},
		{"text of nothing", "steps:\n  - expect: {text: ''}\n", "line 2: text is empty: for any text write expect: text"},
		{"an empty expression", "steps:\n  - expect: {matches: ''}\n", "line 2: matches is empty"},
		{"a function without a name", "steps:\n  - expect: {toolResponse: ''}\n", "line 2: toolResponse names a function"},
		{"do without a list", "steps:\n  - do: x\n", "line 2: write a list"},
		{"an unknown action", "steps:\n  - do:\n      - sing: la\n", "line 3: write one of send, say, call, fault"},
		{"two actions in one", "steps:\n  - do:\n      - say: a\n        call: b\n", "line 3: write one of send, say, call, fault"},
		{"an empty action", "steps:\n  - do:\n      - {}\n", "line 3: write one of send, say, call, fault"},
		{"sending no object", "steps:\n  - do:\n      - send: [1]\n", "line 3: send is an object"},
		{"sending what JSON cannot hold", "steps:\n  - do:\n      - send: {x: .nan}\n", "line 3: send is what JSON can hold"},
		{"saying too much", "steps:\n  - do:\n      - say: " + strings.Repeat("la ", 1000), "line 3: say is at most 2000 bytes"},
		{"calling nothing", "steps:\n  - do:\n      - call: {args: {}}\n", "line 3: call names a function"},
		{"a call with more", "steps:\n  - do:\n      - call: {name: f, id: x}\n", `line 3: unknown field "id": there are name, args`},
		{"arguments that are no object", "steps:\n  - do:\n      - call: {name: f, args: [1]}\n", "line 3: args is an object"},
		{"an unknown fault", "steps:\n  - do:\n      - fault: {kind: flood}\n", "line 3: fault: kind is one of burst, close"},
		{"a fault as a word", "steps:\n  - do:\n      - fault: drop\n", "line 3: fault is an object"},
		{"an unknown option of a fault", "steps:\n  - do:\n      - fault: {kind: drop, hold: 2s}\n", `line 3: fault: unknown field "hold"`},
		{"an option of another fault", "steps:\n  - do:\n      - fault: {kind: drop, holds: 2s}\n", "line 3: fault: drop does not take holds, but after"},
		{"a fault of another session", "steps:\n  - do:\n      - fault: {kind: drop, session: s1}\n", "line 3: fault: leave session and token out"},
		{"a fault of another token", "steps:\n  - do:\n      - fault: {kind: spent-token, token: '*'}\n", "line 3: fault: leave session and token out"},
		{"an anchor", "name: &a x\nsteps:\n  - expect: connect\n", "line 1: write it without anchors"},
		{"an alias", "steps:\n  - do: [send: {a: &a [1]}]\n  - do: [send: {a: *a}]\n", "line 2: write it without anchors"},
		{"a tag", "steps:\n  - expect: !!str text\n", "line 2: write it without anchors"},
		{"a merge", "steps:\n  - <<: {expect: text}\n", "line 2: write it without anchors"},
		{"too many steps", "steps: [" + strings.Repeat("{expect: text},\n", maxSteps+1) + "]", "line 1001: a scenario has at most 1000 steps"},
		{"too much", strings.Repeat("#", maxScenario+1), "at most 1 MiB"},
		{"JSON with a wrong key", "{\"steps\":[\n{\"expect\":\"connect\"},\n{\"expct\":\"text\"}]}", `line 3: unknown field "expct"`},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			if _, err := ParseScenario([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// documented is the only block of that language in a page that begins so.
func documented(t *testing.T, page, language, begin string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```"+language+"\n"+begin)
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatalf("%s has no %s that begins with %q", page, language, begin)
	}
	return begin + block
}

func TestTheDocumentedScenarioIsPlayed(t *testing.T) {
	scripted(t, documented(t, "scenarios.md", "yaml", "name:"), func(t *testing.T, b *bench) {
		const setup = resumable + `,"tools":[{"functionDeclarations":[{"name":"get_weather"}]}]`
		c := b.openKey(t, setup)
		if got := c.turn(t, true).text; got != "What would you like to know?" {
			t.Errorf("said %q", got)
		}
		c.say(t, "how is the weather")
		call := c.calls(t)
		synctest.Wait()
		var verdict, page any
		_, _, text := b.do(t, "GET", "/__emulator/scenario", "")
		if json.Unmarshal([]byte(text), &verdict) != nil || json.Unmarshal([]byte(documented(t, "scenarios.md", "json", "{")), &page) != nil || !reflect.DeepEqual(verdict, page) {
			t.Errorf("verdict %s", text)
		}
		start := time.Now()
		c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+call.ids[0]+`","name":"get_weather","response":{"output":"rain"}}]}}`)
		handle := c.turn(t, true).handle // told when the response came
		if a := c.turn(t, true); a.text != "It rains." || a.frames[0].at.Sub(start) != 500*time.Millisecond {
			t.Errorf("said %q at %v", a.text, a.frames[0].at.Sub(start))
		} else {
			handle = a.handle
		}
		c.wantNext(t, `{"serverContent":{"fieldOfTomorrow":1}}`)
		c.wantNext(t, `{"goAway":{"timeLeft":"10s"}}`)
		c.conn.Close(1000, "")
		c = b.openKey(t, withHandle(setup, handle))
		if code, _, _ := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", testKey); code != 503 {
			t.Errorf("minting: %d", code)
		}
		if got := c.ask(t, "Thank you!", true).text; got != "You are welcome." {
			t.Errorf("said %q", got)
		}
		c.conn.Close(1000, "")
		b.wantPassed(t)
	})
}

func TestTheDocumentNamesAllThatAScenarioMaySay(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range expectable {
		if !strings.Contains(string(text), "`"+string(kind)+"`") {
			t.Errorf("docs/scenarios.md does not name %s", kind)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	f.Add([]byte("name: x\nstrict: true\nsteps:\n  - expect: connect\n    after: 2s\n    do: [say: hello, call: {name: f, args: {a: [1]}}]\n"))
	f.Add([]byte(`{"steps":[{"expect":{"message":{"a":null}},"do":[{"send":{"b":{}}},{"fault":{"kind":"drop"}}]}]}`))
	f.Add([]byte("steps: &a [*a]\n"))
	f.Add([]byte("steps:\n  - <<: {expect: text}\n  - expect: !!str connect\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := ParseScenario(text); (s == nil) == (err == nil) {
			t.Errorf("got %v and %v", s, err)
		}
	})
}
