package emulator

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	tokenPrefix = "auth_tokens/"

	// Defaults and limit of the service (documented; the limit also observed).
	defaultExpire     = 30 * time.Minute
	defaultNewSession = time.Minute
	maxLifetime       = 20 * time.Hour

	// tokenMemory is how long a token is remembered past its end, so that a late
	// client is told "expired" rather than "not found", unless others need the
	// room. House rule.
	tokenMemory = 24 * time.Hour

	maxTokenRecord = 16        // refusals kept for each token
	maxTokens      = 250_000   // remembered, of which all may be live
	maxLocked      = 256 << 20 // bytes that the setups and masks of all tokens take
)

// project is who an API key belongs to: an HMAC, so that the key itself is
// never kept. Tokens and handles belong to a project.
type project [sha256.Size]byte

// digest stands for a secret (a token's name, a handle) in every store, so that
// nothing which could be used is kept.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// hashForm is that of a digest as it is shown.
var hashForm = regexp.MustCompile(`^[0-9a-f]{12}$`)

func (d digest) String() string  { return hex.EncodeToString(d[:6]) }
func (p project) String() string { return hex.EncodeToString(p[:6]) }

// token is what one minted token permits and what became of it.
type token struct {
	id         digest
	project    project
	lock       lock
	minted     time.Time
	newSession time.Time     // no new session from here on
	cutShort   chan struct{} // closed when expire was moved to the past

	// Guarded by tokens.mu.
	place    int   // in byExpiry
	limit    int64 // session starts; 0: no limit
	expire   time.Time
	used     int64
	refusals []tokenRefusal // the newest maxTokenRecord
}

// tokenRefusal is one session that the token did not open, and the rule why.
type tokenRefusal struct {
	Time   time.Time `json:"time"`
	Rule   string    `json:"rule"`
	Reason string    `json:"reason"`
}

// tokens is the store of the token service.
type tokens struct {
	clock    *clock
	switches Switches
	secret   []byte // of the projects' HMAC, new in each process

	mu       sync.Mutex
	byID     map[digest]*token
	byExpiry byExpiry // the same
	locked   int      // bytes of their setups
	max      int      // of them
}

func newTokens(clock *clock, switches Switches) *tokens {
	t := &tokens{clock: clock, switches: switches, secret: make([]byte, 32), byID: map[digest]*token{}, max: maxTokens}
	rand.Read(t.secret)
	return t
}

// project tells whose key it is; ok is false for keys that do not exist, which
// here are all that do not begin with "emulator".
func (s *tokens) project(key string) (p project, ok bool) {
	if !strings.HasPrefix(key, "emulator") {
		return p, false
	}
	mac := hmac.New(sha256.New, s.secret)
	io.WriteString(mac, key)
	return project(mac.Sum(nil)), true
}

// mint makes a token from an AuthToken and gives its name, the one copy of it.
func (s *tokens) mint(p project, request tree) (string, *token, *refusal) {
	now := s.clock.Now()
	t := &token{
		project: p, minted: now, limit: 1, cutShort: make(chan struct{}),
		expire: now.Add(defaultExpire), newSession: now.Add(defaultNewSession),
	}

	if uses, ok := request["uses"].(int64); ok {
		if uses < 0 {
			return "", nil, refuse(invalidArgument, "uses must not be negative")
		}
		t.limit = uses
	}
	for _, bound := range []struct {
		field, name string
		to          *time.Time
	}{
		{"expireTime", "expire_time", &t.expire},
		{"newSessionExpireTime", "new_session_expire_time", &t.newSession},
	} {
		at, ok := request[bound.field].(time.Time)
		switch {
		case !ok:
			continue
		case !at.After(now) && !s.switches.AcceptPastTimes:
			return "", nil, refuse(invalidArgument, bound.name+" must be in the future")
		case at.Sub(now) >= maxLifetime:
			// Observed for expire_time; the other one's wording is assumed.
			return "", nil, refuse(invalidArgument, bound.name+" is too far in the future. Maximum lifetime is 20h")
		}
		*bound.to = at.UTC()
	}
	lock, no := newLock(request.tree("bidiGenerateContentSetup"), request.text("fieldMask"), s.switches)
	if no != nil {
		return "", nil, no
	}
	t.lock = lock

	id := make([]byte, 32)
	rand.Read(id)
	name := tokenPrefix + hex.EncodeToString(id)
	t.id = digestOf(name)

	s.mu.Lock()
	defer s.mu.Unlock()
	if no := s.makeRoom(t); no != nil {
		return "", nil, no
	}
	s.byID[t.id] = t
	heap.Push(&s.byExpiry, t)
	s.locked += t.lock.size
	return name, t, nil
}

// makeRoom forgets what has been dead for long and, as far as room is needed
// for one more, what died first. Live tokens are never forgotten. It needs mu.
func (s *tokens) makeRoom(t *token) *refusal {
	now := s.clock.Now()
	full := func() bool { return len(s.byID) >= s.max || s.locked+t.lock.size > maxLocked }
	for len(s.byID) > 0 {
		first := s.byExpiry[0]
		if dead := now.Sub(first.expire); dead < 0 || dead <= tokenMemory && !full() {
			break
		}
		heap.Pop(&s.byExpiry)
		delete(s.byID, first.id)
		s.locked -= first.lock.size
	}
	if full() { // as a quota of the service would end (assumed); its text is ours
		return refuse(exhausted, fmt.Sprintf("Resource has been exhausted (e.g. check quota). "+
			"The emulator holds %d live tokens: wait for some to expire, or reset it.", len(s.byID)))
	}
	return nil
}

// byExpiry is a [heap.Interface]: the token that dies first, or died first, is
// at its head.
type byExpiry []*token

