package emulator

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTokenServiceAccepts(t *testing.T) {
	name := regexp.MustCompile(`^\{"name":"auth_tokens/[0-9a-f]{64}"\}$`)
	soon := func(d time.Duration, layout string) string { return time.Now().Add(d).Format(layout) }
	for _, tt := range []struct{ sentence, path, body string }{
		{"fact 1: v1alpha with a valid key gives a name", "/v1alpha/auth_tokens", `{}`},
		{"fact 1: v1beta too", "/v1beta/auth_tokens", `{}`},
		{"fact 3: a zero-byte body means defaults", "/v1alpha/auth_tokens", ``},
		{"a leading double slash is routed without a redirect", "//v1alpha/auth_tokens", `{}`},
		{"fact 8: uses 0 is no limit", "/v1alpha/auth_tokens", `{"uses":0}`},
		{"1.4: a numeric string is a number", "/v1alpha/auth_tokens", `{"uses":"2"}`},
		{"1.4: null is omission", "/v1alpha/auth_tokens", `{"uses":null,"bidiGenerateContentSetup":null}`},
		{"fact 6: 19 h 59 min ahead is accepted", "/v1alpha/auth_tokens", `{"expireTime":"IN19H59"}`},
		{"fact 9: an offset and nanoseconds are accepted", "/v1alpha/auth_tokens", `{"expireTime":"OFFSET","newSessionExpireTime":"NANOS"}`},
		{"fact 12: duplicate mask paths in any order", "/v1alpha/auth_tokens", `{"bidiGenerateContentSetup":{"tools":[{"googleSearch":{}}]},"fieldMask":"tools,model,tools"}`},
		{"fact 13: int64 as string and as number", "/v1alpha/auth_tokens", `{"bidiGenerateContentSetup":{"contextWindowCompression":{"triggerTokens":"25600","slidingWindow":{"targetTokens":100}}}}`},
		{"fact 14: snake_case names", "/v1alpha/auth_tokens", `{"expire_time":"IN1H","bidi_generate_content_setup":{"generation_config":{"top_p":1}},"field_mask":"model"}`},
		{"1.8: mask paths through singular messages", "/v1alpha/auth_tokens", `{"fieldMask":"generationConfig,systemInstruction.parts,inputAudioTranscription,generationConfig.top_k,labels"}`},
		{"enums may be numbers", "/v1alpha/auth_tokens", `{"bidiGenerateContentSetup":{"generationConfig":{"responseModalities":[3]}}}`},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				body := strings.NewReplacer(
					"IN19H59", soon(19*time.Hour+59*time.Minute, time.RFC3339),
					"IN1H", soon(time.Hour, time.RFC3339),
					"NANOS", soon(time.Hour+1234567*time.Nanosecond, time.RFC3339Nano),
					"OFFSET", time.Now().Add(2*time.Hour).In(time.FixedZone("", 3600)).Format(time.RFC3339),
				).Replace(tt.body)
				code, header, text := b.do(t, "POST", tt.path, body, "x-goog-api-key", testKey)
				if code != 200 || !name.MatchString(compact([]byte(text))) {
					t.Errorf("got %d %s", code, text)
				}
				if got := header.Get("Content-Type"); got != "application/json; charset=UTF-8" {
					t.Errorf("type %q", got)
				}
			})
		})
	}
}

