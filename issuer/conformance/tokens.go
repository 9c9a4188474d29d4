package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"google.golang.org/genai"
)

// wellFormed is the only form of a name that was observed.
var wellFormed = regexp.MustCompile(`^auth_tokens/[0-9a-f]{64}$`)

const (
	badMask  = "field_mask is invalid for BidiGenerateContentSetup"
	tooFar   = "Maximum lifetime is 20h"
	badKey   = "API key not valid. Please pass a valid API key."
	spent    = "Token has been used too many times"
	expired  = "Token has expired"
	tooLate  = "new_session_expire_time deadline exceeded"
	stranger = "Method doesn't allow unregistered callers"
)

// tokenFacts are those of the token service.
var tokenFacts = []Fact{
	{Number: 1, Sentence: "POST auth_tokens works in v1alpha and v1beta and gives a name of 64 hex digits", Evidence: []Label{Observed}, check: func(p *probe) {
		for _, version := range []string{"v1alpha", "v1beta"} {
			r := p.call("POST", p.target.BaseURL+"/"+version+"/auth_tokens", object{}, "x-goog-api-key", p.target.Key)
			if name := p.nameOf(r); !wellFormed.MatchString(name) {
				p.fail("a name in %s has another form", version)
			}
			if p.answer("U8", "no"); len(r.body) > 1 {
				p.answer("U8", "yes")
			}
		}
	}},
	{Number: 2, Sentence: "v1, authTokens and GET are 404", Evidence: []Label{Observed}, check: func(p *probe) {
		for _, c := range [][2]string{{"POST", "/v1/auth_tokens"}, {"POST", "/v1alpha/authTokens"}, {"GET", "/v1alpha/auth_tokens"}} {
			if r := p.call(c[0], p.target.BaseURL+c[1], nil, "x-goog-api-key", p.target.Key); r.status != http.StatusNotFound {
				p.fail("%s %s gives %d", c[0], c[1], r.status)
			}
		}
	}},
	{Number: 3, Sentence: "no body and {} mean one use, 60 s to start a session, 30 min of messages", Evidence: []Label{Run, Documented}, alone: true, check: func(p *probe) {
		for _, body := range []any{nil, object{}} {
			name := p.token(body)
			p.live(tokenPath(name), p.audio())
			p.open(tokenPath(name), p.audio()).closes(spent, 1011)
		}
		empty, braces := p.token(nil), p.token(object{})
		if !p.elapse(57 * time.Second) {
			p.remark = "the uses were seen, the two times were not waited for"
			return
		}
		p.live(tokenPath(empty), p.audio())
		if !p.elapse(30*time.Second) || !p.elapse(28*time.Minute) {
			p.remark = "the uses and the first time were seen, half an hour was not waited for"
			return
		}
		p.open(tokenPath(braces), p.audio()).closes(tooLate, 1011)
		p.mustElapse(2 * time.Minute)
		p.open(tokenPath(braces), p.audio()).closes(expired, 1011)
	}},
	{Number: 4, Sentence: "the key may come as x-goog-api-key or ?key=, a wrong one is 400 INVALID_ARGUMENT", Evidence: []Label{Observed, Documented}, check: func(p *probe) {
		at := p.target.BaseURL + "/v1alpha/auth_tokens"
		p.nameOf(p.call("POST", at, object{}, "x-goog-api-key", p.target.Key))
		p.nameOf(p.call("POST", at+"?key="+p.target.Key, object{}))
		p.refusedMint("a wrong key", p.call("POST", at, object{}, "x-goog-api-key", "no-such-key"), badKey)
		p.refusedMint("a wrong key in the query", p.call("POST", at+"?key=no-such-key", object{}), badKey)
	}},
	{Number: 5, Sentence: "an unknown field, nested too, is 400 and named, before the key is looked at", Evidence: []Label{Observed}, check: func(p *probe) {
		for _, key := range []string{p.target.Key, "no-such-key"} {
			p.refusedMint("an unknown field", p.mintAs(key, object{"ttl": "60s"}), `Unknown name "ttl" at 'auth_token': Cannot find field.`)
			p.refusedMint("a nested unknown field", p.mintAs(key, object{"bidiGenerateContentSetup": object{"voice": "Kore"}}), `Unknown name "voice" at 'auth_token`)
		}
	}},
	{Number: 6, Sentence: "expireTime may be 19 h 59 min ahead, 20 h are 400", Evidence: []Label{Observed, Documented}, check: func(p *probe) {
		now := p.now()
		p.refusedMint("20 h ahead", p.mint(object{"expireTime": stamp(now.Add(20*time.Hour + 5*time.Second))}), "expire_time is too far in the future. "+tooFar)
		p.token(object{"expireTime": stamp(now.Add(20*time.Hour - time.Minute))})
		if p.answer("U15", "400"); p.mint(object{"expireTime": stamp(now.Add(-time.Hour))}).status == http.StatusOK {
			p.answer("U15", "accepted")
		}
	}},
	{Number: 7, Sentence: "newSessionExpireTime 20 h ahead is 400", Evidence: []Label{Documented}, check: func(p *probe) {
		now := p.now()
		until := stamp(now.Add(20*time.Hour - time.Minute))
		p.refusedMint("20 h ahead", p.mint(object{"expireTime": until, "newSessionExpireTime": stamp(now.Add(20*time.Hour + 5*time.Second))}), "")
		p.token(object{"expireTime": until, "newSessionExpireTime": until})
	}},
	{Number: 8, Sentence: "uses 0 sets no limit; a negative or broken number is 400", Evidence: []Label{Documented, Assumed}, check: func(p *probe) {
		name := p.token(object{"uses": 0})
		for range 3 {
			p.live(tokenPath(name), p.audio())
		}
		p.refusedMint("uses -1", p.mint(object{"uses": -1}), "")
		p.refusedMint("uses 1.5", p.mint(object{"uses": 1.5}), "")
	}},
	{Number: 9, Sentence: "times may have an offset and nanoseconds", Evidence: []Label{Run}, check: func(p *probe) {
		at := p.now().Add(10 * time.Minute)
		for _, form := range []string{
			at.In(time.FixedZone("", 3600)).Format(time.RFC3339),
			at.Format("2006-01-02T15:04:05.123456789Z07:00"),
		} {
			p.token(object{"expireTime": form, "newSessionExpireTime": form})
		}
	}},
	{Number: 10, Sentence: "bidiGenerateContentSetup is the bare setup: a setup or config inside is an unknown name", Evidence: []Label{Inferred}, check: func(p *probe) {
		p.token(object{"bidiGenerateContentSetup": p.audio()})
		p.refusedMint("a wrapped setup", p.mint(object{"bidiGenerateContentSetup": object{"setup": p.audio()}}), `Unknown name "setup"`)
		p.refusedMint("a config", p.mint(object{"bidiGenerateContentSetup": object{"config": object{}}}), `Unknown name "config"`)
	}},
	{Number: 11, Sentence: "a mask path that does not resolve, indexes a list or names config is 400", Evidence: []Label{Observed}, check: func(p *probe) {
		for _, path := range []string{"nonsense", "tools.0", "config", "setup.model", "generationConfig.nonsense"} {
			p.refusedMint("the mask "+path, p.mint(p.masked(path)), badMask)
		}
		for _, path := range []string{"model", "generationConfig.responseModalities"} {
			p.token(p.masked(path))
		}
		p.answer("U3", "standard FieldMask rules")
		for _, path := range []string{"tools", "systemInstruction.parts", "inputAudioTranscription"} {
			if r := p.mint(p.masked(path)); r.status != http.StatusOK {
				p.answer("U3", "strict list: %s is refused", path)
			}
		}
	}},
	{Number: 12, Sentence: "mask paths may repeat and come in any order", Evidence: []Label{Run, Assumed}, check: func(p *probe) {
		for _, mask := range []string{
			"model,generationConfig.responseModalities",
			"generationConfig.responseModalities,model",
			"model,generationConfig.responseModalities,model",
		} {
			p.token(p.masked(mask))
		}
	}},
	{Number: 13, Sentence: "triggerTokens and targetTokens may be strings or numbers", Evidence: []Label{Standard}, check: func(p *probe) {
		for _, n := range [][2]any{{"25600", "12800"}, {25600, 12800}} {
			p.token(object{"bidiGenerateContentSetup": p.audio(object{
				"contextWindowCompression": object{"triggerTokens": n[0], "slidingWindow": object{"targetTokens": n[1]}},
			})})
		}
	}},
	{Number: 14, Sentence: "snake_case names are accepted", Evidence: []Label{Standard}, check: func(p *probe) {
		name := p.token(object{
			"expire_time":                 stamp(p.now().Add(10 * time.Minute)),
			"bidi_generate_content_setup": object{"model": p.target.Model, "generation_config": object{"response_modalities": []string{"AUDIO"}}},
			"field_mask":                  "model,generationConfig.responseModalities",
		})
		p.live(tokenPath(name), p.inText()) // the lock holds, so the names were understood
	}},
	{Number: 15, Sentence: "an error body is {error: {code, message, status}}, repeats the HTTP status, and is an APIError to Go's SDK", Evidence: []Label{Run}, check: func(p *probe) {
		r := p.mint(object{"ttl": 1})
		e, _ := r.body["error"].(object)
		if e["code"] != float64(http.StatusBadRequest) || r.status != http.StatusBadRequest || r.message() == "" || e["status"] != "INVALID_ARGUMENT" {
			p.fail("%d with %v", r.status, e)
		}
		if !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
			p.fail("its type is %q", r.header.Get("Content-Type"))
		}
		var sdk genai.APIError
		if err := p.mintBySDK(object{"ttl": 1}); !errors.As(err, &sdk) || sdk.Code != r.status || sdk.Status != e["status"] || sdk.Message != r.message() {
			p.fail("Google's Go SDK reads it as %v", err)
		}
	}},
	{Number: 16, Sentence: "tokens cannot be listed, read or deleted", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{})
		for _, c := range [][2]string{{"GET", "auth_tokens"}, {"GET", name}, {"DELETE", name}} {
			r := p.call(c[0], p.target.BaseURL+"/v1alpha/"+c[1], nil, "x-goog-api-key", p.target.Key)
			if r.status < 400 || strings.Contains(r.text, name) {
				p.fail("%s gives %d", c[0], r.status)
			}
		}
		p.live(tokenPath(name), p.audio())
	}},
}

