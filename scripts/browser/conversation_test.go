//go:build bundle

package browser_test

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/browser"
)

//go:embed testdata/conversation.js
var conversationScript string

// A conversation is a page that tells the emulator's model numbered texts.
type conversation struct {
	*browser.Page
	t      *testing.T
	engine *browser.Page // where that runs: the page, or its Worker
}

// modes are where an engine can run.
var modes = []struct {
	name     string
	inWorker bool
}{{"in a Worker", true}, {"on the main thread", false}}

// startConversation has one started by the page; see conversation.js.
func startConversation(t *testing.T, page *browser.Page, inWorker, hurry bool) conversation {
	t.Helper()
	browser.Eval[any](page, fmt.Sprintf("{%s}; Conversation.start({ worker: %t, hurry: %t }).then((c) => { globalThis.conversation = c; return null; })",
		conversationScript, inWorker, hurry))
	c := conversation{page, t, page}
	if inWorker {
		c.engine = page.Worker()
	}
	return c
}

// do waits for the end of a call of one of its methods.
func (c conversation) do(call string) {
	c.t.Helper()
	browser.Eval[any](c.Page, fmt.Sprintf("conversation.%s.then(() => null)", call))
}

// causes are why its connections were dialled.
func (c conversation) causes() []string {
	c.t.Helper()
	return browser.Eval[[]string](c.Page, "conversation.causes")
}

// sleep puts the wall clock of the engine ahead, as it is after a machine slept.
func (c conversation) sleep(d time.Duration) {
	c.t.Helper()
	browser.Eval[any](c.engine, fmt.Sprintf(`if (!globalThis.ahead) {
		globalThis.ahead = 0;
		const now = Date.prototype.getTime;
		Date.prototype.getTime = function () { return now.call(this) + ahead; };
	}
	ahead += %d, null`, d.Milliseconds()))
}

// check tells what went wrong, and ends by asking the model what it was told: each
// text, once.
func (c conversation) check(allowed ...*regexp.Regexp) {
	c.t.Helper()
	c.do(`until(() => conversation.session.state === "live")`)
	c.do("recall()")
	if wrong := browser.Eval[string](c.Page, "JSON.stringify(conversation.wrong)"); wrong != "[]" {
		c.t.Errorf("this should not have happened: %s", wrong)
	}
	var known []string
	for n := browser.Eval[int](c.Page, "conversation.told"); n > 0; n-- { // the newest first
		known = append(known, fmt.Sprint(n%100))
	}
	all := "I remember that " + strings.Join(known, ", and that ") + "."
	const whole = 400 // bytes; longer answers are cut
	if got := browser.Eval[string](c.Page, "conversation.recalled"); got != all && (len(got) < whole || !strings.HasPrefix(all, strings.TrimRight(got, "."))) {
		c.t.Errorf("the model says %q, want %q", got, all)
	}
	if problems, _ := c.Problems(append(allowed, browser.SocketLine)...); len(problems) > 0 {
		c.t.Errorf("problems: %v", problems)
	}
}
