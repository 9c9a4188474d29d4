package emulator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	getTime     = `{"name":"get_time","parameters":{"type":"OBJECT","properties":{"zone":{"type":"STRING","enum":["CET"]}},"required":["zone"]}}`
	setLight    = `{"name":"set_light","parametersJsonSchema":{"type":"object","properties":{"on":{"type":"boolean"}}}}`
	asyncTime   = `{"name":"get_time","behavior":"NON_BLOCKING"}`
	blockedTime = `{"name":"get_time","behavior":"BLOCKING"}`
)

// tooled is a written session with updates and these functions.
func tooled(functions ...string) string {
	return textSetup + `,"sessionResumption":{},"tools":[{"functionDeclarations":[` + strings.Join(functions, ",") + `]}]`
}

// respond answers a call; more is further fields, with a comma before.
func (c *client) respond(t *testing.T, id, output, more string) {
	t.Helper()
	c.send(t, fmt.Sprintf(`{"toolResponse":{"functionResponses":[{"id":%q,"name":"get_time","response":{"output":%q}%s}]}}`, id, output, more))
}

// staysQuiet fails if something comes within five minutes.
func (c *client) staysQuiet(t *testing.T) {
	t.Helper()
	time.Sleep(5 * time.Minute)
	if synctest.Wait(); len(c.frames) > 0 {
		t.Errorf("unexpected: %s", c.next(t).data)
	}
}

func (a answer) is(t *testing.T, text string, order ...string) {
	t.Helper()
	if a.text+a.transcript != text || !slices.Equal(a.order, order) {
		t.Errorf("said %q in order %q, want %q in %q", a.text+a.transcript, a.order, text, order)
	}
}

