package redisstore

import (
	"context"
	"errors"
	"fmt"
)

// Durable says whether Redis, as it is set up now, can forget what it was told:
// whom access was taken from, and what was granted. A warning names what only a
// failure of the machine can lose; an error everything else, and also that Redis
// does not let us see.
func (s *Store) Durable(ctx context.Context) (warning string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	about, err := info(ctx, s.client, "memory", "persistence")
	if err != nil {
		return "", fmt.Errorf("%w: whether it keeps what it is told cannot be seen. Let its user do +info", err)
	}
	if about["aof_enabled"] != "1" {
		return "", errors.New("it forgets who was revoked when it is restarted: set appendonly yes")
	}
	if policy := about["maxmemory_policy"]; policy != "noeviction" && about["maxmemory"] != "0" {
		return "", fmt.Errorf("it forgets who was revoked when its memory is full, as its maxmemory-policy is %q: set noeviction", policy)
	}
	// INFO does not tell how often it writes through to the disk.
	set, err := s.client.ConfigGet(ctx, "appendfsync").Result()
	if err != nil {
		return "whether a power cut makes it forget its last seconds cannot be seen, as CONFIG GET is not allowed to us: " + err.Error(), nil
	}
	switch fsync := set["appendfsync"]; fsync {
	case "always":
		return "", nil
	case "everysec":
		return "a power cut makes it forget its last second: set appendfsync always if no revocation may be lost", nil
	default:
		return "", fmt.Errorf("a power cut makes it forget what it was told last, as its appendfsync is %q: set always, or everysec", fsync)
	}
}
