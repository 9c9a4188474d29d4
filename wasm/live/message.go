package live

import "time"

// Payload is a message body in the form native to the build: a js.Value in the
// browser, a decoded JSON tree (map[string]any) elsewhere. Only an edge looks
// inside; everything else passes it on.
type Payload any

// Message is one server message: the fields that steer a session, and the body
// for the application. A body never holds a resumption handle.
type Message struct {
	SetupComplete bool

	// GoAway is the announced end of the connection, TimeLeft from now.
	GoAway   bool
	TimeLeft time.Duration

	// Handle resumes the session as it is now. It is set only by a resumable
	// update; any other update leaves the handle before it good, with what
	// happened since then missing.
	Handle Secret

	Content            bool // serverContent of the model's turn arrived
	Output             bool // and not its thoughts alone: sound, text or a transcript
	Interrupted        bool
	GenerationComplete bool
	TurnComplete       bool
	TurnReason         string // why the turn ended, if that was unusual
	Waits              bool   // the model says that it is silent because it waits for more input, or thinks on

	// Fragments of what was said. Thoughts are not said.
	Heard   string // the transcript of the user's speech; comes in no order with the model's turn
	Said    string // the transcript of the model's speech
	Written string // the model's text

	UserSpeaks bool // the service notices that the user begins to speak; newer models tell

	Usage Usage // zero: the message tells none

	Calls     []Call   // that want an answer
	Cancelled []string // ids of function calls that were withdrawn

	Body Payload
}

// Usage counts tokens, as the service reports them.
type Usage struct {
	Prompt, Cached, Response, ToolUse, Thoughts, Total int
}

// Line is what one side said, as text.
type Line struct {
	Model bool // said by the model, not by the user
	Text  string
}

// Call is one function call of the model's.
type Call struct {
	ID, Name string
	Args     string // JSON, the same for equal arguments
}

// Answer is a response to one call.
type Answer struct {
	ID   string
	More bool // another follows (willContinue)
}

// Setup is the first client message of a connection.
type Setup struct {
	Model  string  // "models/…"
	Handle Secret  // the zero Secret starts a new session
	Seeded bool    // the first clientContent, to its turnComplete, is the history of the new session
	Body   Payload // BidiGenerateContentSetup; model, sessionResumption and historyConfig are as said above, whatever it holds
}

// Update is a change of the setup.
type Update struct {
	Fields []string // the top-level fields in Body
	Body   Payload  // BidiGenerateContentSetup with these fields alone
}

// Input is one client message after setup.
type Input struct {
	// Asks is set when the model answers this input with a turn.
	Asks bool
	// Content is set for clientContent, which not every model takes at any time.
	Content bool
	// Aside is set for text that asks nothing, where the model takes such text only
	// in front of a question.
	Aside bool
	// Stream is set for sound and pictures, of which more follows all the time.
	Stream bool
	// Audio is the length of the sound in this message, 0 for any other input.
	// Only such input may be evicted when a queue is full.
	Audio time.Duration
	// ActivityStart and ActivityEnd are set for the marks around speech.
	ActivityStart, ActivityEnd bool
	// StreamEnd is set for audioStreamEnd, which says nothing by itself.
	StreamEnd bool
	// Level is the root mean square of the samples of sound, of which full scale
	// has 32768; 0: unknown.
	Level float64
	// Quiet is set for sound in which nobody can be heard, whatever its level.
	Quiet bool
	// Answers are the responses to function calls in this message.
	Answers []Answer
	// Rerun is set when they must not serve a call that is made again after a cut.
	Rerun bool
	// Lines are what is typed in this message.
	Lines []Line

	Body Payload
}

// Replayable reports whether another connection of the session needs the message,
// too. A picture is out of date by then, and the answer to a call belongs to the
// call.
func (in Input) Replayable() bool { return len(in.Answers) == 0 && (!in.Stream || in.Audio > 0) }
