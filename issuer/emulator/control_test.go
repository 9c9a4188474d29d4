package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestFaults(t *testing.T) {
	const resumable = textSetup + `,"sessionResumption":{}`
	withHandle := func(handle string) string { return textSetup + `,"sessionResumption":{"handle":"` + handle + `"}` }
	fault := func(t *testing.T, b *bench, body string) {
		t.Helper()
		if code, got := b.control(t, "POST", "fault", body); code != 200 || got["applied"] != 1.0 {
			t.Fatalf("fault %s: %d %v", body, code, got)
		}
	}
	refused := func(t *testing.T, b *bench, token, setup string, code int, reason string) {
		t.Helper()
		c := b.dial(t, tokenPath+token)
		c.send(t, `{"setup":{`+setup+`}}`)
		c.wantClosed(t, code, reason)
	}
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench, c *client, token string)
	}{
		{"goaway announces and then ends", func(t *testing.T, b *bench, c *client, token string) {
			start := time.Now()
			fault(t, b, `{"kind":"goaway","session":"s1","timeLeft":"5s"}`)
			if got := compact(c.next(t).data); got != `{"goAway":{"timeLeft":"5s"}}` {
				t.Errorf("got %s", got)
			}
			c.ask(t, "hello", true)
			c.wantClosed(t, 1011, "Deadline expired before operation could complete.")
			if got := time.Since(start); got != 5*time.Second {
				t.Errorf("ended after %v", got)
			}
		}},
		{"goaway by default leaves 50 s", func(t *testing.T, b *bench, c *client, token string) {
			fault(t, b, `{"kind":"goaway","session":"*"}`)
			if got := compact(c.next(t).data); got != `{"goAway":{"timeLeft":"50s"}}` {
				t.Errorf("got %s", got)
			}
		}},
		{"drop cuts without a word, and the handle is good", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "my name is Ada", true).handle
			fault(t, b, `{"kind":"drop"}`)
			c.wantClosed(t, 1006, "")
			if got := b.open(t, tokenPath+token, withHandle(handle)).ask(t, "who am I", true).text; got != "Your name is Ada." {
				t.Errorf("got %q", got)
			}
		}},
		{"drop in the middle of an answer", func(t *testing.T, b *bench, c *client, token string) {
			c.say(t, "help")
			fault(t, b, `{"kind":"drop","after":"50ms"}`)
			c.wantClosed(t, 1006, "")
		}},
		{"close with any code and reason", func(t *testing.T, b *bench, c *client, token string) {
			fault(t, b, `{"kind":"close","code":1008,"reason":"The operation was aborted."}`)
			c.wantClosed(t, 1008, "The operation was aborted.")
		}},
		{"close later", func(t *testing.T, b *bench, c *client, token string) {
			start := time.Now()
			fault(t, b, `{"kind":"close","after":"2s"}`)
			c.wantClosed(t, 1011, "The service is currently unavailable.")
			if got := time.Since(start); got != 2*time.Second {
				t.Errorf("closed after %v", got)
			}
		}},
		{"expire-token ends all sockets of the token, for good", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			second := b.open(t, tokenPath+token, textSetup)
			bystander := b.open(t, tokenPath+b.mint(t, ""), resumable)
			fault(t, b, `{"kind":"expire-token","session":"s1"}`)
			c.wantClosed(t, 1011, "auth token has expired")
			second.wantClosed(t, 1011, "auth token has expired")
			refused(t, b, token, textSetup, 1011, "Token has expired")
			refused(t, b, token, withHandle(handle), 1011, "Token has expired")
			bystander.ask(t, "hello", true)
			b.open(t, tokenPath+b.mint(t, ""), withHandle(handle)) // another token resumes
		}},
		{"refuse-resume refuses as often as asked", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			fault(t, b, `{"kind":"refuse-resume","times":2}`)
			c.conn.Close(1000, "")
			for range 2 {
				refused(t, b, token, withHandle(handle), 1011, "The service is currently unavailable.")
			}
			b.open(t, tokenPath+token, withHandle(handle))
		}},
		{"refuse-resume of a session that is not open", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			c.conn.Close(1000, "")
			time.Sleep(time.Second)
			fault(t, b, `{"kind":"refuse-resume","session":"s1","code":1008,"reason":"Requested entity was not found."}`)
			refused(t, b, token, withHandle(handle), 1008, "Requested entity was not found.")
			b.open(t, tokenPath+token, withHandle(handle))
		}},
		{"forget-handle makes the handle unknown", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			fault(t, b, `{"kind":"forget-handle"}`)
			c.conn.Close(1000, "")
			refused(t, b, token, withHandle(handle), 1008, "BidiGenerateContent session not found")
		}},
		{"reset drops all and forgets all", func(t *testing.T, b *bench, c *client, token string) {
			if code, _ := b.control(t, "POST", "reset", ""); code != 200 {
				t.Errorf("got %d", code)
			}
			c.wantClosed(t, 1006, "")
			refused(t, b, token, textSetup, 1011, "Token not found")
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				token := b.mint(t, `{"uses":0}`)
				tt.run(t, b, b.open(t, tokenPath+token, resumable), token)
			})
		})
	}
}

