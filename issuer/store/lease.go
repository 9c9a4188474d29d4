// Package store keeps leases: what callers were granted, for as long as it can
// be renewed. Lease ids are credentials, so only their hashes are kept.
package store

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// Why a store did not do as it was told.
var (
	ErrNotFound = errors.New("there is no such lease")
	ErrConflict = errors.New("the lease was changed by another request")
	ErrFull     = errors.New("the store holds as many leases as it may")
)

// Key is the hash of a lease id. Ids have 256 random bits, so looking one up by
// its hash tells a guesser nothing through the time it takes.
type Key [sha256.Size]byte

// KeyOf hashes a lease id.
func KeyOf(id live.Secret) Key { return sha256.Sum256([]byte(id.Reveal())) }

// Lease is one conversation's standing permission.
type Lease struct {
	Key     Key
	Version int64  // counts the changes; see Swap
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
