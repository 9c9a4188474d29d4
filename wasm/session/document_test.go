//go:build !js

package session

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/livevalet/livevalet/wasm/live"
)

const document = "../../docs/close-codes.md"

// marks frame what is generated in the document.
var marks = [2][]byte{[]byte("<!-- generated: go test ./wasm/session -run TheDocument -update -->\n"), []byte("<!-- end -->\n")}

func TestTheDocumentIsUpToDate(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begun := bytes.Cut(text, marks[0])
	_, tail, ended := bytes.Cut(rest, marks[1])
	if !begun || !ended {
		t.Fatal("the document has lost its marks")
	}
	want := bytes.Join([][]byte{head, marks[0], table(), marks[1], tail}, nil)
	switch {
	case bytes.Equal(text, want):
	case *update:
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("the table differs from the code: run this test with -update")
	}
}

func table() []byte {
	phases := map[live.Phase]string{
		"": "any time", live.PhaseSetup: "a new session begins", phaseResume: "a session is resumed", live.PhaseLive: "live",
	}
	doing := map[action]string{
		again: "resumes with the same token", newToken: "resumes with a new token",
		restart: "begins a new session", stop: "ends",
	}
	var b bytes.Buffer
	b.WriteString("\n| Code | Reason contains | While | The session | If it must end, the error is |\n|---|---|---|---|---|\n")
	for _, r := range ends {
		code, reason := "any other", "any"
		if r.code != 0 {
			code = fmt.Sprint(r.code)
		}
		if r.reason != "" {
			reason = "`" + r.reason + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", code, reason, phases[r.phase], doing[r.do], r.as)
	}
	b.WriteString("\n")
	return bytes.ReplaceAll(b.Bytes(), []byte("  "), []byte(" "))
}
