package store

import (
	"fmt"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
)

// Ask is one decision: whether a lease may have its first token, or its next.
// Either all of it holds and is charged, or nothing is. What does not hold is
// told by the first error of this order: ErrRevoked; ErrNotFound, ErrConflict or
// ErrFull; ErrHandle; *Limited, by the rates in their order, the slots, the budget.
type Ask struct {
	Now time.Time

	// Lease is how the lease is to be. Its Caller must not be revoked; the empty
	// one cannot be. Its Expire is that of the token.
	Lease Lease

	// Server is who else must not be revoked: the server that asks for the lease's
	// caller. Empty if the caller asks alone.
	Server string

	// Was is the lease as it was loaded, nil for a new one. If it has changed since,
	// the answer is ErrConflict. Version counts on from it, whatever Lease says.
	Was *Lease

	// Handle, if it is not zero, is shown with this renewal. It must not have been
	// shown under another lease.
	Handle Key

	Rates  []Rate
	Slots  Slots
	Budget Budget
}

// Granted is the lease as it is kept when the Ask is granted.
func (a Ask) Granted() Lease {
	l := a.Lease.kept()
	l.Version = 0
	if a.Was != nil {
		l.Version = a.Was.Version + 1
	}
	return l
}

// Undone is the lease as it is kept when a renewal came to nothing. Its version
// is a new one, so that none stands for two tokens.
func (a Ask) Undone() Lease {
	l := a.Was.kept()
	l.Version = a.Was.Version + 2
	return l
}

// Rate is a rate that is charged with one token.
type Rate struct {
	Key string // whose it is, once in an Ask
	limit.Rate

	// Spare is how many of the burst are left for other Asks: fewer than Quota.
	Spare int
}

// Slots bounds the tokens that are good at once. Each is counted from the Ask that
// gives it until it expires, whatever becomes of its lease; lease and version name
// it. What has expired is forgotten by the next Ask of that key that is granted.
type Slots struct {
	Key string // whose they are
	Max int    // at least 1; less is 1
}

func (s Slots) max() int { return max(s.Max, 1) }

// MaxBudget is the largest there is, and as good as none.
const MaxBudget = 1_000_000 * time.Hour

// Budget bounds the time that tokens give.
type Budget struct {
	Key  string    // whose it is, and when: each day has a budget of its own
	Ends time.Time // when that day is over, and the budget may be forgotten

	Max, Cost time.Duration // at most MaxBudget
}

// Standing is what an Ask that was granted leaves.
type Standing struct {
	Lease Lease         // as it is kept
	Rates []limit.Left  // of Ask.Rates, in their order
	Slots int           // that are free
	Time  time.Duration // that is left of the budget
}

// Limited is the error of an Ask that a limit refuses.
type Limited struct {
	Limit Limit
	Rate  int           // which of Ask.Rates, if Limit is ByRate
	Wait  time.Duration // until it may be granted; more than 0
}

// Limit is a kind of limit.
type Limit int

// The limits there are, in the order in which they are looked at.
const (
	ByRate   Limit = iota
	BySlots        // Wait is until enough tokens have expired
	ByBudget       // Wait is until the day ends
)

func (l Limit) String() string { return [...]string{"rate", "slots", "budget"}[l] }

// Error says which limit it is, and nothing about whose.
func (l *Limited) Error() string {
	return fmt.Sprintf("refused by %v for %v", l.Limit, l.Wait)
}
