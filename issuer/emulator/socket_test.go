package emulator

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

func TestSocketCredentials(t *testing.T) {
	const unregistered = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API c"
	const badKey = "API key not valid. Please pass a valid API key."
	const constrained = socketPath + "Constrained"
	for _, tt := range []struct {
		sentence, path string
		header         []string
		code           int // 0: accepted
		reason         string
	}{
		{"fact 19: access_token raw", constrained + "?access_token=TOKEN", nil, 0, ""},
		{"fact 19: access_token percent-encoded", constrained + "?access_token=ENCODED", nil, 0, ""},
		{"fact 17: //ws/ without a redirect", "/" + constrained + "?access_token=TOKEN", nil, 0, ""},
		{"fact 17: v1beta with a v1alpha token", strings.Replace(constrained, "v1alpha", "v1beta", 1) + "?access_token=TOKEN", nil, 0, ""},
		{"fact 20: Authorization: Token", constrained, []string{"Authorization", "Token TOKEN"}, 0, ""},
		{"2.2: beside the token in x-goog-api-key", constrained, []string{"Authorization", "Token TOKEN", "x-goog-api-key", "TOKEN"}, 0, ""},
		{"fact 23: an API key by ?key=", socketPath + "?key=" + testKey, nil, 0, ""},
		{"fact 23: an API key by header", socketPath, []string{"x-goog-api-key", testKey}, 0, ""},
		{"any Origin may come", socketPath + "?key=" + testKey, []string{"Origin", "https://elsewhere.example"}, 0, ""},
		{"fact 21: a token on the plain method", socketPath + "?access_token=TOKEN", nil, 1008, unregistered},
		{"fact 21: by header too", socketPath, []string{"Authorization", "Token TOKEN"}, 1008, unregistered},
		{"fact 22: a token as key", socketPath + "?key=TOKEN", nil, 1007, badKey},
		{"2.2: a token as x-goog-api-key", socketPath, []string{"x-goog-api-key", "TOKEN"}, 1007, badKey},
		{"2.2: an id without auth_tokens/", constrained + "?access_token=BARE", nil, 1008, unregistered},
		{"U11: an API key on the constrained method", constrained + "?key=" + testKey, nil, 1008, unregistered},
		{"2.2: nothing", constrained, nil, 1008, unregistered},
		{"2.2: nothing on the plain method", socketPath, nil, 1008, unregistered},
		{"U5: a well-formed unknown token", constrained + "?access_token=auth_tokens/" + strings.Repeat("0", 64), nil, 1011, "Token not found"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				token := b.mint(t, "")
				fill := strings.NewReplacer("TOKEN", token, "ENCODED", strings.Replace(token, "/", "%2F", 1), "BARE", strings.TrimPrefix(token, "auth_tokens/"))
				var header []string
				for _, h := range tt.header {
					header = append(header, fill.Replace(h))
				}
				// Fact 24: whatever is wrong, the upgrade succeeds, and nothing is said before the setup.
				c := b.dial(t, fill.Replace(tt.path), header...)
				synctest.Wait()
				if len(c.frames) > 0 || c.err != nil {
					t.Fatal("the server spoke before the setup")
				}
				c.send(t, `{"setup":{`+audioSetup+`}}`)
				if tt.code != 0 {
					c.wantClosed(t, tt.code, tt.reason)
					return
				}
				// Fact 28: 27 bytes, binary.
				if f := c.next(t); f.kind != websocket.MessageBinary || string(f.data) != "{\n  \"setupComplete\": {}\n}\n" {
					t.Errorf("got %v %q", f.kind, f.data)
				}
			})
		})
	}
}

