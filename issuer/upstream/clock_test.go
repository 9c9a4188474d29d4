package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
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
				clock, moved := newServiceClock(nil), false
				for _, date := range c.dates {
					if at, err := time.Parse(time.TimeOnly, date); err == nil {
						date = time.Now().UTC().Truncate(24 * time.Hour).Add(at.Sub(at.Truncate(24 * time.Hour))).Format(http.TimeFormat)
					}
					before := clock.ahead()
					clock.note(date, time.Now())
					moved = clock.ahead() != before
				}
				time.Sleep(time.Second)
				if got := clock.now().UTC().Format(time.TimeOnly); got != c.want || moved != c.moved {
					t.Errorf("it is %s, moved %v", got, moved)
				}
			})
		})
	}
}

// A busy machine, or a slow line, is no wrong clock.
func TestAnAnswerThatTakesLongMovesNoClock(t *testing.T) {
	for sentence, written := range map[string]time.Duration{"written at once": 0, "written at last": 40 * time.Second} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				clock, sent := newServiceClock(slog.New(slog.NewJSONHandler(&log, nil))), time.Now()
				time.Sleep(40 * time.Second)
				clock.note(sent.Add(written).UTC().Format(http.TimeFormat), sent)
				if clock.ahead() != 0 || log.Len() > 0 {
					t.Errorf("it is %v ahead: %s", clock.ahead(), log.String())
				}
			})
		})
	}
}

func TestAWrongClockIsToldOnceAnHour(t *testing.T) {
	const minute = time.Minute
	for sentence, c := range map[string]struct {
		ahead []time.Duration // of the service, one each minute
		want  []string        // in the log, one word each
	}{
		"right":                           {make([]time.Duration, 100), nil},
		"off by what may be":              {[]time.Duration{30 * time.Second, -30 * time.Second}, nil},
		"behind":                          {[]time.Duration{0, 31 * time.Second, 31 * time.Second}, []string{"31"}},
		"ahead":                           {[]time.Duration{-2 * time.Hour, -2 * time.Hour}, []string{"-7200"}},
		"for hours":                       {slices.Repeat([]time.Duration{minute}, 121), []string{"60", "60", "60"}},
		"right and wrong again and again": {slices.Repeat([]time.Duration{minute, 0}, 30), []string{"60"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				clock := newServiceClock(slog.New(slog.NewJSONHandler(&log, nil)))
				for _, ahead := range c.ahead {
					clock.note(time.Now().Add(ahead).UTC().Format(http.TimeFormat), time.Now())
					time.Sleep(minute)
				}
				var got []string
				for line := range strings.Lines(log.String()) {
					var event struct{ SecondsBehind int }
					if err := json.Unmarshal([]byte(line), &event); err != nil {
						t.Fatal(err)
					}
					got = append(got, strconv.Itoa(event.SecondsBehind))
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("the log has %v: %s", got, &log)
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
			bubble(t, Config{}, func(t *testing.T, s *upstream, u *Client) {
				s.before = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
					w.WriteHeader(c.status)
					panic(answered{})
				}
				if _, err := u.Mint(t.Context(), request()); errors.Is(err, ErrMisdated) != c.want {
					t.Errorf("error is %v", err)
				}
				if got := time.Until(u.Now()); (got - c.ahead).Abs() > dateTolerance {
					t.Errorf("its time is %v ahead", got)
				}
			})
		})
	}
}
