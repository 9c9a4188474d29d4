package session

import (
	"slices"
	"sync"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	maxWaiting = 1024             // messages that are neither sound nor pictures and that no socket took
	maxKept    = 4096             // those that one took
	ringLength = 10 * time.Second // sound

	// onTheWay is how long a message may take to arrive, on a line that is slow or
	// stands still. What was sent less than this before a turn began may have
	// arrived after it had, and is rather told twice than lost.
	onTheWay = 3 * time.Second
)

// outbox holds what the application said, in the order it was said, until the
// service is known to keep it: what no socket took yet, and what one took that
// the newest handle is not known to contain. After a resume the latter is sent
// again. Sound is kept up to the ring's length, the oldest giving way, and of the
// pictures that wait only the newest; nothing else is ever evicted. Any goroutine
// may push; the rest is the session's.
type outbox struct {
	ready chan struct{} // holds a value when there may be something to send

	mu       sync.Mutex
	items    []*item       // guarded by mu: in order; those that a socket took come first
	next     int           // guarded by mu: index of the first that no socket took
	reliable int           // guarded by mu: items that are not sound
	audio    time.Duration // guarded by mu: sound in items
	dropped  time.Duration // guarded by mu: sound evicted before a socket took it, since the last takeDropped
	faded    *item         // guarded by mu: stands for all sound evicted after a socket took it; nil: none
	closed   bool          // guarded by mu
}

// item is input on its way. settle is called once, with nil when an open socket
// took it.
type item struct {
	input  live.Input
	update *live.Update // nil, or what there is in place of input
	settle func(error)

	// The rest describes the last time that a socket took it.
	sent     time.Time
	turn     int  // turns that had begun by then
	owed     bool // the turn that begins next may not answer it, but tell what a function returned
	answered bool // a turn that began later is over, so that a handle given from now on contains it
	doubtful bool // a handle was given since, which may contain it
	again    bool // it was sent on an earlier connection, too
	held     bool // it waits for a question that takes it along
	seed     bool // it tells what was said before the session: another new one is told anew
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

// push adds input, or says at once why it cannot be sent.
func (o *outbox) push(in live.Input, settle func(error)) error {
	return o.add(&item{input: in, settle: settle})
}

// add adds an item.
func (o *outbox) add(it *item) error {
	evicted, err := o.append(it)
	for _, old := range evicted {
		old.settled(ErrDropped)
	}
	if err == nil {
		signal(o.ready)
	}
	return err
}

func (o *outbox) append(it *item) (evicted []*item, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return nil, ErrClosed
	case it.input.Stream && it.input.Audio == 0:
		evicted = o.forgetPicture()
	case it.input.Audio == 0 && (o.waiting() >= maxWaiting || o.reliable >= maxKept+maxWaiting):
		return nil, ErrQueueFull
	}
	o.items = append(o.items, it)
	o.count(it, +1)
	for o.audio > ringLength {
		oldest := slices.IndexFunc(o.items, func(it *item) bool { return it.input.Audio > 0 })
		old := o.items[oldest]
		if oldest < o.next {
			o.fade(old)
		} else {
			o.dropped += old.input.Audio
			evicted = append(evicted, old)
		}
		o.remove(oldest)
	}
	return evicted, nil
}

// dropPicture drops the picture that waits.
func (o *outbox) dropPicture() {
	o.mu.Lock()
	dropped := o.forgetPicture()
	o.mu.Unlock()
	for _, it := range dropped {
		it.settled(ErrDropped)
	}
}

// forgetPicture takes out the picture that waits, if one does.
func (o *outbox) forgetPicture() (evicted []*item) {
	for i, it := range o.items[o.next:] {
		if it.input.Stream && it.input.Audio == 0 {
			o.remove(o.next + i)
			return []*item{it}
		}
	}
	return nil
}

// fade remembers of sound that cannot be sent again how much it was.
func (o *outbox) fade(old *item) {
	if old.input.Quiet {
		return
	}
	all := old.input.Audio
	if o.faded != nil {
		all += o.faded.input.Audio
	}
	o.faded = &item{input: live.Input{Audio: all}, sent: old.sent, turn: old.turn, answered: old.answered}
}