func TestSetup(t *testing.T) {
	const onlyFirst = "setup must be the first message and only the first"
	const argument = "Request contains an invalid argument."
	modalities := func(list string) string {
		return `{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":[` + list + `]}}}`
	}
	with := func(field string) string { return `{"setup":{` + audioSetup + `,` + field + `}}` }
	on := func(model, field string) string { return `{"setup":{"model":"models/` + model + `",` + field + `}}` }
	for _, tt := range []struct {
		sentence string
		messages []string
		code     int // 0: accepted
		reason   string
	}{
		{"a full setup is accepted", []string{with(`"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}],` +
			`"systemInstruction":{"parts":[{"text":"be brief"}]},"inputAudioTranscription":{},"outputAudioTranscription":{},"contextWindowCompression":{"triggerTokens":"25600","slidingWindow":{}},` +
			`"sessionResumption":{},"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],"labels":{"a":"b"}`)}, 0, ""},
		{"fact 30: snake_case is equivalent", []string{`{"setup":{"model":"models/gemini-3.8-live","generation_config":{"response_modalities":["AUDIO"]},"session_resumption":{}}}`}, 0, ""},
		{"fact 26: another message first", []string{`{"clientContent":{}}`}, 1007, onlyFirst},
		{"fact 27: a second setup", []string{with(`"proactivity":{}`), with(`"proactivity":{}`)}, 1007, onlyFirst},
		{"fact 31: an unknown field", []string{with(`"colour":"red"`)}, 1007, `Invalid JSON payload received. Unknown name "colour" at 'setup': Cannot find field.`},
		{"fact 31: an unknown message", []string{`{"greeting":{}}`}, 1007, `Invalid JSON payload received. Unknown name "greeting": Cannot find field.`},
		{"3.2: explicitVadSignal is Vertex only", []string{with(`"explicitVadSignal":true`)}, 1007, `Invalid JSON payload received. Unknown name "explicitVadSignal" at 'setup'`},
		{"3.1: two messages in one", []string{`{"setup":{` + audioSetup + `},"clientContent":{}}`}, 1007, argument},
		{"an empty message", []string{`{}`}, 1007, argument},
		{"text that is no JSON", []string{`hello`}, 1007, "Invalid JSON payload received."},
		{"invalid UTF-8", []string{"{\"setup\":{\"model\":\"\xff\"}}"}, 1007, "Invalid JSON payload received. Invalid UTF-8."},
		{"fact 32: an unknown model", []string{`{"setup":{"model":"models/gemini-0"}}`}, 1008, "models/gemini-0 is not found for API version v1alpha, or is not supported for bidiGenerateContent. Call Lis"},
		{"fact 33: a model without its prefix", []string{`{"setup":{"model":"gemini-3.8-live"}}`}, 1008, "gemini-3.8-live is not found for API version v1alpha"},
		{"no model", []string{`{"setup":{}}`}, 1007, argument},
		{"fact 34: TEXT on an AUDIO-only model", []string{modalities(`"TEXT"`)}, 1007, "The requested combination of response modalities (TEXT) is not supported by the model"},
		{"3.3.1: two modalities", []string{modalities(`"AUDIO","TEXT"`)}, 1007, "The requested combination of response modalities (AUDIO, TEXT) is not supported by the model"},
		{"U13: no modality is AUDIO where that is all there is", []string{`{"setup":{"model":"models/gemini-3.8-live"}}`}, 0, ""},
		{"fact 73: transparent resumption is Vertex only", []string{with(`"sessionResumption":{"transparent":true}`)}, 1007, argument},
		{"5.1: no thinking on 3.8", []string{`{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}}}`}, 1007, "Thinking level is not supported for this model"},
		{"5.1: extended thinking wants a level", []string{`{"setup":{"model":"models/gemini-3.8-live-extended-thinking"}}`}, 1007, "Thinking level must be specified"},
		{"7: and takes one", []string{`{"setup":{"model":"models/gemini-3.8-live-extended-thinking","generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}}}`}, 0, ""},
		{"7: proactive audio cannot be turned off on 3.8", []string{with(`"proactivity":{"proactiveAudio":false}`)}, 1007, argument},
		{"7: affective dialog is gone on 3.8", []string{on("gemini-3.8-live", `"generationConfig":{"enableAffectiveDialog":true}`)}, 1007, argument},
		{"7: extended thinking is not MINIMAL", []string{on("gemini-3.8-live-extended-thinking", `"generationConfig":{"thinkingConfig":{"thinkingLevel":"MINIMAL"}}`)}, 1007, "Thinking level is not supported for this model"},
		{"7: affective dialog on 2.5", []string{on("gemini-2.5-flash-native-audio-preview-09-2025", `"generationConfig":{"enableAffectiveDialog":true},"proactivity":{"proactiveAudio":true}`)}, 0, ""},
		{"7: and its newest name", []string{on("gemini-2.5-flash-native-audio-latest", `"proactivity":{"proactiveAudio":false}`)}, 0, ""},
		{"7: nothing of it on 3.1", []string{on("gemini-3.1-flash-live-preview", `"proactivity":{"proactiveAudio":true}`)}, 1007, argument},
		{"7: thinking on 3.1", []string{on("gemini-3.1-flash-live-preview", `"generationConfig":{"thinkingConfig":{"thinkingLevel":"MINIMAL"}}`)}, 0, ""},
		{"7: a translator", []string{on("gemini-3.5-live-translate-preview", `"generationConfig":{"translationConfig":{"targetLanguageCode":"de"}}`)}, 0, ""},
		{"7: which others are not", []string{on("gemini-3.8-live", `"generationConfig":{"translationConfig":{"targetLanguageCode":"de"}}`)}, 1007, argument},
		{"7: the transcriber does not speak", []string{on("gemini-3.5-transcribe-live", `"generationConfig":{"responseModalities":["AUDIO"]}`)}, 1007, "The requested combination of response modalities (AUDIO) is not supported by the model"},
		{"7: a model that was withdrawn", []string{on("gemini-live-2.5-flash-preview", `"generationConfig":{}`)}, 1008, "models/gemini-live-2.5-flash-preview is not found"},
		{"7: and an older one", []string{on("gemini-2.0-flash-live-001", `"generationConfig":{}`)}, 1008, "models/gemini-2.0-flash-live-001 is not found"},
		{"7: a model of Vertex", []string{on("gemini-live-2.5-flash-native-audio", `"generationConfig":{}`)}, 1008, "models/gemini-live-2.5-flash-native-audio is not found"},
		{"3.2: a window's target is smaller than its trigger", []string{with(`"contextWindowCompression":{"triggerTokens":100,"slidingWindow":{"targetTokens":100}}`)}, 1007, argument},
		{"3.3.1: stop sequences are not for Live", []string{`{"setup":{"model":"models/gemini-3.8-live","generationConfig":{"stopSequences":["x"]}}}`}, 1007, argument},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.dial(t, socketPath+"?key="+testKey)
				for _, m := range tt.messages {
					c.send(t, m)
				}
				if tt.code != 0 {
					c.wantClosed(t, tt.code, tt.reason)
				} else if got := compact(c.next(t).data); got != `{"setupComplete":{}}` {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

func TestAffectiveDialogNeedsV1Alpha(t *testing.T) {
	for _, field := range []string{`"generationConfig":{"enableAffectiveDialog":true}`, `"proactivity":{"proactiveAudio":true}`} {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.dial(t, strings.Replace(socketPath, "v1alpha", "v1beta", 1)+"?key="+testKey)
			c.send(t, `{"setup":{"model":"models/gemini-2.5-flash-native-audio-preview-12-2025",`+field+`}}`)
			c.wantClosed(t, 1007, "Request contains an invalid argument.")
		})
	}
}

func TestReasonsFitACloseFrame(t *testing.T) {
	// Fact 25: at most 123 bytes of valid UTF-8.
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.dial(t, socketPath+"?key="+testKey)
		c.send(t, `{"setup":{"model":"models/x`+strings.Repeat("é", 100)+`"}}`)
		code, reason := c.closed(t)
		if want := "models/x" + strings.Repeat("é", 57); code != 1008 || reason != want {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
}

func TestLocks(t *testing.T) {
	const seen = `"outputAudioTranscription":{}` // whether the client's setup counted shows in the transcript
	for _, tt := range []struct {
		sentence, token, setup string
		code                   int
		reason                 string
		transcript             bool
	}{
		{"fact 35: no lock takes the client's setup", `{}`, audioSetup + `,` + seen, 0, "", true},
		{"fact 36: a full lock ignores the client's setup", `{"bidiGenerateContentSetup":{` + audioSetup + `}}`, `"model":"models/no",` + seen, 0, "", false},
		{"fact 36: which may be empty", `{"bidiGenerateContentSetup":{` + audioSetup + `,` + seen + `}}`, ``, 0, "", true},
		{"1.8: a full lock does not merge", `{"bidiGenerateContentSetup":{"generationConfig":{"responseModalities":["AUDIO"]}}}`, audioSetup, 1007, "Request contains an invalid argument.", false},
		{"fact 38: an unmasked field is the client's", `{"bidiGenerateContentSetup":{` + audioSetup + `},"fieldMask":"model"}`, seen, 0, "", true},
		{"fact 38: a masked field is the token's", `{"bidiGenerateContentSetup":{` + audioSetup + `},"fieldMask":"model,generationConfig.responseModalities"}`,
			`"generationConfig":{"responseModalities":["TEXT"]},` + seen, 0, "", true},
		{"fact 39: a masked model overrides one that does not exist", `{"bidiGenerateContentSetup":{` + audioSetup + `},"fieldMask":"model"}`, `"model":"models/no",` + seen, 0, "", true},
		{"fact 40: what is masked but not set is cleared", `{"bidiGenerateContentSetup":{` + audioSetup + `},"fieldMask":"outputAudioTranscription"}`, audioSetup + `,` + seen, 0, "", false},
		{"fact 40: without any setup too", `{"fieldMask":"outputAudioTranscription"}`, audioSetup + `,` + seen, 0, "", false},
		{"U4: a bare parent replaces its subtree", `{"bidiGenerateContentSetup":{"generationConfig":{"temperature":1}},"fieldMask":"generationConfig"}`,
			`"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["TEXT"]},` + seen, 0, "", true},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.dial(t, tokenPath+b.mint(t, tt.token))
				c.send(t, `{"setup":{`+strings.TrimSuffix(tt.setup, ",")+`}}`)
				if tt.code != 0 {
					c.wantClosed(t, tt.code, tt.reason)
					return
				}
				c.next(t)
				if got := c.ask(t, "help", false).transcript; (got != "") != tt.transcript {
					t.Errorf("transcript %q, want one: %v", got, tt.transcript)
				}
			})
		})
	}
}