// masked is the body of a token that locks those paths to p.audio.
func (p *probe) masked(paths string) object {
	return object{"bidiGenerateContentSetup": p.audio(), "fieldMask": paths}
}

// upgradeFacts are those of the way to a socket.
var upgradeFacts = []Fact{
	{Number: 17, Sentence: "the constrained method upgrades in v1alpha and v1beta, with // in front too and without a redirect", Evidence: []Label{Run}, check: func(p *probe) {
		query := strings.TrimPrefix(tokenPath(p.token(object{"uses": 0})), methodPath("v1alpha", constrained))
		for _, version := range []string{"v1alpha", "v1beta"} {
			for _, slash := range []string{"", "/"} {
				p.live(slash+methodPath(version, constrained)+query, p.audio())
			}
		}
	}},
	{Number: 18, Sentence: "another path or version is HTTP 404 without an upgrade", Evidence: []Label{Observed}, check: func(p *probe) {
		for _, path := range []string{methodPath("v1", constrained), methodPath("v1", plain), methodPath("v1alpha", "NoSuchMethod")} {
			if s, status := p.dial(path + "?key=" + p.target.Key); s != nil || status != http.StatusNotFound {
				p.fail("%s gives %d", path, status)
			}
		}
	}},
	{Number: 19, Sentence: "access_token works raw and percent-encoded", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{"uses": 2})
		p.live(methodPath("v1alpha", constrained)+"?access_token="+name, p.audio())
		p.live(methodPath("v1alpha", constrained)+"?access_token="+strings.Replace(name, "/", "%2F", 1), p.audio())
	}},
	{Number: 20, Sentence: "Authorization: Token works equally on the constrained method", Evidence: []Label{Documented, SDK}, check: func(p *probe) {
		p.live(methodPath("v1alpha", constrained), p.audio(), "Authorization", "Token "+p.token(object{}))
	}},
	{Number: 21, Sentence: "a token on the plain method gives 101, then 1008 about unregistered callers", Evidence: []Label{Observed}, check: func(p *probe) {
		name := p.token(object{})
		p.open(methodPath("v1alpha", plain)+"?access_token="+name, p.audio()).closes(stranger, 1008)
		p.open(methodPath("v1alpha", plain), p.audio(), "Authorization", "Token "+name).closes(stranger, 1008)
	}},
	{Number: 22, Sentence: "a token as ?key= on the plain method gives 1007 about the API key", Evidence: []Label{Observed}, check: func(p *probe) {
		p.open(methodPath("v1alpha", plain)+"?key="+p.token(object{}), p.audio()).closes(badKey, 1007)
	}},
	{Number: 23, Sentence: "an API key works on the plain method, as ?key= and as a header", Evidence: []Label{Documented}, check: func(p *probe) {
		p.live(keyPath(p.target.Key), p.audio())
		p.live(methodPath("v1beta", plain), p.audio(), "x-goog-api-key", p.target.Key)
		if e := p.open(methodPath("v1beta", constrained)+"?key="+p.target.Key, p.audio()).next(); e.ended {
			p.answer("U11", "refused %d", e.code)
		} else {
			p.answer("U11", "accepted")
		}
	}},
	{Number: 24, Sentence: "a credential is refused by a close frame after 101, never by an HTTP status", Evidence: []Label{Observed}, check: func(p *probe) {
		unknown := tokenPath("auth_tokens/" + strings.Repeat("0", 64))
		for _, path := range []string{
			unknown, tokenPath("nonsense"), methodPath("v1alpha", constrained), methodPath("v1alpha", plain), keyPath("no-such-key"),
		} {
			e := p.open(path, p.audio()).closes("", 1007, 1008, 1011)
			if path == unknown {
				p.answer("U5", "%d %q", e.code, e.reason)
			}
		}
		s, _ := p.dial(unknown)
		if p.answer("U6", "on setup"); s != nil {
			if e, ok := s.within(idle); ok && e.ended {
				p.answer("U6", "on open")
			}
		}
	}},
	{Number: 25, Sentence: "a reason is at most 123 bytes of valid UTF-8", Evidence: []Label{Standard}, check: func(p *probe) {
		// A client library that checks frames would end with 1002 or 1006 instead.
		for n := range 4 {
			model := fmt.Sprintf("models/%s%s", strings.Repeat("x", n), strings.Repeat("€", 60))
			e := p.open(keyPath(p.target.Key), p.audio(object{"model": model})).closes("", 1007, 1008)
			if len(e.reason) == 0 || len(e.reason) > 123 || strings.ToValidUTF8(e.reason, "") != e.reason {
				p.fail("a reason has %d bytes: %q", len(e.reason), e.reason)
			}
		}
	}},
}

// mintBySDK asks for a token with those fields through Google's Go SDK.
func (p *probe) mintBySDK(body object) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, APIKey: p.target.Key, HTTPClient: p.target.Client,
		HTTPOptions: genai.HTTPOptions{BaseURL: p.target.BaseURL, APIVersion: "v1alpha"},
	})
	if err != nil {
		p.fail("Google's Go SDK refuses the target") // its error may print the key
	}
	_, err = client.AuthTokens.Create(ctx, &genai.CreateAuthTokenConfig{HTTPOptions: &genai.HTTPOptions{ExtraBody: body}})
	return err
}
