package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

const fullSetup = audioSetup + `,"sessionResumption":{},"outputAudioTranscription":{}`

func TestSpokenTurn(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, fullSetup)
		start := time.Now()
		a := c.ask(t, "my name is Ada", true)

		// 3.10 A, facts 55, 65 to 67.
		want := []string{"not resumable", "content", "generationComplete", "turnComplete", "resumable"}
		if !slices.Equal(a.order, want) {
			t.Errorf("order %v, want %v", a.order, want)
		}
		if a.transcript != "Hello Ada, nice to meet you." {
			t.Errorf("transcript %q", a.transcript)
		}
		if got := compact(a.frames[0].data); got != `{"sessionResumptionUpdate":{}}` {
			t.Errorf("fact 66: got %s", got)
		}
		if !uuidForm.MatchString(a.handle) {
			t.Error("the handle is no uuid")
		}
		for _, f := range a.frames {
			if f.kind != websocket.MessageBinary || string(f.data) != encodingJSON(t, decoded(t, f.data)) {
				t.Errorf("fact 29: not a pretty-printed binary frame: %v %.80q", f.kind, f.data)
			}
		}
		// Fact 57: turnComplete comes when playback ends, the content three times as fast.
		played := playtime(a.pcm)
		complete, generated := a.frames[len(a.frames)-2], a.frames[len(a.frames)-3]
		if got := complete.at.Sub(start); got != played {
			t.Errorf("turnComplete after %v, playback takes %v", got, played)
		}
		if got := generated.at.Sub(start); got != played/speedup {
			t.Errorf("generationComplete after %v, want %v", got, played/speedup)
		}
		if len(a.pcm)%2 != 0 {
			t.Error("fact 54: half a sample")
		}
		usage := decoded(t, complete.data)["usageMetadata"].(map[string]any)
		wantUsage := fmt.Sprintf("map[promptTokenCount:4 promptTokensDetails:[map[modality:TEXT tokenCount:4]] "+
			"responseTokenCount:%[1]d responseTokensDetails:[map[modality:AUDIO tokenCount:%[1]d]] totalTokenCount:%[2]d]",
			audioTokens(played), audioTokens(played)+4)
		if got := fmt.Sprint(usage); got != wantUsage {
			t.Errorf("usage %s, want %s", got, wantUsage)
		}
	})
}

func decoded(t *testing.T, data []byte) tree {
	t.Helper()
	var v tree
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTranscriptBesideAudio(t *testing.T) {
	for model, want := range map[string]bool{"gemini-3.8-live": true, "gemini-3.1-flash-live-preview": true, "gemini-2.5-flash-native-audio-preview-12-2025": false} {
		t.Run("fact 64: "+model, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, `"model":"models/`+model+`","outputAudioTranscription":{}`)
				together := 0
				for _, f := range c.ask(t, "who am I", false).frames {
					if text := string(f.data); strings.Contains(text, "outputTranscription") && strings.Contains(text, "inlineData") {
						together++
					}
				}
				if got := together > 0; got != want {
					t.Errorf("%d messages carry both", together)
				}
			})
		})
	}
}

func TestWrittenTurn(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, textSetup)
		a := c.ask(t, "my name is Ada", false)
		if a.text != "Hello Ada, nice to meet you." || !slices.Equal(a.order, []string{"content", "generationComplete", "turnComplete"}) {
			t.Errorf("got %q in order %v", a.text, a.order)
		}
	})
}

func TestTranscriptAndUpdatesAreAskedFor(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) { // facts 61, 65
		c := b.openKey(t, audioSetup)
		a := c.ask(t, "hello", false)
		if a.transcript != "" || !slices.Equal(a.order, []string{"content", "generationComplete", "turnComplete"}) {
			t.Errorf("transcript %q, order %v", a.transcript, a.order)
		}
		time.Sleep(time.Minute)
		if synctest.Wait(); len(c.frames) > 0 {
			t.Errorf("something came after the turn: %s", c.next(t).data)
		}
	})
}

