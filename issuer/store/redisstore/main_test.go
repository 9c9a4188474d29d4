package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // of a Redis that is away it tells whom nobody asked
	goleak.VerifyTestMain(m)
}
