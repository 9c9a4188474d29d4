package emulator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// quiet reports whether the socket is open and nothing came.
func (c *client) quiet() bool {
	select {
	case <-c.frames:
		return false
	default:
		return true
	}
}

func TestFaultsOfTheLine(t *testing.T) {
	const resumable = textSetup + `,"sessionResumption":{}`
	with := func(handle string) string { return textSetup + `,"sessionResumption":{"handle":"` + handle + `"}` }
	fault := func(t *testing.T, b *bench, body string) {
		t.Helper()
		if code, got := b.control(t, "POST", "fault", body); code != 200 || got["applied"] != 1.0 {
			t.Fatalf("fault %s: %d %v", body, code, got)
		}
	}
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench, c *client, token string)
	}{
		{"stall says nothing more, and the socket stays open", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"stall"}`)
			c.say(t, "hello")
			time.Sleep(9 * time.Minute)
			synctest.Wait()
			if !c.quiet() {
				t.Error("it says something, or ends")
			}
			c.wantClosed(t, 1011, "Deadline expired")
		}},
		{"stall may pass, and what would have been said is lost", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"stall","holds":"5s"}`)
			c.say(t, "hello")
			time.Sleep(6 * time.Second)
			if n := len(c.frames); n > 0 {
				t.Errorf("%d messages", n)
			}
			if got := c.ask(t, "my name is Ada", true).text; got != "Hello Ada, nice to meet you." {
				t.Errorf("got %q", got)
			}
		}},
		{"half-open keeps the session from those who resume, for 20 s", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "my name is Ada", true).handle
			fault(t, b, `{"kind":"half-open"}`)
			begin := time.Now()
			c.say(t, "who am I")
			go c.conn.Close(1000, "") // the client gives up, and nobody hears of it
			if got := b.outcome(t, tokenPath+token, with(handle)); got != "1011 Internal error encountered." {
				t.Errorf("a resume gets %s", got)
			}
			time.Sleep(20*time.Second - time.Since(begin) - 300*time.Millisecond)
			if got := b.outcome(t, tokenPath+token, with(handle)); got != "1011 Internal error encountered." {
				t.Errorf("a late resume gets %s", got)
			}
			time.Sleep(time.Second)
			c = b.open(t, tokenPath+token, with(handle))
			if got := c.ask(t, "who am I", true).text; got != "Your name is Ada." {
				t.Errorf("got %q", got)
			}
		}},
		{"half-open holds as long as asked", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			fault(t, b, `{"kind":"half-open","holds":"2s"}`)
			time.Sleep(3 * time.Second)
			b.open(t, tokenPath+token, with(handle))
		}},
		{"slow delays every message, in order", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"slow","latency":"700ms","jitter":"500ms"}`)
			begin := time.Now()
			a := c.ask(t, "hello", true)
			if got := a.frames[0].at.Sub(begin); got < 700*time.Millisecond || got >= 1200*time.Millisecond {
				t.Errorf("the first message came after %v", got)
			}
			if want := []string{"not resumable", "content", "generationComplete", "turnComplete", "resumable"}; !slices.Equal(a.order, want) {
				t.Errorf("order %v", a.order)
			}
		}},
		{"slow is a second if nothing is said", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"slow"}`)
			begin := time.Now()
			c.say(t, "hello")
			if got := c.next(t).at.Sub(begin); got != time.Second {
				t.Errorf("came after %v", got)
			}
		}},
		{"burst holds back and then sends all at once", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"burst"}`)
			begin := time.Now()
			for _, f := range c.ask(t, "hello", true).frames {
				if got := f.at.Sub(begin); got != 2*time.Second {
					t.Errorf("a message came after %v", got)
				}
			}
		}},
		{"malformed is no JSON", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"malformed"}`)
			if got := string(c.next(t).data); got != `{"serverContent": {"modelTurn": {"parts": [` {
				t.Errorf("got %s", got)
			}
		}},
		{"unknown-field is what no client knows", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"unknown-field"}`)
			if got := compact(c.next(t).data); got != `{"messageOfTomorrow":{"value":1},"serverContent":{"fieldOfTomorrow":true}}` {
				t.Errorf("got %s", got)
			}
		}},
		{"empty is an empty message", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"empty"}`)
			if got := compact(c.next(t).data); got != `{}` {
				t.Errorf("got %s", got)
			}
		}},
		{"phantom-interrupt ends an answer that nobody interrupted", func(t *testing.T, b *bench, c *client, _ string) {
			c.say(t, "help")
			fault(t, b, `{"kind":"phantom-interrupt","after":"50ms"}`)
			if got := c.turn(t, true).order; !slices.Equal(got, []string{"not resumable", "content", "interrupted", "turnComplete", "resumable"}) {
				t.Errorf("order %v", got)
			}
		}},
		{"phantom-interrupt comes in silence too", func(t *testing.T, b *bench, c *client, _ string) {
			fault(t, b, `{"kind":"phantom-interrupt"}`)
			if got := compact(c.next(t).data); got != `{"serverContent":{"interrupted":true}}` {
				t.Errorf("got %s", got)
			}
		}},
		{"spent-token starts nothing more, and resumes", func(t *testing.T, b *bench, c *client, token string) {
			handle := c.ask(t, "hello", true).handle
			fault(t, b, `{"kind":"spent-token"}`)
			if got := b.outcome(t, tokenPath+token, textSetup); got != "1011 Token has been used too many times" {
				t.Errorf("got %s", got)
			}
			c.conn.Close(1000, "")
			b.open(t, tokenPath+token, with(handle))
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

func TestTokensDieWithoutAConnection(t *testing.T) {
	const expired, spent = "1011 Token has expired", "1011 Token has been used too many times"
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench, order func(fault string, want any))
	}{
		{"between two connections", func(t *testing.T, b *bench, order func(string, any)) {
			token := b.mint(t, `{"uses":0}`)
			c := b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{}`)
			handle := c.ask(t, "hello", true).handle
			c.conn.Close(1000, "")
			synctest.Wait()
			order(`{"kind":"spent-token","session":"s1"}`, 1.0)
			if got := b.outcome(t, tokenPath+token, textSetup); got != spent {
				t.Errorf("a spent one: %s", got)
			}
			order(`{"kind":"expire-token","after":"1s"}`, nil) // of no connection
			order(`{"kind":"expire-token"}`, 1.0)
			if got := b.outcome(t, tokenPath+token, textSetup+`,"sessionResumption":{"handle":"`+handle+`"}`); got != expired {
				t.Errorf("an expired one: %s", got)
			}
			order(`{"kind":"expire-token"}`, nil)
			order(`{"kind":"spent-token"}`, nil)
		}},
		{"before the first one", func(t *testing.T, b *bench, order func(string, any)) {
			first, second, third := b.mint(t, ""), b.mint(t, ""), b.mint(t, "")
			order(`{"kind":"expire-token"}`, nil)
			order(`{"kind":"expire-token","token":"`+digestOf(first).String()+`"}`, 1.0)
			order(`{"kind":"expire-token","token":"`+digestOf(first).String()+`"}`, nil)
			order(`{"kind":"spent-token","token":"`+digestOf(second).String()+`","session":"*"}`, 1.0)
			for token, want := range map[string]string{first: expired, second: spent, third: "live"} {
				if got := b.outcome(t, tokenPath+token, textSetup); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		}},
		{"all of them", func(t *testing.T, b *bench, order func(string, any)) {
			c := b.open(t, tokenPath+b.mint(t, ""), textSetup)
			token := b.mint(t, "")
			order(`{"kind":"expire-token","token":"*"}`, 2.0)
			c.wantClosed(t, 1011, "auth token has expired")
			if got := b.outcome(t, tokenPath+token, textSetup); got != expired {
				t.Errorf("got %s", got)
			}
			order(`{"kind":"expire-token","token":"*"}`, nil)
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				tt.run(t, b, func(fault string, want any) {
					t.Helper()
					if code, got := b.control(t, "POST", "fault", fault); got["applied"] != want || want == nil && code != 404 {
						t.Errorf("%s: %d %v", fault, code, got)
					}
				})
			})
		})
	}
}

func TestMintsFailAsOrdered(t *testing.T) {
	for status, name := range map[int]string{
		400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 0: "UNAVAILABLE",
	} {
		t.Run(fmt.Sprint("with status ", status), func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				if code, got := b.control(t, "POST", "fault", fmt.Sprintf(`{"kind":"mint-error","status":%d,"times":2,"after":"1m"}`, status)); code != 200 || got["applied"] != 1.0 {
					t.Fatal(code, got)
				}
				b.mint(t, "")
				if err := b.server.Advance(time.Minute); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", testKey)
					if want := cmp.Or(status, 503); code != want || !strings.Contains(text, `"`+name+`"`) {
						t.Errorf("got %d %s", code, text)
					}
				}
				b.mint(t, "")
			})
		})
	}
	t.Run("with no answer, until the client leaves", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			b.control(t, "POST", "fault", `{"kind":"mint-error","status":408}`)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, "POST", "http://emulator/v1alpha/auth_tokens", nil)
			if _, err := b.client.Do(r); ctx.Err() == nil {
				t.Errorf("got %v", err)
			}
			b.mint(t, "")
		})
	})
	t.Run("with no answer, until the server closes", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			b.control(t, "POST", "fault", `{"kind":"mint-error","status":408}`)
			time.AfterFunc(time.Minute, func() { b.server.Close() })
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://emulator/v1alpha/auth_tokens", nil)
			if _, err := b.client.Do(r); err == nil {
				t.Error("it was answered")
			}
		})
	})
	t.Run("not with any status", func(t *testing.T) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			if code, got := b.control(t, "POST", "fault", `{"kind":"mint-error","status":418}`); code != 400 {
				t.Errorf("got %d %v", code, got)
			}
		})
	})
}

// story is what 30 connections and mints of a rude server go through.
func story(t *testing.T, s *Server) (out []string) {
	bubble(t, s, func(t *testing.T, b *bench) {
		for range 30 {
			out = append(out, b.minted(t, ""))
			c := b.openKey(t, textSetup+`,"sessionResumption":{}`)
			begin := time.Now()
			code, reason := c.closed(t)
			out = append(out, fmt.Sprint(time.Since(begin).Round(time.Millisecond), code, reason))
		}
		for _, e := range b.server.world().journal.since(0) {
			out = append(out, e.Session+e.Dir+e.Kind+string(e.Message))
		}
	})
	return out
}

func TestRude(t *testing.T) {
	polite := strings.Join(story(t, &Server{Seed: 1}), "\n")
	one := strings.Join(story(t, &Server{Seed: 1, Rude: true}), "\n")
	again := strings.Join(story(t, &Server{Seed: 1, Rude: true}), "\n")
	other := strings.Join(story(t, &Server{Seed: 2, Rude: true}), "\n")
	if one != again {
		t.Errorf("one seed makes two stories:\n%s\n\n%s", one, again)
	}
	if one == other {
		t.Error("two seeds make the same story")
	}
	for _, sign := range []string{"service is currently unavailable", "fieldOfTomorrow", "interrupted", `"timeLeft":"10s"`, " 1000", " 1006"} {
		if !strings.Contains(one+other, sign) {
			t.Errorf("nobody was rude enough for %q", sign)
		}
		if strings.Contains(polite, sign) {
			t.Errorf("the polite one does %q", sign)
		}
	}
}

// Whoever builds a form from GET faults sends what is accepted.
func TestFaultsAreDescribed(t *testing.T) {
	var s Server
	defer s.Close()
	var got struct{ Kinds []faultReport }
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/__emulator/faults", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Kinds) != len(faultKinds) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, kind := range got.Kinds {
		t.Run(kind.Kind, func(t *testing.T) {
			if kind.Does == "" {
				t.Error("nobody knows what it does")
			}
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				b.open(t, tokenPath+b.mint(t, ""), textSetup+`,"sessionResumption":{}`)
				body := map[string]any{"kind": kind.Kind, "session": "*"}
				for _, o := range kind.Options {
					if o.Type == "" {
						t.Errorf("%s has no type", o.Name)
					}
					if o.Default != nil {
						body[o.Name] = o.Default
					}
				}
				text, _ := json.Marshal(body)
				if code, answer := b.control(t, "POST", "fault", string(text)); code != 200 {
					t.Errorf("%s: %d %v", text, code, answer)
				}
			})
		})
	}
	for kind, want := range map[string]string{
		"goaway":        `{"kind":"goaway","does":"goAway is sent, and the connection ends after it","befalls":"connection","options":[{"name":"timeLeft","type":"duration","default":"50s"},{"name":"after","type":"duration"}]}`,
		"spent-token":   `{"kind":"spent-token","does":"the token has no uses left","befalls":"token","options":[{"name":"token","type":"text"},{"name":"after","type":"duration"}]}`,
		"refuse-resume": `{"kind":"refuse-resume","does":"resuming fails, and then no longer","befalls":"session","options":[{"name":"times","type":"integer","default":1},{"name":"code","type":"integer","default":1011},{"name":"reason","type":"text","default":"The service is currently unavailable."},{"name":"after","type":"duration"}]}`,
		"mint-error":    `{"kind":"mint-error","does":"minting fails; with 408 it is never answered","befalls":"mint","options":[{"name":"status","type":"integer","default":503,"choices":[400,403,429,500,503,408]},{"name":"times","type":"integer","default":1},{"name":"after","type":"duration"}]}`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not told as %s", kind, want)
		}
	}
}

func TestFaultsLeaveOutWhatIsUsual(t *testing.T) {
	second := duration(time.Second)
	for _, tt := range []struct {
		sentence   string
		said, want fault
	}{
		{"all", fault{Kind: "close"}, fault{Kind: "close", Code: 1011, Reason: "The service is currently unavailable."}},
		{"the code", fault{Kind: "close", Reason: "r"}, fault{Kind: "close", Code: 1011, Reason: "r"}},
		{"the reason of a code of one's own, which is none", fault{Kind: "close", Code: 1001}, fault{Kind: "close", Code: 1001}},
		{"the latency of jitter, which is none", fault{Kind: "slow", Jitter: second}, fault{Kind: "slow", Jitter: second}},
		{"the latency alone", fault{Kind: "slow"}, fault{Kind: "slow", Latency: second}},
		{"half", fault{Kind: "mint-error", Status: 400}, fault{Kind: "mint-error", Status: 400, Times: 1}},
		{"what the kind does not take", fault{Kind: "drop"}, fault{Kind: "drop"}},
		{"nothing", fault{Kind: "half-open", Holds: second}, fault{Kind: "half-open", Holds: second}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			if got, wrong := tt.said.complete(); got != tt.want || wrong != "" {
				t.Errorf("got %+v %q", got, wrong)
			}
		})
	}
}