func TestControlRefuses(t *testing.T) {
	for _, tt := range []struct {
		sentence, method, name, media, body string
		status                              int
		code, detail                        string
	}{
		{"an unknown kind, naming the known ones", "POST", "fault", "application/json", `{"kind":"flood"}`, 400, "invalid_request", "kind is one of burst, close, drop, empty, expire-token, forget-handle, goaway, half-open, malformed, mint-error, phantom-interrupt, refuse-resume, slow, spent-token, stall, unknown-field"},
		{"no kind", "POST", "fault", "application/json", ``, 400, "invalid_request", "kind is one of"},
		{"an unknown field", "POST", "fault", "application/json", `{"kind":"drop","sesion":"s1"}`, 400, "invalid_request", `unknown field "sesion": there are kind, session, token, after, times,`},
		{"fewer than no times", "POST", "fault", "application/json", `{"kind":"mint-error","times":-2}`, 400, "invalid_request", "times is from 1 to 1000"},
		{"a text for a number", "POST", "fault", "application/json", `{"kind":"mint-error","times":"2"}`, 400, "invalid_request", "times is a whole number"},
		{"half a number", "POST", "fault", "application/json", `{"kind":"mint-error","times":1.5}`, 400, "invalid_request", "times is a whole number"},
		{"a number for a text", "POST", "fault", "application/json", `{"kind":5}`, 400, "invalid_request", "kind is a text"},
		{"a number for a duration", "POST", "fault", "application/json", `{"kind":"drop","after":5}`, 400, "invalid_request", `after is a duration in quotes, such as "10s"`},
		{"a list", "POST", "fault", "application/json", `[]`, 400, "invalid_request", "send one JSON object"},
		{"a bad duration", "POST", "fault", "application/json", `{"kind":"drop","after":"soon"}`, 400, "invalid_request", `"soon" is no duration: write one such as 10s or 1m30s`},
		{"a negative duration", "POST", "fault", "application/json", `{"kind":"drop","after":"-1s"}`, 400, "invalid_request", `"-1s" is negative`},
		{"a code that no frame can carry", "POST", "fault", "application/json", `{"kind":"close","code":1005}`, 400, "invalid_request", "code is 1000 to 1014"},
		{"a latency that would fill the memory", "POST", "fault", "application/json", `{"kind":"slow","latency":"2m"}`, 400, "invalid_request", "at most 1m"},
		{"a burst that would, too", "POST", "fault", "application/json", `{"kind":"burst","holds":"2m"}`, 400, "invalid_request", "at most 1m"},
		{"an option that the kind does not take", "POST", "fault", "application/json", `{"kind":"stall","timeLeft":"10s"}`, 400, "invalid_request", "stall does not take timeLeft, but holds, after"},
		{"one of a kind that takes none", "POST", "fault", "application/json", `{"kind":"drop","reason":"x"}`, 400, "invalid_request", "drop does not take reason, but after"},
		{"no JSON", "POST", "fault", "application/json; charset=utf-8", `{`, 400, "invalid_request", "send one JSON object: unexpected EOF"},
		{"two values", "POST", "fault", "application/json", `{}{}`, 400, "invalid_request", "one JSON object"},
		{"nothing that fits", "POST", "fault", "application/json", `{"kind":"drop","session":"s9"}`, 404, "session_not_found", "no session fits"},
		{"a token that a session by key does not have", "POST", "fault", "application/json", `{"kind":"expire-token"}`, 404, "session_not_found", "no session fits"},
		{"a token of another time", "POST", "fault", "application/json", `{"kind":"expire-token","token":"0123456789ab"}`, 404, "token_not_found", "GET tokens lists all"},
		{"a token that is no hash", "POST", "fault", "application/json", `{"kind":"expire-token","token":"auth_tokens/0123456789ab"}`, 400, "invalid_request", "token is a hash as GET tokens shows it, or *"},
		{"a token of what is not a token's", "POST", "fault", "application/json", `{"kind":"drop","token":"*"}`, 400, "invalid_request", "drop does not take token"},
		{"a token and a session", "POST", "fault", "application/json", `{"kind":"spent-token","token":"*","session":"s1"}`, 400, "invalid_request", "a session or a token, not both"},
		{"a token later", "POST", "fault", "application/json", `{"kind":"spent-token","token":"*","after":"1s"}`, 400, "invalid_request", "after counts on an open connection"},
		{"a form", "POST", "fault", "application/x-www-form-urlencoded", `kind=drop`, 415, "unsupported_media_type", "application/json"},
		{"an empty body without a type", "POST", "reset", "", ``, 415, "unsupported_media_type", "application/json"},
		{"a large body", "POST", "fault", "application/json", strings.Repeat(" ", 1<<17), 413, "body_too_large", "64 KiB"},
		{"GET where something changes", "GET", "reset", "application/json", ``, 405, "method_not_allowed", "use POST"},
		{"POST where something is shown", "POST", "journal", "application/json", ``, 405, "method_not_allowed", "use GET"},
		{"an unknown name", "GET", "clocks", "", ``, 404, "not_found", "POST fault"},
		{"a limit of nothing", "GET", "tokens?limit=0", "", ``, 400, "invalid_request", "limit is how many"},
		{"a limit that is no number", "GET", "tokens?limit=all", "", ``, 400, "invalid_request", "limit is how many"},
		{"a bad after", "GET", "journal?after=x", "", ``, 400, "invalid_request", "after"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				b.openKey(t, textSetup)
				status, header, text := b.do(t, tt.method, "/__emulator/"+tt.name, tt.body, "Content-Type", tt.media)
				var got struct {
					Type, Title, Code, Detail string
					Status                    int
				}
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Fatalf("%d %s", status, text)
				}
				if status != tt.status || got.Status != tt.status || got.Code != tt.code || !strings.Contains(got.Detail, tt.detail) || got.Title == "" || got.Type == "" {
					t.Errorf("got %d %s", status, text)
				}
				if media := header.Get("Content-Type"); media != "application/problem+json" {
					t.Errorf("type %q", media)
				}
				if allow := header.Get("Allow"); (allow != "") != (status == 405) {
					t.Errorf("allow %q", allow)
				}
			})
		})
	}
}

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	var s Server
	defer s.Close()
	for _, path := range []string{"/__emulator/reset", "/v1alpha/auth_tokens"} {
		r := httptest.NewRequest(http.MethodPost, path, iotest.ErrReader(io.ErrUnexpectedEOF))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Goog-Api-Key", testKey)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "ended early") {
			t.Errorf("%s answers %d %s", path, w.Code, w.Body)
		}
	}
}

