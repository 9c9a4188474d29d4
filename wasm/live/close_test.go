package live_test

import (
	"strings"
	"testing"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestAReasonIsScrubbedOfEveryFormOfASecret(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	token, lease := live.NewSecret("auth_tokens/"+id), live.NewSecret("short")
	for name, c := range map[string]struct{ reason, want string }{
		"whole":                      {"no auth_tokens/" + id + " here", "no [redacted] here"},
		"escaped":                    {"no auth_tokens%2F" + id + " here", "no [redacted] here"},
		"without its first part":     {"no " + id + " here", "no [redacted] here"},
		"cut short":                  {"access token auth_tokens/" + id[:20], "access token [redacted]"},
		"cut short and escaped":      {"access token auth_tokens%2F" + id[:9], "access token [redacted]"},
		"cut short, its second part": {"token " + id[:12], "token [redacted]"},
		"a short one":                {"lease short of breath", "lease [redacted] of breath"},
		"words that only begin so":   {"too many auth_to", "too many auth_to"},
		"nothing":                    {"", ""},
		"longer than a frame":        {strings.Repeat("ä", 100), strings.Repeat("ä", 61)},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&live.CloseError{Code: 1011, Reason: c.reason}).Scrub(token, live.Secret{}, lease)
			if got.Code != 1011 || got.Reason != c.want {
				t.Errorf("%q becomes %q, want %q", c.reason, got.Reason, c.want)
			}
		})
	}
}
