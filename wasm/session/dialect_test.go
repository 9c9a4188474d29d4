//go:build !js

package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// A dialect is a model that the emulator has, with what a grant says of it.
type dialect struct {
	name string
	conversation
}

// dialects are all the emulator's models, each as the issuer describes it, as an
// issuer does that knows nothing of it, and as one that wants all text in turns.
func dialects(t *testing.T) (all []dialect) {
	for model, generate := range map[string]string{
		"models/gemini-3.8-live":                               "",
		"models/gemini-3.8-live-extended-thinking":             `{"responseModalities":["AUDIO"],"thinkingConfig":{"thinkingLevel":"LOW"}}`,
		"models/gemini-3.5-transcribe-live":                    `{"responseModalities":["TEXT"]}`,
		"models/gemini-3.5-live-translate-preview":             "",
		"models/gemini-3.1-flash-live-preview":                 "",
		"models/gemini-2.5-flash-native-audio-preview-12-2025": "",
		"models/gemini-2.5-flash-native-audio-preview-09-2025": "",
		"models/gemini-2.5-flash-native-audio-latest":          "",
	} {
		p, err := profile.New("default", profile.Spec{Model: model})
		if err != nil {
			t.Fatal(err)
		}
		add := func(as string, can live.Capabilities) {
			all = append(all, dialect{model + as, conversation{emulator: &emulator.Server{}, model: model, generate: generate, can: can}})
		}
		add(", unknown to the issuer", live.Capabilities{})
		if d, ok := p.Dialect(); ok {
			add("", live.Capabilities{Text: d.Text, Turns: d.Turns, Seed: d.Seed, Modalities: p.Modalities(), Tools: d.Tools})
			if d.Turns == "anytime" {
				add(", in turns", live.Capabilities{Text: "clientContent"})
			}
		}
	}
	return all
}

func content(complete bool, turns ...any) map[string]any {
	return map[string]any{"clientContent": map[string]any{"turns": turns, "turnComplete": complete}}
}

func turn(role string, parts ...string) map[string]any {
	var list []any
	for _, text := range parts {
		list = append(list, map[string]any{"text": text})
	}
	return map[string]any{"role": role, "parts": list}
}

// took checks that a socket took a message, or held it for one that it takes.
func (k *talk) took(message map[string]any) {
	k.t.Helper()
	if err := <-k.put(message); err != nil {
		k.t.Errorf("%v is refused: %v", message, err)
	}
}

// ask sends a message and wants the given words in the model's answer.
func (k *talk) ask(message map[string]any, want ...string) {
	k.t.Helper()
	k.took(message)
	answer := k.hear(fmt.Sprint(message))
	for _, one := range want {
		if !strings.Contains(answer, one) {
			k.t.Errorf("the answer to %v is %q, want %q in it", message, answer, one)
		}
	}
}

// silent wants no answer, for a while.
func (k *talk) silent() {
	k.t.Helper()
	select {
	case words := <-k.turns:
		k.t.Errorf("the model answers, unasked: %q", words)
	case <-time.After(10 * time.Second):
	}
	if k.stalled > 0 {
		k.t.Error("an answer is told to be missing")
	}
}

func TestEveryCallDoesTheSameOnEveryModel(t *testing.T) {
	for _, d := range dialects(t) {
		t.Run(d.name, func(t *testing.T) {
			d.hold(t, func(k *talk) {
				k.ask(map[string]any{"realtimeInput": map[string]any{"text": "my name is Ada"}}, "Hello Ada")
				k.ask(content(true, turn("user", "what is my name?")), "Ada")
				k.ask(content(true, turn("user", "what is", "my name?")), "Ada")
				k.ask(content(true, turn("user", "remember milk"), turn("", "what do you remember?")), "milk", "Ada")

				k.took(content(false, turn("user", "remember tea")))
				k.silent()
				k.ask(map[string]any{"realtimeInput": map[string]any{"text": "what do you remember?"}}, "tea", "milk", "Ada")

				k.took(content(false, turn("user", "remember salt")))
				k.took(content(false, turn("user", "remember rice")))
				k.ask(map[string]any{"clientContent": map[string]any{"turnComplete": true}}, "rice")
				k.ask(content(true, turn("user", "what do you remember?")), "rice", "salt", "tea")
				if k.opened != 1 {
					t.Errorf("it took %d connections", k.opened)
				}
			})
		})
	}
}