func TestTokenServiceRefuses(t *testing.T) {
	const badMask = "field_mask is invalid for BidiGenerateContentSetup"
	unknown := func(name, at string) string {
		return `Invalid JSON payload received. Unknown name "` + name + `" at '` + at + `': Cannot find field.`
	}
	for _, tt := range []struct {
		sentence, key, body string
		code                int
		status, message     string
	}{
		{"fact 4: a bad key", "AIzaReal", `{}`, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."},
		{"no key is an unregistered caller", "", `{}`, 403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"},
		{"fact 5: an unknown field, even with a bad key", "bad", `{"liveConnectConstraints":{}}`, 400, "INVALID_ARGUMENT", unknown("liveConnectConstraints", "auth_token")},
		{"fact 5: an unknown nested field, named in snake_case", testKey, `{"bidiGenerateContentSetup":{"generationConfig":{"temprature":1}}}`, 400, "INVALID_ARGUMENT",
			unknown("temprature", "auth_token.bidi_generate_content_setup.generation_config")},
		{"an unknown field in a list", testKey, `{"bidiGenerateContentSetup":{"tools":[{"functionDeclarations":[{"nme":"x"}]}]}}`, 400, "INVALID_ARGUMENT",
			unknown("nme", "auth_token.bidi_generate_content_setup.tools[0].function_declarations[0]")},
		{"fact 10: the setup is not wrapped", testKey, `{"bidiGenerateContentSetup":{"setup":{}}}`, 400, "INVALID_ARGUMENT", unknown("setup", "auth_token.bidi_generate_content_setup")},
		{"fact 10: nor in config", testKey, `{"bidiGenerateContentSetup":{"config":{}}}`, 400, "INVALID_ARGUMENT", unknown("config", "auth_token.bidi_generate_content_setup")},
		{"fact 6: 20 h ahead is too far", testKey, `{"expireTime":"IN20H"}`, 400, "INVALID_ARGUMENT", "expire_time is too far in the future. Maximum lifetime is 20h"},
		{"fact 7: for the other time too", testKey, `{"newSessionExpireTime":"IN20H"}`, 400, "INVALID_ARGUMENT", "new_session_expire_time is too far in the future. Maximum lifetime is 20h"},
		{"U15: a time in the past", testKey, `{"expireTime":"1999-12-31T00:00:00Z"}`, 400, "INVALID_ARGUMENT", "expire_time must be in the future"},
		{"fact 8: negative uses", testKey, `{"uses":-1}`, 400, "INVALID_ARGUMENT", "uses must not be negative"},
		{"fact 8: uses that is no integer", testKey, `{"uses":1.5}`, 400, "INVALID_ARGUMENT", "Invalid value at 'auth_token.uses' (TYPE_INT32), 1.5"},
		{"uses beyond 32 bits", testKey, `{"uses":4294967296}`, 400, "INVALID_ARGUMENT", "Invalid value at 'auth_token.uses' (TYPE_INT32), 4294967296"},
		{"a time of the wrong type", testKey, `{"expireTime":"tomorrow"}`, 400, "INVALID_ARGUMENT", `Invalid value at 'auth_token.expire_time' (type.googleapis.com/google.protobuf.Timestamp), "tomorrow"`},
		{"fact 11: an index into a list", testKey, `{"fieldMask":"tools.0"}`, 400, "INVALID_ARGUMENT", badMask},
		{"fact 11: below a list", testKey, `{"fieldMask":"tools.googleSearch"}`, 400, "INVALID_ARGUMENT", badMask},
		{"fact 11: below a map", testKey, `{"fieldMask":"labels.a"}`, 400, "INVALID_ARGUMENT", badMask},
		{"fact 11: config is no field", testKey, `{"fieldMask":"model,config"}`, 400, "INVALID_ARGUMENT", badMask},
		{"1.7 F: a generation field without its parent", testKey, `{"fieldMask":"temperature"}`, 400, "INVALID_ARGUMENT", badMask},
		{"an empty segment", testKey, `{"fieldMask":"model,"}`, 400, "INVALID_ARGUMENT", badMask},
		{"a path that ends in a dot", testKey, `{"fieldMask":"generationConfig."}`, 400, "INVALID_ARGUMENT", badMask},
		{"a star", testKey, `{"fieldMask":"*"}`, 400, "INVALID_ARGUMENT", badMask},
		{"no JSON", testKey, `{`, 400, "INVALID_ARGUMENT", "Invalid JSON payload received."},
		{"a list", testKey, `[]`, 400, "INVALID_ARGUMENT", "Invalid JSON payload received."},
		{"two values", testKey, `{}{}`, 400, "INVALID_ARGUMENT", "Invalid JSON payload received."},
		{"a body beyond 1 MiB", testKey, strings.Repeat(" ", 1<<20) + `{}`, 400, "INVALID_ARGUMENT", "Request payload size exceeds the limit"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				body := strings.ReplaceAll(tt.body, "IN20H", time.Now().Add(20*time.Hour).Format(time.RFC3339))
				code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens?key="+tt.key, body)
				var got struct {
					Error struct {
						Code            int
						Message, Status string
					}
				}
				if err := json.Unmarshal([]byte(text), &got); err != nil {
					t.Fatalf("body %s: %v", text, err)
				}
				e := got.Error
				if code != tt.code || e.Code != tt.code || e.Status != tt.status || !strings.HasPrefix(e.Message, tt.message) {
					t.Errorf("got %d %s", code, text)
				}
			})
		})
	}
}

func TestTokenServiceErrorDetails(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		_, _, bad := b.do(t, "POST", "/v1alpha/auth_tokens", "", "x-goog-api-key", "no")
		if want := `{"error":{"code":400,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"googleapis.com",` +
			`"metadata":{"service":"generativelanguage.googleapis.com"},"reason":"API_KEY_INVALID"}],` +
			`"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}`; compact([]byte(bad)) != want {
			t.Errorf("bad key: %s", compact([]byte(bad)))
		}
		_, _, unknown := b.do(t, "POST", "/v1alpha/auth_tokens", `{"b":1,"a":1}`, "x-goog-api-key", testKey)
		line := func(name string) string {
			return `Invalid JSON payload received. Unknown name \"` + name + `\" at 'auth_token': Cannot find field.`
		}
		if want := `{"error":{"code":400,"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[` +
			`{"description":"` + line("a") + `","field":"auth_token"},{"description":"` + line("b") + `","field":"auth_token"}]}],` +
			`"message":"` + line("a") + `\n` + line("b") + `","status":"INVALID_ARGUMENT"}}`; compact([]byte(unknown)) != want {
			t.Errorf("unknown fields: %s", compact([]byte(unknown)))
		}
	})
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	const body = `{"error":{"code":404,"message":"","status":"Not Found"}}`
	for _, tt := range []struct{ sentence, method, path, body string }{
		{"fact 2: v1 has no tokens", "POST", "/v1/auth_tokens", body},
		{"fact 2: the path is not in camelCase", "POST", "/v1alpha/authTokens", body},
		{"fact 2: tokens cannot be listed, and the body is empty", "GET", "/v1alpha/auth_tokens", ""},
		{"fact 16: nor deleted", "DELETE", "/v1alpha/auth_tokens", body},
		{"fact 18: another socket path", "GET", "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.Other", "404 page not found\n"},
		{"fact 18: another socket version", "GET", "/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContentConstrained", "404 page not found\n"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				code, _, got := b.do(t, tt.method, tt.path, "", "x-goog-api-key", testKey, "Connection", "Upgrade", "Upgrade", "websocket")
				if tt.body == body {
					got = compact([]byte(got))
				}
				if code != 404 || got != tt.body {
					t.Errorf("got %d %q", code, got)
				}
			})
		})
	}
}
