package emulator

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"
)

// encodingJSON is the same text, made at more cost.
func encodingJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrettyIsWhatEncodingJSONIndents(t *testing.T) {
	for _, tt := range []tree{
		{},
		{"setupComplete": tree{}},
		{"empty": []any{}, "nothing": nil, "yes": true, "zero": 0},
		{"z": 1, "a": int64(math.MaxInt64), "m": -0.5, "e": 1e300, "number": json.Number("1e5")},
		{"text": "<a href=\"x\">&amp;\u2028\u2029\x00\x1b é 漢 \U0001F600</a>", "<&>": "key"},
		{"time": time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "bytes": []byte{}, "pcm": bytes.Repeat([]byte{0, 255}, 1441)},
		{"list": []any{tree{"a": []any{1, "two", []any{tree{}}}}, nil, []any{}, tree{"b": tree{"c": tree{"d": []byte("x")}}}}},
	} {
		if got, want := string(pretty(tt)), encodingJSON(t, tt); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
