package main

import (
	"os"
	"strings"
	"sync"
	"syscall/js"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// These tests hold the engine, as the page gets it, against a running issuer
// and emulator.

func issuerURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("TEST_ISSUER_URL")
	if url == "" {
		t.Fatal("TEST_ISSUER_URL is not set: run these tests through make test, or start livevalet dev --origin 'http://localhost:*' and set it")
	}
	return url
}

// page is the engine's host and application in one.
type page struct {
	t       *testing.T
	host    js.Value
	funcs   []js.Func // the host's
	session js.Value
	events  chan js.Value
	fetch   js.Value
	nextID  int
	said    string // the model's words of the turn under way
	close   func() // ends the session; at the latest the test's end does
}

// openPage starts a session as web/src/worker.ts does.
func openPage(t *testing.T, tokenPath string) *page {
	t.Helper()
	p := newPage(t, tokenPath)
	p.open(object("profile", "default", "setup", newObject()))
	return p
}

// newPage is a page that has not opened its session yet.
func newPage(t *testing.T, tokenPath string) *page {
	t.Helper()
	p := &page{t: t, events: make(chan js.Value, 10_000)}
	p.fetch = js.Global().Call("eval", `async (url, body, signal) => {
		const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
		return { status: answer.status, body: await answer.text(), base: answer.url, retryAfter: answer.headers.get("Retry-After") };
	}`)
	p.host = newObject()
	set := func(name string, f func(args []js.Value) any) {
		fn := js.FuncOf(func(_ js.Value, args []js.Value) any { return f(args) })
		p.funcs = append(p.funcs, fn)
		p.host.Set(name, fn)
	}
	set("token", func(args []js.Value) any {
		request := args[0]
		if url := request.Get("url"); url.Type() == js.TypeString {
			return p.fetch.Invoke(url, object("leaseId", request.Get("leaseId"), "reason", request.Get("reason")), args[1])
		}
		return p.fetch.Invoke(issuerURL(t)+tokenPath, object("profile", request.Get("profile")), args[1])
	})
	set("release", func(args []js.Value) any { return nil })
	set("emit", func(args []js.Value) any { p.events <- args[0]; return nil })
	return p
}

func (p *page) open(options js.Value) {
	p.session = open(options, p.host)
	p.close = sync.OnceFunc(func() {
		p.session.Call("close")
		p.want("closed")
		// That event came inside a call out of Go. Leave it before the program may
		// end: the glue cannot return into one that has.
		time.Sleep(time.Millisecond)
		for _, f := range p.funcs {
			f.Release()
		}
	})
	p.t.Cleanup(p.close)
}

// want waits for an event of the given type and returns it. Anything that leaks
// a credential on the way is an error.
func (p *page) want(kind string) js.Value {
	p.t.Helper()
	for {
		select {
		case e := <-p.events:
			all := asJSON(e)
			if strings.Contains(all, "auth_tokens/") || strings.Contains(all, "newHandle") {
				p.t.Errorf("an event shows a secret: %.200s", all)
			}
			if kind == e.Get("type").String() {
				return e
			}
			if e.Get("type").String() == "closed" {
				p.t.Fatalf("the session ended while waiting for %s: %s", kind, all)
			}
			if strings.Contains(all, "outputTranscription") {
				p.said += e.Get("message").Get("serverContent").Get("outputTranscription").Get("text").String()
			}
		case <-time.After(20 * time.Second):
			p.t.Fatalf("no %s event came", kind)
		}
	}
}

func (p *page) wantState(state string) {
	p.t.Helper()
	for p.want("status").Get("state").String() != state {
	}
}

// say sends text and returns the model's answer.
func (p *page) say(text string) string {
	p.t.Helper()
	p.said = ""
	p.nextID++
	p.session.Call("send", p.nextID, object("realtimeInput", object("text", text)))
	sent := p.want("sent")
	if sent.Get("id").Int() != p.nextID || sent.Get("failure").Truthy() {
		p.t.Fatalf("sent %s", asJSON(sent))
	}
	for {
		content := p.want("message").Get("message").Get("serverContent")
		if content.Truthy() && content.Get("outputTranscription").Truthy() {
			p.said += content.Get("outputTranscription").Get("text").String()
		}
		if content.Truthy() && content.Get("turnComplete").Truthy() {
			return p.said
		}
	}
}

// fault asks the emulator for one, on every open session.
func (p *page) fault(kind string, options ...any) {
	p.t.Helper()
	done := make(chan struct{})
	then := js.FuncOf(func(_ js.Value, args []js.Value) any {
		if status := args[0].Get("status").Int(); status != 200 {
			p.t.Errorf("fault %s: status %d %s", kind, status, args[0].Get("body"))
		}
		close(done)
		return nil
	})
	defer then.Release()
	p.fetch.Invoke(issuerURL(p.t)+"/__emulator/fault", object(append(options, "kind", kind)...)).Call("then", then)
	<-done
}

func TestAConversationSurvivesWhatEndsItsConnections(t *testing.T) {
	p := openPage(t, "/v1/token")
	p.wantState("live")
	if answer := p.say("my name is Ada"); !strings.Contains(answer, "Ada") {
		t.Errorf("the model answers %q", answer)
	}
	for _, end := range []struct {
		fault   string
		options []any
		rung    string
	}{
		{"goaway", []any{"timeLeft", "5s"}, "handle"},
		{"drop", nil, "handle"},
		{"expire-token", nil, "token"},
	} {
		p.fault(end.fault, end.options...)
		resumed := p.want("resumed")
		if rung := resumed.Get("rung").String(); rung != end.rung || resumed.Get("restored").String() != "full" {
			t.Errorf("after %s: resumed by %s, restored %s", end.fault, rung, resumed.Get("restored"))
		}
		if answer := p.say("what is my name?"); !strings.Contains(answer, "Ada") {
			t.Errorf("after %s the model answers %q", end.fault, answer)
		}
	}
}

