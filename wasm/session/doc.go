// Package session keeps one conversation with the Live service alive over as
// many connections and tokens as it takes. It is pure Go: no sockets, no JSON,
// no JavaScript. What it needs of the world it gets as functions (see [Config]).
//
// In the browser package wasm joins it with the page. A Go program joins it with
// package edge by itself, as the examples do.
//
// One goroutine, the caller's in [Session.Run], owns everything; where the
// program is, is the state:
//
//	Run ── attempt ── token ── dial ── setup ── pump ──┐
//	 ↑                                                 │ end
//	 └───── back-off ◂── classify(end) ◂───────────────┘
//
// Invariants:
//
//   - One connection at a time: the old socket is closed, or given up after
//     [closeWait], before the next is dialled. The service refuses to resume a
//     session whose socket is still open (observed).
//   - Nothing but setup is sent before setupComplete; input given earlier waits
//     in order.
//   - A reader belongs to its attempt and ends with it, so late news from a dead
//     socket reaches nobody.
//   - Only a resumable update replaces the handle; a dead handle is dropped.
//   - Tokens are asked for one at a time: when a connection needs one, or ahead
//     of the present one's end.
//   - A panic on any goroutine is that goroutine's error, and the session's end.
//   - Every wait has a limit, and ends early when the session is closed.
package session