// What a model has no form for is refused, and costs nothing else.
func TestWhatAModelHasNoFormForIsRefused(t *testing.T) {
	picture := map[string]any{"inlineData": map[string]any{"mimeType": "image/jpeg", "data": "AAAA"}}
	for _, d := range dialects(t) {
		t.Run(d.name, func(t *testing.T) {
			d.hold(t, func(k *talk) {
				for what, message := range map[string]map[string]any{
					"a history": content(false, turn("user", "my name is Eve"), turn("model", "Hello Eve")),
					"a picture": content(false, map[string]any{"parts": []any{picture}}),
					"nothing":   {"clientContent": map[string]any{}},
				} {
					err := <-k.put(message)
					if anytime := d.can.Turns == "anytime" || d.can.Text == "clientContent"; anytime != (err == nil) || !anytime && !errors.Is(err, live.ErrUnsupported) {
						t.Errorf("%s: %v", what, err)
					}
				}
				k.silent()
				if k.say("my name is Ada"); k.opened != 1 {
					t.Errorf("it took %d connections", k.opened)
				}
			})
		})
	}
}

// Text that asks nothing is known to the model when somebody speaks, and is not
// lost if the line is cut before.
func TestAnAsideComesBeforeWhatIsSaid(t *testing.T) {
	for _, d := range dialects(t) {
		if d.generate != "" {
			continue // the transcriber and the thinker answer late, or not, to speech
		}
		t.Run(d.name, func(t *testing.T) {
			d.hold(t, func(k *talk) {
				k.send("my name is Ada")
				time.Sleep(time.Second)
				k.took(content(false, turn("user", "remember tea")))
				time.Sleep(time.Minute) // the turn is over, and its handle has come
				k.fault(`{"kind":"drop"}`)
				time.Sleep(time.Minute)
				for n := range 150 {
					level := int16(0)
					if n < 75 {
						level = 8000
					}
					if err := k.session.Send(frame(t, level), func(error) {}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Minute)
				if !slices.ContainsFunc(k.journal(0), func(e entry) bool { return strings.Contains(fmt.Sprint(e.Message), "remember tea") }) {
					t.Error("the model was not told")
				}
				for len(k.turns) > 0 {
					<-k.turns
				}
				k.fault(`{"kind":"drop"}`)
				time.Sleep(time.Minute)
				if known := k.say("what do you remember?"); strings.Count(known, "tea") != 1 || !strings.Contains(known, "Ada") {
					t.Errorf("the model says %q", known)
				}
			})
		})
	}
}

// The application tells a history of its own, announced by its setup. The model
// knows it, and answers nothing to it, over whatever becomes of the session.
func TestAHistoryOfTheApplicationIsToldOnEveryModel(t *testing.T) {
	for name, script := range map[string]string{
		"and resumed":              "tell ask drop ask",
		"and told anew":            "tell ask forget drop ask",
		"cut before any handle":    "tell drop ask",
		"after a cut":              "drop tell ask",
		"cut with an older handle": "wait tell drop ask",
	} {
		for _, d := range dialects(t) {
			t.Run(name+", "+d.name, func(t *testing.T) {
				d.setup = map[string]any{
					"historyConfig":            map[string]any{"initialHistoryInClientContent": true},
					"outputAudioTranscription": map[string]any{},
				}
				d.emulator.Switches.UpdateEvery = 10 * time.Second
				d.hold(t, func(k *talk) {
					for word := range strings.FieldsSeq(script) {
						switch word {
						case "tell":
							k.took(content(false, turn("user", "my name is Ada"), turn("model", "Hello Ada")))
							k.took(content(true, turn("user", "remember tea")))
						case "ask":
							k.silent()
							k.ask(content(true, turn("user", "what is my name?")), "Ada")
							if known := k.say("what do you remember?"); !strings.Contains(known, "tea") {
								t.Errorf("the model says %q", known)
							}
						case "forget":
							k.fault(`{"kind":"forget-handle"}`)
						case "drop":
							time.Sleep(time.Second)
							k.fault(`{"kind":"drop"}`)
							time.Sleep(5 * time.Second)
						case "wait": // until a handle has come
							time.Sleep(12 * time.Second)
						}
					}
				})
			})
		}
	}
}

// A new session is told on every model what was said in the lost one, before
// anything else, and goes on from there.
func TestEveryModelIsToldWhatWasSaidInALostSession(t *testing.T) {
	for _, d := range dialects(t) {
		t.Run(d.name, func(t *testing.T) {
			d.hold(t, func(k *talk) {
				k.say("my name is Ada")
				for range 2 {
					time.Sleep(time.Minute)
					k.fault(`{"kind":"forget-handle"}`)
					k.fault(`{"kind":"drop"}`)
					time.Sleep(time.Minute)
				}
				k.ask(content(true, turn("user", "what is my name?")), "Ada")
				k.ask(content(true, turn("user", "what is my name?")), "Ada")
				for _, one := range k.resumed {
					if one.Rung != session.RungRestart || one.Restored != session.RestoredTranscript {
						t.Errorf("the receipt says %+v", one)
					}
				}
				if k.opened != 3 {
					t.Errorf("it took %d connections", k.opened)
				}
			})
		})
	}
}
