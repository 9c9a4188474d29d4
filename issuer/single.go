package issuer

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// Single mints a token of a profile for an operator, who has the API key: without
// a lease, so it is neither limited nor renewed. Its errors are the Minter's.
func Single(ctx context.Context, m Minter, p profile.Profile, now func() time.Time) (token live.Secret, terms profile.Terms, err error) {
	for range 2 { // the first answer may set the clock
		terms, _ = p.First(now())
		token, err = m.Mint(ctx, request(p, terms, live.Secret{}))
		if !errors.Is(err, upstream.ErrMisdated) {
			break
		}
	}
	return token, terms, err
}

// ConnectURL is the address of the Live socket on an origin, with a token in it.
func ConnectURL(origin string, token live.Secret) live.Secret {
	return live.NewSecret(origin + livePath + "?" + tokenParam + "=" + url.QueryEscape(token.Reveal()))
}
