package emulator

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// author writes arguments that satisfy a schema: Google's Schema or JSON
// Schema, which differ in spelling only. Not looked at are contains, not, if,
// dependent and pattern properties; a schema that nothing satisfies gets
// something that nearly does.
type author struct {
	root   any // what "#" refers to
	shift  int // which of an enum's values comes first
	budget int // of values, since schemas may refer to themselves
}

const (
	maxValues  = 1000 // in the arguments of one call
	maxItems   = 100  // of one array
	maxLetters = 4096 // of one string
	optionalTo = 3    // levels at which optional properties and items are given
	deepest    = 32
)

// arguments are those of one call. The same seed and function give the same.
func arguments(f function, seed uint64) tree {
	a := author{root: f.schema, shift: int((seed + hash(f.name)) >> 1), budget: maxValues}
	out, _ := a.value(f.schema, f.name, 0, 0).(tree)
	if out == nil {
		return tree{} // it takes none
	}
	return out
}

// value is the nth value of a schema, so that several differ. Its name is what
// a string says.
func (a *author) value(schema any, name string, nth, depth int) any {
	a.budget--
	s, _ := schema.(tree)
	if depth > deepest || a.budget < 0 {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		return a.value(a.resolve(ref), name, nth, depth+1)
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if all := s.trees("allOf"); len(all) > 0 {
		return a.value(merge(s, "allOf", all...), name, nth, depth+1)
	}
	for _, either := range []string{"anyOf", "oneOf"} {
		for _, one := range s.trees(either) {
			if !strings.EqualFold(one.text("type"), "null") {
				return a.value(merge(s, either, one), name, nth, depth+1)
			}
		}
	}
	if values := s.list("enum"); len(values) > 0 {
		return values[(a.shift+nth)%len(values)]
	}
	switch kindOf(s) {
	case "object":
		return a.object(s, depth)
	case "array":
		return a.array(s, name, depth)
	case "integer":
		return int64(numberIn(s, true, nth))
	case "number":
		return numberIn(s, false, nth)
	case "boolean":
		return nth%2 == 0
	case "null":
		return nil
	}
	return text(s, name, nth)
}

// kindOf is the schema's type in lower case: the first that is not null, or the
// one its other keywords speak of.
func kindOf(s tree) string {
	kinds := s.list("type")
	if one := s.text("type"); one != "" && one != "TYPE_UNSPECIFIED" {
		kinds = []any{one}
	}
	kind := ""
	for _, k := range kinds {
		if k, _ := k.(string); kind == "" || kind == "null" {
			kind = strings.ToLower(k)
		}
	}
	switch {
	case kind != "":
	case s.has("properties"), s.has("required"):
		kind = "object"
	case s.has("items"), s.has("prefixItems"):
		kind = "array"
	case s.has("minimum"), s.has("maximum"), s.has("multipleOf"):
		kind = "number"
	}
	return kind
}

// object has what is required and, near the top, what is not.
func (a *author) object(s tree, depth int) tree {
	properties := s.tree("properties")
	most, limited := numeric(s["maxProperties"])
	out := tree{}
	add := func(name string) {
		if a.budget < 0 {
			return // a nil for each of a million names is too much as well
		}
		schema, ok := properties[name]
		if !ok {
			schema = s["additionalProperties"]
		}
		out[name] = a.value(schema, name, 0, depth+1)
	}
	for _, name := range s.list("required") {
		if name, ok := name.(string); ok {
			add(name)
		}
	}
	least, _ := numeric(s["minProperties"])
	optional := properties
	if depth >= optionalTo && least == 0 || len(properties) > maxValues {
		optional = nil
	}
	for _, name := range slices.Sorted(maps.Keys(optional)) {
		wanted := depth < optionalTo || float64(len(out)) < least
		if !out.has(name) && wanted && properties[name] != false && (!limited || float64(len(out)) < most) {
			add(name)
		}
	}
	for i := 1; float64(len(out)) < min(least, maxItems); i++ {
		add("field" + strconv.Itoa(i))
	}
	return out
}

func (a *author) array(s tree, name string, depth int) []any {
	first := s.list("prefixItems")
	rest := s["items"]
	if tuple, ok := rest.([]any); ok { // as it was spelled before 2020
		first, rest = tuple, s["additionalItems"]
	}
	least, _ := numeric(s["minItems"])
	n := least
	if depth <= optionalTo {
		n = max(n, 1, float64(len(first)))
	}
	if most, ok := numeric(s["maxItems"]); ok {
		n = min(n, most)
	}
	out := []any{}
	for i := range int(min(n, maxItems)) {
		schema := rest
		if i < len(first) {
			schema = first[i]
		}
		out = append(out, a.value(schema, name, i, depth+1))
	}
	return out
}

// numberIn is the nth number within the limits, the first as near to 1 as can be.
func numberIn(s tree, whole bool, nth int) float64 {
	low, high := limits(s)
	step, _ := numeric(s["multipleOf"])
	if whole {
		step = max(step, 1)
	}
	x := max(low.at, min(high.at, 1))
	if step <= 0 { // any will do
		switch {
		case low.closed(x) && high.closed(x):
		case math.IsInf(high.at, 1):
			x = low.at + 1
		case math.IsInf(low.at, -1):
			x = high.at - 1
		default:
			x = (low.at + high.at) / 2
		}
		if more := x + float64(nth); high.closed(more) && more <= high.at {
			return more
		}
		return x - (x-max(low.at, x-1))*float64(nth)/float64(nth+1)
	}
	x = math.Ceil(x/step) * step
	if x <= low.at && !low.closed(x) {
		x += step
	}
	for range 2 { // rounded up beyond the limit, or onto it
		if x > high.at || !high.closed(x) {
			x -= step
		}
	}
	if more := x + float64(nth)*step; more <= high.at && high.closed(more) {
		return more
	}
	return x - float64(nth)*step
}

// limit is an end of a range. It is infinite if there is none.
type limit struct {
	at   float64
	open bool
}

// closed reports whether the limit lets x be, if it lies on it.
func (l limit) closed(x float64) bool { return !l.open || x != l.at }

// limits reads both spellings: a number of its own, or as in draft 4 a flag
// beside the limit.
func limits(s tree) (low, high limit) {
	low, high = limit{at: math.Inf(-1)}, limit{at: math.Inf(1)}
	if x, ok := numeric(s["minimum"]); ok {
		low = limit{x, s["exclusiveMinimum"] == true}
	}
	if x, ok := numeric(s["maximum"]); ok {
		high = limit{x, s["exclusiveMaximum"] == true}
	}
	if x, ok := numeric(s["exclusiveMinimum"]); ok && x >= low.at {
		low = limit{x, true}
	}
	if x, ok := numeric(s["exclusiveMaximum"]); ok && x <= high.at {
		high = limit{x, true}
	}
	return low, high
}

// formats are examples of the string formats with a form.
var formats = map[string]string{
	"date-time": "2026-01-02T15:04:05Z", "date": "2026-01-02", "time": "15:04:05Z", "duration": "PT1M",
	"email": "ada@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	"uri": "https://example.com/", "url": "https://example.com/", "uuid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
}

// text is a string as long as asked for, that says its name where it may.
func text(s tree, name string, nth int) string {
	least, _ := numeric(s["minLength"])
	least = min(least, maxLetters)
	if example, ok := formats[s.text("format")]; ok {
		return example
	}
	if pattern := s.text("pattern"); pattern != "" {
		if out, ok := matching(pattern, int(least)); ok {
			return out
		}
	}
	out := []rune(name)
	if nth > 0 {
		out = append(out, []rune(strconv.Itoa(nth+1))...)
	}
	for len(out) < int(least) {
		out = append(out, '.')
	}
	if most, ok := numeric(s["maxLength"]); ok && float64(len(out)) > most {
		out = out[len(out)-int(most):] // its end tells it from others
	}
	return string(out)
}

// matching writes something that a pattern matches, of at least that many
// characters if it allows them.
func matching(pattern string, least int) (string, bool) {
	p, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false // JavaScript's patterns can say more
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", false
	}
	var out string
	for more := range maxItems {
		w := writer{more: more, left: maxLetters}
		w.write(p)
		if out = w.String(); utf8.RuneCountInString(out) >= least {
			break
		}
	}
	return out, re.MatchString(out)
}