func TestTools(t *testing.T) {
	normal := []string{"not resumable", "content", "generationComplete", "turnComplete", "resumable"}
	goesOn := []string{"not resumable", "toolCall", "content", "generationComplete", "turnComplete"}
	for _, tt := range []struct {
		sentence, setup string
		run             func(t *testing.T, c *client)
	}{
		{"3.10 C: a call looks as it does on record", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			c.next(t)
			got := regexp.MustCompile(`\d{17,19}`).ReplaceAllString(compact(c.next(t).data), "#")
			if want := `{"toolCall":{"functionCalls":[{"args":{"zone":"CET"},"id":"function-call-#","name":"get_time"}]}}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}},
		{"fact 60: a blocking call is waited for, and there is one turnComplete", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			a := c.calls(t)
			a.is(t, "", "not resumable", "toolCall")
			c.staysQuiet(t)
			c.respond(t, a.ids[0], "12:05", "")
			c.turn(t, true).is(t, "get_time says 12:05.", normal[1:]...)
			c.ask(t, "what do you remember", true).is(t, "I remember that get_time says 12:05.", normal...)
		}},
		{"3.7: a non-blocking one is not, and the rest comes when it is there", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			a.is(t, "I called get_time, and go on while it works.", goesOn...)
			c.staysQuiet(t) // no handle either, 4.2
			c.respond(t, a.ids[0], "12:05", "")
			c.turn(t, true).is(t, "get_time says 12:05.", normal...)
		}},
		{"3.7: WHEN_IDLE does not interrupt", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			c.say(t, "help")
			c.respond(t, a.ids[0], "12:05", `,"scheduling":"WHEN_IDLE"`)
			c.turn(t, true).is(t, helpAnswer, normal...)
			c.turn(t, true).is(t, "get_time says 12:05.", normal...)
		}},
		{"3.7: nor does it fall into the user's words", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			c.stream(t, "-20/500ms")
			c.respond(t, a.ids[0], "12:05", "")
			c.stream(t, "-20/500ms -90/1s")
			c.turn(t, true).is(t, "I heard 1.0 seconds of sound.", normal...)
			c.turn(t, true).is(t, "get_time says 12:05.", normal...)
		}},
		{"3.9.2: what a function returned is counted apart", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			c.respond(t, c.calls(t).ids[0], "12:05", "")
			a := c.turn(t, false)
			if got := compact(a.frames[len(a.frames)-1].data); !strings.Contains(got, `"toolUsePromptTokenCount":5,`) {
				t.Errorf("got %s", got)
			}
		}},
		{"3.7: INTERRUPT does", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			c.say(t, "help")
			time.Sleep(100 * time.Millisecond)
			c.respond(t, a.ids[0], "12:05", `,"scheduling":"INTERRUPT"`)
			if got := c.turn(t, true).order; !slices.Equal(got, []string{"not resumable", "content", "interrupted", "turnComplete", "resumable"}) {
				t.Errorf("order %v", got)
			}
			c.turn(t, true).is(t, "get_time says 12:05.", normal...)
		}},
		{"3.7: SILENT is only remembered", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			c.respond(t, a.ids[0], "12:05", `,"scheduling":"SILENT"`)
			if got := compact(c.next(t).data); !strings.Contains(got, `"resumable":true`) {
				t.Errorf("got %s", got)
			}
			c.staysQuiet(t)
			c.ask(t, "what do you remember", true).is(t, "I remember that get_time says 12:05.", normal...)
		}},
		{"3.7: with willContinue there are several responses", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			for i := range 3 {
				c.respond(t, a.ids[0], fmt.Sprint(i), `,"willContinue":true`)
				c.turn(t, false).is(t, fmt.Sprintf("get_time says %d.", i), normal[:4]...)
			}
			c.respond(t, a.ids[0], "over", "")
			c.turn(t, true).is(t, "get_time says over.", normal...)
			c.respond(t, a.ids[0], "more", "")
			c.staysQuiet(t)
		}},
		{"3.7: without output or error the whole object is the output", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+c.calls(t).ids[0]+`","response":{"hour":12}}]}}`)
			c.turn(t, true).is(t, `get_time says {"hour":12}.`, normal[1:]...)
		}},
		{"fact 59: an unknown id", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			c.respond(t, c.calls(t).ids[0]+"1", "12:05", "")
			c.wantClosed(t, 1007, "Request contains an invalid argument.")
		}},
		{"fact 56: interruption withdraws the turn's calls, and a late response is ignored", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			id := c.calls(t).ids[0]
			c.say(t, "my name is Ada")
			c.turn(t, true).is(t, "", "interrupted", "cancellation "+id, "turnComplete", "resumable")
			c.respond(t, id, "12:05", "")
			c.turn(t, true).is(t, "Hello Ada, nice to meet you.", normal...)
			c.staysQuiet(t)
		}},
		{"3.9: but not the calls of an earlier turn", tooled(asyncTime), func(t *testing.T, c *client) {
			a := c.ask(t, "call a tool", false)
			c.say(t, "help")
			c.say(t, "my name is Ada")
			c.turn(t, false)
			c.turn(t, false).is(t, "Hello Ada, nice to meet you.", normal[:4]...)
			c.respond(t, a.ids[0], "12:05", "")
			c.turn(t, true).is(t, "get_time says 12:05.", normal...)
		}},
		{"3.9: speech interrupts a call too", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call a tool")
			id := c.calls(t).ids[0]
			c.stream(t, "-20/500ms -90/1s")
			c.turn(t, true).is(t, "", "interrupted", "cancellation "+id, "turnComplete", "resumable")
			c.turn(t, true).is(t, "I heard 0.5 seconds of sound.", normal...)
		}},
		{"3.9: two at once, both are waited for", tooled(getTime, setLight), func(t *testing.T, c *client) {
			c.say(t, "call two tools")
			a := c.calls(t)
			if !slices.Equal(a.called, []string{"get_time", "set_light"}) || a.ids[0] == a.ids[1] {
				t.Fatalf("called %v %v", a.called, a.ids)
			}
			c.respond(t, a.ids[1], "done", "")
			c.staysQuiet(t)
			c.respond(t, a.ids[0], "12:05", "")
			c.turn(t, true).is(t, "set_light says done. get_time says 12:05.", normal[1:]...)
		}},
		{"one of two is withdrawn, and the other waited for", tooled(getTime), func(t *testing.T, c *client) {
			c.say(t, "call and cancel")
			a := c.calls(t)
			if got, want := compact(c.next(t).data), `{"toolCallCancellation":{"ids":["`+a.ids[1]+`"]}}`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			c.respond(t, a.ids[0], "12:05", "")
			c.turn(t, true).is(t, "get_time says 12:05.", normal[1:]...)
		}},
		{"a function is called by name", tooled(getTime, setLight), func(t *testing.T, c *client) {
			c.say(t, "Please call set_light.")
			if a := c.calls(t); !slices.Equal(a.called, []string{"set_light"}) {
				t.Errorf("called %v", a.called)
			}
		}},
		{"or by its behaviour", tooled(getTime, `{"name":"slow","behavior":"NON_BLOCKING"}`), func(t *testing.T, c *client) {
			if a := c.ask(t, "call a non-blocking tool", false); !slices.Equal(a.called, []string{"slow"}) {
				t.Errorf("called %v", a.called)
			}
			c.say(t, "call a blocking tool")
			if a := c.calls(t); !slices.Equal(a.called, []string{"get_time"}) {
				t.Errorf("called %v", a.called)
			}
		}},
		{"what is not declared is not called", tooled(getTime), func(t *testing.T, c *client) {
			c.ask(t, "call a non-blocking tool", true).is(t, "None of your functions is like that.", normal...)
			c.ask(t, "call nobody", true).is(t, "None of your functions is like that.", normal...)
			c.send(t, `{"contextUpdate":{"tools":{}}}`)
			c.ask(t, "call a tool", true).is(t, "I have no functions. Declare one.", normal...)
		}},
		{"3.8: contextUpdate replaces the functions", tooled(getTime), func(t *testing.T, c *client) {
			c.send(t, `{"contextUpdate":{"tools":{"tools":[{"functionDeclarations":[`+setLight+`]}]}}}`)
			c.say(t, "call a tool")
			if a := c.calls(t); !slices.Equal(a.called, []string{"set_light"}) {
				t.Errorf("called %v", a.called)
			}
		}},
		{"only so many wait at a time", tooled(asyncTime), func(t *testing.T, c *client) {
			for range maxCalls {
				c.ask(t, "call a tool", false)
			}
			if a := c.ask(t, "call a tool", false); len(a.called) > 0 || a.text != "Too many of your functions have not returned yet." {
				t.Errorf("said %q", a.text)
			}
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, &Server{ConnectionLifetime: -1}, func(t *testing.T, b *bench) { tt.run(t, b.openKey(t, tt.setup)) })
		})
	}
}

