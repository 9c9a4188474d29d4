package emulator

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheTokenStoreIsBounded(t *testing.T) {
	const maxTokens = 3
	const lasts10m = `{"expireTime":"2000-01-01T00:10:00Z"}` // bubbles begin at midnight
	small := func(t *testing.T, run func(t *testing.T, b *bench)) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			b.server.world().tokens.max = maxTokens
			run(t, b)
		})
	}
	refused := func(t *testing.T, b *bench) {
		t.Helper()
		code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", testKey)
		if code != 429 || !strings.Contains(text, `"status": "RESOURCE_EXHAUSTED"`) || !strings.Contains(text, "The emulator holds 3 live tokens") {
			t.Errorf("got %d %s", code, text)
		}
	}
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench)
	}{
		{"a full store refuses, and loses no live token", func(t *testing.T, b *bench) {
			first := b.mint(t, "")
			b.mint(t, "")
			b.mint(t, "")
			refused(t, b)
			b.open(t, tokenPath+first, audioSetup)
		}},
		{"the token that died first makes room, and is unknown then", func(t *testing.T, b *bench) {
			first := b.mint(t, lasts10m)
			second := b.mint(t, `{"expireTime":"2000-01-01T00:05:00Z"}`)
			b.mint(t, "")
			time.Sleep(11 * time.Minute)
			b.mint(t, "")
			for token, reason := range map[string]string{first: "Token has expired", second: "Token not found"} {
				c := b.dial(t, tokenPath+token)
				c.send(t, `{"setup":{`+audioSetup+`}}`)
				c.wantClosed(t, 1011, reason)
			}
			b.mint(t, "")
			refused(t, b)
		}},
		{"a token that was ended by a fault makes room", func(t *testing.T, b *bench) {
			b.mint(t, "")
			b.mint(t, "")
			b.open(t, tokenPath+b.mint(t, ""), audioSetup)
			refused(t, b)
			b.control(t, "POST", "fault", `{"kind":"expire-token"}`)
			b.mint(t, "")
			refused(t, b)
		}},
		{"where there is room, the dead are remembered for a day", func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			time.Sleep(24 * time.Hour)
			b.mint(t, "")
			c := b.dial(t, tokenPath+token)
			c.send(t, `{"setup":{`+audioSetup+`}}`)
			c.wantClosed(t, 1011, "Token has expired")
			time.Sleep(time.Hour)
			b.mint(t, "")
			c = b.dial(t, tokenPath+token)
			c.send(t, `{"setup":{`+audioSetup+`}}`)
			c.wantClosed(t, 1011, "Token not found")
		}},
		{"large setups fill it too", func(t *testing.T, b *bench) {
			tokens := b.server.world().tokens
			tokens.max = 1000
			body := `{"bidiGenerateContentSetup":{"tools":[` + strings.TrimSuffix(strings.Repeat(`{},`, 20_000), ",") + `]}}`
			minted := 0
			for ; minted < tokens.max; minted++ {
				if code, _, _ := b.do(t, "POST", "/v1alpha/auth_tokens", body, "x-goog-api-key", testKey); code == 429 {
					break
				}
			}
			// 20,000 messages of one group of fields each.
			if minted < 20 || minted > 40 || tokens.locked > maxLocked {
				t.Errorf("%d tokens take %d bytes", minted, tokens.locked)
			}
			time.Sleep(31 * time.Minute)
			b.mint(t, body)
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) { small(t, tt.run) })
	}
}

func TestTheSessionStoreIsBounded(t *testing.T) {
	const resumable = audioSetup + `,"sessionResumption":{}`
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		b.server.world().sessions.max = 2
		token := b.mint(t, `{"uses":4}`)
		talk := func() (*client, string) {
			c := b.open(t, tokenPath+token, resumable)
			return c, c.ask(t, "my name is Ada", true).handle
		}
		older, olderHandle := talk()
		newer, newerHandle := talk()
		c := b.dial(t, tokenPath+token)
		c.send(t, `{"setup":{`+audioSetup+`}}`)
		c.wantClosed(t, 1011, "You exceeded your current quota: the emulator has 2 open sessions")
		if all, _ := b.server.world().tokens.report(1); all[0].Used != 2 || len(all[0].Refusals) != 1 || all[0].Refusals[0].Rule != "sessions" {
			t.Errorf("the token is %+v", all[0])
		}

		newer.conn.Close(1000, "")
		synctest.Wait()
		older.conn.Close(1000, "")
		synctest.Wait()
		older, _ = talk() // in place of the one that ended first, which is newer
		c = b.dial(t, tokenPath+token)
		c.send(t, `{"setup":{`+audioSetup+`,"sessionResumption":{"handle":"`+newerHandle+`"}}}`)
		c.wantClosed(t, 1008, "BidiGenerateContent session not found")
		older.conn.Close(1000, "")
		synctest.Wait()
		b.open(t, tokenPath+token, audioSetup+`,"sessionResumption":{"handle":"`+olderHandle+`"}`)
	})
}
