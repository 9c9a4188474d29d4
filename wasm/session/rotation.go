package session

import "time"

// deadline is one reason to change the connection: from want on at a quiet
// moment, at must in any case.
type deadline struct {
	cause      Cause
	want, must time.Time
}

// goAwayDeadline is the end of a connection announced at now. The margin leaves
// time to close before the service does.
func goAwayDeadline(now time.Time, timeLeft time.Duration) deadline {
	margin := min(5*time.Second, timeLeft/4)
	return deadline{CauseGoAway, now, now.Add(timeLeft - margin)}
}

// tokenDeadline is the end of the token that a connection was opened with: the
// service closes the socket then (observed).
func tokenDeadline(g *grant) deadline {
	life := g.token.ExpiresIn
	return deadline{CauseRenew, g.expires.Add(-min(time.Minute, life/10)), g.expires.Add(-min(tokenMargin, life/20))}
}

// rotate says whether to change the connection now, and why; otherwise when to
// look again (the zero time: never by itself). It will be quiet from a time on,
// or with the zero time only after more has happened.
func rotate(now, quiet time.Time, deadlines []deadline) (due bool, cause Cause, next time.Time) {
	for _, d := range deadlines {
		at := d.must
		if !quiet.IsZero() && quiet.Before(d.must) {
			at = later(quiet, d.want)
		}
		if !now.Before(at) {
			return true, d.cause, time.Time{}
		}
		next = earliest(next, at)
	}
	return false, "", next
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earliest returns the earlier of two times, where the zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