func TestInput(t *testing.T) {
	const argument = "Request contains an invalid argument."
	const seeded = textSetup + `,"historyConfig":{"initialHistoryInClientContent":true}`
	const flash = `"model":"models/gemini-3.1-flash-live-preview","outputAudioTranscription":{}`
	name := func(done bool) string {
		return fmt.Sprintf(`{"clientContent":{"turns":[{"role":"user","parts":[{"text":"my name"},{"text":"is Ada"}]}],"turnComplete":%v}}`, done)
	}
	const who = `{"realtimeInput":{"text":"what is my name?"}}`
	second := strings.Repeat("AAAA", 32000/3) // of 16 kHz, nearly
	for _, tt := range []struct {
		sentence, setup string
		messages        []string
		want            string // of the last answer
		code            int
	}{
		{"3.5: clientContent with turnComplete is answered", textSetup, []string{name(true)}, "Hello Ada, nice to meet you.", 0},
		{"3.5: without, it is remembered", textSetup, []string{name(false), who}, "Your name is Ada.", 0},
		{"3.5: several turns in one", textSetup, []string{`{"clientContent":{"turns":[{"role":"user","parts":[{"text":"my name is Ada"}]},{"role":"model","parts":[{"text":"my name is Gemini"}]},` +
			`{"parts":[{"text":"who am I"}]}],"turnComplete":true}}`}, "Your name is Ada.", 0},
		{"fact 30: snake_case", textSetup, []string{`{"client_content":{"turns":[{"parts":[{"text":"who am I"}]}],"turn_complete":true}}`}, "You have not told me your name yet.", 0},
		{"3.5: an empty clientContent is fine", textSetup, []string{`{"clientContent":{}}`, who}, "You have not told me your name yet.", 0},
		{"3.2: initial history is not answered", seeded, []string{name(true), who}, "Your name is Ada.", 0},
		{"7: 3.1 takes clientContent as initial history", flash + `,"historyConfig":{"initialHistoryInClientContent":true}`, []string{name(true), who}, "Your name is Ada.", 0},
		{"7: and not otherwise", flash, []string{name(true)}, argument, 1007},
		{"fact 62: role function", textSetup, []string{`{"clientContent":{"turns":[{"role":"function","parts":[]}]}}`}, argument, 1007},
		{"fact 31: an unknown field", textSetup, []string{`{"realtimeInput":{"txt":"x"}}`}, `Invalid JSON payload received. Unknown name "txt" at 'realtime_input': Cannot find field.`, 1007},
		{"fact 51: mediaChunks", textSetup, []string{`{"realtimeInput":{"mediaChunks":[]}}`}, "realtime_input.media_chunks is deprecated. Use audio, video, or text instead.", 1007},
		{"audio is accepted", textSetup, []string{`{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"AAAA"}}}`, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":""}}}`, who}, "You have not told me your name yet.", 0},
		{"video is accepted", textSetup, []string{`{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"_-8"}}}`, who}, "You have not told me your name yet.", 0},
		{"3.6: audio of another type is not", textSetup, []string{`{"realtimeInput":{"audio":{"mimeType":"image/jpeg","data":""}}}`}, argument, 1007},
		{"fact 52: activityStart under automatic detection", textSetup, []string{`{"realtimeInput":{"activityStart":{}}}`}, argument, 1007},
		{"fact 52: activityEnd too", textSetup, []string{`{"realtimeInput":{"activityEnd":{}}}`}, argument, 1007},
		{"fact 53: audioStreamEnd, then audio again", textSetup, []string{`{"realtimeInput":{"audioStreamEnd":true}}`, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"AAAA"}}}`, who}, "You have not told me your name yet.", 0},
		{"3.6: audioStreamEnd in manual mode", textSetup + manual, []string{`{"realtimeInput":{"audioStreamEnd":true}}`}, argument, 1007},
		{"3.10 D: a marked activity is answered at its end", textSetup + manual, []string{`{"realtimeInput":{"activityStart":{}}}`, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"` + second + `"}}}`,
			`{"realtimeInput":{"activityEnd":{}}}`}, "I heard 1.0 seconds of sound.", 0},
		{"typed text within an activity belongs to it", textSetup + manual, []string{`{"realtimeInput":{"activityStart":{}}}`, `{"realtimeInput":{"text":"my name"}}`, `{"realtimeInput":{"text":"is Ada"}}`,
			`{"realtimeInput":{"activityEnd":{}}}`}, "Hello Ada, nice to meet you.", 0},
		{"fact 59: toolResponse with an unknown id", textSetup, []string{`{"toolResponse":{"functionResponses":[{"id":"x","name":"f","response":{}}]}}`}, argument, 1007},
		{"3.8: contextUpdate without a lock", textSetup, []string{`{"contextUpdate":{"systemInstruction":{"parts":[{"text":"sing"}]},"tools":{"tools":[]}}}`, who}, "You have not told me your name yet.", 0},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, tt.setup)
				for _, m := range tt.messages {
					c.send(t, m)
				}
				if tt.code != 0 {
					c.wantClosed(t, tt.code, tt.want)
				} else if a := c.turn(t, false); a.text+a.transcript != tt.want {
					t.Errorf("got %q, want %q", a.text+a.transcript, tt.want)
				}
			})
		})
	}
}

