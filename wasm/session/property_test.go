//go:build !js

package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// Whatever happens, the model is told everything once. The facts are what the
// emulator's model remembers of them in the end; messages are under way for up to
// 300 ms each way.
func TestNothingIsLostAndNothingDoubled(t *testing.T) {
	const facts = 24 // as many as the model lists in one answer
	for _, c := range []struct {
		handles string
		server  func() *emulator.Server
		doubled bool // as many as were uncertain
	}{
		{"after turns", func() *emulator.Server { return &emulator.Server{} }, false},
		{"every 1.2 s", func() *emulator.Server {
			return &emulator.Server{Switches: emulator.Switches{UpdateEvery: 1200 * time.Millisecond}}
		}, true},
	} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("handles %s, seed %d", c.handles, seed), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				var story []string
				talking := func(k *talk) {
					k.say("remember start")
					for n := range facts {
						fault := trouble(random)
						if fault != "" {
							k.fault(fault)
						}
						text := fmt.Sprintf("remember f%d.", n)
						pause := time.Duration(random.Int64N(int64(4 * time.Second)))
						story = append(story, fmt.Sprintf("%s, then %s, then %v", fault, text, pause))
						k.send(text)
						time.Sleep(pause)
					}
					time.Sleep(2 * time.Minute)
					for len(k.turns) > 0 {
						<-k.turns
					}
					list := k.say("what do you remember?")
					k.mu.Lock()
					defer k.mu.Unlock()
					uncertain := 0
					for _, r := range k.resumed {
						uncertain += r.Uncertain
					}
					doubled := 0
					for n := range facts {
						switch times := strings.Count(list+".", fmt.Sprintf("that f%d", n)+",") + strings.Count(list+".", fmt.Sprintf("that f%d", n)+"."); {
						case times == 0:
							t.Errorf("f%d is lost", n)
						default:
							doubled += times - 1
						}
					}
					if doubled > uncertain || doubled > 0 && !c.doubled {
						t.Errorf("%d messages are doubled, %d were uncertain", doubled, uncertain)
					}
					if t.Failed() {
						t.Logf("the model says: %s\n%s", list, strings.Join(story, "\n"))
					}
				}
				conversation{emulator: c.server(), lag: func(conn net.Conn) net.Conn {
					lags := rand.New(rand.NewPCG(seed, random.Uint64()))
					return lag(conn, func() time.Duration { return time.Duration(lags.Int64N(int64(300 * time.Millisecond))) })
				}}.hold(t, talking)
			})
		}
	}
}

// trouble is a fault, or none.
func trouble(random *rand.Rand) string {
	return slices.Concat(make([]string, 4), []string{
		`{"kind":"drop"}`, `{"kind":"goaway","timeLeft":"3s"}`, `{"kind":"close","code":1011,"reason":"Internal error encountered."}`,
		`{"kind":"half-open","holds":"5s"}`, `{"kind":"drop","after":"400ms"}`, `{"kind":"drop","after":"1500ms"}`,
	})[random.IntN(10)]
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
