package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// MaskError is a lock that the token service does not take. It wraps the
// Minter's error.
type MaskError struct {
	Profile string
	Paths   []string // that it refuses; empty: each is taken, but not all together
	cause   error
}

func (e *MaskError) Error() string {
	if len(e.Paths) == 0 {
		return fmt.Sprintf("profile %q: the token service refuses the mask, though each path of it is taken: write lock: full, or a list of fewer paths", e.Profile)
	}
	return fmt.Sprintf("profile %q: the token service refuses the mask path %s: write lock: full, or a list without it",
		e.Profile, strings.Join(e.Paths, ", "))
}

// Unwrap gives the Minter's error.
func (e *MaskError) Unwrap() error { return e.cause }

// Try mints a token of a profile, which nobody gets, to see whether the service
// takes it. If it refuses the mask, the error is a *MaskError that names the paths,
// found by trying each alone; any other is the Minter's. A token that is not used
// costs nothing.
func Try(ctx context.Context, m Minter, p profile.Profile, now func() time.Time) error {
	mint := func(p profile.Profile, mask string) (err error) {
		for range 2 { // the first answer may set the clock
			terms, _ := p.First(now())
			r := request(p, terms, live.Secret{})
			r.FieldMask = mask
			if _, err = m.Mint(ctx, r); !errors.Is(err, upstream.ErrMisdated) {
				break
			}
		}
		return err
	}
	refused := mint(p, p.FieldMask())
	if refused == nil || p.FieldMask() == "" || !isBadRequest(refused) {
		return tried(p, refused)
	}
	if err := mint(p.AsFull(), ""); err != nil {
		return tried(p, err) // whatever it is, it is not the mask
	}
	wrong := &MaskError{Profile: p.Name(), cause: refused}
	for _, path := range p.MaskPaths() {
		switch err := mint(p, path); {
		case isBadRequest(err):
			wrong.Paths = append(wrong.Paths, path)
		case err != nil:
			return tried(p, err)
		}
	}
	return wrong
}

func tried(p profile.Profile, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mint with profile %q: %w", p.Name(), err)
}

// isBadRequest reports whether the service takes no request of this form.
func isBadRequest(err error) bool {
	e, ok := errors.AsType[*upstream.Error](err)
	return ok && e.HTTP == http.StatusBadRequest && !errors.Is(err, upstream.ErrMisdated)
}
