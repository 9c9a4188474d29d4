//go:build js

package edge

import (
	"context"
	"os"
	"syscall/js"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// server is the address of a process that serves edgetest.Handler.
func server(t *testing.T) string {
	t.Helper()
	url := os.Getenv("TEST_EDGE_URL")
	if url == "" {
		t.Fatal("TEST_EDGE_URL is not set: run these tests through make test, or start go run ./wasm/edge/edgetest/serve and set it")
	}
	return url
}

func value(t *testing.T, text string) live.Payload {
	t.Helper()
	n, err := parse(js.ValueOf(text))
	if err != nil {
		t.Fatal(err)
	}
	return n.value
}

func newInput(t *testing.T, text string) (live.Input, error) {
	t.Helper()
	return NewInput(value(t, text).(js.Value))
}

// ask plays the page: it fetches as web/src/tokens.ts does.
func ask(t *testing.T, ctx context.Context, url string, need live.Need) (live.Token, error) {
	t.Helper()
	host := js.Global().Call("eval", `(url) => ({
		async token(request, signal) {
			const body = request.url ? { leaseId: request.leaseId, reason: request.reason, handle: request.handle } : { profile: request.profile };
			const answer = await fetch(request.url ?? url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
			return { status: answer.status, body: await answer.text(), base: answer.url, retryAfter: answer.headers.get("Retry-After") };
		},
	})`).Invoke(url)
	return Host{host}.Token(ctx, need)
}

func TestAPageMayAnswerWithAGrantOfItsOwn(t *testing.T) {
	host := js.Global().Call("eval", `({ token: async () => ({ grant: { token: "auth_tokens/own", websocketUrl: "wss://s/x", expiresIn: 60, renewUrl: "https://issuer/r", releaseUrl: "relative" } }) })`)
	got, err := Host{host}.Token(t.Context(), live.Need{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Secret.Reveal() != "auth_tokens/own" || got.RenewURL != "https://issuer/r" || got.ReleaseURL != "" || got.Param != "access_token" {
		t.Errorf("read as %+v", got)
	}
}

func TestAnAnswerThatCameEarlyIsThatMuchOlder(t *testing.T) {
	host := js.Global().Call("eval", `({ token: async () => ({ grant: { token: "auth_tokens/own", websocketUrl: "wss://s/x", expiresIn: 60, newSessionExpiresIn: 10, renewAfter: 40 }, age: 2500 }) })`)
	got, err := Host{host}.Token(t.Context(), live.Need{})
	if err != nil {
		t.Fatal(err)
	}
	if got.ExpiresIn != 57500*time.Millisecond || got.NewSessionExpiresIn != 7500*time.Millisecond || got.RenewAfter != 40*time.Second {
		t.Errorf("expires in %v, starts a session for %v, renews after %v", got.ExpiresIn, got.NewSessionExpiresIn, got.RenewAfter)
	}
}

func TestAPageThatThrowsGivesACodeAndNoText(t *testing.T) {
	for code, script := range map[string]string{
		"network":   `({ token: async () => { throw new Error("secret auth_tokens/x") } })`,
		"forbidden": `({ token: async () => { throw Object.assign(new Error("secret"), { code: "forbidden" }) } })`,
	} {
		_, err := Host{js.Global().Call("eval", script)}.Token(t.Context(), live.Need{})
		refused, ok := err.(*live.TokenError)
		if !ok || refused.Code != code || refused.Detail == "" {
			t.Errorf("error %v, want %s", err, code)
		}
	}
}

func TestCloseTakesItsCallbacksAlong(t *testing.T) {
	js.Global().Call("eval", `{
		const { addEventListener, removeEventListener } = WebSocket.prototype;
		const attached = globalThis.attached = [];
		WebSocket.prototype.addEventListener = function (type, listener) {
			attached.push(listener);
			return addEventListener.call(this, type, listener);
		};
		WebSocket.prototype.removeEventListener = function (type, listener) {
			attached.removed = (attached.removed ?? 0) + 1;
			return removeEventListener.call(this, type, listener);
		};
		attached.restore = () => Object.assign(WebSocket.prototype, { addEventListener, removeEventListener });
	}`)
	attached := js.Global().Get("attached")
	defer js.Global().Delete("attached")
	defer attached.Call("restore")
	s := mustDial(t, "stubborn")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s.Close(ctx)
	if n := attached.Length(); n == 0 || attached.Get("removed").Int() != n {
		t.Errorf("%d callbacks were attached and %v removed", n, attached.Get("removed"))
	}
	// Go's glue says this of a function that is released.
	heard := js.Global().Call("eval", `{
		const { error } = console, heard = [];
		console.error = (...words) => heard.push(words.join(" "));
		for (const listener of attached) listener({});
		console.error = error;
		heard.filter((words) => words.includes("released function")).length;
	}`)
	if heard.Int() != attached.Length() {
		t.Errorf("%d of %d callbacks are released", heard.Int(), attached.Length())
	}
}

// What JSON would write as null is none either.
func TestWhatJavaScriptHasInPlaceOfNullIsNotSent(t *testing.T) {
	s := mustDial(t, "echo")
	body := js.Global().Call("eval", `({ realtimeInput: undefined, clientContent: { turns: [undefined, { parts: [{ text: "a", n: NaN }] }], turnComplete: undefined } })`)
	in, err := NewInput(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(in); err != nil {
		t.Fatal(err)
	}
	got := nodeOf(receive(t, s).Body).get("received").canonical()
	if want := nodeOf(value(t, `{"clientContent":{"turns":[{"parts":[{"text":"a"}]}]}}`)).canonical(); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}