func TestTokensEndpoint(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		token := b.mint(t, `{"uses":2,"bidiGenerateContentSetup":{`+textSetup+`},"fieldMask":"model,generation_config.top_k"}`)
		b.open(t, tokenPath+token, "")
		c := b.dial(t, tokenPath+token)
		c.send(t, `{"setup":{"sessionResumption":{"handle":"garbage"}}}`)
		c.closed(t)
		_, got := b.control(t, "GET", "tokens", "")
		one := got["tokens"].([]any)[0].(map[string]any)
		if one["token"] != digestOf(token).String() || one["usesLeft"] != 1.0 || one["used"] != 1.0 || one["lock"] != "masked" ||
			fmt.Sprint(one["fieldMask"]) != "[model generationConfig.topK]" || one["expireTime"] != "2000-01-01T00:30:00Z" {
			t.Errorf("got %v", one)
		}
		refusal := one["refusals"].([]any)[0].(map[string]any)
		if refusal["rule"] != "handle" || refusal["reason"] != "Invalid session handle" {
			t.Errorf("got %v", refusal)
		}
	})
}

func TestTheNewestTokensAreListed(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		var minted []string
		for range 5 {
			minted = append(minted, digestOf(b.mint(t, "")).String())
			time.Sleep(time.Second)
		}
		for query, want := range map[string][]string{"": minted, "?limit=2": minted[3:], "?limit=5": minted, "?limit=9000000000": minted} {
			_, got := b.control(t, "GET", "tokens"+query, "")
			listed := []string{}
			for _, one := range got["tokens"].([]any) {
				listed = append(listed, one.(map[string]any)["token"].(string))
			}
			if !slices.Equal(listed, want) || got["count"] != 5.0 {
				t.Errorf("%q lists %v of %v, want %v", query, listed, got["count"], want)
			}
		}
	})
}

