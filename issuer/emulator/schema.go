package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/livevalet/livevalet/issuer/schema"
)

// What clients begin with, and the part that tokens lock.
var (
	authTokenMessage = schema.Messages["AuthToken"]
	clientMessage    = schema.Messages["ClientMessage"]
	setupMessage     = schema.Messages["Setup"]
)

// tree is a message in canonical form: camelCase names, no nulls, int64 for
// every integer, float64, []byte, time.Time, tree for messages and objects.
// A tree that several goroutines see is never changed.
type tree map[string]any

func (t tree) has(name string) bool    { _, ok := t[name]; return ok }
func (t tree) tree(name string) tree   { v, _ := t[name].(tree); return v }
func (t tree) text(name string) string { v, _ := t[name].(string); return v }
func (t tree) flag(name string) bool   { v, _ := t[name].(bool); return v }
func (t tree) list(name string) []any  { v, _ := t[name].([]any); return v }

func (t tree) trees(name string) []tree {
	var out []tree
	for _, v := range t.list(name) {
		if sub, ok := v.(tree); ok {
			out = append(out, sub)
		}
	}
	return out
}

// clone copies maps and lists; scalars are never changed in place.
func clone(v any) any {
	switch v := v.(type) {
	case tree:
		out := make(tree, len(v))
		for name, sub := range v {
			out[name] = clone(sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = clone(sub)
		}
		return out
	}
	return v
}

// sizeOf is about how many bytes of memory v takes. A map comes in groups of
// eight entries.
func sizeOf(v any) (n int) {
	switch v := v.(type) {
	case tree:
		n = 48 + 40*max(8, len(v))
		for name, sub := range v {
			n += len(name) + sizeOf(sub)
		}
	case []any:
		n = 24
		for _, sub := range v {
			n += 16 + sizeOf(sub)
		}
	case string:
		n = 16 + len(v)
	case []byte:
		n = 24 + len(v)
	default:
		n = 16
	}
	return n
}

// What an error tells.
const (
	maxViolations = 100 // things; the service tells all (observed)
	maxNamed      = 200 // bytes of an unknown name, of a map's key, or of a model
)

// read decodes data as m. at is the path that errors name for the whole
// message, "" for none.
func read(m *schema.Message, data []byte, at string) (tree, *refusal) {
	v, no := decodeJSON(data)
	if no != nil {
		return nil, no
	}
	object, ok := v.(tree)
	if !ok {
		return nil, refuse(invalidArgument, invalidJSON+"Expected an object.")
	}
	var r reader
	if at != "" {
		r.path = []segment{{name: at}}
	}
	out := r.message(m, object)
	return out, r.refusal()
}

// reader collects what is wrong, because the service reports all of it at once.
type reader struct {
	path       []segment // to what is being read
	violations []violation
}

// segment is one part of a path, which becomes text only in an error.
type segment struct {
	name   string // of a field, or a map's key
	key    bool
	item   bool
	index  int  // of an item
	secret bool // what is below is not for logs
}

// at is the path.
func (r *reader) at() string {
	var b strings.Builder
	for i, s := range r.path {
		switch {
		case s.item:
			fmt.Fprintf(&b, "[%d]", s.index)
		case s.key:
			fmt.Fprintf(&b, "[%q].value", cut(s.name, maxNamed))
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

type violation struct{ field, description string }

func (r *reader) refusal() *refusal {
	if len(r.violations) == 0 {
		return nil
	}
	var lines []string
	var details []any
	for _, v := range r.violations {
		lines = append(lines, v.description)
		d := tree{"description": v.description}
		if v.field != "" {
			d["field"] = v.field
		}
		details = append(details, d)
	}
	no := refuse(invalidArgument, strings.Join(lines, "\n"))
	no.details = []any{tree{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": details}}
	return no
}

func (r *reader) unknown(name string) {
	if len(r.violations) == maxViolations {
		return
	}
	at, place := r.at(), ""
	if at != "" {
		place = " at '" + at + "'"
	}
	r.violations = append(r.violations, violation{at,
		fmt.Sprintf(invalidJSON+"Unknown name %q%s: Cannot find field.", cut(name, maxNamed), place)})
}

func (r *reader) invalid(kind string, v any) {
	if len(r.violations) == maxViolations {
		return
	}
	at := r.at()
	shown, _ := json.Marshal(v)
	if slices.ContainsFunc(r.path, func(s segment) bool { return s.secret }) {
		shown = []byte("(hidden)") // the service shows it; errors end in logs
	}
	r.violations = append(r.violations, violation{at,
		fmt.Sprintf("Invalid value at '%s' (%s), %s", at, kind, cut(string(shown), 60))})
}

func (r *reader) enter(s segment) { r.path = append(r.path, s) }
func (r *reader) leave()          { r.path = r.path[:len(r.path)-1] }

func (r *reader) message(m *schema.Message, object tree) tree {
	out := make(tree, len(object))
	// Sorted, so that several errors come in the same order each time.
	for _, name := range slices.Sorted(maps.Keys(object)) {
		f := m.Fields[name]
		if f == nil {
			r.unknown(name)
			continue
		}
		if object[name] == nil {
			continue // null is omission
		}
		r.enter(segment{name: f.Snake, secret: secretFields[f.Name]})
		if v := r.field(f, object[name]); v != nil {
			out[f.Name] = v
		}
		r.leave()
	}
	return out
}

// field reads all of a field, nil if it is wrong.
func (r *reader) field(f *schema.Field, v any) any {
	switch {
	case f.Repeated:
		list, ok := v.([]any)
		if !ok {
			r.invalid("repeated "+wireType(f), v)
			return nil
		}
		out := make([]any, 0, len(list))
		for i, item := range list {
			r.enter(segment{item: true, index: i})
			out = append(out, r.value(f, item))
			r.leave()
		}
		return out
	case f.Mapped:
		object, ok := v.(tree)
		if !ok {
			r.invalid("map", v)
			return nil
		}
		out := make(tree, len(object))
		for _, key := range slices.Sorted(maps.Keys(object)) {
			r.enter(segment{key: true, name: key})
			out[key] = r.value(f, object[key])
			r.leave()
		}
		return out
	}
	return r.value(f, v)
}

// value reads one value, nil if it is wrong.
func (r *reader) value(f *schema.Field, v any) any {
	if f.Of != nil {
		if object, ok := v.(tree); ok {
			return r.message(f.Of, object)
		}
	} else if out := scalar(f, v); out != nil {
		return out
	}
	r.invalid(wireType(f), v)
	return nil
}

// wireType is the kind as the service's front end names it in errors.
func wireType(f *schema.Field) string {
	switch {
	case f.Of != nil:
		return "type.googleapis.com/google.ai.generativelanguage." + f.Of.Name
	case f.Kind == "timestamp":
		return "type.googleapis.com/google.protobuf.Timestamp"
	case f.Kind == "object":
		return "type.googleapis.com/google.protobuf.Struct"
	}
	return "TYPE_" + strings.ToUpper(f.Kind)
}

// scalar follows the proto3 JSON mapping, which is lenient: numbers may be
// strings, base64 may be of either alphabet, enums may be numbers.
func scalar(f *schema.Field, v any) any {
	s, isString := v.(string)
	switch f.Kind {
	case "string":
		if isString {
			return s
		}
	case "bool":
		if b, ok := v.(bool); ok {
			return b
		}
	case "int32", "int64":
		if n, ok := integer(v); ok && (f.Kind == "int64" || n == int64(int32(n))) {
			return n
		}
	case "float":
		if x, ok := number(v); ok {
			return x
		}
	case "bytes":
		if isString {
			if b, err := decodeBase64(s); err == nil {
				return b
			}
		}
	case "timestamp":
		if isString {
			if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
				return t
			}
		}
	case "enum":
		if isString && (slices.Contains(f.Values, s) || strings.HasSuffix(s, "UNSPECIFIED")) {
			return s
		}
		if n, ok := integer(v); ok && !isString && 0 < n && n <= int64(len(f.Values)) {
			return f.Values[n-1]
		}
	case "object":
		if object, ok := v.(tree); ok {
			return object
		}
	case "any":
		return v
	}
	return nil
}

func integer(v any) (int64, bool) {
	x, ok := number(v)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64); err == nil {
		return n, true
	}
	// 1.0 and 1e3 are integers too, but only where a float64 is exact.
	if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}

func number(v any) (float64, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		if !json.Valid([]byte(v)) || strings.TrimSpace(v) != v {
			return 0, false
		}
		text = v
	default:
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(standardAlphabet.Replace(strings.TrimRight(s, "=")))
}

// cut is the beginning of s, at most n bytes of valid UTF-8. It is a copy: what
// is kept of a message must not keep the rest of it in memory.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(s)
}
