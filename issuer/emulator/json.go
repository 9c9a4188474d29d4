package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// What one message may cost. Decoded, small values take up to a hundred times
// the memory of their text, so they are counted as they are read.
const (
	maxNesting = 100    // levels of objects and lists; proto3's own default
	maxMembers = 50_000 // values in all
)

// decodeJSON reads one JSON value as encoding/json does with UseNumber, objects
// as trees, but within limits, and in one pass: half of what the emulator does
// under load is to read the sound of microphones.
func decodeJSON(data []byte) (any, *refusal) {
	if !utf8.Valid(data) {
		return nil, refuse(invalidArgument, invalidJSON+"Invalid UTF-8.")
	}
	d := decoder{data: data}
	v, no := d.value()
	if d.peek(); no == nil && len(d.data) > 0 {
		no = refuse(invalidArgument, invalidJSON+"Expected end of string.")
	}
	return v, no
}

const invalidJSON = "Invalid JSON payload received. "

func errToken() *refusal { return refuse(invalidArgument, invalidJSON+"Unexpected token.") }

type decoder struct {
	data   []byte // not yet read
	levels int    // that are open
	values int    // that were read
}

// peek gives the first byte after white space, 0 at the end.
func (d *decoder) peek() byte {
	d.data = bytes.TrimLeft(d.data, " \t\r\n")
	if len(d.data) == 0 {
		return 0
	}
	return d.data[0]
}

// take reads c, if it comes next.
func (d *decoder) take(c byte) bool {
	found := d.peek() == c
	if found {
		d.data = d.data[1:]
	}
	return found
}

func (d *decoder) value() (any, *refusal) {
	if d.values++; d.values > maxMembers {
		return nil, refuse(invalidArgument, fmt.Sprintf(invalidJSON+"Message too large: it may have %d values.", maxMembers))
	}
	switch c := d.peek(); c {
	case '{':
		out := tree{}
		return out, d.members('}', func() *refusal {
			name, no := d.text()
			if no != nil || !d.take(':') {
				return errToken()
			}
			out[name], no = d.value()
			return no
		})
	case '[':
		out := []any{}
		no := d.members(']', func() *refusal {
			v, no := d.value()
			out = append(out, v)
			return no
		})
		return out, no
	case '"':
		return d.text()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	}
	return d.number()
}

// members reads an object or a list, whose members are read by next.
func (d *decoder) members(last byte, next func() *refusal) *refusal {
	if d.levels++; d.levels > maxNesting {
		return refuse(invalidArgument, fmt.Sprintf(invalidJSON+"Message too deep: it may have %d levels.", maxNesting))
	}
	d.data = d.data[1:]
	for first := true; !d.take(last); first = false {
		if !first && !d.take(',') {
			return errToken()
		}
		if no := next(); no != nil {
			return no
		}
	}
	d.levels--
	return nil
}

func (d *decoder) text() (string, *refusal) {
	if d.peek() != '"' {
		return "", errToken()
	}
	plain := true
	for i := 1; i < len(d.data); i++ {
		switch c := d.data[i]; {
		case c == '"':
			quoted := d.data[:i+1]
			d.data = d.data[i+1:]
			if plain {
				return string(quoted[1:i]), nil
			}
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				return "", errToken()
			}
			return s, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return "", errToken()
		}
	}
	return "", errToken()
}

func (d *decoder) word(w string) *refusal {
	rest, ok := bytes.CutPrefix(d.data, []byte(w))
	if !ok {
		return errToken()
	}
	d.data = rest
	return nil
}

func (d *decoder) number() (any, *refusal) {
	rest := bytes.TrimLeft(d.data, "+-.0123456789eE")
	n := d.data[:len(d.data)-len(rest)]
	if !json.Valid(n) {
		return nil, errToken()
	}
	d.data = rest
	return json.Number(n), nil
}
