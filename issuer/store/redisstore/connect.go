package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// patience is how long one question to Redis may take, its wait for a
// connection included. Who asked for a token then hears that the store does not
// answer.
const patience = 2 * time.Second

// oldest is the first version whose scripts do what ours need: they are
// replicated by their effects, so that they may look at the clock.
const oldest = 7

// errURL says nothing of the URL: there is a password in it, and where it is
// misread that may be part of what looks like the host.
var errURL = errors.New("the URL cannot be read: write redis://user:password@host:6379/0, rediss:// for TLS, " +
	"or unix:///path/of/socket?db=0, and percent-encode what is special in the password")

// CheckURL says what is wrong with the form of a URL for [Open], and nothing of
// what is in it.
func CheckURL(address string) error {
	_, err := options(address)
	return err
}

// options reads where Redis is.
func options(address string) (*redis.Options, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errURL
	}
	// A # or ? in a password ends the host, and the rest must not get lost.
	if query := u.Query(); u.Fragment != "" || u.RawQuery != "" && (u.Scheme != "unix" || len(query) != 1 || !query.Has("db")) {
		return nil, errURL
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, errURL
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.ContextTimeoutEnabled = true
	// A decision whose answer was lost counts: to ask again would count it twice.
	o.MaxRetries, o.DialerRetries = -1, 1
	// What is not used needs no rights.
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// supported finds out whether the server is new enough.
func supported(ctx context.Context, client *redis.Client) error {
	about, err := info(ctx, client, "server")
	if err != nil {
		return err
	}
	version := about["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return fmt.Errorf("its version is %q: version %d or newer is needed", version, oldest)
	}
	return nil
}

// info asks for sections of what the server tells about itself.
func info(ctx context.Context, client *redis.Client, sections ...string) (map[string]string, error) {
	text, err := client.Info(ctx, sections...).Result()
	if err != nil {
		return nil, fmt.Errorf("ask about the server with INFO: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values, nil
}