func TestAModelDecidesHowItCalls(t *testing.T) {
	const refused = "refused"
	for _, tt := range []struct{ model, function, want string }{
		{"gemini-3.8-live", getTime, "goes on"},
		{"gemini-3.8-live", blockedTime, "waits"},
		{"gemini-3.8-live-extended-thinking", getTime, "goes on"},
		{"gemini-3.8-live-extended-thinking", asyncTime, "goes on"},
		{"gemini-3.8-live-extended-thinking", blockedTime, refused},
		{"gemini-3.1-flash-live-preview", getTime, "waits"},
		{"gemini-3.1-flash-live-preview", asyncTime, "waits"},
		{"gemini-2.5-flash-native-audio-preview-12-2025", getTime, "waits"},
		{"gemini-2.5-flash-native-audio-preview-12-2025", asyncTime, "goes on"},
	} {
		t.Run("7: "+tt.model+" with "+tt.function+": "+tt.want, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				setup := `"model":"models/` + tt.model + `","tools":[{"functionDeclarations":[` + tt.function + `]}]`
				if strings.Contains(tt.model, "thinking") {
					setup += `,"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}`
				}
				if tt.want == refused {
					c := b.dial(t, socketPath+"?key="+testKey)
					c.send(t, `{"setup":{`+setup+`}}`)
					c.wantClosed(t, 1007, "Request contains an invalid argument.")
					return
				}
				c := b.openKey(t, setup)
				c.say(t, "call a tool")
				c.calls(t)
				time.Sleep(time.Second)
				synctest.Wait()
				if got := map[bool]string{true: "goes on", false: "waits"}[len(c.frames) > 0]; got != tt.want {
					t.Errorf("it %s", got)
				}
			})
		})
	}
	for _, tool := range []string{"codeExecution", "urlContext", "googleMaps"} {
		t.Run("7: gemini-3.8-live has no "+tool, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.dial(t, socketPath+"?key="+testKey)
				c.send(t, `{"setup":{`+audioSetup+`,"tools":[{"`+tool+`":{}}]}}`)
				c.wantClosed(t, 1007, "Request contains an invalid argument.")
			})
		})
	}
}