// tell waits for the end of an utterance and returns the last event of it.
func (p *page) tell(who string) js.Value {
	p.t.Helper()
	for {
		if e := p.want("transcript"); e.Get("who").String() == who && e.Get("final").Bool() {
			return e
		}
	}
}

func TestThePageIsToldWhatWasSaidAndWhatItCosts(t *testing.T) {
	p := openPage(t, "/v1/token")
	p.wantState("live")
	p.session.Call("send", 1, object("realtimeInput", object("text", "tell a long story")))
	asked := p.tell("user")
	if asked.Get("text").String() != "tell a long story" || !asked.Get("typed").Bool() {
		t.Errorf("the question is %s", asJSON(asked))
	}
	for !strings.Contains(p.want("transcript").Get("text").String(), "goes on") {
	}
	p.fault("drop")
	cut := p.tell("model")
	if !cut.Get("cut").Bool() || !strings.HasPrefix(cut.Get("text").String(), "This is a long story.") {
		t.Errorf("the answer is cut as %s", asJSON(cut))
	}
	p.want("resumed")
	again := p.want("transcript")
	if again.Get("regenerates").String() != cut.Get("id").String() || again.Get("id").String() == cut.Get("id").String() {
		t.Errorf("%s is followed by %s", asJSON(cut), asJSON(again))
	}
	p.session.Call("send", 2, object("realtimeInput", object("text", "my name is Ada")))
	if broken := p.tell("model"); !broken.Get("interrupted").Bool() {
		t.Errorf("the story is interrupted as %s", asJSON(broken))
	}
	usage := p.want("usage")
	for _, sum := range []string{"reported", "connection", "conversation"} {
		if usage.Get(sum).Get("responseTokenCount").Int() <= 0 {
			t.Errorf("usage %s", asJSON(usage))
		}
	}
	if answer := p.tell("model").Get("text").String(); !strings.Contains(answer, "Ada") {
		t.Errorf("the model says %q", answer)
	}
	p.session.Call("send", 3, object("realtimeInput", object("text", "empty turn")))
	p.want("emptyturn")
}

// The contract is in web/src/engine.ts.
func TestEventsHaveTheFormOfTheContract(t *testing.T) {
	counts := `{"promptTokenCount":1,"cachedContentTokenCount":2,"responseTokenCount":3,"toolUsePromptTokenCount":4,"thoughtsTokenCount":5,"totalTokenCount":6}`
	none := `{"promptTokenCount":0,"cachedContentTokenCount":0,"responseTokenCount":0,"toolUsePromptTokenCount":0,"thoughtsTokenCount":0,"totalTokenCount":0}`
	for want, event := range map[string]session.Event{
		`{"type":"transcript","id":"1","who":"user","text":"a","final":false}`: session.Utterance{ID: "1", Who: session.SpeakerUser, Text: "a"},
		`{"type":"transcript","id":"2","who":"model","text":"b","final":true,"typed":true,"cut":true,"interrupted":true,"regenerates":"1"}`: session.Utterance{
			ID: "2", Who: session.SpeakerModel, Text: "b", Final: true, Typed: true, Cut: true, Interrupted: true, Regenerates: "1",
		},
		`{"type":"usage","reported":` + counts + `,"connection":` + none + `,"conversation":` + none + `}`: session.Usage{
			Reported: live.Usage{Prompt: 1, Cached: 2, Response: 3, ToolUse: 4, Thoughts: 5, Total: 6},
		},
		`{"type":"emptyturn"}`:                              session.EmptyTurn{},
		`{"type":"emptyturn","reason":"RESPONSE_REJECTED"}`: session.EmptyTurn{Reason: "RESPONSE_REJECTED"},
		`{"type":"stalled","ended":false,"waitedMs":8000}`:  session.Stalled{For: 8 * time.Second},
		`{"type":"sessioncap","msLeft":60000,"video":true}`: session.SessionCap{Left: time.Minute, Pictures: true},
		`{"type":"idle","msLeft":30000,"ended":false}`:      session.Idle{Left: 30 * time.Second},
	} {
		if got := asJSON(eventObject(event)); got != want {
			t.Errorf("%#v is\n%s, want\n%s", event, got, want)
		}
	}
}

// asJSON is a value as JSON.
func asJSON(v js.Value) string { return js.Global().Get("JSON").Call("stringify", v).String() }

func TestAnIssuerThatSaysNoEndsTheSessionWithItsCode(t *testing.T) {
	p := openPage(t, "/v1/nowhere")
	failure := p.want("closed").Get("failure")
	if failure.Get("phase").String() != "token" || failure.Get("retryable").Bool() {
		t.Errorf("failure %s", asJSON(failure))
	}
	p.events <- object("type", "closed") // for the cleanup
}

func TestInputThatIsNoClientMessageIsRefused(t *testing.T) {
	p := openPage(t, "/v1/token")
	p.session.Call("send", 7, object("setup", newObject()))
	if code := p.want("sent").Get("failure").Get("code").String(); code != "invalid_request" {
		t.Errorf("code %s", code)
	}
}
