package edge

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// reply is an answer of the token endpoint, or of the page in its place.
type reply struct {
	status     int // 0: no HTTP was involved
	retryAfter time.Duration
	age        time.Duration // of the request, when the engine asked
	body       node
	base       string // what relative URLs in body are relative to
}

// token makes a token of a reply, or the reason why there is none.
func (r reply) token() (live.Token, error) {
	if r.status != 0 && r.status != 200 {
		return live.Token{}, r.refusal()
	}
	if !r.body.isObject() {
		return live.Token{}, &live.TokenError{Code: "protocol", Status: r.status, Detail: "the token endpoint's answer is not a JSON object: check its address"}
	}
	t := grantOf(r.body, r.base)
	t.ExpiresIn -= r.age
	if t.NewSessionExpiresIn > 0 {
		t.NewSessionExpiresIn = max(1, t.NewSessionExpiresIn-r.age) // 0 would mean that none is named
	}
	return t, nil
}

// refusal reads an RFC 9457 problem; anything else is told by its status.
func (r reply) refusal() *live.TokenError {
	e := &live.TokenError{
		Code:       r.body.get("code").text(),
		Status:     r.status,
		Detail:     r.body.get("detail").text(),
		RetryAfter: r.retryAfter,
	}
	if e.Code != "" {
		return e
	}
	switch {
	case r.status == 401:
		e.Code = "unauthenticated"
	case r.status == 403:
		e.Code = "forbidden"
	case r.status == 429:
		e.Code = "rate_limited"
	case r.status >= 500:
		e.Code = "upstream_unavailable"
	default:
		e.Code = "protocol"
		e.Detail = "the token endpoint's answer is no grant and no problem document: check its address"
	}
	return e
}

// grantOf reads a grant. What is missing stays zero; live.Token.Check tells
// what cannot be missing.
func grantOf(n node, base string) live.Token {
	url := func(key string) string {
		if ref := n.get(key).text(); ref != "" {
			return resolve(base, ref)
		}
		return ""
	}
	caps, limits := n.get("capabilities"), n.get("session")
	t := live.Token{
		Secret:              live.NewSecret(n.get("token").text()),
		Lease:               live.NewSecret(n.get("leaseId").text()),
		Profile:             n.get("profile").text(),
		Model:               n.get("model").text(),
		Lock:                n.get("lock").text(),
		ExpiresIn:           seconds(n.get("expiresIn")),
		NewSessionExpiresIn: seconds(n.get("newSessionExpiresIn")),
		RenewAfter:          seconds(n.get("renewAfter")),
		URL:                 n.get("websocketUrl").text(),
		Param:               n.get("tokenParam").text(),
		RenewURL:            url("renewUrl"),
		ReleaseURL:          url("releaseUrl"),
		Capabilities: live.Capabilities{
			Text:  caps.get("text").text(),
			Turns: caps.get("turns").text(),
			Seed:  caps.get("seed").text(),
			Tools: caps.get("tools").text(),
		},
		Limits: live.Limits{
			Capped:         limits.isObject() && !limits.get("compression").truth(),
			ManualActivity: limits.get("manualActivity").truth(),
			Connection:     seconds(limits.get("connectionSeconds")),
			Max:            seconds(limits.get("maxSeconds")),
			Idle:           seconds(limits.get("idleSeconds")),
		},
	}
	for _, field := range n.get("allow").items() {
		t.Allow = append(t.Allow, field.text())
	}
	for _, m := range caps.get("modalities").items() {
		t.Capabilities.Modalities = append(t.Capabilities.Modalities, m.text())
	}
	if t.Param == "" {
		t.Param = "access_token"
	}
	return t
}

func seconds(n node) time.Duration { return time.Duration(n.number() * float64(time.Second)) }

// socketURL is where the token's holder connects. It is a secret.
func socketURL(t live.Token) string {
	mark := "?"
	for i := range len(t.URL) {
		if t.URL[i] == '?' {
			mark = "&"
		}
	}
	return t.URL + mark + t.Param + "=" + t.Secret.Reveal()
}
