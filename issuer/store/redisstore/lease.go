package redisstore

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/livevalet/livevalet/issuer/store"
)

// A lease is a hash of these. Scripts change the first two; the rest is ours.
var leaseFields = []string{"version", "released", "body"}

// leaseBody is what no script looks at. Times are microseconds.
type leaseBody struct {
	// Bytes, of which a JSON string would not keep every one.
	Caller    []byte `json:"caller"`
	Profile   []byte `json:"profile"`
	Overrides []byte `json:"overrides,omitempty"`

	End        int64 `json:"end"`
	Expire     int64 `json:"expire"`
	RenewAfter int64 `json:"renewAfter"`
	Early      int   `json:"early"`
}

func body(l store.Lease) []byte {
	text, err := json.Marshal(leaseBody{
		Caller: []byte(l.Caller), Profile: []byte(l.Profile), Overrides: []byte(l.Overrides),
		End: l.End.UnixMicro(), Expire: l.Expire.UnixMicro(), RenewAfter: l.RenewAfter.UnixMicro(), Early: l.Early,
	})
	if err != nil {
		panic(err) // there is nothing that JSON cannot hold
	}
	return text
}

func readLease(id string, fields []any) (store.Lease, error) {
	if fields[0] == nil {
		return store.Lease{}, store.ErrNotFound
	}
	var b leaseBody
	version, _ := fields[0].(string)
	text, _ := fields[2].(string)
	n, bad := strconv.ParseInt(version, 10, 64)
	k, err := keyOf(id)
	if err := errors.Join(bad, err, json.Unmarshal([]byte(text), &b)); err != nil {
		return store.Lease{}, fmt.Errorf("redis: a lease is not as it was written: %w", err)
	}
	return store.Lease{
		Key: k, Version: n, Caller: string(b.Caller), Profile: string(b.Profile), Overrides: string(b.Overrides),
		End: moment(b.End), Expire: moment(b.Expire), RenewAfter: moment(b.RenewAfter),
		Early: b.Early, Released: fields[1] == "1",
	}, nil
}

func moment(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

// idOf names a lease or a handle in keys.
func idOf(k store.Key) string { return hex.EncodeToString(k[:]) }

func keyOf(id string) (k store.Key, err error) {
	if n, err := hex.Decode(k[:], []byte(id)); err != nil || n != len(k) {
		return k, fmt.Errorf("its key: %w", cmp.Or(err, hex.ErrLength))
	}
	return k, nil
}
