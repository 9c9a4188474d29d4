package issuer

import (
	"net/http"
	"time"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/wasm/live"
)

// grantAnswer is what a page gets. Durations are seconds from the answer on,
// because pages' clocks lie, rounded to the safe side; the two absolute times are
// for people.
type grantAnswer struct {
	Token   string `json:"token"`
	LeaseID string `json:"leaseId"`
	Profile string `json:"profile"`
	Model   string `json:"model"`
	Lock    string `json:"lock"`

	Allow []string `json:"allow,omitempty"` // what a masked token leaves to the page besides

	ExpiresIn           int64     `json:"expiresIn"`
	NewSessionExpiresIn int64     `json:"newSessionExpiresIn"`
	RenewAfter          int64     `json:"renewAfter"`
	ExpireTime          time.Time `json:"expireTime"`
	NewSessionExpire    time.Time `json:"newSessionExpireTime"`

	WebSocketURL string `json:"websocketUrl"`
	TokenParam   string `json:"tokenParam"`
	RenewURL     string `json:"renewUrl"`
	ReleaseURL   string `json:"releaseUrl"`

	Capabilities *capabilities `json:"capabilities,omitempty"` // absent: take the most careful way
	Session      sessionLimits `json:"session"`
}

type capabilities struct {
	Text       string   `json:"text"`
	Turns      string   `json:"turns,omitempty"`
	Seed       string   `json:"seed,omitempty"`
	Modalities []string `json:"modalities"`
	Tools      string   `json:"tools"`
}

type sessionLimits struct {
	Compression       bool  `json:"compression"`
	ManualActivity    bool  `json:"manualActivity"`
	ConnectionSeconds int64 `json:"connectionSeconds"`
	MaxSeconds        int64 `json:"maxSeconds"`
	IdleSeconds       int64 `json:"idleSeconds"`
}

// answer sends a token. It is the only place where one, or a lease id, goes out.
func (i *issuer) answer(w http.ResponseWriter, r *http.Request, p profile.Profile, id, token live.Secret, t profile.Terms) {
	// Not from the request: what the service took to mint is over.
	now := i.Now()
	left := func(until time.Time) int64 { return max(1, seconds(until.Sub(now))) }
	a := grantAnswer{
		Token: token.Reveal(), LeaseID: id.Reveal(),
		Profile: p.Name(), Model: p.Model(), Lock: p.Lock(), Allow: p.Allow(),
		ExpiresIn: left(t.Expire), NewSessionExpiresIn: left(t.NewSessionExpire),
		RenewAfter: max(0, wholeSeconds(t.RenewAfter.Sub(now))), ExpireTime: t.Expire, NewSessionExpire: t.NewSessionExpire,
		WebSocketURL: i.Live(r) + livePath, TokenParam: tokenParam,
		RenewURL: "/v1/token/renew", ReleaseURL: "/v1/token/release",
		Session: sessionLimits{
			Compression: p.Compressed(), ManualActivity: p.ManualActivity(),
			ConnectionSeconds: seconds(i.Connection), MaxSeconds: seconds(p.MaxSession()), IdleSeconds: seconds(idleLimit),
		},
	}
	if d, ok := p.Dialect(); ok {
		a.Capabilities = &capabilities{Text: d.Text, Turns: d.Turns, Seed: d.Seed, Modalities: p.Modalities(), Tools: d.Tools}
	}
	WriteJSON(w, http.StatusOK, "application/json", a)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