func (q byExpiry) Len() int           { return len(q) }
func (q byExpiry) Less(i, j int) bool { return q[i].expire.Before(q[j].expire) }
func (q byExpiry) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *byExpiry) Push(t any) {
	t.(*token).place = len(*q)
	*q = append(*q, t.(*token))
}

// Pop implements heap.Interface.
func (q *byExpiry) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}

// echo is the token as it was asked for, with the times and uses that it got.
func (t *token) echo(name string, request tree) tree {
	out := clone(request).(tree)
	out["name"], out["uses"] = name, t.limit
	out["expireTime"], out["newSessionExpireTime"] = t.expire.Format(time.RFC3339Nano), t.newSession.Format(time.RFC3339Nano)
	return out
}

// find gives the live token of that name.
//
// What Google says to a malformed or unknown name nobody has seen.
func (s *tokens) find(name string) (*token, *refusal) {
	if len(name) <= len(tokenPrefix) || !strings.HasPrefix(name, tokenPrefix) {
		return nil, errUnregistered()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[digestOf(name)]
	if t == nil {
		return nil, s.switches.unknownToken()
	}
	if !s.clock.Now().Before(t.expire) {
		return t, t.record(s.clock.Now(), "expired", refuse(internal, "Token has expired"))
	}
	return t, nil
}

// start says whether the token may start one more session, and counts it when
// spend is set. A resumed session is none (documented).
func (s *tokens) start(t *token, spend bool) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	switch {
	case !now.Before(t.newSession):
		return t.record(now, "newSession", refuse(internal, "new_session_expire_time deadline exceeded"))
	case t.limit > 0 && t.used >= t.limit:
		return t.record(now, "uses", refuse(internal, "Token has been used too many times"))
	}
	if spend {
		t.used++
	}
	return nil
}

// has reports whether the token was minted here.
func (s *tokens) has(id digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] != nil
}

// spend counts a start if there may be one.
func (s *tokens) spend(t *token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	may := s.clock.Now().Before(t.newSession) && (t.limit == 0 || t.used < t.limit)
	if may {
		t.used++
	}
	return may
}

// match lists the tokens with that hash, all of them for "*".
func (s *tokens) match(hash string) []*token {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*token
	for id, t := range s.byID {
		if hash == "*" || hash == id.String() {
			out = append(out, t)
		}
	}
	return out
}

// exhaust leaves the token no more starts. It reports whether it was alive.
func (s *tokens) exhaust(t *token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clock.Now().Before(t.expire) {
		return false
	}
	t.used = max(t.used, t.limit, 1)
	t.limit = t.used
	return true
}

// giveBack undoes a start that was counted.
func (s *tokens) giveBack(t *token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.used--
}

// resume says whether the token may resume a session. It needs no use, and it
// may come after newSessionExpireTime (documented by implication).
func (s *tokens) resume(t *token) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock.Now(); s.switches.GateResumption && !now.Before(t.newSession) {
		return t.record(now, "newSession", refuse(internal, "new_session_expire_time deadline exceeded"))
	}
	return nil
}

// note records a refusal that another rule made.
func (s *tokens) note(t *token, rule string, no *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.record(s.clock.Now(), rule, no)
}

// record needs tokens.mu.
func (t *token) record(now time.Time, rule string, no *refusal) *refusal {
	if len(t.refusals) == maxTokenRecord {
		t.refusals = t.refusals[1:]
	}
	t.refusals = append(t.refusals, tokenRefusal{now, rule, excerpt(no.message, journalString)})
	return no
}

// expireNow ends the token's life at once. It reports whether it had one.
func (s *tokens) expireNow(t *token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if !now.Before(t.expire) {
		return false
	}
	t.expire = now
	heap.Fix(&s.byExpiry, t.place)
	close(t.cutShort)
	return true
}

// expiry is when the token's sockets are closed.
func (s *tokens) expiry(t *token) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.expire
}

// tokenReport is a token's life as GET /__emulator/tokens tells it.
type tokenReport struct {
	Token      string         `json:"token"`
	Project    string         `json:"project"`
	Minted     time.Time      `json:"minted"`
	Expire     time.Time      `json:"expireTime"`
	NewSession time.Time      `json:"newSessionExpireTime"`
	Uses       int64          `json:"uses"` // 0: no limit
	Used       int64          `json:"used"`
	UsesLeft   *int64         `json:"usesLeft,omitempty"` // absent: no limit
	Lock       string         `json:"lock"`               // none, full or masked
	FieldMask  []string       `json:"fieldMask,omitempty"`
	Refusals   []tokenRefusal `json:"refusals"`
}

// report lists the newest tokens, the oldest of them first, and tells how many
// there are.
func (s *tokens) report(newest int) (out []tokenReport, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.SortedFunc(maps.Values(s.byID), func(a, b *token) int {
		return cmp.Or(a.minted.Compare(b.minted), bytes.Compare(a.id[:], b.id[:]))
	})
	out = []tokenReport{}
	for _, t := range all[max(0, len(all)-newest):] {
		r := tokenReport{
			Token: t.id.String(), Project: t.project.String(),
			Minted: t.minted, Expire: t.expire, NewSession: t.newSession,
			Uses: t.limit, Used: t.used, Lock: t.lock.form(),
			Refusals: append([]tokenRefusal{}, t.refusals...),
		}
		if t.limit > 0 {
			r.UsesLeft = new(t.limit - t.used)
		}
		for _, path := range t.lock.paths {
			r.FieldMask = append(r.FieldMask, strings.Join(path, "."))
		}
		out = append(out, r)
	}
	return out, len(all)
}