func TestJournal(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		token := b.mint(t, `{"uses":0}`)
		c := b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{}`)
		c.send(t, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"AAAAAAAA"}}}`)
		c.ask(t, "hello", true)
		c.conn.Close(1000, "bye")
		time.Sleep(time.Second)
		_, got := b.control(t, "GET", "journal", "")
		var kinds []string
		for i, e := range got["entries"].([]any) {
			e := e.(map[string]any)
			if e["seq"] != float64(i+1) {
				t.Errorf("entry %d has seq %v", i, e["seq"])
			}
			if k := e["kind"]; k != "mint" && k != "open" && (e["session"] != "s1" || e["token"] != digestOf(token).String()) {
				t.Errorf("whose is %v", e)
			}
			kinds = append(kinds, e["dir"].(string)+" "+e["kind"].(string))
			if i == 4 && fmt.Sprint(e["message"]) != "map[realtimeInput:map[audio:map[data:(6 bytes) mimeType:audio/pcm]]]" {
				t.Errorf("audio: %v", e["message"])
			}
		}
		if want := []string{"in mint", "in open", "in recv", "out send", "in recv", "in recv", "out send"}; !slices.Equal(kinds[:len(want)], want) {
			t.Errorf("got %v", kinds)
		}
		if last := kinds[len(kinds)-1]; last != "in close" {
			t.Errorf("last is %q", last)
		}
		_, later := b.control(t, "GET", fmt.Sprintf("journal?after=%d", len(kinds)-1), "")
		if n := len(later["entries"].([]any)); n != 1 {
			t.Errorf("%d entries after the last but one", n)
		}
	})
}

func TestJournalIsBounded(t *testing.T) {
	j := journal{clock: newClock()}
	long := strings.Repeat("x", 1<<20)
	for range journalSize + 10 {
		j.add(entry{}, tree{"text": long})
	}
	j.add(entry{}, tree{"a": strings.Split(strings.Repeat("x ", journalTree), " ")})
	got := j.since(0)
	if len(got) != journalSize || got[0].Seq != 12 || got[len(got)-1].Seq != journalSize+11 {
		t.Errorf("%d entries, %d to %d", len(got), got[0].Seq, got[len(got)-1].Seq)
	}
	if n := len(got[0].Message); n == 0 || n > 2*journalString {
		t.Errorf("a message takes %d bytes", n)
	}
	if got[len(got)-1].Message != nil {
		t.Error("a large message was kept")
	}
}

