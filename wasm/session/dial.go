package session

import (
	"context"

	"github.com/livevalet/livevalet/wasm/live"
)

// Dialing makes a [Config.Dial] of a function that gives connections of its own
// type, as those of edge do. By hand one easily gives a nil pointer that is not a
// nil Conn.
func Dialing[C Conn](dial func(context.Context, live.Token) (C, error)) func(context.Context, live.Token) (Conn, error) {
	return func(ctx context.Context, t live.Token) (Conn, error) {
		conn, err := dial(ctx, t)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}
