package emulator

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// rudeness makes trouble at random: some mints fail, and connections are
// disturbed and cut early. The same seed makes the same trouble for the nth mint
// and the nth connection.
type rudeness struct {
	mu     sync.Mutex
	mints  *rand.Rand
	opened uint64
	seed   uint64
}

func newRudeness(seed uint64) *rudeness {
	return &rudeness{mints: rand.New(rand.NewPCG(seed, 0)), seed: seed}
}

// mint is the status that the next mint fails with, 0 for none.
// One in ten does.
func (r *rudeness) mint() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mints.IntN(10) > 0 {
		return 0
	}
	return http.StatusServiceUnavailable
}

// next is the randomness of the next connection.
func (r *rudeness) next() *rand.Rand {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	return rand.New(rand.NewPCG(r.seed, r.opened))
}

// nuisances disturb and leave the connection as it is. None lets a well-behaved
// client lose anything.
var nuisances = []fault{
	{Kind: "empty"}, {Kind: "unknown-field"}, {Kind: "phantom-interrupt"},
	{Kind: "slow", Latency: duration(50 * time.Millisecond), Jitter: duration(200 * time.Millisecond)},
	{Kind: "burst", Holds: duration(time.Second)},
}

// partings end the connection.
var partings = []fault{
	{Kind: "goaway", TimeLeft: duration(10 * time.Second)},
	{Kind: "drop"},
	{Kind: "close", Code: 1000},
	{Kind: "close", Code: 1001},
	{Kind: "close", Code: 1011, Reason: "Internal error encountered."},
	{Kind: "half-open", Holds: duration(5 * time.Second)},
}

// beRude puts the trouble of a connection on its agenda: up to four nuisances in
// its first minute, and for two in three an end in its second to fifth minute.
func (c *conversation) beRude(random *rand.Rand) {
	order := func(f fault, from, span time.Duration) {
		f.After = duration(from + time.Duration(random.Int64N(int64(span))))
		c.suffer(f)
	}
	for range random.IntN(5) {
		order(nuisances[random.IntN(len(nuisances))], 0, time.Minute)
	}
	if random.IntN(3) > 0 {
		order(partings[random.IntN(len(partings))], time.Minute, 4*time.Minute)
	}
}

// random is the same for the same seed, session and purpose.
func (c *conversation) random(purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose + c.sessionID()))
	return rand.New(rand.NewPCG(c.world.options.Seed, h.Sum64()))
}
