package profile

import "time"

// EarlyRenewals is how often a lease is renewed before its time because the
// service refused its token. Each leaves a token behind that can still start a
// session, so they are few.
const EarlyRenewals = 2

// Terms are the times of one token. They have whole seconds and are UTC,
// because the service's timestamps are read by more parsers that way.
type Terms struct {
	Issued           time.Time // what the others count from; the answer comes later
	Expire           time.Time // messages are refused afterwards
	NewSessionExpire time.Time // no session starts afterwards; resuming may

	// RenewAfter is when the next token may be asked for: after three quarters
	// of this one's life.
	RenewAfter time.Time
}

// First are the terms of a new lease's token, and when that lease ends.
func (p Profile) First(now time.Time) (t Terms, end time.Time) {
	issued := now.UTC().Truncate(time.Second)
	end = issued.Add(p.spec.MaxSession)
	return p.terms(issued, end, p.spec.NewSession), end
}

// Renewed are the terms of the next token of a lease that ends then. ok is
// false when the lease has less than a second left.
func (p Profile) Renewed(now, end time.Time) (t Terms, ok bool) {
	issued := now.UTC().Truncate(time.Second)
	return p.terms(issued, end, renewedSession), end.Sub(now) >= time.Second
}

func (p Profile) terms(issued, end time.Time, newSession time.Duration) Terms {
	life := min(p.spec.Leash, end.Sub(issued))
	return Terms{
		Issued:           issued,
		Expire:           issued.Add(life),
		NewSessionExpire: issued.Add(min(newSession, life)),
		RenewAfter:       issued.Add((life * 3 / 4).Truncate(time.Second)),
	}
}
