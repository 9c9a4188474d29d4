package upstream

import (
	"net/http"
	"testing"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestARefusedKeyIsKnownForAWhile(t *testing.T) {
	bubble(t, Config{APIKey: live.NewSecret(canary), SendKeyTo: "localhost"}, func(t *testing.T, s *upstream, u *Client) {
		ready := func(when string, want bool) {
			t.Helper()
			if err := u.Ready(); (err == nil) != want {
				t.Errorf("%s: %v", when, err)
			}
		}
		mint := func(r Request) { _, _ = u.Mint(t.Context(), r) }
		ready("before the first mint", true)
		mint(now())
		ready("when the key is none", false)
		time.Sleep(keyDoubt)
		ready("after a while, so that somebody tries", true)
		mint(now())
		ready("when it still is none", false)
		if err := u.SetKey(live.NewSecret("emulator")); err != nil {
			t.Fatal(err)
		}
		ready("with a new key", true)

		past := now()
		past.Expire = time.Now().Add(-time.Hour)
		mint(past)
		ready("when the request is refused", true)
		s.control(t, http.MethodPost, "fault", `{"kind":"mint-error","status":503}`)
		mint(now())
		ready("after trouble that passes", true)
		s.control(t, http.MethodPost, "fault", `{"kind":"mint-error","status":403}`)
		mint(now())
		ready("when the key may not do this", false)
		mint(now())
		ready("when it may again", true)
	})
}
