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

// sessions asks for the report and gives each session as one line.
func (b *bench) sessions(t *testing.T) (lines []string) {
	t.Helper()
	code, _, text := b.do(t, "GET", "/__emulator/sessions", "")
	var got sessionsReport
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	for _, s := range got.Sessions {
		line := fmt.Sprintf("%s %s for %v", s.Session, s.State, got.Now.Sub(s.Since))
		if !s.Until.IsZero() {
			line += fmt.Sprintf(", until in %v", s.Until.Sub(got.Now))
		}
		line += fmt.Sprintf(", %d handles", s.Handles)
		if c := s.Connection; c != nil {
			line += fmt.Sprintf(", turn %s, %d calls, %v", c.Turn, c.Calls, c.Faults)
			if c.Activity {
				line += ", activity"
			}
			for _, d := range c.Due {
				line += fmt.Sprintf(", %s in %v", d.What, d.At.Sub(got.Now))
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSessions(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		want := func(want ...string) {
			t.Helper()
			if got := b.sessions(t); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		fault := func(body string) {
			t.Helper()
			if code, got := b.control(t, "POST", "fault", body); code != 200 {
				t.Fatalf("fault %s: %d %v", body, code, got)
			}
		}
		want()
		token := b.mint(t, `{"uses":0}`)
		c := b.open(t, tokenPath+token, audioSetup+`,"sessionResumption":{},"tools":[{"functionDeclarations":[{"name":"get_time","behavior":"BLOCKING"}]}]`)
		c.say(t, "hello")
		time.Sleep(time.Second)
		want("s1 open for 1s, 0 handles, turn answering, 0 calls, [], goAway in 9m9s, end in 9m59s, tokenExpiry in 29m59s")
		c.turn(t, true)
		c.say(t, "call a blocking tool")
		c.calls(t)
		at := time.Now()
		line := b.sessions(t)[0]
		if !strings.Contains(line, "1 handles, turn calling, 1 calls") {
			t.Errorf("while a function runs: %s", line)
		}
		fault(`{"kind":"slow","jitter":"1ms"}`)
		fault(`{"kind":"burst"}`)
		fault(`{"kind":"stall"}`)
		fault(`{"kind":"half-open"}`)
		fault(`{"kind":"phantom-interrupt","after":"2s"}`)
		line = b.sessions(t)[0]
		if !strings.Contains(line, "[half-open stall burst slow], phantom-interrupt in 2s, end in 20s, goAway in") || !time.Now().Equal(at) {
			t.Errorf("in trouble: %s", line)
		}
		time.Sleep(21 * time.Second)
		want("s1 resumable for 1s, until in 1h59m59s, 2 handles") // interrupting gave one

		b.openKey(t, textSetup)
		fault(`{"kind":"forget-handle","session":"s1"}`)
		want("s1 forgotten for 1s, 0 handles", "s2 open for 0s, 0 handles, turn none, 0 calls, [], goAway in 9m10s, end in 10m0s")

		_, _, text := b.do(t, "GET", "/__emulator/sessions", "")
		if !strings.Contains(text, `"token":"`+digestOf(token).String()+`"`) || strings.Contains(text, token) || strings.Contains(text, testKey) {
			t.Errorf("the token is not told by its hash: %s", text)
		}
		var before, after sessionsReport
		json.Unmarshal([]byte(text), &before)
		b.control(t, "POST", "reset", "")
		want()
		_, _, text = b.do(t, "GET", "/__emulator/sessions", "")
		if json.Unmarshal([]byte(text), &after); !after.Began.After(before.Began) {
			t.Errorf("a reset leaves %v as the begin", after.Began)
		}
	})
}

func TestSessionsTellOfActivityThatHasNotEnded(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, textSetup+manual)
		for _, mark := range []string{"activityStart", "activityEnd"} {
			c.send(t, `{"realtimeInput":{"`+mark+`":{}}}`)
			synctest.Wait()
			if line := b.sessions(t)[0]; strings.Contains(line, ", activity") != (mark == "activityStart") {
				t.Errorf("after %s: %s", mark, line)
			}
		}
	})
}

func TestSessionsDoNotWaitForAClientThatDoesNotRead(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		conn, _, err := websocket.Dial(t.Context(), "ws://emulator"+socketPath+"?key="+testKey, &websocket.DialOptions{HTTPClient: b.client})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"setup":{`+textSetup+`}}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // its session is the first
		b.openKey(t, textSetup)
		start := time.Now()
		got := b.sessions(t)
		if len(got) != 2 || got[0] != "s1 open for 1s, 0 handles" || !strings.Contains(got[1], "turn none") {
			t.Errorf("got %q", got)
		}
		if waited := time.Since(start); waited != inspectPatience {
			t.Errorf("took %v", waited)
		}
	})
}
