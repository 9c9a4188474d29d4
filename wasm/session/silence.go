package session

import (
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	// patience is how long the model may be silent where it owes an answer. It
	// usually begins within one or two seconds.
	patience = 8 * time.Second
	// minSpeech is how much sound must have been heard to be something to answer.
	minSpeech = 300 * time.Millisecond
)

// silence notices that the model does not answer: that nothing comes for too
// long, or a turn in which there is nothing. Only the session's goroutine touches
// it.
type silence struct {
	tell func(Event)

	asked time.Time     // since when an answer is owed to a question; zero: it is not
	heard time.Time     // when the user was heard last
	sound time.Duration // for how long the user was heard since the model's last turn
	told  time.Time     // since when it stalls, as was told; zero: it does not

	// Of the turn that is running.
	running     bool
	into        bool // a question was put into it, which another turn answers
	interrupted bool
	something   bool // it is not empty
}

// sent follows input that a socket took. manual: the application marks speech, so
// that its sound alone asks nothing.
func (s *silence) sent(in live.Input, manual bool, now time.Time) {
	switch {
	case in.Asks && s.running:
		s.into = true
	case in.Asks && s.asked.IsZero(), len(in.Answers) > 0 && (s.running || !s.asked.IsZero()):
		s.asked = now
	}
	if in.Audio > 0 && !in.Quiet && !manual {
		s.heard = now
		s.sound += in.Audio
	}
}

// received follows a server message.
func (s *silence) received(m live.Message, manual bool, now time.Time) {
	if m.Heard != "" && !manual {
		s.heard, s.sound = now, max(s.sound, minSpeech)
	}
	begins := m.Content || len(m.Calls) > 0
	if begins && !s.running {
		s.running, s.sound = true, 0
		s.interrupted = false // that came late, for the turn before
	}
	if begins || m.Waits || m.TurnComplete {
		s.asked = time.Time{}
		if !s.told.IsZero() {
			s.tell(Stalled{Ended: true, For: now.Sub(s.told)})
			s.told = time.Time{}
		}
	}
	if m.Waits {
		s.sound = 0
	}
	s.interrupted = s.interrupted || m.Interrupted
	s.something = s.something || m.Output || len(m.Calls) > 0 || m.Waits || m.Interrupted
	if !m.TurnComplete {
		return
	}
	if !s.something {
		s.tell(EmptyTurn{m.TurnReason})
	}
	if s.into {
		s.asked = now
	}
	if !s.interrupted {
		s.sound = 0 // what interrupts is answered by another turn
	}
	s.running, s.into, s.interrupted, s.something = false, false, false, false
}

// watch tells if the model has been silent for too long, and says when to look
// again. It has time while a function call waits for its answer. stalls: it was
// asked; sound may have been no speech.
func (s *silence) watch(owed bool, now time.Time) (stalls bool, again time.Time) {
	since := s.asked
	if since.IsZero() && !s.running && s.sound >= minSpeech {
		since = s.heard
	}
	if since.IsZero() || owed || !s.told.IsZero() {
		return false, time.Time{}
	}
	if due := since.Add(patience); now.Before(due) {
		return false, due
	}
	s.told = since
	s.tell(Stalled{For: now.Sub(since)})
	return !s.asked.IsZero(), time.Time{}
}

// cut takes the end of a connection. What it left unanswered is sent again, so
// that the wait for it begins again.
func (s *silence) cut() { *s = silence{tell: s.tell, told: s.told} }
