package upstream

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	const ms = time.Millisecond
	unavailable := func(wait time.Duration) *Error { return &Error{Kind: ErrUnavailable, RetryAfter: wait} }
	for sentence, c := range map[string]struct {
		n      int
		e      *Error
		left   time.Duration
		random float64
		want   time.Duration // negative: not again
	}{
		"after the first, at the least":         {1, unavailable(0), time.Minute, 0, 0},
		"after the first, in the middle":        {1, unavailable(0), time.Minute, 0.5, 125 * ms},
		"after the second, twice as long":       {2, unavailable(0), time.Minute, 0.5, 250 * ms},
		"after the last, not again":             {3, unavailable(0), time.Minute, 0.5, -1},
		"what was refused, not again":           {1, &Error{Kind: ErrRefused}, time.Minute, 0.5, -1},
		"what was misdated, by the caller":      {1, &Error{Kind: ErrMisdated}, time.Minute, 0.5, -1},
		"on advice, not before it":              {1, unavailable(3 * time.Second), time.Minute, 0, 3 * time.Second},
		"on advice, not all at once":            {2, unavailable(3 * time.Second), time.Minute, 0.5, 3250 * ms},
		"on advice past the end, not again":     {1, unavailable(30 * time.Second), 10 * time.Second, 0, -1},
		"if just enough is left":                {1, unavailable(3 * time.Second), 3500 * ms, 0, 3 * time.Second},
		"if too little is left, not again":      {1, unavailable(3 * time.Second), 3499 * ms, 0, -1},
		"if too little is left without advice":  {1, unavailable(0), 600 * ms, 0.5, -1},
		"if the time is over already":           {1, unavailable(0), -time.Second, 0, -1},
		"after the first, within the bound":     {1, unavailable(0), time.Minute, 0.999, 249750 * time.Microsecond},
		"after the second, within twice of it":  {2, unavailable(0), time.Minute, 0.999, 499500 * time.Microsecond},
		"on advice of a day, for the caller":    {1, unavailable(24 * time.Hour), 10 * time.Second, 0.9, -1},
		"on advice that came with the last one": {3, unavailable(time.Second), time.Minute, 0, -1},
	} {
		t.Run(sentence, func(t *testing.T) {
			wait, again := pause(c.n, c.e, c.left, c.random)
			if again != (c.want >= 0) || again && wait != c.want {
				t.Errorf("wait %v, again %v", wait, again)
			}
		})
	}
}