// writer writes what a pattern matches.
type writer struct {
	strings.Builder
	more int // how often repetitions go beyond their minimum
	left int // steps, since repetitions nest
}

func (w *writer) write(p *syntax.Regexp) {
	if w.left--; w.left < 0 {
		return
	}
	switch p.Op {
	case syntax.OpLiteral:
		w.WriteString(string(p.Rune))
	case syntax.OpCharClass:
		w.WriteString(member(p.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		w.WriteString("x")
	case syntax.OpStar:
		w.repeat(p, 0, -1)
	case syntax.OpPlus:
		w.repeat(p, 1, -1)
	case syntax.OpQuest:
		w.repeat(p, 0, 1)
	case syntax.OpRepeat:
		w.repeat(p, p.Min, p.Max)
	case syntax.OpAlternate, syntax.OpCapture:
		w.write(p.Sub[0])
	case syntax.OpConcat:
		for _, sub := range p.Sub {
			w.write(sub)
		}
	}
}

func (w *writer) repeat(p *syntax.Regexp, least, most int) {
	n := least + w.more
	if most >= 0 {
		n = min(n, most)
	}
	for range n {
		if w.left < 0 {
			return
		}
		w.write(p.Sub[0])
	}
}

// member is a character of a class, one that reads well if it has any.
func member(ranges []rune) string {
	for _, wish := range "a0A_- " {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= wish && wish <= ranges[i+1] {
				return string(wish)
			}
		}
	}
	if len(ranges) == 0 {
		return ""
	}
	return string(ranges[0])
}

// resolve follows a reference within the schema, "#/$defs/Place".
func (a *author) resolve(ref string) any {
	at := a.root
	path, _ := strings.CutPrefix(ref, "#")
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name != "" {
			t, _ := at.(tree)
			at = t[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		}
	}
	return at
}

// merge adds parts to a schema, in place of the keyword that held them.
func merge(s tree, without string, parts ...tree) tree {
	out := maps.Clone(s)
	delete(out, without)
	for _, part := range parts {
		for key, v := range part {
			switch old := out[key].(type) {
			case tree: // properties
				both := maps.Clone(old)
				if more, ok := v.(tree); ok {
					maps.Copy(both, more)
				}
				out[key] = both
			case []any: // required
				if more, ok := v.([]any); ok && key == "required" {
					out[key] = slices.Concat(old, more)
					continue
				}
				out[key] = v
			default:
				out[key] = v
			}
		}
	}
	return out
}

// numeric reads a number in any of the forms that decoding leaves.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	}
	return 0, false
}
