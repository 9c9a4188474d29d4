package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
)

// pretty is how the service writes JSON: two spaces of indent and a newline at
// the end (recorded). It is written here because encoding/json goes three times
// over the audio of which nearly all messages consist.
func pretty(t tree) []byte { return append(appendPretty(nil, t, "\n"), '\n') }

// appendPretty begins lines with newline, which contains the indent.
func appendPretty(b []byte, v any, newline string) []byte {
	inner := newline + "  "
	switch v := v.(type) {
	case tree:
		separator := "{"
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b = append(b, separator+inner...)
			b = appendScalar(b, name)
			b = append(b, ": "...)
			b = appendPretty(b, v[name], inner)
			separator = ","
		}
		if len(v) == 0 {
			return append(b, "{}"...)
		}
		return append(b, newline+"}"...)
	case []any:
		separator := "["
		for _, item := range v {
			b = append(b, separator+inner...)
			b = appendPretty(b, item, inner)
			separator = ","
		}
		if len(v) == 0 {
			return append(b, "[]"...)
		}
		return append(b, newline+"]"...)
	case []byte:
		b = slices.Grow(b, base64.StdEncoding.EncodedLen(len(v))+64)
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v)
		return append(b, '"')
	}
	return appendScalar(b, v)
}

// appendScalar writes what has no parts. In a tree it always marshals.
func appendScalar(b []byte, v any) []byte {
	out := bytes.NewBuffer(b)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
