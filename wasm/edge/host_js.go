package edge

import (
	"context"
	"strconv"
	"syscall/js"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// Host is the page, or the Worker in its place: it fetches from the issuer as
// the application wants it done (see Host in web/src/engine.ts). Its methods may
// be called from any goroutine.
type Host struct{ Value js.Value }

// Token asks the host for a token. It is a session's token source, and returns
// when ctx ends even if the host never settles.
func (h Host) Token(ctx context.Context, need live.Need) (live.Token, error) {
	request := jsObject.New()
	request.Set("reason", string(need.Reason))
	request.Set("profile", need.Profile)
	for key, value := range map[string]string{"url": need.RenewURL, "leaseId": need.Lease.Reveal(), "handle": need.Handle.Reveal()} {
		if value != "" {
			request.Set(key, value)
		}
	}
	abort := js.Global().Get("AbortController").New()
	answer, err := await(ctx, h.Value.Call("token", request, abort.Get("signal")))
	switch {
	case err != nil && ctx.Err() != nil:
		abort.Call("abort")
		return live.Token{}, context.Cause(ctx)
	case err != nil:
		return live.Token{}, err
	}
	return hostReply(node{answer}).token()
}

// hostReply reads a TokenReply.
func hostReply(n node) reply {
	age := time.Duration(n.get("age").number() * float64(time.Millisecond))
	if grant := n.get("grant"); grant.isObject() {
		return reply{body: grant, age: age}
	}
	body, _ := parse(n.get("body").value) // what is no JSON has no fields
	return reply{
		status:     int(n.get("status").number()),
		retryAfter: retryAfter(n.get("retryAfter").text()),
		age:        age,
		body:       body,
		base:       n.get("base").text(),
	}
}

// retryAfter reads the header's form in seconds; a date would need the page's
// clock to be right.
func retryAfter(header string) time.Duration {
	s, _ := strconv.Atoi(header)
	return time.Duration(max(s, 0)) * time.Second
}

// Release tells the issuer that the token's lease ended. It does not wait.
func (h Host) Release(t live.Token) {
	if t.ReleaseURL != "" {
		h.Value.Call("release", t.ReleaseURL, t.Lease.Reveal())
	}
}

// await waits as long as ctx lasts for what may be a promise. What came before its
// end counts: a grant that nobody takes would keep its lease.
func await(ctx context.Context, promise js.Value) (js.Value, error) {
	type outcome struct {
		value    js.Value
		rejected bool
	}
	done := make(chan outcome, 1)
	// Both callbacks stay until the promise settles, whoever still waits.
	var callbacks [2]js.Func
	for i := range callbacks {
		callbacks[i] = js.FuncOf(func(_ js.Value, args []js.Value) any {
			done <- outcome{args[0], i == 1}
			for _, f := range callbacks {
				f.Release()
			}
			return nil
		})
	}
	js.Global().Get("Promise").Call("resolve", promise).Call("then", callbacks[0], callbacks[1])
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		select {
		case o = <-done:
		default:
			return js.Value{}, context.Cause(ctx)
		}
	}
	if o.rejected {
		return js.Value{}, refused(node{o.value})
	}
	return o.value, nil
}

// refused makes an error of what a page's token source threw. Its text is the
// page's own and may hold anything, so only a code passes.
func refused(reason node) error {
	e := &live.TokenError{Code: "network", Detail: "the token endpoint did not answer: check its address, the network, and that it allows the page's origin"}
	if code := reason.get("code").text(); code != "" {
		e.Code, e.Detail = code, "the page's token source refused"
	}
	return e
}
