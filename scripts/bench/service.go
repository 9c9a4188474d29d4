package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// parallel is how many sessions are opened at once.
const parallel = 16

// service is what is measured.
type service struct {
	url    string // http://…
	client *http.Client
	memory func() (int64, error) // bytes that it has now
}

const (
	socketPath = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"
	tokenParam = "access_token"
)

// open mints a token and gives a session that is live with it, as a page would.
func (s *service) open(ctx context.Context, setup string) (*websocket.Conn, error) {
	token, err := s.mint(ctx)
	if err != nil {
		return nil, err
	}
	conn, _, err := websocket.Dial(ctx, s.url+socketPath+"?"+tokenParam+"="+token, &websocket.DialOptions{HTTPClient: s.client})
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	conn.SetReadLimit(1 << 20)
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"setup":{`+setup+`}}`)); err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("send the setup: %w", err)
	}
	_, answer, err := conn.Read(ctx)
	if err == nil && !bytes.Contains(answer, []byte("setupComplete")) {
		err = fmt.Errorf("got %.100q", answer)
	}
	if err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("wait for setupComplete: %w", err)
	}
	return conn, nil
}

func (s *service) mint(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1alpha/auth_tokens", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("x-goog-api-key", "emulator-bench")
	answer, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("mint: %w", err)
	}
	defer answer.Body.Close()
	var token struct{ Name string }
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.Name == "" {
		return "", fmt.Errorf("mint: status %d", answer.StatusCode)
	}
	return token.Name, nil
}

// openAll opens n sessions. The caller closes them, also those that come with
// an error.
func (s *service) openAll(ctx context.Context, n int, setup string) ([]*websocket.Conn, error) {
	conns := make([]*websocket.Conn, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range conns {
		group.Go(func() (err error) {
			conns[i], err = s.open(ctx, setup)
			return err
		})
	}
	return conns, group.Wait()
}

func closeAll(conns []*websocket.Conn) {
	for _, conn := range conns {
		if conn != nil {
			conn.CloseNow()
		}
	}
}

// residentMemory is the RSS of a process in bytes.
func residentMemory(pid int) (int64, error) {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		var size, resident int64
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		return resident * int64(os.Getpagesize()), nil
	}
	text, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ask ps for the memory of process %d: %w", pid, err)
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return kilobytes << 10, err
}
