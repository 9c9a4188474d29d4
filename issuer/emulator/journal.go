package emulator

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	journalSize   = 4096 // entries; the oldest go first
	journalString = 256  // bytes of a string that are kept
	journalTree   = 4096 // bytes of a message that are kept
)

// entry is one thing that happened.
type entry struct {
	Seq     int64           `json:"seq"` // from 1, without gaps
	Time    time.Time       `json:"time"`
	Session string          `json:"session,omitempty"` // absent until a setup was accepted
	Token   string          `json:"token,omitempty"`   // hash prefix
	Dir     string          `json:"dir"`               // "in": from the client, "out": to it
	Kind    string          `json:"kind"`              // mint, open, recv, send, close
	Bytes   int             `json:"bytes"`
	Message json.RawMessage `json:"message,omitempty"` // secrets hashed, media elided; absent if too large

	coverage // where a handle is given, and where one is resumed
}

// journal keeps the newest entries in a ring.
type journal struct {
	clock *clock

	mu      sync.Mutex
	entries []entry
	seq     int64 // of the newest entry
}

// add gives the entry's seq.
func (j *journal) add(e entry, message any) int64 {
	if message != nil {
		raw, err := json.Marshal(redact(message))
		if err == nil && len(raw) <= journalTree {
			e.Message = raw
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq, e.Time = j.seq, j.clock.Now()
	if len(j.entries) < journalSize {
		j.entries = append(j.entries, e)
	} else {
		j.entries[(j.seq-1)%journalSize] = e
	}
	return e.Seq
}

// since lists the entries after that sequence number, oldest first.
func (j *journal) since(seq int64) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := []entry{}
	for n := max(seq, j.seq-int64(len(j.entries))) + 1; n <= j.seq; n++ {
		out = append(out, j.entries[(n-1)%journalSize])
	}
	return out
}

// secretFields are hashed whatever they hold. A system instruction is no
// credential, but hiding it from the page is what people lock it for.
var secretFields = map[string]bool{"handle": true, "newHandle": true, "systemInstruction": true}

// secretText finds secrets that stand where none belongs, whole or cut: token
// names, also as a URL has them or without their prefix, Google's API keys,
// resumption handles.
var secretText = regexp.MustCompile(`auth_tokens(?:/|%2[Ff])\w+|[0-9a-fA-F]{32,}(?:-[0-9a-fA-F]+)*|AIza[\w-]+|AQ\.[\w-]+|` + uuidStart + `[0-9a-fA-F]{1,12}`)

var tokenDigits = regexp.MustCompile(`[0-9a-fA-F]{64}$`)

func redactText(s string) string {
	// Nearly all text is harmless, and the expression is slow.
	if !strings.Contains(s, "auth_tokens") && !strings.Contains(s, "AIza") && !strings.Contains(s, "AQ.") && strings.Count(s, "-") < 4 && !hasLongHex(s) {
		return s
	}
	return secretText.ReplaceAllStringFunc(s, func(secret string) string {
		if digits := tokenDigits.FindString(secret); digits != "" {
			secret = tokenPrefix + digits // one token has one hash, however it is written
		}
		return "#" + digestOf(secret).String()
	})
}

// hasLongHex reports whether s has 32 hexadecimal digits in a row, of which one
// stands where it looks.
func hasLongHex(s string) bool {
	const long = 32
	for i := long - 1; i < len(s); i += long {
		if !isHex(s[i]) {
			continue
		}
		from, to := i, i
		for from > max(0, i-long) && isHex(s[from-1]) {
			from--
		}
		for to < min(len(s), i+long) && isHex(s[to]) {
			to++
		}
		if to-from >= long {
			return true
		}
	}
	return false
}

func isHex(b byte) bool { return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f' }

// excerpt is the beginning of s for people, at most n bytes and without secrets.
// They are looked for first, as those that the end cuts are hard to tell; but
// not in all of s, which may be large.
func excerpt(s string, n int) string { return cut(redactText(cut(s, 8*n)), n) }

// redact copies a message for people: secrets become the prefix of their hash,
// media their size, long text its beginning.
func redact(v any) any {
	switch v := v.(type) {
	case tree:
		out := make(tree, len(v))
		for name, sub := range v {
			switch s, isString := sub.(string); {
			case secretFields[name] && isString:
				out[name] = "#" + digestOf(s).String()
			case secretFields[name]:
				raw, _ := json.Marshal(sub)
				out[name] = "#" + digestOf(string(raw)).String()
			default:
				out[redactText(name)] = redact(sub)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = redact(sub)
		}
		return out
	case []byte:
		return fmt.Sprintf("(%d bytes)", len(v))
	case string:
		if len(v) > journalString {
			return fmt.Sprintf("%s… (%d bytes)", excerpt(v, journalString), len(v))
		}
		return redactText(v)
	}
	return v
}
