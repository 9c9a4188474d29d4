package upstream

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheServicesClockIsItsLastDate(t *testing.T) {
	for sentence, c := range map[string]struct {
		dates []string // RFC 3339 times of day, or what is none
		moved bool     // by the last
		want  string   // a second after it
	}{
		"nothing heard is our time":            {nil, false, "00:00:01"},
		"a little difference is the network's": {[]string{"00:00:02"}, false, "00:00:01"},
		"ahead":                                {[]string{"00:09:00"}, true, "00:09:01"},
		"behind":                               {[]string{"00:09:00", "00:04:00"}, true, "00:04:01"},
		"still as far ahead":                   {[]string{"00:09:00", "00:09:01"}, false, "00:09:01"},
		"ours again":                           {[]string{"00:09:00", "00:00:01"}, true, "00:00:01"},
		"no date is no news":                   {[]string{"00:09:00", ""}, false, "00:09:01"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at midnight
				clock, moved := new(serviceClock), false
				for _, date := range c.dates {
					if at, err := time.Parse(time.TimeOnly, date); err == nil {
						date = time.Now().UTC().Truncate(24 * time.Hour).Add(at.Sub(at.Truncate(24 * time.Hour))).Format(http.TimeFormat)
					}
					moved = clock.note(date)
				}
				time.Sleep(time.Second)
				if got := clock.now().UTC().Format(time.TimeOnly); got != c.want || moved != c.moved {
					t.Errorf("it is %s, moved %v", got, moved)
				}
			})
		})
	}
}

func TestARefusalByAnotherClockIsToldApart(t *testing.T) {
	for sentence, c := range map[string]struct {
		status int
		ahead  time.Duration
		want   bool
	}{
		"400 by another clock": {400, time.Hour, true},
		"400 by the same":      {400, 0, false},
		"403 by another clock": {403, time.Hour, false},
		"503 by another clock": {503, time.Hour, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			ts := service(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
				w.WriteHeader(c.status)
			})
			u := client(t, Config{BaseURL: ts.URL})
			if _, err := u.Mint(t.Context(), request()); errors.Is(err, ErrMisdated) != c.want {
				t.Errorf("error is %v", err)
			}
			if got := time.Until(u.Now()); (got - c.ahead).Abs() > dateTolerance {
				t.Errorf("its time is %v ahead", got)
			}
		})
	}
}
