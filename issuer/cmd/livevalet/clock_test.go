package main

import (
	"net/http"
	"testing"
)

func TestTokensAreGoodAfterTheClockHasMoved(t *testing.T) {
	for sentence, begin := range map[string]func(t *testing.T) (issuer, emulator running){
		"in dev": func(t *testing.T) (running, running) {
			r := start(t, nil, "dev", "--listen", ":0")
			return r, r
		},
		"across processes": func(t *testing.T) (running, running) {
			e := start(t, nil, "emulate", "--listen", ":0")
			return start(t, map[string]string{"GEMINI_API_KEY": "emulator-key"}, "dev", "--listen", ":0", "--base-url", e.url), e
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			issuer, emulator := begin(t)
			issuer.token(t).open(t)
			for range 3 {
				if status, _, text := emulator.call(t, http.MethodPost, "/__emulator/clock", `{"advance":"12m"}`); status != 200 {
					t.Fatalf("the clock says %d %s", status, text)
				}
				issuer.token(t).open(t)
			}
		})
	}
}
