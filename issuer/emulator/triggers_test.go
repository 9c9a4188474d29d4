package emulator

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTriggers(t *testing.T) {
	const thinking = `"model":"models/gemini-3.8-live-extended-thinking","outputAudioTranscription":{},"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW","includeThoughts":true}}`
	normal := []string{"content", "generationComplete", "turnComplete"}
	for _, tt := range []struct {
		sentence, setup string
		run             func(t *testing.T, c *client)
	}{
		{"a long story takes about half a minute", audioSetup, func(t *testing.T, c *client) {
			if got := playtime(c.ask(t, "tell a long story", false).pcm); got < 20*time.Second || got > 40*time.Second {
				t.Errorf("it takes %v", got)
			}
		}},
		{"silence is no turn at all", textSetup, func(t *testing.T, c *client) {
			c.say(t, "say nothing")
			c.staysQuiet(t)
			c.ask(t, "who am I", false).is(t, "You have not told me your name yet.", normal...)
		}},
		{"an empty turn has no content", textSetup, func(t *testing.T, c *client) {
			a := c.ask(t, "empty turn", false)
			a.is(t, "", normal[1:]...)
			if got, want := compact(a.frames[1].data), `{"serverContent":{"turnComplete":true},"usageMetadata":{"promptTokenCount":3,"promptTokensDetails":[{"modality":"TEXT","tokenCount":3}],"totalTokenCount":3}}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}},
		{"3.9.1: a search leaves grounding metadata", textSetup + `,"tools":[{"googleSearch":{}}]`, func(t *testing.T, c *client) {
			a := c.ask(t, "search for green tea.", false)
			a.is(t, "The web says that green tea is fine.", "content", "grounding", "generationComplete", "turnComplete")
			got := compact(a.frames[slices.Index(a.order, "grounding")+len(a.frames)-len(a.order)].data)
			for _, want := range []string{`"webSearchQueries":["green tea"]`, `"groundingChunkIndices":[0]`, `"text":"The web says that green tea is fine."`} {
				if !strings.Contains(got, want) {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		}},
		{"and needs the tool", textSetup, func(t *testing.T, c *client) {
			c.ask(t, "search for tea", false).is(t, "I have no search. Declare googleSearch.", normal...)
		}},
		{"3.9.1: thoughts are parts of their own", strings.Replace(textSetup, `{"r`, `{"thinkingConfig":{"includeThoughts":true},"r`, 1), func(t *testing.T, c *client) {
			a := c.ask(t, "think about tea", false)
			a.is(t, "I thought about tea. It is fine.", "thought", "content", "generationComplete", "turnComplete")
			if got := compact(a.frames[len(a.frames)-1].data); !strings.Contains(got, `"thoughtsTokenCount":12,"totalTokenCount":24`) {
				t.Errorf("usage %s", got)
			}
		}},
		{"and not shown unless asked for", textSetup, func(t *testing.T, c *client) {
			c.ask(t, "think about tea", false).is(t, "I thought about tea. It is fine.", normal...)
		}},
		{"3.9.1: extended thinking goes on after its turn", thinking, func(t *testing.T, c *client) {
			a := c.ask(t, "think about tea", false)
			a.is(t, "Let me think.", normal...)
			b := c.turn(t, false)
			b.is(t, "I thought about tea. It is fine.", "thought", "content", "generationComplete", "turnComplete")
			if a.status != "IN_PROGRESS" || b.status != "IDLE" {
				t.Errorf("status %q, then %q", a.status, b.status)
			}
		}},
		{"unless it is interrupted", thinking, func(t *testing.T, c *client) {
			c.say(t, "think about tea")
			c.say(t, "who am I")
			if a := c.turn(t, false); a.status != "IDLE" {
				t.Errorf("status %q", a.status)
			}
			c.turn(t, false).is(t, "You have not told me your name yet.", normal...)
			c.staysQuiet(t)
		}},
		{"7: gemini-3.8-live does not think", audioSetup + `,"outputAudioTranscription":{}`, func(t *testing.T, c *client) {
			c.ask(t, "think about tea", false).is(t, "This model does not think.", normal...)
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) { tt.run(t, b.openKey(t, tt.setup)) })
		})
	}
}

var update = flag.Bool("update", false, "rewrite the table of docs/emulator.md")

func TestHelpTellsAllTriggers(t *testing.T) {
	for i, one := range triggers {
		if !strings.Contains(helpAnswer, one.Say) {
			t.Errorf("%q is not told", one.Say)
		}
		said := strings.Replace(one.Say, ", and the name of your function", " f", 1)
		if first := slices.IndexFunc(triggers, func(any trigger) bool { return any.words.MatchString(said) }); first != i {
			t.Errorf("%q is taken by trigger %d", said, first)
		}
		if one.words.MatchString("remember to " + said) {
			t.Errorf("%q is found within other words", said)
		}
	}
	t.Run("in the document", func(t *testing.T) {
		const document, begin, end = "../../docs/emulator.md", "<!-- generated: go test ./issuer/emulator -run HelpTells -update -->\n", "<!-- end -->\n"
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		table := "\n| Type | It |\n|---|---|\n"
		for _, one := range hints() {
			table += "| " + one.Say + " | " + one.Does + " |\n"
		}
		head, rest, begun := strings.Cut(string(text), begin)
		_, tail, ended := strings.Cut(rest, end)
		want := head + begin + table + "\n" + end + tail
		switch {
		case !begun || !ended:
			t.Fatal("it has lost its marks")
		case want == string(text):
		case *update:
			if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Error("its table differs from the code: run this test with -update")
		}
	})
	t.Run("and to the page", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			code, _, body := b.do(t, "GET", "/__emulator/help", "")
			var told struct{ Help []hint }
			if err := json.Unmarshal([]byte(body), &told); err != nil || code != 200 || !slices.Equal(told.Help, hints()) {
				t.Errorf("%d %s (%v)", code, body, err)
			}
		})
	})
}

func TestCallMeAda(t *testing.T) {
	for _, tt := range []struct{ function, said, want string }{
		{"get_time", "call me Ada", "Hello Ada, nice to meet you."},
		{"", "Please call me Ada!", "Hello Ada, nice to meet you."},
		{"", "call my mother", "You said: call my mother. I remember 0 things."},
		{"get_time", "call get_time, please", ""},
		{"me", "call me Ada", ""},
		{"get_time", "call get_tme", "None of your functions is like that."},
		{"", "call get_time", "I have no functions. Declare one."},
	} {
		t.Run(tt.said+" with "+tt.function, func(t *testing.T) {
			c := conversation{pending: tt.said}
			if tt.function != "" {
				c.tools.functions = []function{{name: tt.function}}
			}
			r := c.react()
			if called := len(r.calls) == 1; called != (tt.want == "") || !called && r.text != tt.want {
				t.Errorf("called %v, said %q", r.calls, r.text)
			}
		})
	}
}
