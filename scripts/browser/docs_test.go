//go:build bundle

package browser_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestThePageOfTheDocsTalks serves what docs/voice.md begins with, as somebody would
// who copies it, under the policy of the server, and talks.
func TestThePageOfTheDocsTalks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/voice.md")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server, target := front(t, mux)
	policy := header(t, target.String(), "Content-Security-Policy")
	for media, block := range map[string]string{"text/html": "html", "text/javascript": "js"} {
		code := regexp.MustCompile("(?s)```" + block + "\n(.*?)\n```").FindSubmatch(text)
		if code == nil {
			t.Fatalf("docs/voice.md has no %s", block)
		}
		mux.HandleFunc("GET /talk."+block, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.Header().Set("Content-Security-Policy", policy)
			_, _ = w.Write(code[1])
		})
	}
	file := filepath.Join(speak(t), "2") + "%noloop"
	page := browser.Launch(t, append(fakeDevices, chromedp.Flag("use-file-for-fake-audio-capture", file))...).Open(server + "/talk.html")
	page.Click("#talk")
	page.Wait(`/^model: ./m.test(captions.innerText)`)
	page.Click("#talk")
	page.Wait(`talk.textContent === "Talk"`)
	if got := page.Text("#status"); got != "" {
		t.Errorf("the page says %q", got)
	}
	if problems, _ := page.Problems(favicon); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

func header(t *testing.T, url, name string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	value := answer.Header.Get(name)
	if value == "" {
		t.Fatalf("%s has no %s", url, name)
	}
	return value
}