// take gives the oldest item that no socket took.
func (o *outbox) take() (*item, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == len(o.items) {
		return nil, false
	}
	it := o.items[o.next]
	o.next++
	return it, true
}

// took follows the item that was taken, when so many turns have begun. owed: the
// model may yet tell what a function returned.
func (o *outbox) took(it *item, turns int, owed bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it.sent, it.turn, it.owed, it.answered, it.doubtful, it.held = now, turns, owed, false, false, false
}

// hold follows the item that was taken and waits for a question.
func (o *outbox) hold(it *item, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it.sent, it.answered, it.doubtful, it.held = now, false, false, true
}

// first puts what a new session must know in front of all that is sent again.
func (o *outbox) first(in live.Input, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it := &item{input: in, sent: now, seed: true}
	o.items = slices.Insert(o.items, 0, it)
	o.count(it, +1)
}

// giveBack makes it, the last that was taken, the next again. It may have given
// way to newer sound meanwhile.
func (o *outbox) giveBack(it *item) {
	o.mu.Lock()
	i := slices.Index(o.items, it)
	if i >= 0 {
		o.next = i
	}
	o.mu.Unlock()
	if i < 0 {
		it.settled(ErrDropped)
	}
}

// forget removes what is not to be sent again.
func (o *outbox) forget(it *item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.items, it); i >= 0 {
		o.remove(i)
	}
}

// answered takes the end of a turn as evidence of what the service has taken in.
//
// A turn that ran to its end has taken in what had surely arrived when it began,
// and all sound that may have caused it: not that which came after a question, or
// after the end of what was said first. One that was interrupted tells less: what
// interrupted it may have been on its way when it began. In both cases the turn
// answers the oldest question, unless it may as well answer something spoken, or
// tell what a function returned. What stands between the application's marks is one
// question, and none before its end.
func (o *outbox) answered(t finishedTurn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	faded := o.faded != nil && !o.faded.answered
	spoken, asked, speaking := faded, false, false
	var hushed time.Duration // since something was said
	for rest := o.items[:o.next]; len(rest) > 0; {
		one := rest[:unit(rest)]
		begin, end := one[0], one[len(one)-1]
		rest = rest[len(one):]
		if end.held {
			continue
		}
		if end.turn >= t.number || begin.input.ActivityStart && !end.input.ActivityEnd {
			speaking = begin.turn < t.number && begin.input.ActivityStart
			break
		}
		if end.answered {
			continue
		}
		sound := begin.input.Audio > 0
		inner := slices.ContainsFunc(one[:len(one)-1], func(it *item) bool { return it.input.Asks }) // which its end may have interrupted
		first := !asked && !spoken && !sound && !end.owed && !(inner && t.interrupted)
		said := spoken && hushed >= pause // by one who says more
		answered := arrived(end, t) || first || sound && !asked && !said && !end.owed && !t.interrupted
		for _, it := range one {
			it.answered = answered
		}
		asked = asked || inner || end.input.Asks
		switch {
		case sound && !begin.input.Quiet:
			spoken, hushed = true, 0
		case sound:
			hushed += begin.input.Audio
		case begin.input.StreamEnd:
			hushed = pause
		}
	}
	if faded && !speaking {
		o.faded.answered = o.faded.turn < t.number && (!t.interrupted || arrived(o.faded, t))
	}
}

// unit counts the first of the items that are taken in together: all between the
// application's marks, or one.
func unit(items []*item) int {
	if !items[0].input.ActivityStart {
		return 1
	}
	end := slices.IndexFunc(items, func(it *item) bool { return it.input.ActivityEnd })
	if end < 0 {
		return len(items)
	}
	return end + 1
}

// arrived reports whether it was surely there when the turn began.
func arrived(it *item, t finishedTurn) bool { return !it.sent.Add(onTheWay).After(t.began) }

// covered takes a handle: what was answered before is in it.
func (o *outbox) covered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.faded != nil && o.faded.answered {
		o.faded = nil
	}
	o.keep(func(it *item) bool { return !it.answered })
	for _, it := range o.items[:o.next] {
		it.doubtful = !it.held
	}
}

