package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections lead to an endpoint, each for one request at a time. They are fewer
// goroutines and less work than those of an http.Client: what the driver needs of
// the cores, the endpoint does not get. Its methods may be called from anywhere.
type connections struct {
	address string // host:port
	path    string

	mu   sync.Mutex
	idle []*connection // the one that was used last at the end
}

type connection struct {
	net.Conn
	in   *bufio.Reader
	used time.Time
}

const (
	// maxIdle is less than what the endpoints wait before they close (Node: 5 s).
	maxIdle = 2 * time.Second

	maxAnswerTime = 10 * time.Second
)

// askToken gets a token as a caller's server does.
func (c *connections) askToken(ctx context.Context) error {
	conn, err := c.take(ctx)
	if err != nil {
		return fmt.Errorf("ask for a token: %w", err)
	}
	if err := conn.ask(c.address, c.path); err != nil {
		conn.Close()
		return fmt.Errorf("ask for a token: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.used = time.Now()
	c.idle = append(c.idle, conn)
	return nil
}

// take gives a connection that is idle, or a new one.
func (c *connections) take(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	if last := len(c.idle) - 1; last >= 0 && time.Since(c.idle[last].used) < maxIdle {
		conn := c.idle[last]
		c.idle = c.idle[:last]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, in: bufio.NewReader(conn)}, nil
}

func (c *connection) ask(host, path string) error {
	if err := c.SetDeadline(time.Now().Add(maxAnswerTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", path, host, callerKey(rand.IntN(callers))); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"token":"auth_tokens/`)) {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.idle {
		conn.Close()
	}
	c.idle = nil
}
