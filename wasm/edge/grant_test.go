package edge

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestAGrantIsReadWhole(t *testing.T) {
	base := server(t)
	got, err := ask(t, t.Context(), base+"/token/grant", live.Need{Reason: live.ReasonStart, Profile: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Secret.Reveal() != "auth_tokens/abc" || got.Lease.Reveal() != "lease-1" {
		t.Error("token or lease is wrong")
	}
	got.Secret, got.Lease = live.Secret{}, live.Secret{}
	want := live.Token{
		Profile: "default", Model: "models/m", Lock: "masked",
		ExpiresIn: 12 * time.Minute, NewSessionExpiresIn: time.Minute, RenewAfter: 9 * time.Minute,
		URL: "ws://service/constrained", Param: "access_token", RenewURL: base + "/v1/token/renew", ReleaseURL: base + "/token/release",
		Capabilities: live.Capabilities{Text: "realtimeInput", Turns: "anytime", Seed: "clientContent", Modalities: []string{"AUDIO"}, Tools: "nonBlocking"},
		Limits:       live.Limits{Connection: 10 * time.Minute, Max: time.Hour, Idle: 5 * time.Minute},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read as\n%+v, want\n%+v", got, want)
	}
}

func TestASessionIsCappedWhereItsIssuerSaysSo(t *testing.T) {
	for grant, capped := range map[string]bool{
		`{"session": {"compression": true}}`:  false,
		`{"session": {"compression": false}}`: true,
		`{"session": {}}`:                     true,
		`{}`:                                  false, // a page's own token function may not know
	} {
		if got := grantOf(nodeOf(value(t, grant)), "").Limits.Capped; got != capped {
			t.Errorf("%s: capped %v", grant, got)
		}
	}
}

func TestAGrantSaysWhatThePageMayChange(t *testing.T) {
	for grant, may := range map[string]bool{
		`{"lock": "none"}`: true,
		`{"lock": "masked", "allow": ["systemInstruction", 1, "tools"]}`: true,
		`{"lock": "masked", "allow": ["systemInstruction"]}`:             false,
		`{"lock": "masked", "allow": "tools"}`:                           false,
		`{"lock": "masked"}`:                                             false,
		`{"lock": "full", "allow": ["tools"]}`:                           false,
		`{"allow": ["tools"]}`:                                           false,
	} {
		if got := grantOf(nodeOf(value(t, grant)), "").Leaves("tools"); got != may {
			t.Errorf("%s: the page may change tools: %v", grant, got)
		}
	}
}

func TestARefusalIsTyped(t *testing.T) {
	for _, refusal := range []struct {
		kind string
		want live.TokenError
	}{
		{"busy", live.TokenError{Code: "rate_limited", Status: 429, Detail: "slow down", RetryAfter: 7 * time.Second}},
		{"bare", live.TokenError{Code: "forbidden", Status: 403}},
		{"nowhere", live.TokenError{Code: "protocol", Status: 404, Detail: "the token endpoint's answer is no grant and no problem document: check its address"}},
		{"html", live.TokenError{Code: "protocol", Status: 200, Detail: "the token endpoint's answer is not a JSON object: check its address"}},
	} {
		t.Run(refusal.kind, func(t *testing.T) {
			_, err := ask(t, t.Context(), server(t)+"/token/"+refusal.kind, live.Need{Reason: live.ReasonStart})
			got, ok := errors.AsType[*live.TokenError](err)
			if !ok || *got != refusal.want {
				t.Errorf("got %+v, want %+v", err, refusal.want)
			}
		})
	}
}

func TestTheRequestSaysWhatIsNeeded(t *testing.T) {
	base := server(t)
	for _, request := range []struct {
		name string
		need live.Need
		want []string
	}{
		{"a start names the profile", live.Need{Reason: live.ReasonStart, Profile: "default"}, []string{`"profile":"default"`}},
		{"a renewal names lease and reason",
			live.Need{Reason: live.ReasonRefused, Profile: "default", Lease: live.NewSecret("lease-1"), RenewURL: base + "/token/echo"},
			[]string{`"leaseId":"lease-1"`, `"reason":"refused"`}},
		{"a renewal under a full lock carries the handle",
			live.Need{Reason: live.ReasonRenew, Lease: live.NewSecret("lease-1"), RenewURL: base + "/token/echo", Handle: live.NewSecret("h1")},
			[]string{`"handle":"h1"`, `"reason":"renew"`}},
	} {
		t.Run(request.name, func(t *testing.T) {
			_, err := ask(t, t.Context(), base+"/token/echo", request.need)
			refused, ok := errors.AsType[*live.TokenError](err)
			if !ok || refused.Code != "echo" {
				t.Fatalf("error %v", err)
			}
			for _, part := range request.want {
				if !strings.Contains(refused.Detail, part) {
					t.Errorf("request %s lacks %s", refused.Detail, part)
				}
			}
		})
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if _, err := ask(t, ctx, server(t)+"/token/never", live.Need{}); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

func TestTheSocketURLIsComposedOnlyOfItsParts(t *testing.T) {
	tok := live.Token{Secret: live.NewSecret("auth_tokens/abc"), URL: "wss://h/ws/x", Param: "access_token"}
	if got := socketURL(tok); got != "wss://h/ws/x?access_token=auth_tokens/abc" {
		t.Error(got)
	}
	tok.URL += "?a=b"
	if got := socketURL(tok); got != "wss://h/ws/x?a=b&access_token=auth_tokens/abc" {
		t.Error(got)
	}
}
