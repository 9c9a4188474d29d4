package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/redistest"
)

func TestServeRefusesARedisThatForgets(t *testing.T) {
	redis := redistest.Start(t, "appendonly no", "requirepass CANARY")
	config := write(t, "listen: 127.0.0.1:0\nhosts: [localhost]\nstore: "+strings.Replace(redis.URL(), "//", "//:CANARY@", 1))
	env := map[string]string{"GEMINI_API_KEY": "emulator"}
	args := []string{"serve", "--anonymous-anyone-can-spend-your-quota", "--base-url", "http://127.0.0.1:1", "--config", config}
	refused := func() string {
		t.Helper()
		var stdout, log output
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := run(ctx, args, environ(env), nil, &stdout, &log)
		if err == nil || stdout.String() != "" || strings.Contains(err.Error()+log.String(), "CANARY") {
			t.Fatalf("it serves, or tells a secret: %v\n%s%s", err, &stdout, &log)
		}
		return err.Error()
	}
	if said := refused(); !strings.Contains(said, "set appendonly yes, or accept it with --volatile-store") {
		t.Errorf("of one without a log it says %s", said)
	}
	redis.Kill()
	if said := refused(); !strings.Contains(said, "store: redis: ") || !strings.Contains(said, "connect") {
		t.Errorf("of one that is not there it says %s", said)
	}
	redis.Restart()
	r := start(t, env, append(args, "--volatile-store")...)
	if log := r.log.String(); !strings.Contains(log, "may forget who was revoked") || strings.Contains(log, "CANARY") {
		t.Errorf("accepted, it logs %s", log)
	}
}
