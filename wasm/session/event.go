package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// State is what the host sees of a session.
type State string

const (
	StateConnecting State = "connecting"
	StateLive       State = "live"
	StateWaiting    State = "waiting" // for the next attempt
	StateClosed     State = "closed"
)

// Cause says why a state was entered.
type Cause string

const (
	CauseStart   Cause = "start"
	CauseGoAway  Cause = "goaway"  // the service announced the end of the connection
	CauseCut     Cause = "cut"     // the socket ended without an announcement
	CauseToken   Cause = "token"   // the service refused the token
	CauseRenew   Cause = "renew"   // the token was about to expire
	CauseUpdate  Cause = "update"  // the application changed the setup
	CauseDoubt   Cause = "doubt"   // the line may have been dead
	CauseRestart Cause = "restart" // the handle was dead, or there was none
	CauseRetry   Cause = "retry"   // an attempt failed
	CauseClosed  Cause = "closed"  // the application closed the session
	CauseFailed  Cause = "failed"  // see the error of Closed
)

// Event is news for the host: one of the types below.
type Event interface{ event() }

type (
	// Status is a change of state.
	Status struct {
		State   State
		Cause   Cause
		RetryIn time.Duration // with StateWaiting: until the next attempt
	}
	// Received is a server message.
	Received struct{ Message live.Message }
	// GoAway is the announced end of the connection.
	GoAway struct{ TimeLeft time.Duration }
	// TokenNews tells that a token was received, or opened a connection.
	TokenNews struct {
		Opened    bool
		Token     live.Token
		ExpiresIn time.Duration // from now; negative when it has passed
		RenewIn   time.Duration // from now
		LeaseFor  time.Duration // from now until the issuer renews no more; 0: nobody said
	}
	// Resumed is the receipt of a recovery.
	Resumed struct {
		Rung      Rung
		Restored  Restored
		Gap       time.Duration // from when the old socket was closed, or given up, to setupComplete
		LostAudio time.Duration // evicted meanwhile, or before and not known to have been taken in
		Replayed  int           // messages sent again
		Uncertain int           // of them, those that the service may have taken in before
		Cause     Cause
	}
	// ToolCall is the begin or the end of a function call. Each call ends once.
	ToolCall struct {
		ID, Name string
		State    CallState
		Repeated bool // made again after a resume, with what the application answered or will answer to the first
	}
	// Dropped is sound that gave way to newer sound before it could be sent.
	Dropped struct{ Audio time.Duration }
	// Utterance is what one speaker says in one turn, all of it so far. It is final
	// once.
	Utterance struct {
		ID          string // the same until it is final
		Who         Speaker
		Text        string
		Final       bool
		Typed       bool   // not spoken: the application sent it as text
		Cut         bool   // the connection, or the conversation, ended within it
		Interrupted bool   // by the user
		Regenerates string // the ID of an earlier one that is said again after a cut, and which this one replaces
	}
	// Usage is what one message reports, and the sums of all reports.
	Usage struct{ Reported, Connection, Conversation live.Usage }
	// EmptyTurn is a turn of the model's in which it said and called nothing,
	// although nobody interrupted it.
	EmptyTurn struct {
		Reason string // the service's, if it gave one
	}
	// Stalled tells that the model owes an answer and is silent for too long, and
	// that it is not any more.
	Stalled struct {
		Ended bool
		For   time.Duration // since the question, or the end of speech
	}
	// SessionCap tells ahead that the service will end the session, connections or
	// not, because its context is not compressed.
	SessionCap struct {
		Left     time.Duration
		Pictures bool // which make it end sooner
	}
	// Idle tells, once a second, that the session is about to hang up because
	// nothing happens; and that it is not any more.
	Idle struct {
		Left  time.Duration
		Ended bool
	}
	// Crashed tells of a panic, which is the end: Closed follows.
	Crashed struct{ Panic *live.Panic }
	// Closed is the last event. Err is nil when the application closed the session.
	Closed struct{ Err *Error }
)

// Speaker is a side of the conversation.
type Speaker string

const (
	SpeakerUser  Speaker = "user"
	SpeakerModel Speaker = "model"
)

// Restored is what the model remembers after a recovery.
type Restored string

const (
	RestoredFull       Restored = "full"
	RestoredTranscript Restored = "transcript" // it was told again, as text
	RestoredNone       Restored = "none"
)

// CallState is how far a function call is.
type CallState string

const (
	CallMade      CallState = "called"
	CallAnswered  CallState = "answered"  // a socket took the last response
	CallCancelled CallState = "cancelled" // by the service
	CallOrphaned  CallState = "orphaned"  // the service forgot it over a cut and did not make it again
)

// Rung is the step of the recovery ladder that held.
type Rung string

const (
	RungHandle  Rung = "handle"  // same token, same session
	RungToken   Rung = "token"   // new token, same session
	RungRestart Rung = "restart" // new session: the service has forgotten
)

func (Status) event()     {}
func (Received) event()   {}
func (GoAway) event()     {}
func (TokenNews) event()  {}
func (Resumed) event()    {}
func (ToolCall) event()   {}
func (Dropped) event()    {}
func (Utterance) event()  {}
func (Usage) event()      {}
func (EmptyTurn) event()  {}
func (Stalled) event()    {}
func (SessionCap) event() {}
func (Idle) event()       {}
func (Crashed) event()    {}
func (Closed) event()     {}
