// Package store keeps what the issuer must not forget: leases, revocations, and
// what callers have used of their limits. A decision about a token is one step,
// [Ask], that is taken as a whole or not at all, so that requests and replicas
// that race overshoot nothing.
//
// Lease ids and resumption handles are credentials: only their hashes are kept.
// Times are kept in whole microseconds and come back in UTC. What time it is says
// the asker, with each Ask: it is the token service's, which dates the tokens.
package store

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// Why a store did not do as it was told. Any other error means that nobody knows
// whether it did: what was asked for counts as used.
var (
	ErrNotFound = errors.New("there is no such lease")
	ErrConflict = errors.New("the lease was changed by another request")
	ErrRevoked  = errors.New("the caller's access was revoked")
	ErrHandle   = errors.New("the handle was shown under another lease")
	ErrFull     = errors.New("the store holds as much as it may")

	ErrAnonymous = errors.New("an anonymous caller has no name that could be revoked")
)

// Key is the hash of a lease id or a handle. Ids have 256 random bits, so looking
// one up by its hash tells a guesser nothing through the time it takes.
type Key [sha256.Size]byte

// KeyOf hashes a secret.
func KeyOf(id live.Secret) Key { return sha256.Sum256([]byte(id.Reveal())) }

// Lease is one conversation's standing permission.
type Lease struct {
	Key     Key
	Version int64  // counts the changes, from 0; the store's
	Caller  string // who holds it; empty for an anonymous caller, whose proof is the id
	Profile string

	// Overrides is what the caller chose of the profile, as the JSON of its request;
	// empty: nothing. It has at most 4 kB.
	Overrides string

	End        time.Time // nothing is renewed afterwards
	Expire     time.Time // of the newest token
	RenewAfter time.Time // of the newest token
	Early      int       // renewals before their time so far
	Released   bool      // ended by its holder
}

// kept is the lease in the precision that stores have.
func (l Lease) kept() Lease {
	l.End, l.Expire, l.RenewAfter = Precise(l.End), Precise(l.Expire), Precise(l.RenewAfter)
	return l
}

// Precise is a time in the precision that stores have.
func Precise(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// How long things are kept after their use is over.
const (
	// KeepLease is how long a lease is known after its end, so that a late page
	// hears that it ended rather than that there was none.
	KeepLease = 10 * time.Minute

	// KeepHandle is how long a handle is known after the end of its lease: for as
	// long as the service resumes with it (documented), and for what clocks differ.
	KeepHandle = 3 * time.Hour
)

// MaxHandles is how many handles a lease has that are kept, the newest. A connection
// has one, so calm lines need twelve in the two hours for which the service resumes
// with one (documented). Whoever can show more under a lease holds it, and forgets
// none but its own.
const MaxHandles = 16
