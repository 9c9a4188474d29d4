package emulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// outcome is how the service takes a setup: "live", or code and reason.
func (b *bench) outcome(t *testing.T, path, setup string) string {
	t.Helper()
	c := b.dial(t, path)
	c.send(t, `{"setup":{`+setup+`}}`)
	select {
	case _, ok := <-c.frames:
		if ok {
			return "live"
		}
	case <-time.After(time.Hour):
		t.Fatal("nothing came")
	}
	code, reason := c.closed(t)
	return fmt.Sprint(code, " ", reason)
}

// minted is how the service takes a mint: "minted" or the message.
func (b *bench) minted(t *testing.T, body string) string {
	t.Helper()
	code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", body, "x-goog-api-key", testKey)
	if code == 200 {
		return "minted"
	}
	var e struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e.Error.Message
}

func TestSwitches(t *testing.T) {
	const (
		resumable = textSetup + `,"sessionResumption":{}`
		unknown   = "9b2f3c1e-0000-4000-8000-000000000000"
	)
	with := func(handle string) string { return textSetup + `,"sessionResumption":{"handle":"` + handle + `"}` }
	known := func(t *testing.T, b *bench, token string) string {
		t.Helper()
		c := b.open(t, tokenPath+token, resumable)
		handle := c.ask(t, "my name is Ada", true).handle
		c.conn.Close(1000, "")
		time.Sleep(time.Second)
		return handle
	}
	for _, tt := range []struct {
		sentence string
		set      func(*Switches)
		run      func(t *testing.T, b *bench) string
		off, on  string
	}{
		{
			"U1: newSessionExpireTime gates resumption", func(s *Switches) { s.GateResumption = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, "")
				handle := known(t, b, token)
				time.Sleep(time.Minute)
				return b.outcome(t, tokenPath+token, with(handle))
			}, "live", "1011 new_session_expire_time deadline exceeded",
		},
		{
			"U2: a full lock honours the client's handle", func(s *Switches) { s.HonourHandle = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, `{"bidiGenerateContentSetup":{`+resumable+`}}`)
				return b.outcome(t, tokenPath+token, with(known(t, b, token)))
			}, "1011 Token has been used too many times", "live",
		},
		{
			"U3: a standard path is accepted by the strict list", func(s *Switches) { s.StrictMask = true },
			func(t *testing.T, b *bench) string { return b.minted(t, `{"fieldMask":"model,tools"}`) },
			"minted", "field_mask is invalid for BidiGenerateContentSetup",
		},
		{
			"U3: the strict list accepts what was seen to be accepted", func(s *Switches) { s.StrictMask = true },
			func(t *testing.T, b *bench) string {
				return b.minted(t, `{"fieldMask":"model,generation_config.max_output_tokens,generationConfig.responseModalities,generationConfig,systemInstruction"}`)
			}, "minted", "minted",
		},
		{
			"U4: a bare parent keeps the client's other children", func(s *Switches) { s.MergeParents = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, `{"bidiGenerateContentSetup":{"generationConfig":{"temperature":1}},"fieldMask":"generationConfig"}`)
				return b.outcome(t, tokenPath+token, `"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["TEXT"]}`)
			}, "live", "1007 The requested combination of response modalities (TEXT) is not supported by the model",
		},
		{
			"U5: another reason for an unknown token", func(s *Switches) { s.UnknownToken = CloseFrame{1008, "No such token"} },
			func(t *testing.T, b *bench) string {
				return b.outcome(t, tokenPath+"auth_tokens/"+strings.Repeat("0", 64), textSetup)
			}, "1011 Token not found", "1008 No such token",
		},
		{
			"U6: the credential is judged on open", func(s *Switches) { s.JudgeOnOpen = true },
			func(t *testing.T, b *bench) string {
				c := b.dial(t, socketPath+"?key=AIzaBad")
				synctest.Wait()
				select {
				case <-c.frames:
					return fmt.Sprint(websocket.CloseStatus(c.err))
				default:
					return "silent"
				}
			}, "silent", "StatusInvalidFramePayloadData",
		},
		{
			"U6: a good credential passes on open", func(s *Switches) { s.JudgeOnOpen = true },
			func(t *testing.T, b *bench) string { return b.outcome(t, tokenPath+b.mint(t, ""), textSetup) },
			"live", "live",
		},
		{
			"U7: a socket that never sets up costs a use", func(s *Switches) { s.SpendOnOpen = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, "")
				b.dial(t, tokenPath+token).conn.Close(1000, "")
				return b.outcome(t, tokenPath+token, textSetup)
			}, "live", "1011 Token has been used too many times",
		},
		{
			"U7: a setup that is refused costs a use", func(s *Switches) { s.SpendOnOpen = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, "")
				b.outcome(t, tokenPath+token, `"model":"models/none"`)
				return b.outcome(t, tokenPath+token, textSetup)
			}, "live", "1011 Token has been used too many times",
		},
		{
			"U7: a resumption costs no use either way", func(s *Switches) { s.SpendOnOpen = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, `{"uses":2}`)
				handle := known(t, b, token)
				c := b.open(t, tokenPath+token, with(handle))
				c.conn.Close(1000, "")
				return b.outcome(t, tokenPath+token, textSetup)
			}, "live", "live",
		},
		{
			"U8: the mint echoes the token", func(s *Switches) { s.MintEchoes = true },
			func(t *testing.T, b *bench) string {
				_, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", `{"uses":3,"fieldMask":"model"}`, "x-goog-api-key", testKey)
				var token map[string]any
				if err := json.Unmarshal([]byte(text), &token); err != nil {
					t.Fatal(err)
				}
				delete(token, "name")
				return fmt.Sprint(token)
			}, "map[]", "map[expireTime:2000-01-01T00:30:00Z fieldMask:model newSessionExpireTime:2000-01-01T00:01:00Z uses:3]",
		},
		{
			"U9: updates come unasked", func(s *Switches) { s.UnaskedUpdates = true },
			func(t *testing.T, b *bench) string {
				c := b.openKey(t, textSetup)
				c.say(t, "hello")
				return compact(c.next(t).data)[:20]
			}, `{"serverContent":{"m`, `{"sessionResumptionU`,
		},
		{
			"U9: handles come while nothing is said", func(s *Switches) { s.UpdateEvery = 1200 * time.Millisecond },
			func(t *testing.T, b *bench) string {
				c := b.openKey(t, resumable)
				time.Sleep(4 * time.Second)
				return fmt.Sprint(len(c.frames), " handles")
			}, "0 handles", "3 handles",
		},
		{
			"U11: an API key is good where tokens are", func(s *Switches) { s.KeyOnConstrained = true },
			func(t *testing.T, b *bench) string {
				return b.outcome(t, socketPath+"Constrained?key="+testKey, textSetup)[:4]
			}, "1008", "live",
		},
		{
			"U12: contextUpdate changes what is locked", func(s *Switches) { s.AcceptLockedUpdate = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, `{"bidiGenerateContentSetup":{"systemInstruction":{"parts":[{"text":"x"}]}},"fieldMask":"systemInstruction"}`)
				c := b.open(t, tokenPath+token, textSetup)
				c.send(t, `{"contextUpdate":{"systemInstruction":{"parts":[{"text":"y"}]}}}`)
				synctest.Wait()
				if !c.quiet() {
					return "refused"
				}
				return c.ask(t, "hello", false).order[0]
			}, "refused", "content",
		},
		{
			"U13: no modality is TEXT", func(s *Switches) { s.DefaultText = true },
			func(t *testing.T, b *bench) string {
				return b.outcome(t, socketPath+"?key="+testKey, `"model":"models/gemini-3.8-live"`)
			}, "live", "1007 The requested combination of response modalities (TEXT) is not supported by the model",
		},
		{
			"U15: a time in the past is accepted", func(s *Switches) { s.AcceptPastTimes = true },
			func(t *testing.T, b *bench) string { return b.minted(t, `{"expireTime":"1999-12-31T00:00:00Z"}`) },
			"expire_time must be in the future", "minted",
		},
		{
			"U16: the token's historyConfig is ignored", func(s *Switches) { s.IgnoreLockedHistory = true },
			func(t *testing.T, b *bench) string {
				token := b.mint(t, `{"bidiGenerateContentSetup":{`+textSetup+`,"historyConfig":{"initialHistoryInClientContent":true}}}`)
				c := b.open(t, tokenPath+token, "")
				c.send(t, `{"clientContent":{"turns":[{"role":"user","parts":[{"text":"my name is Ada"}]}],"turnComplete":true}}`)
				synctest.Wait()
				return fmt.Sprint("answered: ", len(c.frames) > 0)
			}, "answered: false", "answered: true",
		},
		{
			"U17: a uuid that is none of ours is invalid", func(s *Switches) { s.UnknownHandle = HandleInvalid },
			func(t *testing.T, b *bench) string {
				return b.outcome(t, socketPath+"?key="+testKey, with(unknown))
			}, "1008 BidiGenerateContent session not found", "1007 Invalid session handle",
		},
		{
			"U17: what is no uuid is not found", func(s *Switches) { s.UnknownHandle = HandleNotFound },
			func(t *testing.T, b *bench) string {
				return b.outcome(t, socketPath+"?key="+testKey, with("junk"))
			}, "1007 Invalid session handle", "1008 BidiGenerateContent session not found",
		},
	} {
		for position, want := range map[string]string{"off": tt.off, "on": tt.on} {
			t.Run(tt.sentence+", "+position, func(t *testing.T) {
				var s Server
				if position == "on" {
					tt.set(&s.Switches)
				}
				bubble(t, &s, func(t *testing.T, b *bench) {
					if got := tt.run(t, b); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			})
		}
	}
}

func TestUpdatesLeaveRoomForTheRest(t *testing.T) {
	bubble(t, &Server{Switches: Switches{UpdateEvery: 1}}, func(t *testing.T, b *bench) {
		c := b.openKey(t, textSetup+`,"sessionResumption":{}`)
		if between := -c.next(t).at.Sub(c.next(t).at); between != MinUpdateEvery {
			t.Fatalf("a handle came %v after the other", between)
		}
		if err := b.server.Advance(time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(c.frames); n != int(time.Minute/MinUpdateEvery) {
			t.Errorf("%d handles came in a minute", n)
		}
	})
}
