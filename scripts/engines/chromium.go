package engines

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

type chromium struct {
	page *browser.Page
}

func launchChromium(t testing.TB) Page {
	t.Helper()
	return chromium{browser.Launch(t).Open("about:blank")}
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
