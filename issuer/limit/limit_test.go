package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestARateOverTime(t *testing.T) {
	r := Rate{Count: 6, Per: time.Minute, Burst: 3}
	var tat time.Time
	for _, step := range []struct {
		name string
		at   time.Duration
		ok   bool
		left Left
	}{
		{"the first of a burst", 0, true, Left{Remaining: 2, Reset: 10 * time.Second}},
		{"the second at once", 0, true, Left{Remaining: 1, Reset: 20 * time.Second}},
		{"the third a second later", time.Second, true, Left{Remaining: 0, Reset: 29 * time.Second}},
		{"one too many waits", time.Second, false, Left{Reset: 29 * time.Second, Wait: 9 * time.Second}},
		{"and is told less as time passes", 9 * time.Second, false, Left{Reset: 21 * time.Second, Wait: time.Second}},
		{"the moment it was told", 10 * time.Second, true, Left{Reset: 30 * time.Second}},
		{"long after, all is there", time.Hour, true, Left{Remaining: 2, Reset: 10 * time.Second}},
	} {
		next, left, ok := r.Take(tat, noon.Add(step.at), 0)
		if ok != step.ok || left != step.left {
			t.Errorf("%s: %v, %+v", step.name, ok, left)
		}
		if !ok && next != tat {
			t.Errorf("%s: a refusal costs", step.name)
		}
		tat = next
	}
}

// Whatever a rate was charged with, and however far back the clock is set, it goes on
// at its pace soon.
func TestAClockThatIsTurnedBackStopsNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates.Draw(t, "rate")
		var tat time.Time
		for range rapid.IntRange(0, r.Quota()).Draw(t, "asks") {
			tat, _, _ = r.Take(tat, noon, 0)
		}
		now := noon.Add(-time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(t, "back")))
		if _, left, _ := r.Take(tat, now, 0); left.Wait > 10*time.Second+r.Interval() {
			t.Fatalf("it waits for %v", left.Wait)
		}
	})
}

func TestAClockThatIsTurnedBackALittleGivesNothingAnew(t *testing.T) {
	r := Rate{Count: 6, Per: time.Minute}
	if _, left, ok := r.Take(noon.Add(r.Window()+9*time.Second), noon, 0); ok || left.Wait != 9*time.Second+r.Interval() {
		t.Errorf("%v, %+v", ok, left)
	}
}

func TestWhatIsSparedIsThereForOthers(t *testing.T) {
	r := Rate{Count: 5, Per: time.Minute}
	var tat time.Time
	for n, want := range []Left{
		{Remaining: 4, Reset: 12 * time.Second},
		{Remaining: 3, Reset: 24 * time.Second},
		{Remaining: 2, Reset: 36 * time.Second},
		{Reset: 36 * time.Second, Wait: 12 * time.Second},
	} {
		next, left, ok := r.Take(tat, noon, 2)
		if ok != (n < 3) || left != want {
			t.Errorf("of 3 it takes %d: %v, %+v", n+1, ok, left)
		}
		tat = next
	}
	for range 2 {
		tat, _, _ = r.Take(tat, noon, 0)
	}
	for spare, wait := range []time.Duration{12 * time.Second, 24 * time.Second, 36 * time.Second} {
		if _, left, ok := r.Take(tat, noon, spare); ok || left.Wait != wait {
			t.Errorf("of none it takes one and spares %d: %+v", spare, left)
		}
		if _, left, ok := r.Take(tat, noon.Add(wait), spare); !ok || left.Remaining != spare {
			t.Errorf("after the wait for one and %d spare: %+v", spare, left)
		}
	}
}

var rates = rapid.Custom(func(t *rapid.T) Rate {
	return Rate{
		Count: rapid.IntRange(1, 1000).Draw(t, "count"),
		Per:   time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(24*time.Hour)).Draw(t, "per")),
		Burst: rapid.IntRange(0, 50).Draw(t, "burst"),
	}
})

func TestNoWindowHasMoreThanItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates.Draw(t, "rate")
		var tat time.Time
		var taken []time.Time
		now := noon
		for range rapid.IntRange(1, 200).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*r.Interval())).Draw(t, "pause")))
			next, left, ok := r.Take(tat, now, 0)
			if !ok {
				if _, _, early := r.Take(tat, now.Add(left.Wait-1), 0); early {
					t.Fatalf("one is allowed before the wait of %v is over", left.Wait)
				}
				if _, _, late := r.Take(tat, now.Add(left.Wait), 0); !late {
					t.Fatalf("none is allowed after the wait of %v", left.Wait)
				}
				continue
			}
			tat, taken = next, append(taken, now)
			if left.Remaining < 0 || left.Remaining >= r.Quota() {
				t.Fatalf("%d remain of %d", left.Remaining, r.Quota())
			}
		}
		for first := range taken {
			for last := first; last < len(taken); last++ {
				window := taken[last].Sub(taken[first])
				if most := float64(r.Quota()) + float64(r.Count)*float64(window)/float64(r.Per); float64(last-first+1) > most+1e-6 {
					t.Fatalf("%d in %v, at most %f are allowed", last-first+1, window, most)
				}
			}
		}
	})
}

func TestWhoKeepsToTheRateIsNeverRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates.Draw(t, "rate")
		var tat time.Time
		now := noon
		for range 100 {
			next, left, ok := r.Take(tat, now, 0)
			if !ok {
				t.Fatalf("refused with %+v", left)
			}
			tat, now = next, now.Add(r.Interval()+time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "pause")))
		}
	})
}

func TestARateIsWrittenShort(t *testing.T) {
	for text, want := range map[string]Rate{
		"6/m":     {Count: 6, Per: time.Minute},
		"100/10s": {Count: 100, Per: 10 * time.Second},
		"1/d":     {Count: 1, Per: 24 * time.Hour},
		"6/m+20":  {Count: 6, Per: time.Minute, Burst: 20},
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want || r.String() != text {
			t.Errorf("%s is %v (%+v), %v", text, r, r, err)
		}
	}
	for _, text := range []string{"", "6", "6/", "/m", "0/m", "-1/m", "6/y", "6/0s", "6/25h", "6/m+0", "6/m+", "1e3/m", "6/m/m", "1000001/s", "1/d+8", "1/d+1000000", "9999999999999999999999/s"} {
		r := Rate{Count: 7}
		if err := r.UnmarshalText([]byte(text)); err == nil || r != (Rate{Count: 7}) {
			t.Errorf("%q is accepted, or changed what was there: %+v", text, r)
		}
	}
}

func TestTheZeroRateAllowsAtMostNothing(t *testing.T) {
	if _, _, ok := (Rate{}).Take(time.Time{}, noon, 0); ok {
		t.Error("it allows one")
	}
}

func TestADayOfABudget(t *testing.T) {
	zone := time.FixedZone("", 5*3600)
	name, end := Day(time.Date(2026, 11, 22, 3, 0, 0, 0, zone))
	if want := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC); name != "2026-11-21" || end != want {
		t.Errorf("%s until %v", name, end)
	}
}

func TestWhatATokenCostsABudget(t *testing.T) {
	in := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	for name, c := range map[string]struct {
		before, then time.Time
		want         time.Duration
	}{
		"a new lease's is its life":                    {time.Time{}, in(12), 12 * time.Minute},
		"a renewal's is what it adds":                  {in(3), in(12), 9 * time.Minute},
		"one after a gap does not pay for it":          {in(-30), in(12), 12 * time.Minute},
		"one that reaches no further is free":          {in(12), in(12), 0},
		"one that is dated shorter does not pay back":  {in(20), in(12), 0},
		"one that has expired when it is given is nil": {time.Time{}, in(-1), 0},
	} {
		if got := Reach(noon, c.before, c.then); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSpendingIsAllOrNothing(t *testing.T) {
	if after, left, ok := Spend(108*time.Minute, 12*time.Minute, 2*time.Hour); after != 2*time.Hour || left != 0 || !ok {
		t.Errorf("to the last minute: %v, %v, %v", after, left, ok)
	}
	if after, left, ok := Spend(109*time.Minute, 12*time.Minute, 2*time.Hour); after != 109*time.Minute || left != 11*time.Minute || ok {
		t.Errorf("over it: %v, %v, %v", after, left, ok)
	}
}
