package session

import "time"

const (
	// heartbeat is how often a session looks at the clock when nothing else
	// happens: a timer may stand still while the machine sleeps.
	heartbeat = 5 * time.Second
	// doubtful is how long a line that may be dead is kept for a quiet moment.
	doubtful = 10 * time.Second
	// buffered is how long what had arrived before a doubt may take to be read: a
	// page that was frozen finds it when it wakes. What comes later proves that the
	// line is alive.
	buffered = time.Second
	// stuckFor is how long a backlog must grow for a line to be dead.
	stuckFor = 5 * time.Second
)

// suspect has the connection changed, since the line may be dead. A browser
// cannot ask the other side, and on a dead line it tells us after a minute or
// never. That the service is silent while it owes nothing, or slow to answer a
// ping, means nothing (observed: pongs come up to 30 s late).
func (l *line) suspect(now time.Time) {
	if l.doubt == nil {
		l.doubt = &deadline{CauseDoubt, now, now.Add(doubtful)}
	}
}

// believe takes a message as proof that the line is alive.
func (l *line) believe(now time.Time) {
	if l.doubt != nil && now.Sub(l.doubt.want) >= buffered {
		l.doubt = nil
	}
}

// heartbeat notices that this goroutine did not run for long.
func (l *line) heartbeat(now time.Time) {
	if !l.beat.IsZero() && now.Sub(l.beat) > l.cfg.Frozen {
		l.suspect(now)
	}
	l.beat = now
}

// backlog watches what a socket has taken and not yet given to the line.
type backlog struct {
	bytes int
	since time.Time // since when it has not become less
}

// stuck reports whether it has been growing for too long.
func (b *backlog) stuck(bytes int, now time.Time) bool {
	if bytes == 0 || bytes < b.bytes || b.since.IsZero() {
		b.since = now
	}
	grown := bytes > 0 && now.Sub(b.since) >= stuckFor
	b.bytes = bytes
	return grown
}