// unsure reports whether the newest handle may contain something that is not
// known to be in it.
func (o *outbox) unsure() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.items[:o.next], func(it *item) bool { return it.doubtful && !it.input.Quiet && !it.input.StreamEnd })
}

// oldest is when the oldest question was sent that may be sent again; zero without one.
func (o *outbox) oldest() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, it := range o.items[:o.next] {
		if it.input.Asks && !it.answered {
			return it.sent
		}
	}
	return time.Time{}
}

// mute forgets the sound that a socket took.
func (o *outbox) mute() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep(func(it *item) bool {
		if it.input.Audio > 0 {
			o.fade(it)
		}
		return it.input.Audio == 0
	})
}

// clear reports whether everything was answered that was sent again.
func (o *outbox) clear() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !slices.ContainsFunc(o.items[:o.next], func(it *item) bool { return it.again && !it.answered && !it.held && !it.input.Quiet })
}

// replay is what is sent again on a new connection.
type replay struct {
	messages int
	typed    int           // lines in them
	doubtful int           // of them, those that the service may have
	lost     time.Duration // sound that it may not have, and that is not there any more
	speech   bool          // that no end of the stream, or mark, follows
}

// rewind lets everything be sent again that a new connection must be told. Silence
// before speech need not be, nor the end of a stream without speech. A new
// session is not told what the old one answered, or was told at its start: that is
// in the transcript.
func (o *outbox) rewind(restart bool) (r replay) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.faded != nil {
		if !restart || !o.faded.answered {
			r.lost = o.faded.input.Audio
		}
		o.faded = nil
	}
	for o.next < len(o.items) && !o.items[o.next].sent.IsZero() {
		o.next++ // by a socket before the last, which ended too soon
	}
	o.keep(func(it *item) bool {
		in := it.input
		if restart && (it.answered || it.seed) {
			return false
		}
		it.again = true
		switch {
		case in.Audio > 0:
			r.speech = r.speech || !in.Quiet
			return r.speech
		case in.StreamEnd:
			ends := r.speech
			r.speech = false
			return ends
		case in.ActivityStart || in.ActivityEnd:
			r.speech = false
		}
		return true
	})
	r.messages = o.next
	for _, it := range o.items[:o.next] {
		r.typed += len(it.input.Lines)
		if it.doubtful && !restart {
			r.doubtful++
		}
	}
	o.next = 0
	return r
}

// takeDropped returns the length of the sound evicted unsent since the last call.
func (o *outbox) takeDropped() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.dropped
	o.dropped = 0
	return d
}

// close refuses what is waiting, also what was in hand when something panicked,
// and all that comes.
func (o *outbox) close() {
	o.mu.Lock()
	rest := o.items
	o.items, o.next, o.reliable, o.audio, o.faded, o.closed = nil, 0, 0, 0, nil, true
	o.mu.Unlock()
	for _, it := range rest {
		it.settled(ErrClosed)
	}
}

// settled tells once what became of it.
func (it *item) settled(err error) {
	if settle := it.settle; settle != nil {
		it.settle = nil
		settle(err)
	}
}

// The rest needs mu.

// keep removes those of what a socket took that do not pass.
func (o *outbox) keep(pass func(*item) bool) {
	kept := o.items[:0:0]
	for _, it := range o.items[:o.next] {
		if pass(it) {
			kept = append(kept, it)
		} else {
			o.count(it, -1)
		}
	}
	next := len(kept)
	o.items, o.next = append(kept, o.items[o.next:]...), next
}

// waiting counts the items that are not sound and that no socket took.
func (o *outbox) waiting() (n int) {
	for _, it := range o.items[o.next:] {
		if it.input.Audio == 0 {
			n++
		}
	}
	return n
}

func (o *outbox) remove(i int) {
	o.count(o.items[i], -1)
	o.items = slices.Delete(o.items, i, i+1)
	if i < o.next {
		o.next--
	}
}

func (o *outbox) count(it *item, sign int) {
	if it.input.Audio == 0 {
		o.reliable += sign
	}
	o.audio += time.Duration(sign) * it.input.Audio
}
