package session

import (
	"context"
	"errors"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	// A token this close to a deadline is not used any more: it might pass it on
	// the way.
	tokenMargin = 5 * time.Second
	// A page's own token source may not know when to renew; this part of the
	// token's life is then our choice.
	renewNumerator, renewDenominator = 3, 4
	// The wait before a renewal is asked for again, if the issuer has no advice.
	renewRetry = 20 * time.Second
)

// TokenSource asks the issuer for a token. It must return soon after ctx ends,
// and give *live.TokenError where the issuer refused.
type TokenSource func(ctx context.Context, need live.Need) (live.Token, error)

// grant is a token and the moments that follow from it. The network makes them
// uncertain; each is taken on its safe side: what ends counts from when the
// token was asked for, what begins from when it arrived.
type grant struct {
	token     live.Token
	expires   time.Time
	startBy   time.Time // no new session afterwards
	renewFrom time.Time
	leaseEnds time.Time   // zero: nobody said
	handle    live.Secret // inside a full lock's token
	spent     bool        // its session start was, or may have been, used
	opened    bool        // a connection was opened with it
	refused   bool        // by the service
}

func newGrant(t live.Token, asked, arrived time.Time) *grant {
	renew := t.RenewAfter
	if renew <= 0 || renew >= t.ExpiresIn {
		renew = t.ExpiresIn * renewNumerator / renewDenominator
	}
	start := t.NewSessionExpiresIn
	if start <= 0 {
		start = t.ExpiresIn
	}
	return &grant{token: t, expires: asked.Add(t.ExpiresIn), startBy: asked.Add(start), renewFrom: arrived.Add(renew)}
}

// good reports whether the grant can open a connection at now: one that resumes
// with handle, or without one a new session.
func (g *grant) good(now time.Time, handle live.Secret) bool {
	if g == nil || g.refused {
		return false
	}
	margin := min(tokenMargin, g.token.ExpiresIn/10)
	switch {
	case !now.Before(g.expires.Add(-margin)):
		return false
	case g.token.Lock == live.LockFull:
		return !g.opened && g.handle.Equal(handle)
	case !handle.IsZero():
		return true
	default:
		return !g.spent && now.Before(g.startBy.Add(-margin))
	}
}

// fetched is what a fetch ended with.
type fetched struct {
	token live.Token
	err   error
}

// purse holds the token of the moment and asks for the next, one at a time.
// Only the session's goroutine touches it.
type purse struct {
	clock   *clock
	source  TokenSource
	profile string
	timeout time.Duration
	news    func(*grant)     // told of every token received
	release func(live.Token) // told of every lease that is not needed any more
	now     *grant           // nil before the first
	gone    bool             // the issuer knows our lease no more
	fetch   chan fetched     // nil when nothing is asked for
	asked   time.Time        // when it was
	holds   live.Secret      // the handle that it will have inside
	retryAt time.Time        // no early renewal before
}

// get returns a token that can open a connection, asking the issuer if the
// present one cannot. It waits as long as waiting lasts; what it asks for lasts
// as long as ctx, the session's.
func (p *purse) get(ctx, waiting context.Context, handle live.Secret) (*grant, error) {
	for waiting.Err() == nil {
		if p.now.good(p.clock.now(), handle) {
			return p.now, nil
		}
		old := p.fetch != nil // asked for earlier, and maybe for something else
		p.ask(ctx, p.need(handle))
		select {
		case f := <-p.fetch:
			err := p.take(f)
			switch {
			case isPanic(err):
				return nil, err
			case old:
			case err != nil && !p.now.good(p.clock.now(), handle):
				return nil, err
			case !p.now.good(p.asked, handle): // not for having been long on its way: the machine may have slept
				return nil, &live.TokenError{Code: CodeProtocol, Detail: "the issuer's new token is already too old to use: check its lifetimes"}
			}
		case <-waiting.Done():
		}
	}
	return nil, context.Cause(waiting)
}

