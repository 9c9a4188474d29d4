package emulator

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// noAnswer is the status of a mint that is never answered.
const noAnswer = http.StatusRequestTimeout

// mintErrors are the ways to fail at minting. The texts are assumed.
var mintErrors = map[int]*refusal{
	http.StatusBadRequest:          errArgument(),
	http.StatusForbidden:           refuse(permissionDenied, "The caller does not have permission"),
	http.StatusTooManyRequests:     refuse(exhausted, "Resource has been exhausted (e.g. check quota)."),
	http.StatusInternalServerError: errInternal(),
	http.StatusServiceUnavailable:  refuse(unavailable, "The service is currently unavailable."),
}

// mintFaults are the mints that are to fail.
type mintFaults struct {
	mu   sync.Mutex
	list []mintFault
}

type mintFault struct {
	from   time.Time
	left   int
	status int
}

// maxMintFaults bounds the list; the oldest go first.
const maxMintFaults = 1000

func (m *mintFaults) add(from time.Time, times, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) == maxMintFaults {
		m.list = m.list[1:]
	}
	m.list = append(m.list, mintFault{from, times, status})
}

// take gives the status that a mint now fails with, 0 for none.
func (m *mintFaults) take(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		f := &m.list[i]
		if f.from.After(now) {
			continue
		}
		failed := f.status
		if f.left--; f.left == 0 {
			m.list = slices.Delete(m.list, i, i+1)
		}
		return failed
	}
	return 0
}

// failMint answers, or does not, and reports true if this mint is to fail.
func (w *world) failMint(rw http.ResponseWriter, r *http.Request) bool {
	failed := w.mints.take(w.clock.Now())
	if failed == 0 && w.rude != nil {
		failed = w.rude.mint()
	}
	switch failed {
	case 0:
		return false
	case noAnswer:
		select {
		case <-r.Context().Done():
		case <-w.gone:
		}
		panic(http.ErrAbortHandler) // the connection ends without a word
	}
	w.answer(rw, mintErrors[failed])
	return true
}
