package emulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestAdvanceDoesWhatIsDue(t *testing.T) {
	const resumable = textSetup + `,"sessionResumption":{}`
	for _, tt := range []struct {
		sentence string
		run      func(t *testing.T, b *bench, advance func(string))
	}{
		{"goAway comes with all of its lead, and the end after it", func(t *testing.T, b *bench, advance func(string)) {
			c := b.openKey(t, resumable)
			advance("12m")
			if got := compact(c.next(t).data); got != `{"goAway":{"timeLeft":"50s"}}` {
				t.Errorf("got %s", got)
			}
			c.wantClosed(t, 1011, "Deadline expired")
		}},
		{"nothing comes before its time", func(t *testing.T, b *bench, advance func(string)) {
			c := b.openKey(t, resumable)
			advance("9m9s")
			c.ask(t, "hello", true)
			advance("100ms")
			c.ask(t, "hello", true)
			advance("1s")
			if got := compact(c.next(t).data); !strings.HasPrefix(got, `{"goAway":`) {
				t.Errorf("got %s", got)
			}
		}},
		{"an answer is spoken to its end", func(t *testing.T, b *bench, advance func(string)) {
			c := b.openKey(t, audioSetup+`,"sessionResumption":{}`)
			c.say(t, "help")
			c.next(t) // not resumable: the answer has begun
			advance("1m")
			begin := time.Now()
			if a := c.turn(t, true); len(a.pcm) == 0 || a.handle == "" || time.Since(begin) > 0 {
				t.Errorf("%d bytes, handle %q, after %v", len(a.pcm), a.handle, time.Since(begin))
			}
		}},
		{"a token expires, its socket too", func(t *testing.T, b *bench, advance func(string)) {
			token := b.mint(t, `{"uses":0}`)
			c := b.open(t, tokenPath+token, resumable)
			advance("9m30s")
			handle := c.ask(t, "my name is Ada", true).handle
			c.conn.Close(1000, "")
			c = b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{"handle":"`+handle+`"}`)
			advance("9m")
			c.conn.Close(1000, "")
			c = b.open(t, tokenPath+token, textSetup+`,"sessionResumption":{"handle":"`+handle+`"}`)
			c.conn.Close(1000, "")
			advance("12m")
			c = b.dial(t, tokenPath+token)
			c.send(t, `{"setup":{`+textSetup+`}}`)
			c.wantClosed(t, 1011, "Token has expired")
		}},
		{"the window for new sessions ends", func(t *testing.T, b *bench, advance func(string)) {
			token := b.mint(t, "")
			advance("1m")
			c := b.dial(t, tokenPath+token)
			c.send(t, `{"setup":{`+textSetup+`}}`)
			c.wantClosed(t, 1011, "new_session_expire_time deadline exceeded")
		}},
		{"a handle is good for 2 hours after its connection", func(t *testing.T, b *bench, advance func(string)) {
			c := b.openKey(t, resumable)
			handle := c.ask(t, "my name is Ada", true).handle
			advance("10m")
			c.closed(t)
			advance("1h59m")
			c = b.openKey(t, textSetup+`,"sessionResumption":{"handle":"`+handle+`"}`)
			advance("10m")
			c.closed(t)
			advance("2h")
			c = b.dial(t, socketPath+"?key="+testKey)
			c.send(t, `{"setup":{`+textSetup+`,"sessionResumption":{"handle":"`+handle+`"}}}`)
			c.wantClosed(t, 1008, "BidiGenerateContent session not found")
		}},
		{"a fault strikes that was ordered for later", func(t *testing.T, b *bench, advance func(string)) {
			c := b.openKey(t, resumable)
			b.control(t, "POST", "fault", `{"kind":"drop","after":"5m"}`)
			advance("5m")
			c.wantClosed(t, 1006, "")
		}},
		{"a reset forgets all but the time", func(t *testing.T, b *bench, advance func(string)) {
			advance("3h")
			before := b.server.Now()
			b.control(t, "POST", "reset", "")
			if got := b.server.Now(); got.Before(before) {
				t.Errorf("time went back to %v, from %v", got, before)
			}
		}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				begin := time.Now()
				tt.run(t, b, func(d string) {
					t.Helper()
					if code, got := b.control(t, "POST", "clock", `{"advance":"`+d+`"}`); code != 200 {
						t.Fatalf("advance: %d %v", code, got)
					}
				})
				if got := time.Since(begin); got > time.Minute {
					t.Errorf("it took %v of package time", got)
				}
			})
		})
	}
}

func TestAdvanceKeepsTheOrderAcrossConnections(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		var all []*client
		var want []string
		for i := range 5 { // the last is to end first
			all = append(all, b.openKey(t, textSetup))
			body := fmt.Sprintf(`{"kind":"close","session":"s%d","after":"%dm","reason":"r"}`, i+1, 9-i)
			if code, _ := b.control(t, "POST", "fault", body); code != 200 {
				t.Fatal(code)
			}
			want = append(want, fmt.Sprintf("s%d", 5-i))
		}
		if err := b.server.Advance(9 * time.Minute); err != nil {
			t.Fatal(err)
		}
		var got []string
		var last time.Time
		for _, e := range b.server.world().journal.since(0) {
			if e.Kind != "close" {
				continue
			}
			got = append(got, e.Session)
			if !last.IsZero() && e.Time.Sub(last) != time.Minute {
				t.Errorf("%s ended %v after the one before", e.Session, e.Time.Sub(last))
			}
			last = e.Time
		}
		if !slices.Equal(got, want) {
			t.Errorf("ended in the order %v, want %v", got, want)
		}
		for _, c := range all {
			c.closed(t)
		}
	})
}

// Outside of a bubble Advance meets goroutines that really run at once.
func TestAdvanceOverRealSockets(t *testing.T) {
	var s Server
	defer s.Close()
	ts := httptest.NewServer(&s)
	defer ts.Close()
	b := &bench{server: &s, client: ts.Client()}
	var open []*websocket.Conn
	for range 20 {
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(ts.URL, "http")+socketPath+"?key="+testKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"setup":{`+textSetup+`}}`)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	begin := s.Now()
	if err := s.Advance(11 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := s.Now().Sub(begin); got < 11*time.Minute || got > 12*time.Minute {
		t.Errorf("time moved by %v", got)
	}
	for i, conn := range open {
		_, goAway, err := conn.Read(t.Context())
		if err != nil || !strings.HasPrefix(compact(goAway), `{"goAway":`) {
			t.Errorf("%d: got %s, %v", i, goAway, err)
		}
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != 1011 {
			t.Errorf("%d: ended with %v", i, err)
		}
	}
	answer, err := b.client.Get(ts.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if date, err := http.ParseTime(answer.Header.Get("Date")); err != nil || s.Now().Sub(date) > time.Minute {
		t.Errorf("Date is %q, and it is %v", answer.Header.Get("Date"), s.Now())
	}
}

func TestTheClockRefuses(t *testing.T) {
	for _, tt := range []struct{ sentence, body, detail string }{
		{"to go back", `{"advance":"-1s"}`, "negative"},
		{"to go on for ever", `{"advance":"2000000h"}`, "moves forward"},
		{"what is no duration", `{"advance":9}`, `advance is a duration in quotes, such as "10s"`},
		{"other names", `{"by":"9m"}`, `unknown field "by": there are advance`},
		{"a list", `["9m"]`, "send one JSON object"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				code, got := b.control(t, "POST", "clock", tt.body)
				if detail, _ := got["detail"].(string); code != 400 || !strings.Contains(detail, tt.detail) {
					t.Errorf("got %d %v", code, got)
				}
			})
		})
	}
	if err := new(Server).Advance(-time.Second); err == nil {
		t.Error("time goes back")
	}
}
