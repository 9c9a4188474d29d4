//go:build !js

package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/wasm/edge/edgetest"
	"github.com/livevalet/livevalet/wasm/live"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

func server(t *testing.T) string {
	s := httptest.NewServer(edgetest.Handler())
	t.Cleanup(s.Close)
	return s.URL
}

func value(t *testing.T, text string) live.Payload {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func newInput(t *testing.T, text string) (live.Input, error) {
	t.Helper()
	object, _ := value(t, text).(map[string]any)
	return NewInput(object)
}

func ask(t *testing.T, ctx context.Context, url string, need live.Need) (live.Token, error) {
	t.Helper()
	return Issuer{URL: url}.Token(ctx, need)
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "Sat, 21 Nov 2026 12:01:00 GMT": time.Minute, "Sat, 21 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", header, got, want)
		}
	}
}

func TestAnUnreachableIssuerIsANetworkErrorThatNamesNoAddress(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	_, err := ask(t, t.Context(), s.URL, live.Need{Reason: live.ReasonStart})
	refused, ok := errors.AsType[*live.TokenError](err)
	if !ok || refused.Code != "network" || strings.Contains(err.Error(), "/") {
		t.Errorf("error %v", err)
	}
}
