package redisstore

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/livevalet/livevalet/issuer/limit"
	"github.com/livevalet/livevalet/issuer/store"
)

var (
	//go:embed grant.lua
	grantText string
	//go:embed undo.lua
	undoText string
	//go:embed release.lua
	releaseText string
	//go:embed revoke.lua
	revokeText string

	grantScript   = redis.NewScript(grantText)
	undoScript    = redis.NewScript(undoText)
	releaseScript = redis.NewScript(releaseText)
	revokeScript  = redis.NewScript(revokeText)
)

// run runs a script that Redis knows by its hash, else sends it. Its first
// argument are its numbers, by their names.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, numbers any, args ...any) *redis.Cmd {
	text, err := json.Marshal(numbers)
	if err != nil {
		panic(err) // they are numbers
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return script.Run(ctx, s.client, keys, append([]any{text}, args...)...)
}

// none is the version of no lease.
const none = -1

// grantNumbers are those of grant.lua: times and durations in microseconds, how
// long keys are kept in milliseconds.
type grantNumbers struct {
	Clock int64 `json:"clock"` // by which rates are counted; 0: Redis's own
	Now   int64 `json:"now"`

	TurnedBack int64 `json:"turnedBack"` // see limit.TurnedBack

	Was      int64 `json:"was"` // the version that the lease must have, or none
	Version  int64 `json:"version"`
	Released int   `json:"released"`
	Expire   int64 `json:"expire"`
	Handle   bool  `json:"handle"`

	MaxHandles int `json:"maxHandles"` // of a lease

	Rates  []rateNumbers `json:"rates"` // not nil, which Lua reads as an object of its own
	Slots  int           `json:"slots"`
	Budget int64         `json:"budget"`
	Cost   int64         `json:"cost"`
	Ends   int64         `json:"ends"`

	KeepLease  int64 `json:"keepLease"`
	KeepHandle int64 `json:"keepHandle"`
	KeepSlot   int64 `json:"keepSlot"`
	KeepBudget int64 `json:"keepBudget"`
}

type rateNumbers struct {
	Interval int64 `json:"interval"`
	Window   int64 `json:"window"`
	Spare    int   `json:"spare"`
}

// undoNumbers are those of undo.lua.
type undoNumbers struct {
	Granted   int64 `json:"granted"`
	Undone    int64 `json:"undone"` // the lease's version then, or none
	Released  int   `json:"released"`
	Cost      int64 `json:"cost"`
	KeepLease int64 `json:"keepLease"`
}

// cost is rounded up: then never more is given than there is.
func cost(b store.Budget) int64 { return (b.Cost + time.Microsecond - 1).Microseconds() }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lifetime is for how long a key is kept that is of use until then. It is a
// minute at least: no decision hangs on the moment at which Redis drops one.
func lifetime(now, then time.Time) int64 { return max(then.Sub(now), time.Minute).Milliseconds() }

// standing reads what grant.lua answers.
func standing(answer []any, granted store.Lease) (store.Standing, error) {
	what, _ := answer[0].(string)
	var numbers []int64
	for _, v := range answer[1:] {
		n, _ := v.(int64)
		numbers = append(numbers, n)
	}
	duration := func(n int) time.Duration { return time.Duration(numbers[n]) * time.Microsecond }
	switch {
	case what == "granted" && len(numbers) >= 2:
		s := store.Standing{Lease: granted, Slots: int(numbers[0]), Time: duration(1)}
		for n := 2; n+1 < len(numbers); n += 2 {
			s.Rates = append(s.Rates, limit.Left{Remaining: int(numbers[n]), Reset: duration(n + 1)})
		}
		return s, nil
	case what == "limited" && len(numbers) == 3:
		return store.Standing{}, &store.Limited{Limit: store.Limit(numbers[0]), Rate: int(numbers[1]), Wait: duration(2)}
	}
	err, ok := map[string]error{
		"revoked": store.ErrRevoked, "not found": store.ErrNotFound, "conflict": store.ErrConflict, "handle": store.ErrHandle,
	}[what]
	if !ok {
		err = fmt.Errorf("redis: the script's answer %q is not one of its own", what)
	}
	return store.Standing{}, err
}
