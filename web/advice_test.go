package web_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAdviceForEveryCode reads the codes that the documents name.
func TestAdviceForEveryCode(t *testing.T) {
	advice, err := os.ReadFile("src/demo/advice.ts")
	if err != nil {
		t.Fatal(err)
	}
	itself := []string{"aborted", "invalid_request", "unsupported", "method_not_allowed", "body_too_large", "unsupported_media_type"} // a mistake of the page's, or the message says it
	codes := 0
	for _, name := range []string{"http.md", "browser.md"} {
		text, err := os.ReadFile("../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_, table, found := strings.Cut(string(text), "| Code |")
		if !found {
			t.Fatalf("docs/%s has no table of codes", name)
		}
		table, _, _ = strings.Cut(table, "\n\n")
		for line := range strings.Lines(table) {
			cells := strings.Split(line, "|")
			for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[min(1, len(cells)-1)], -1) {
				codes++
				if !slices.Contains(itself, code[1]) && !strings.Contains(string(advice), "\n  "+code[1]+": \"") {
					t.Errorf("the console does not say what to do about %s", code[1])
				}
			}
		}
	}
	if codes < 30 {
		t.Errorf("the documents name only %d codes", codes)
	}
}
