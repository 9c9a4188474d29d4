package issuer

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/livevalet/livevalet/issuer/limit"
)

const (
	maxRefused    = 1 << 16     // of whom refusals are counted at once; about 10 MB
	refusalReport = time.Minute // from the first refusal without a trace to the line that tells how many there were
)

// refusals bound what is left behind by whoever does nothing but be refused: each
// refusal is a question to the store, a line in the audit and one in the log. Who
// asks is always found out first, so that a caller who is known is not turned away
// for what others at the same address do.
//
// It is in memory and for this process alone: to forget costs little, and what
// guards the store must not ask it.
type refusals struct {
	rate    limit.Rate
	counted func() // each that leaves no trace
	log     *slog.Logger

	mu      sync.Mutex
	tats    map[string]time.Time // see limit.Rate.Take
	swept   time.Time
	unnamed int // that left no trace since the last line
}

// spent is how long it takes until somebody may be refused again; 0: not at all.
func (f *refusals) spent(who string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, left, _ := f.rate.Take(f.tats[who], now, 0)
	return left.Wait
}

// take counts a refusal. It reports whether it may leave a trace, and if not, when
// one may again. Where there is no room to count, none may, and spent still lets
// everybody ask: so a network of many addresses fills no disk, and locks nobody out.
func (f *refusals) take(who string, now time.Time) (wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tat, known := f.tats[who]
	if !known && !f.room(now) {
		return f.rate.Interval(), false
	}
	tat, left, ok := f.rate.Take(tat, now, 0)
	if ok {
		f.tats[who] = tat
	}
	return left.Wait, ok
}

// room reports whether one more can be counted. The caller holds mu.
func (f *refusals) room(now time.Time) bool {
	if len(f.tats) < maxRefused {
		return true
	}
	if now.Sub(f.swept) >= time.Second { // all are looked at, so not each time
		f.swept = now
		for who, tat := range f.tats {
			if !tat.After(now) {
				delete(f.tats, who)
			}
		}
	}
	return len(f.tats) < maxRefused
}

// untraced counts a refusal that leaves no trace of its own. The first has the line
// written that tells of all, a while later.
func (f *refusals) untraced() {
	if f.counted != nil {
		f.counted()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unnamed++; f.unnamed == 1 {
		time.AfterFunc(refusalReport, f.report)
	}
}

func (f *refusals) report() {
	f.mu.Lock()
	n := f.unnamed
	f.unnamed = 0
	f.mu.Unlock()
	f.log.Warn("refused requests without a record of each, because too many of the same address or user were refused", "requests", n)
}

// tooManyRefused is the answer that leaves no trace.
func (f *refusals) tooManyRefused(w http.ResponseWriter, wait time.Duration) *problem {
	f.untraced()
	var fields rateFields
	fields.rate("refusals", f.rate, 0, wait)
	fields.set(w.Header())
	return &problem{
		code: rateLimited, wait: wait, untraced: true,
		detail: "too many requests from there were refused: mend what they ask for, and wait as Retry-After says",
	}
}
