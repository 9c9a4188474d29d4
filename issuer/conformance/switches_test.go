package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
)

// Each of the emulator's switches is seen by the checks that are said to tell.
func TestEverySwitchIsSeen(t *testing.T) {
	t.Parallel()
	const life = 2 * time.Second
	switched := []struct {
		id     string
		server *emulator.Server
	}{
		{"U1", &emulator.Server{Switches: emulator.Switches{GateResumption: true}}},
		{"U2", &emulator.Server{Switches: emulator.Switches{HonourHandle: true}}},
		{"U3", &emulator.Server{Switches: emulator.Switches{StrictMask: true}}},
		{"U4", &emulator.Server{Switches: emulator.Switches{MergeParents: true}}},
		{"U5", &emulator.Server{Switches: emulator.Switches{UnknownToken: emulator.CloseFrame{Code: 1008, Reason: "who?"}}}},
		{"U6", &emulator.Server{Switches: emulator.Switches{JudgeOnOpen: true}}},
		{"U7", &emulator.Server{Switches: emulator.Switches{SpendOnOpen: true}}},
		{"U8", &emulator.Server{Switches: emulator.Switches{MintEchoes: true}}},
		{"U9", &emulator.Server{Switches: emulator.Switches{UnaskedUpdates: true}}},
		{"U9", &emulator.Server{Switches: emulator.Switches{UpdateEvery: 300 * time.Millisecond}}},
		{"U10", &emulator.Server{ConnectionLifetime: life, GoAwayLead: -1}},
		{"U10", &emulator.Server{FinalClose: emulator.CloseFrame{Code: 1000}}},
		{"U11", &emulator.Server{Switches: emulator.Switches{KeyOnConstrained: true}}},
		{"U12", &emulator.Server{Switches: emulator.Switches{AcceptLockedUpdate: true}}},
		{"U13", &emulator.Server{Switches: emulator.Switches{DefaultText: true}}},
		{"U14", &emulator.Server{HandleLifetime: 24 * time.Hour}},
		{"U15", &emulator.Server{Switches: emulator.Switches{AcceptPastTimes: true}}},
		{"U16", &emulator.Server{Switches: emulator.Switches{IgnoreLockedHistory: true}}},
		{"U17", &emulator.Server{Switches: emulator.Switches{UnknownHandle: emulator.HandleInvalid}}},
	}
	results := make([]chan []Result, len(switched))
	for i := range switched {
		results[i] = make(chan []Result, 1)
		target := start(t, switched[i].server)
		if switched[i].server.ConnectionLifetime != 0 {
			target.Connection = life
		}
		about := Questions()[slices.IndexFunc(Questions(), func(q Question) bool { return q.ID == switched[i].id })]
		go func() { results[i] <- slices.Collect(Check(t.Context(), target, only(about.Facts...))) }()
	}
	for i, s := range switched {
		for _, a := range Answers(<-results[i]) {
			if a.Differs() != (a.ID == s.id) {
				t.Errorf("with the switch of %s, %s is answered with %q", s.id, a.ID, a.Answer)
			}
		}
	}
}
