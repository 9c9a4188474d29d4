package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/conformance.md")

const document = "../../docs/conformance.md"

// marks frame what is generated in the document.
var marks = [2][]byte{[]byte("<!-- generated: go test ./issuer/conformance -run TheDocument -update -->\n"), []byte("<!-- end -->\n")}

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
	want := bytes.Join([][]byte{head, marks[0], tables(), marks[1], tail}, nil)
	switch {
	case bytes.Equal(text, want):
	case *update:
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("the tables differ from the code: run this test with -update")
	}
}

func tables() []byte {
	var b bytes.Buffer
	b.WriteString("\n| # | Fact | Evidence | Costs money |\n|---|---|---|---|\n")
	for _, f := range Facts() {
		paid := ""
		if f.Paid {
			paid = "yes"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", f.Number, strings.ReplaceAll(f.Sentence, "|", `\|`), f.Labels(), paid)
	}
	b.WriteString("\n## Open questions\n\n| Switch | Question | The emulator's default | Told by |\n|---|---|---|---|\n")
	for _, q := range Questions() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", q.ID, q.Text, q.Default, strings.Trim(fmt.Sprint(q.Facts), "[]"))
	}
	b.WriteString("\n")
	return b.Bytes()
}
