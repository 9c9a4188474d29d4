package engines

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

type chromium struct {
	page *browser.Page
}

func launchChromium(t testing.TB, rate int) Page {
	t.Helper()
	tone := filepath.Join(t.TempDir(), "tone.wav")
	if err := os.WriteFile(tone, toneFile(rate), 0o600); err != nil {
		t.Fatal(err)
	}
	return chromium{browser.Launch(t,
		chromedp.Flag("use-fake-ui-for-media-stream", true), // nobody needs to allow the microphone
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-audio-capture", tone),
	).Open("about:blank")}
}

// toneFile is a second of the tone as a WAV file, to be played over and over.
func toneFile(rate int) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	header := []any{uint32(36 + 2*rate), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1),
		uint32(rate), uint32(2 * rate), uint16(2), uint16(16), []byte("data"), uint32(2 * rate)}
	for _, field := range header {
		_ = binary.Write(&b, binary.LittleEndian, field)
	}
	for i := range rate {
		_ = binary.Write(&b, binary.LittleEndian, int16(16_000*math.Sin(2*math.Pi*Tone*float64(i)/float64(rate))))
	}
	return b.Bytes()
}

func (c chromium) Open(t testing.TB, url string) {
	t.Helper()
	c.page.With(t).Do(chromedp.Navigate(url))
}

func (c chromium) Click(t testing.TB, selector string) {
	t.Helper()
	c.page.With(t).Click(selector)
}

func (c chromium) Eval(t testing.TB, expression string) json.RawMessage {
	t.Helper()
	return json.RawMessage(browser.Eval[string](c.page.With(t), inJSON(expression)))
}

func (c chromium) Complaints() (complaints []string) {
	problems, _ := c.page.Problems(browser.SocketLine)
	for _, p := range problems {
		complaints = append(complaints, p.String())
	}
	return complaints
}
