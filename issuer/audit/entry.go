// Package audit keeps evidence: one line of JSON for each decision about a
// token, in a file that only grows. The log is for operators and may be thinned
// out; this is for whoever asks later who was given what.
//
// Invariants:
//
//   - No secret gets in: an [Entry] has no field that could hold one. Tokens and
//     leases are there as a [Hash].
//   - A line is written whole or counted as lost, and the count is the next line.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// Decision is what was decided.
type Decision string

// The decisions there are. The last two are none: they say that a process begins
// to write, and that lines are missing because they could not be written.
const (
	Granted   Decision = "granted"   // a new lease and its first token
	Renewed   Decision = "renewed"   // the next token of a lease
	Refused   Decision = "refused"   // Code says why
	Released  Decision = "released"  // a lease was ended by its holder
	Revoked   Decision = "revoked"   // User gets nothing from now on
	Unrevoked Decision = "unrevoked" // User may ask again
	Started   Decision = "started"
	Resumed   Decision = "resumed" // Lost says how many lines are missing
)

// Entry is one line. Empty fields are left out of it.
type Entry struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"requestId,omitempty"` // as in the log and in X-Request-Id
	Decision  Decision  `json:"decision"`
	Code      string    `json:"code,omitempty"`    // of the problem that was answered
	Caller    string    `json:"caller,omitempty"`  // who asked; empty for an anonymous caller
	User      string    `json:"user,omitempty"`    // about whom, where that is not the caller
	Address   string    `json:"address,omitempty"` // from which was asked
	Profile   string    `json:"profile,omitempty"`
	Lease     Hash      `json:"lease,omitzero"`
	Token     Hash      `json:"token,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // the token does
	Lost      int       `json:"lost,omitempty"`
}

// Hash stands for a token or a lease id: their SHA-256. It has no key, because
// what it hides is random and too long to be guessed, and because whoever finds
// a token must be able to look up whose it was, with
//
//	printf %s "$token" | sha256sum
//
// on every replica and after every restart.
type Hash [sha256.Size]byte

// HashOf hashes a secret. The absent secret has the zero Hash.
func HashOf(s live.Secret) Hash {
	if s.IsZero() {
		return Hash{}
	}
	return sha256.Sum256([]byte(s.Reveal()))
}

// MarshalText gives 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }
