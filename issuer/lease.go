package issuer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/issuer/store"
	"github.com/livevalet/livevalet/wasm/live"
)

// newLeaseID draws 256 random bits. For an anonymous caller they are the proof
// that the lease is theirs.
func newLeaseID() live.Secret {
	var bits [32]byte
	rand.Read(bits[:])
	return live.NewSecret(base64.RawURLEncoding.EncodeToString(bits[:]))
}

// renewal decides whether a lease gets its next token now, and what the lease
// is afterwards. It is pure.
//
// A full lock needs a token for each connection, whenever the one before ends. One
// that resumes, with a handle inside, is therefore given at any time: it can start
// no session, so to hoard it gains nothing.
func renewal(p profile.Profile, held store.Lease, reason live.Reason, resumes bool, now time.Time) (store.Lease, profile.Terms, error) {
	fail := func(c code, detail string, wait time.Duration) (store.Lease, profile.Terms, error) {
		return store.Lease{}, profile.Terms{}, &problem{code: c, detail: detail, wait: wait}
	}
	if _, end := p.First(now); end.Before(held.End) { // the profile's maxSession was shortened
		held.End = end
	}
	terms, left := p.Renewed(now, held.End)
	early := now.Before(held.RenewAfter) && !resumes
	switch {
	case held.Released:
		return fail(leaseEnded, "the lease was released: ask for a new one", 0)
	case !left:
		return fail(leaseEnded, "the lease has come to its end: ask for a new one", 0)
	case early && reason == live.ReasonRenew:
		return fail(tooEarly, "renewal is accepted from renewAfter on", held.RenewAfter.Sub(now))
	case early && held.Early >= profile.EarlyRenewals:
		return fail(tooEarly, "the lease was renewed early as often as it may be", held.RenewAfter.Sub(now))
	case !early && !resumes && !terms.Expire.After(held.Expire):
		// Its token lives to the lease's end already.
		return fail(leaseEnded, "the lease is near its end: ask for a new one", 0)
	}
	if early {
		held.Early++
	}
	held.Expire, held.RenewAfter = terms.Expire, terms.RenewAfter
	return held, terms, nil
}

// maxHandle is in bytes; handles that were seen are uuids.
const maxHandle = 4 << 10

// handleHash is how stores know a handle.
func (i *issuer) handleHash(handle live.Secret) (h store.Key) {
	mac := hmac.New(sha256.New, i.HandleKey)
	mac.Write([]byte(handle.Reveal()))
	return store.Key(mac.Sum(h[:0]))
}
