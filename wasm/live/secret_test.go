package live_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/wasm/live"
)

const canary = "auth_tokens/canary-7f3a"

func TestSecretNeverShowsItself(t *testing.T) {
	s := live.NewSecret(canary)
	nested := struct {
		Token  live.Secret
		Handle *live.Secret
		Map    map[string]live.Secret
		hidden live.Secret
	}{s, &s, map[string]live.Secret{"k": s}, s}

	show := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		show["Secret with "+verb] = fmt.Sprintf(verb, s)
		show["nested with "+verb] = fmt.Sprintf(verb, nested)
	}
	b, err := json.Marshal(nested)
	if err != nil {
		t.Fatal(err)
	}
	show["JSON"] = string(b)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", s, "nested", nested)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", s, "nested", nested)
	show["slog"] = log.String()
	show["error"] = fmt.Errorf("dial with %v: %w", s, fmt.Errorf("%s", s)).Error()

	for where, text := range show {
		for _, leak := range []string{canary, fmt.Sprintf("%x", canary), "canary"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows the secret: %s", where, text)
			}
		}
	}
	if s.Reveal() != canary {
		t.Errorf("Reveal() = %q, want the value", s.Reveal())
	}
	if !s.Equal(live.NewSecret(canary)) || s.Equal(live.Secret{}) {
		t.Error("Equal is wrong")
	}
	if s.IsZero() || !live.NewSecret("").IsZero() || !(live.Secret{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}
