package limit

import "time"

// Day names the UTC day of now, by which budgets are counted, and says when it
// ends.
func Day(now time.Time) (name string, end time.Time) {
	y, m, d := now.UTC().Date()
	begin := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return begin.Format(time.DateOnly), begin.AddDate(0, 0, 1)
}

// Reach is what a token that expires then costs a budget: the time by which it
// lets a conversation go on longer than it could before. Before, zero for a new
// conversation, is when the last token expires or expired.
func Reach(now, before, then time.Time) time.Duration {
	if before.After(now) {
		now = before
	}
	return max(then.Sub(now), 0)
}

// Spend takes cost from what is left of a budget of most. Nothing is taken if
// that is not there.
func Spend(spent, cost, most time.Duration) (after, left time.Duration, ok bool) {
	if cost > most-spent {
		return spent, max(most-spent, 0), false
	}
	return spent + cost, most - spent - cost, true
}