func TestContextUpdateOfALockedField(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) { // U12
		token := b.mint(t, `{"bidiGenerateContentSetup":{`+textSetup+`},"fieldMask":"systemInstruction.parts"}`)
		c := b.open(t, tokenPath+token, textSetup)
		c.send(t, `{"contextUpdate":{"tools":{"tools":[]}}}`)
		c.ask(t, "hello", false)
		c.send(t, `{"contextUpdate":{"systemInstruction":{"parts":[]}}}`)
		c.wantClosed(t, 1007, "Request contains an invalid argument.")
	})
}

func TestInterruption(t *testing.T) {
	interrupted := []string{"not resumable", "content", "interrupted", "turnComplete", "resumable"}
	for _, tt := range []struct {
		sentence, message string
		want              []string // of the first turn
	}{
		{"facts 56, 58: clientContent with turnComplete interrupts", `{"clientContent":{"turns":[{"parts":[{"text":"stop"}]}],"turnComplete":true}}`, interrupted},
		{"3.5: and so does any other", `{"clientContent":{}}`, interrupted},
		{"3.6: typed realtime text is activity", `{"realtimeInput":{"text":"stop"}}`, interrupted},
		{"3.6: audio does not interrupt by being sent", `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"AAAA"}}}`,
			[]string{"not resumable", "content", "generationComplete", "turnComplete", "resumable"}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, fullSetup)
				c.say(t, "help")
				time.Sleep(500 * time.Millisecond)
				c.send(t, tt.message)
				if a := c.turn(t, true); !slices.Equal(a.order, tt.want) {
					t.Errorf("order %v, want %v", a.order, tt.want)
				}
				if strings.Contains(tt.message, "stop") {
					if a := c.turn(t, true); !strings.HasPrefix(a.transcript, "You said: stop.") {
						t.Errorf("then said %q", a.transcript)
					}
				}
				time.Sleep(time.Minute)
				if synctest.Wait(); len(c.frames) > 0 {
					t.Errorf("something came after the turn: %s", c.next(t).data)
				}
			})
		})
	}
	t.Run("3.3.3: without barge-in the answer waits for its turn", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, fullSetup+`,"realtimeInputConfig":{"activityHandling":"NO_INTERRUPTION"}`)
			c.say(t, "help")
			c.say(t, "my name is Ada")
			c.say(t, "who am I")
			c.send(t, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"AAAA"}}}`)
			if a := c.turn(t, true); slices.Contains(a.order, "interrupted") || a.transcript != helpAnswer {
				t.Errorf("first turn %v %q", a.order, a.transcript)
			}
			if a := c.turn(t, true); a.transcript != "Your name is Ada." {
				t.Errorf("second turn %q", a.transcript)
			}
		})
	})
}

func TestConnectionLifetime(t *testing.T) {
	const deadline = "Deadline expired before operation could complete."
	for _, tt := range []struct {
		sentence     string
		server       *Server
		goAway       string // its timeLeft, "" for none
		goAwayAt     time.Duration
		closeAt      time.Duration
		code         int
		closedReason string
	}{
		{"fact 74: goAway 50 s before 10 minutes are over", &Server{}, "50s", 9*time.Minute + 10*time.Second, 10 * time.Minute, 1011, deadline},
		{"fact 74: another life, lead and close", &Server{ConnectionLifetime: time.Minute, GoAwayLead: 9500 * time.Millisecond, FinalClose: CloseFrame{1008, "The operation was aborted."}},
			"9.500s", 50500 * time.Millisecond, time.Minute, 1008, "The operation was aborted."},
		{"a lead longer than the life is cut to half of it", &Server{ConnectionLifetime: 20 * time.Second}, "10s", 10 * time.Second, 20 * time.Second, 1011, deadline},
		{"fact 75: no goAway, and the socket is cut", &Server{GoAwayLead: -1, FinalClose: CloseFrame{Code: 1006}}, "", 0, 10 * time.Minute, 1006, ""},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, tt.server, func(t *testing.T, b *bench) {
				start := time.Now()
				c := b.openKey(t, textSetup)
				if tt.goAway != "" {
					f := c.next(t)
					if want := `{"goAway":{"timeLeft":"` + tt.goAway + `"}}`; compact(f.data) != want || f.at.Sub(start) != tt.goAwayAt {
						t.Errorf("%s after %v, want %s after %v", compact(f.data), f.at.Sub(start), want, tt.goAwayAt)
					}
					if a := c.ask(t, "hello", false); a.text == "" {
						t.Error("the socket is not usable after goAway")
					}
				}
				c.wantClosed(t, tt.code, tt.closedReason)
				if got := time.Since(start); got != tt.closeAt {
					t.Errorf("closed after %v, want %v", got, tt.closeAt)
				}
			})
		})
	}
	t.Run("a socket without setup ends too, without goAway", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.dial(t, socketPath)
			time.Sleep(9*time.Minute + 59*time.Second)
			if synctest.Wait(); len(c.frames) > 0 {
				t.Error("fact 28: something came before setupComplete")
			}
			c.wantClosed(t, 1011, deadline)
		})
	})
	t.Run("negative is for ever", func(t *testing.T) {
		bubble(t, &Server{ConnectionLifetime: -1}, func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			time.Sleep(100 * time.Hour)
			c.ask(t, "hello", false)
		})
	})
}

func TestResumption(t *testing.T) {
	const resumable = textSetup + `,"sessionResumption":{}`
	withHandle := func(handle string) string { return textSetup + `,"sessionResumption":{"handle":"` + handle + `"}` }
	refused := func(t *testing.T, b *bench, key, setup string, code int, reason string) {
		t.Helper()
		c := b.dial(t, socketPath+"?key="+key)
		c.send(t, `{"setup":{`+setup+`}}`)
		c.wantClosed(t, code, reason)
	}
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench)
	}{
		{"4.3: the conversation is restored, again and again", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "my name is Ada", true).handle
			for range 20 {
				c.conn.Close(1000, "")
				c = b.openKey(t, withHandle(handle))
				a := c.ask(t, "what is my name?", true)
				if a.text != "Your name is Ada." || a.handle == handle {
					t.Fatalf("got %q", a.text)
				}
				handle = a.handle
			}
		}},
		{"4.2: as of the handle, not later", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			early := c.ask(t, "hello", true).handle
			late := c.ask(t, "my name is Ada", true).handle
			c.conn.Close(1000, "")
			c = b.openKey(t, withHandle(early))
			if got := c.ask(t, "what is my name?", true).text; got != "You have not told me your name yet." {
				t.Errorf("early: %q", got)
			}
			c.conn.Close(1000, "")
			if got := b.openKey(t, withHandle(late)).ask(t, "what is my name?", true).text; got != "Your name is Ada." {
				t.Errorf("late: %q", got)
			}
		}},
		{"4.2: without what interrupted the answer before it", func(t *testing.T, b *bench) {
			for _, interruption := range []string{
				`{"clientContent":{"turns":[{"parts":[{"text":"my name is Ada"}]}],"turnComplete":true}}`,
				`{"clientContent":{"turns":[{"parts":[{"text":"my name is Ada"}]}]}}`,
				`{"realtimeInput":{"text":"my name is Ada"}}`,
			} {
				c := b.openKey(t, resumable)
				c.say(t, "help")
				c.send(t, interruption)
				handle := c.turn(t, true).handle
				c.conn.CloseNow()
				if got := b.openKey(t, withHandle(handle)).ask(t, "who am I", true).text; got != "You have not told me your name yet." {
					t.Errorf("after %s: %q", interruption, got)
				}
			}
		}},
		{"after a dropped socket too", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "my name is Ada", true).handle
			c.conn.CloseNow()
			b.openKey(t, withHandle(handle))
		}},
		{"4.3: any configuration but the model may change", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "my name is Ada", true).handle
			c.conn.Close(1000, "")
			b.openKey(t, withHandle(handle)+`,"tools":[{"googleSearch":{}}]`).conn.Close(1000, "")
			refused(t, b, testKey, strings.Replace(withHandle(handle), textSetup, audioSetup, 1), 1007, "Request contains an invalid argument.") // fact 72
		}},
		{"fact 69: two hours after the last end the handle is gone", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "hello", true).handle
			for range 3 {
				c.conn.Close(1000, "")
				time.Sleep(2*time.Hour - time.Second)
				c = b.openKey(t, withHandle(handle))
			}
			c.conn.Close(1000, "")
			time.Sleep(2 * time.Hour)
			refused(t, b, testKey, withHandle(handle), 1008, "BidiGenerateContent session not found")
		}},
		{"fact 70: garbage is an invalid handle", func(t *testing.T, b *bench) {
			refused(t, b, testKey, withHandle("garbage"), 1007, "Invalid session handle")
		}},
		{"U17: a uuid that is none of ours is not found", func(t *testing.T, b *bench) {
			refused(t, b, testKey, withHandle("00000000-0000-4000-8000-000000000000"), 1008, "BidiGenerateContent session not found")
		}},
		{"fact 68: handles belong to the project", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "hello", true).handle
			c.conn.Close(1000, "")
			refused(t, b, "emulator-other", withHandle(handle), 1008, "BidiGenerateContent session not found")
			b.open(t, tokenPath+b.mint(t, ""), withHandle(handle))
		}},
		{"fact 71: not while the old socket is open", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "hello", true).handle
			refused(t, b, testKey, withHandle(handle), 1011, "Internal error encountered.")
			c.ask(t, "hello", true) // which is none the worse for it
		}},
		{"fact 71: but when it is just closing", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "hello", true).handle
			go func() {
				time.Sleep(100 * time.Millisecond)
				c.conn.CloseNow()
			}()
			b.openKey(t, withHandle(handle))
		}},
		{"4.2: the sixteenth handle back is forgotten", func(t *testing.T, b *bench) {
			c := b.openKey(t, resumable)
			var handles []string
			for range sessionHandles + 1 {
				handles = append(handles, c.ask(t, "hello", true).handle)
			}
			c.conn.Close(1000, "")
			refused(t, b, testKey, withHandle(handles[0]), 1008, "BidiGenerateContent session not found")
			b.openKey(t, withHandle(handles[1]))
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) { bubble(t, new(Server), tt.run) })
	}
}

func TestBadClients(t *testing.T) {
	t.Run("one that does not read is cut after 10 seconds", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			conn, _, err := websocket.Dial(t.Context(), "ws://emulator"+socketPath+"?key="+testKey, &websocket.DialOptions{HTTPClient: b.client})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			conn.Write(t.Context(), websocket.MessageText, []byte(`{"setup":{`+audioSetup+`}}`))
			time.Sleep(writeTimeout + time.Second)
			synctest.Wait()
			if got := len(b.server.world().open); got != 0 {
				t.Errorf("%d sockets are open", got)
			}
		})
	})
	t.Run("a message beyond the limit closes with 1009", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.conn.Write(t.Context(), websocket.MessageText, make([]byte, readLimit+1)) // fails half-way
			if code, _ := c.closed(t); code != 1009 {
				t.Errorf("closed with %d", code)
			}
		})
	})
	t.Run("a message of 1 MiB is fine", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			if got := c.ask(t, strings.Repeat("word ", 1<<20/5), false).text; len(got) < 100 || len(got) > maxReply {
				t.Errorf("answered %d bytes", len(got))
			}
		})
	})
	t.Run("after Close there is 503", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, textSetup)
			c.say(t, "hello")
			b.server.Close()
			b.server.Close()
			c.wantClosed(t, 1006, "")
			if code, _, _ := b.do(t, "POST", "/v1alpha/auth_tokens", ""); code != 503 {
				t.Errorf("got %d", code)
			}
		})
	})
}
