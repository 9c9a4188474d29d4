package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// A service that loses all its connections at once must not get them all back at
// once, over and over: the first resume is immediate, what follows spreads.
func TestACrowdThatIsCutDoesNotComeBackAsOne(t *testing.T) {
	const crowd, parts = 50, 4
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var attempts [crowd][]time.Time
		var sockets [crowd]*pipe
		var members sync.WaitGroup
		defer members.Wait()
		for i := range crowd {
			sockets[i] = newPipe()
			sockets[i].messages <- live.Message{SetupComplete: true}
			dial := func(ctx context.Context, _ live.Token) (Conn, error) {
				mu.Lock()
				attempts[i] = append(attempts[i], time.Now())
				n := len(attempts[i])
				mu.Unlock()
				switch n {
				case 1:
					return sockets[i], nil
				case 2:
					return nil, &live.CloseError{Code: live.CloseAbnormal}
				}
				<-ctx.Done() // until the session is closed, or tries again
				return nil, context.Cause(ctx)
			}
			s := New(Config{
				Editor: textEditor{}, Dial: dial, Emit: func(Event) {},
				Source: func(context.Context, live.Need) (live.Token, error) { return token(i), nil },
			})
			members.Go(func() { _ = s.Run(t.Context()) })
			defer s.Close()
		}
		time.Sleep(2 * steady)
		for _, p := range sockets {
			p.messages <- live.Message{Handle: live.NewSecret("h")}
		}
		synctest.Wait()
		cut := time.Now()
		for _, p := range sockets {
			p.finish(live.CloseAbnormal, "")
		}
		time.Sleep(2 * firstDelay)
		mu.Lock()
		defer mu.Unlock()
		var in [parts]int
		for i, at := range attempts {
			if len(at) != 3 || !at[1].Equal(cut) {
				t.Fatalf("session %d was cut at %v and dialled at %v", i, cut, at)
			}
			later := at[2].Sub(cut)
			if later >= firstDelay {
				t.Fatalf("session %d waited for %v before its second try", i, later)
			}
			in[later*parts/firstDelay]++
		}
		for part, n := range in {
			if n == 0 { // by chance once in 500,000 times
				t.Errorf("nobody of %d comes back in part %d of %v: %v", crowd, part+1, firstDelay, in)
			}
		}
	})
}