// Nothing that the emulator writes down may hold a token, a handle, a key or an
// instruction, wherever the client put them.
func TestSecretsAreNotWrittenDown(t *testing.T) {
	var log bytes.Buffer
	bubble(t, &Server{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, func(t *testing.T, b *bench) {
		const instruction = "canary-instruction"
		token := b.mint(t, `{"uses":0,"bidiGenerateContentSetup":{"systemInstruction":{"parts":[{"text":"`+instruction+`"}]}},"fieldMask":"systemInstruction"}`)
		c := b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{},"systemInstruction":{"parts":[{"text":"`+instruction+`"}]}`)
		handle := c.ask(t, "hello", true).handle
		c.ask(t, "my token is "+token+" and my handle is "+handle, true)
		c.send(t, `{"`+token+`":1}`)
		c.closed(t)
		for _, setup := range []string{
			textSetup + `,"sessionResumption":{"handle":"` + handle + `"}`,
			textSetup + `,"sessionResumption":{"handle":"` + handle + `x"}`,
			`"model":"` + token + `"`,
			`"labels":{"` + token + `":"` + handle + `"},"model":"` + handle + `"`,
			`"labels":"` + token + `"`,
		} {
			c := b.dial(t, tokenPath+token)
			c.send(t, `{"setup":{`+setup+`}}`)
			time.Sleep(time.Second)
			c.conn.CloseNow()
		}
		for _, path := range []string{socketPath + "?access_token=", socketPath + "?key=", "/ws/unknown?key="} {
			if strings.HasPrefix(path, socketPath) {
				c := b.dial(t, path+token)
				c.send(t, `{"setup":{`+textSetup+`}}`)
				c.closed(t)
			} else {
				b.do(t, "GET", path+token, "")
			}
		}
		b.do(t, "POST", "/v1alpha/auth_tokens?key=AIzaCanary", `{"uses":"`+token+`"}`)
		b.do(t, "POST", "/v1alpha/auth_tokens?key=AIzaCanary", ``)
		b.server.world().log.Info("end")

		_, _, journal := b.do(t, "GET", "/__emulator/journal", "")
		_, _, tokens := b.do(t, "GET", "/__emulator/tokens", "")
		for name, text := range map[string]string{"log": log.String(), "journal": journal, "tokens": tokens} {
			if !strings.Contains(text, digestOf(token).String()) {
				t.Errorf("the %s does not name the token by its hash", name)
			}
			for what, secret := range map[string]string{"token": token[len(tokenPrefix):], "handle": handle, "key": "AIzaCanary", "project's key": testKey, "instruction": instruction} {
				if strings.Contains(text, secret) {
					t.Errorf("the %s holds the %s", name, what)
				}
			}
		}
	})
}

func TestSecretsAreFoundWhereverTheyEnd(t *testing.T) {
	const handle = "5f1c7a90-e3b2-4d55-9c3e-0a1b2c3d4e5f"
	digits := strings.Repeat("0123456789abcdef", 4)
	hashed := "#" + digestOf(tokenPrefix+digits).String()
	for _, tt := range []struct{ text, want string }{
		{"the token " + tokenPrefix + digits, "the token " + hashed},
		{"the token " + digits + ".", "the token " + hashed + "."},
		{"?access_token=auth_tokens%2F" + digits + "&a=b", "?access_token=" + hashed + "&a=b"},
		{"?access_token=auth_tokens%2f" + digits, "?access_token=" + hashed},
		{"x" + handle + "x", "x#" + digestOf(handle).String() + "x"},
		{"handle " + handle[:30], "handle #" + digestOf(handle[:30]).String()},
		{digits[:31], digits[:31]},
		{"auth_tokens", "auth_tokens"},
		{"one-two-three-four-five", "one-two-three-four-five"},
	} {
		if got := redactText(tt.text); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
	hash := regexp.MustCompile(`^\.*#[0-9a-f]{12}\.$`)
	for before := range 200 { // wherever it looks
		for _, secret := range []string{digits[:32], digits, tokenPrefix + digits, handle, digits[:24] + handle} {
			text := strings.Repeat(".", before) + secret + "."
			if got := redactText(text); !hash.MatchString(got) || len(got) != before+14 {
				t.Errorf("%q becomes %q", text, got)
			}
			if got, want := excerpt(text, 100), redactText(text); !strings.HasPrefix(want, got) {
				t.Errorf("%q begins with %q", text, got)
			}
		}
	}
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		token := b.mint(t, `{"uses":0}`)
		c := b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{}`)
		handle := c.ask(t, "hello", true).handle
		for _, secret := range []string{handle, strings.TrimPrefix(token, tokenPrefix)} {
			begin := secret[:len(secret)-1]
			c.ask(t, strings.Repeat("x", journalString-len(begin))+secret, true)
			for _, cutAt := range []int{123, maxNamed, journalString} { // of a close frame, a name, an excerpt
				refused := b.dial(t, tokenPath+token)
				refused.send(t, `{"setup":{"model":"`+strings.Repeat("x", cutAt-len(begin))+secret+`"}}`)
				refused.closed(t)
			}
			_, _, journal := b.do(t, "GET", "/__emulator/journal", "")
			_, _, tokens := b.do(t, "GET", "/__emulator/tokens", "")
			for name, text := range map[string]string{"journal": journal, "tokens": tokens} {
				if strings.Contains(text, begin) {
					t.Errorf("the %s holds %s", name, begin)
				}
			}
		}
	})
}