func TestUsesAndTimes(t *testing.T) {
	const resumable = audioSetup + `,"sessionResumption":{}`
	withHandle := func(handle string) string { return audioSetup + `,"sessionResumption":{"handle":"` + handle + `"}` }
	refused := func(t *testing.T, b *bench, token, setup string, code int, reason string) {
		t.Helper()
		c := b.dial(t, tokenPath+token)
		c.send(t, `{"setup":{`+setup+`}}`)
		c.wantClosed(t, code, reason)
	}
	// talk opens a session, lets one turn pass and gives its handle.
	talk := func(t *testing.T, b *bench, token string) string {
		t.Helper()
		c := b.open(t, tokenPath+token, resumable)
		handle := c.ask(t, "my name is Ada", true).handle
		c.conn.Close(1000, "")
		return handle
	}
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench)
	}{
		{"fact 42: one use, a second session is refused", func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			b.open(t, tokenPath+token, audioSetup)
			refused(t, b, token, audioSetup, 1011, "Token has been used too many times")
		}},
		{"fact 44: two uses, two sessions at once", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"uses":2}`)
			b.open(t, tokenPath+token, audioSetup)
			b.open(t, tokenPath+token, audioSetup)
			refused(t, b, token, audioSetup, 1011, "Token has been used too many times")
		}},
		{"fact 8: uses 0 is no limit", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"uses":0}`)
			for range 5 {
				b.open(t, tokenPath+token, audioSetup)
			}
		}},
		{"fact 49: a refused setup costs no use", func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			refused(t, b, token, `"model":"models/no"`, 1008, "models/no is not found")
			b.open(t, tokenPath+token, audioSetup)
		}},
		{"fact 43: resuming costs no use, however often", func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			handle := talk(t, b, token)
			for range 3 {
				b.open(t, tokenPath+token, withHandle(handle)).conn.Close(1000, "")
			}
		}},
		{"fact 37: under a full lock the handle is ignored, so the use is gone", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"bidiGenerateContentSetup":{`+resumable+`}}`)
			handle := talk(t, b, token)
			refused(t, b, token, withHandle(handle), 1011, "Token has been used too many times")
		}},
		{"4.4: a masked sessionResumption locks the handle out", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"bidiGenerateContentSetup":{`+resumable+`},"fieldMask":"sessionResumption"}`)
			handle := talk(t, b, token)
			refused(t, b, token, withHandle(handle), 1011, "Token has been used too many times")
		}},
		{"4.4: a handle inside a full lock resumes", func(t *testing.T, b *bench) {
			handle := talk(t, b, b.mint(t, ""))
			token := b.mint(t, `{"bidiGenerateContentSetup":{`+withHandle(handle)+`,"outputAudioTranscription":{}}}`)
			c := b.open(t, tokenPath+token, "")
			if got := c.ask(t, "what is my name?", true).transcript; got != "Your name is Ada." {
				t.Errorf("got %q", got)
			}
		}},
		{"fact 45: no new session after newSessionExpireTime", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"uses":2}`)
			time.Sleep(59 * time.Second)
			b.open(t, tokenPath+token, audioSetup)
			time.Sleep(time.Second)
			refused(t, b, token, audioSetup, 1011, "new_session_expire_time deadline exceeded")
		}},
		{"fact 46: but a resume", func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			handle := talk(t, b, token)
			time.Sleep(29 * time.Minute)
			b.open(t, tokenPath+token, withHandle(handle))
		}},
		{"fact 47: an open socket is closed at expireTime", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"expireTime":"2000-01-01T00:02:00Z"}`)
			c := b.open(t, tokenPath+token, audioSetup)
			c.wantClosed(t, 1011, "auth token has expired")
			if got := time.Now().UTC().Format(time.TimeOnly); got != "00:02:00" {
				t.Errorf("closed at %s", got)
			}
		}},
		{"fact 48: nothing opens after expireTime, with or without a handle", func(t *testing.T, b *bench) {
			token := b.mint(t, `{"uses":0}`)
			handle := talk(t, b, token)
			time.Sleep(30 * time.Minute)
			refused(t, b, token, audioSetup, 1011, "Token has expired")
			refused(t, b, token, withHandle(handle), 1011, "Token has expired")
		}},
		{"fact 68: a handle outlives its token and works with another", func(t *testing.T, b *bench) {
			handle := talk(t, b, b.mint(t, ""))
			time.Sleep(time.Hour)
			b.open(t, tokenPath+b.mint(t, ""), withHandle(handle))
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) { bubble(t, new(Server), tt.run) })
	}
}
