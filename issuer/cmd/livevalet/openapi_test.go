package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/openapitest"
)

func TestHealthIsToldAsDocumented(t *testing.T) {
	for _, e := range openapitest.Read(t, "../../../docs/openapi.yaml").Exchanges("health") {
		t.Run(e.String(), func(t *testing.T) {
			guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: issuer.Loopback()})
			if err != nil {
				t.Fatal(err)
			}
			s := &routes{log: slog.New(slog.DiscardHandler), guard: guard, upstream: "emulator"}
			r := httptest.NewRequest(e.Method, "http://localhost"+e.Path, nil)
			switch e.Name {
			case openapitest.Usual:
			case "stopping":
				s.stopping.Store(true)
			case "unready", "for_some":
				fails := func(context.Context) error { return errors.New("no route") }
				s.readiness = &readiness{log: s.log, needs: []need{{name: "store", check: fails, some: e.Name == "for_some"}}}
			case "host_not_allowed":
				r.Host = "evil.example"
			default:
				t.Fatal("no way is known to such an answer: add it")
			}
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, r)
			e.Check(t, w.Result(), w.Body.Bytes())
		})
	}
}
