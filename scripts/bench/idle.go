package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxIdleMemory is the target for one idle session, in bytes.
const maxIdleMemory = 64e3

// idle is sessions that are set up and then say nothing.
type idle struct{ sessions int }

// measure opens them and tells by how much the memory of the process has grown
// for each. Its tokens and journal are among that, and so is the garbage that
// opening left behind.
func (i idle) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("%d idle sessions", i.sessions)}
	if i.sessions == 0 {
		return t, nil
	}
	before, err := s.memory()
	if err != nil {
		return t, err
	}
	begin := time.Now()
	conns, err := s.openAll(ctx, i.sessions, `"model":"models/gemini-3.8-live","sessionResumption":{},"outputAudioTranscription":{}`)
	defer closeAll(conns)
	if err != nil {
		return t, err
	}
	opened := time.Since(begin)
	after, err := s.memory()
	if err != nil {
		return t, err
	}
	// All of them must be there still, or the figure means nothing.
	group, pinging := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, conn := range conns {
		group.Go(func() error {
			conn.CloseRead(pinging)
			return conn.Ping(pinging)
		})
	}
	if err := group.Wait(); err != nil {
		return t, fmt.Errorf("an idle session is gone: %w", err)
	}
	each := float64(after-before) / float64(i.sessions)
	t.rows = []row{
		{"memory of the process, for each", fmt.Sprintf("%.1f kB", each/1000), fmt.Sprintf("<= %.0f kB", maxIdleMemory/1000), each > maxIdleMemory},
		{"in all, before and after", fmt.Sprintf("%.1f MB, %.1f MB", float64(before)/1e6, float64(after)/1e6), "", false},
		{"opened", fmt.Sprintf("%.0f/s", float64(i.sessions)/opened.Seconds()), "", false},
	}
	return t, nil
}