// need says what to ask the issuer for.
func (p *purse) need(handle live.Secret) live.Need {
	n := live.Need{Reason: live.ReasonStart, Profile: p.profile}
	if p.now == nil || p.gone || (handle.IsZero() && (p.now.spent || !p.now.refused)) {
		return n // a new conversation for the service is a new lease for the issuer
	}
	n.Reason = live.ReasonRenew
	if p.clock.now().Before(p.now.renewFrom) {
		n.Reason = live.ReasonRefused
	}
	n.Lease, n.RenewURL = p.now.token.Lease, p.now.token.RenewURL
	if p.now.token.Lock == live.LockFull {
		n.Handle = handle
	}
	return n
}

// ask starts a fetch, unless one is under way. The fetch outlives the attempt
// that started it, not the session: ctx is the session's.
func (p *purse) ask(ctx context.Context, need live.Need) {
	if p.fetch != nil {
		return
	}
	result := make(chan fetched, 1)
	p.fetch, p.asked, p.holds = result, p.clock.now(), need.Handle
	go func() {
		var f fetched
		f.err = live.Try(func() (err error) {
			f.token, err = p.request(ctx, need)
			return err
		})
		result <- f
	}()
}

func (p *purse) request(ctx context.Context, need live.Need) (live.Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, &timeoutError{"phase token"})
	defer cancel()
	token, err := p.source(ctx, need)
	if err == nil {
		err = token.Check()
		if err != nil {
			err = &live.TokenError{Code: CodeProtocol, Detail: err.Error()}
		}
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return token, err
}

// take ends the fetch under way with its result.
func (p *purse) take(f fetched) error {
	p.fetch = nil
	if f.err != nil {
		p.correct(f.err)
		return f.err
	}
	if p.now != nil && !p.now.token.Lease.Equal(f.token.Lease) {
		p.release(p.now.token)
	}
	last := p.now
	p.now, p.gone = newGrant(f.token, p.asked, p.clock.now()), false
	if last != nil && last.token.Lease.Equal(f.token.Lease) {
		p.now.leaseEnds = last.leaseEnds // the issuer names the length of a whole lease
	} else if life := f.token.Limits.Max; life > 0 {
		p.now.leaseEnds = p.asked.Add(life)
	}
	p.now.handle = p.holds
	p.news(p.now)
	return nil
}

// correct takes the issuer's word that it is too early for the next token: our
// clock went ahead of the issuer's, and the present one is good for longer.
func (p *purse) correct(err error) {
	refused, ok := errors.AsType[*live.TokenError](err)
	if !ok || refused.Code != "too_early" || p.now == nil {
		return
	}
	if ahead := p.clock.now().Add(refused.RetryAfter).Sub(p.now.renewFrom); ahead > 0 {
		p.now.renewFrom = p.now.renewFrom.Add(ahead)
		p.now.expires = p.now.expires.Add(ahead)
	}
}

// renew asks for the next token if its time has come, and says when to look
// again. A full lock's token holds the handle of the moment it is used, so it
// cannot be asked for ahead.
func (p *purse) renew(ctx context.Context, handle live.Secret, now time.Time) (next time.Time) {
	if p.fetch != nil || p.now.token.Lock == live.LockFull {
		return time.Time{}
	}
	due := p.now.renewFrom
	if p.retryAt.After(due) {
		due = p.retryAt
	}
	if now.Before(due) {
		return due
	}
	p.ask(ctx, p.need(handle))
	return time.Time{}
}

// ready reports whether the next connection, one that resumes with handle, could
// be opened now and kept for a while. If not it asks for a token, and says when to
// look again.
func (p *purse) ready(ctx context.Context, handle live.Secret, now time.Time) (ready bool, again time.Time) {
	switch {
	case p.now.good(now, handle) && now.Before(tokenDeadline(p.now).want):
		return true, time.Time{}
	case now.Before(p.retryAt):
		return false, p.retryAt
	}
	p.ask(ctx, p.need(handle))
	return false, time.Time{}
}

// close waits for what is under way and lets go of the lease. The session's
// context must have ended.
func (p *purse) close() {
	defer func() { // also if the news of a token makes the host panic
		if p.now != nil {
			p.release(p.now.token)
		}
	}()
	if p.fetch != nil {
		if f := <-p.fetch; f.err == nil {
			_ = p.take(f)
		}
	}
}
