//go:build !js

package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/issuer/emulator"
)

// lagging is a connection on which what is written arrives later, in order, the
// end too.
type lagging struct {
	net.Conn
	lag func() time.Duration

	mu     sync.Mutex
	queue  []packet
	more   chan struct{}
	closed bool
}

type packet struct {
	at   time.Time
	data []byte // nil: the end
}

func lag(c net.Conn, lag func() time.Duration) *lagging {
	l := &lagging{Conn: c, lag: lag, more: make(chan struct{}, 1)}
	go l.deliver()
	return l
}

func (l *lagging) put(data []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	at := time.Now().Add(l.lag())
	if n := len(l.queue); n > 0 && at.Before(l.queue[n-1].at) {
		at = l.queue[n-1].at
	}
	l.queue = append(l.queue, packet{at, data})
	l.closed = data == nil
	select {
	case l.more <- struct{}{}:
	default:
	}
	return true
}

func (l *lagging) Write(data []byte) (int, error) {
	if !l.put(append([]byte{}, data...)) {
		return 0, net.ErrClosed
	}
	return len(data), nil
}

// Close ends reading at once, as websocket closes with a lock held, and writing
// once nobody can be reading any more.
func (l *lagging) Close() error {
	l.put(nil)
	return errors.Join(l.SetReadDeadline(time.Unix(1, 0)), l.SetWriteDeadline(time.Now().Add(time.Second)))
}

func (l *lagging) deliver() {
	defer l.Conn.Close()
	for {
		l.mu.Lock()
		var next packet
		if len(l.queue) > 0 {
			next, l.queue = l.queue[0], l.queue[1:]
		}
		l.mu.Unlock()
		switch {
		case next.at.IsZero():
			<-l.more
			continue
		default:
			time.Sleep(time.Until(next.at))
		}
		if next.data == nil {
			return
		}
		if _, err := l.Conn.Write(next.data); err != nil {
			return
		}
	}
}

// step is something that a client tells, and what happens around it.
type step struct {
	fault string        // before
	pause time.Duration // after
}

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		rapid.SampledFrom([]string{
			"", "", "", "", `{"kind":"drop"}`, `{"kind":"drop","after":"400ms"}`, `{"kind":"drop","after":"1500ms"}`,
			`{"kind":"goaway","timeLeft":"3s"}`, `{"kind":"half-open","holds":"5s"}`, `{"kind":"stall","holds":"3s"}`,
			`{"kind":"close","code":1011,"reason":"Internal error encountered."}`,
		}).Draw(t, "fault"),
		time.Duration(rapid.IntRange(0, 4000).Draw(t, "pause")) * time.Millisecond,
	}
}), 1, 12)

// Whatever happens, the model is told everything once. The facts are what the
// emulator's model remembers of them in the end; messages are under way for up to
// 300 ms each way. Where handles come at any time, not only after turns, or news of
// turns gets lost, it may be told some twice, but no more than resumed called
// uncertain.
func TestNothingIsLostAndNothingDoubled(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		script, seed := steps.Draw(r, "steps"), rapid.Uint64().Draw(r, "seed of the lags")
		service := &emulator.Server{}
		vague := rapid.Bool().Draw(r, "handles at any time")
		if vague {
			service.Switches.UpdateEvery = 1200 * time.Millisecond
		}
		lines := uint64(0)
		slow := func(conn net.Conn) net.Conn {
			lines++
			lags := rand.New(rand.NewPCG(seed, lines))
			return lag(conn, func() time.Duration { return time.Duration(lags.Int64N(int64(300 * time.Millisecond))) })
		}
		var known string
		doubtful := 0
		conversation{emulator: service, lag: slow}.hold(t, func(k *talk) {
			k.say("remember start")
			for n, s := range script {
				vague = vague || strings.Contains(s.fault, "stall")
				if s.fault != "" {
					k.fault(s.fault)
				}
				k.send(fmt.Sprintf("remember f%d.", n))
				time.Sleep(s.pause)
			}
			time.Sleep(2 * time.Minute) // until all of it is over
			for len(k.turns) > 0 {
				<-k.turns
			}
			answer := k.say("what do you remember?")
			answer = answer[max(0, strings.LastIndex(answer, "I remember")):] // after what a stall left open
			known = strings.NewReplacer(",", " ", ".", " ").Replace(answer)
			for _, one := range k.resumed {
				doubtful += one.Uncertain
			}
		})
		doubled := 0
		for n := range script {
			switch times := strings.Count(known, fmt.Sprintf(" f%d ", n)); {
			case times == 0:
				r.Errorf("f%d is lost", n)
			default:
				doubled += times - 1
			}
		}
		if doubled > doubtful || doubled > 0 && !vague {
			r.Errorf("%d are doubled, %d were uncertain", doubled, doubtful)
		}
		if r.Failed() {
			r.Logf("the model says: %s", known)
		}
	})
}

// fault makes trouble on all sessions.
func (k *talk) fault(body string) {
	k.t.Helper()
	res, err := k.client.Post("http://emulator/__emulator/fault", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		k.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNotFound { // 404: between two connections
		k.t.Fatalf("fault: status %d", res.StatusCode)
	}
}
