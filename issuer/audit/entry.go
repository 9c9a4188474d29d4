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
	"crypto/hmac"
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

// Hash stands for a token or a lease id.
type Hash [sha256.Size]byte

// HashOf hashes a token: HMAC-SHA-256. How hard the names of the service's tokens are
// to guess is not ours to promise, so without the key a record tells nothing about
// them. With it, whoever finds a token finds whose it was: all that write one record
// have the same key, and keep it. The absent token has the zero Hash.
//
// A lease id has no key to its hash, which is the one that stores know it by: its 256
// random bits are drawn here.
func HashOf(key, token live.Secret) (h Hash) {
	if token.IsZero() {
		return h
	}
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(token.Reveal()))
	mac.Sum(h[:0])
	return h
}

// MarshalText gives 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }
