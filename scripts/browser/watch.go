package browser

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// SocketLine is what Chromium itself writes to the console when a WebSocket's
// handshake or framing fails, or its page is frozen. It contains the socket's URL, and so the token; no
// page can prevent it. It is the one line that tests of such faults allow.
var SocketLine = regexp.MustCompile(`^WebSocket connection to '[^']*' failed`)

// A Kind says who an entry is from.
type Kind string

const (
	Console   Kind = "console"   // the page's own console.log and its like
	Exception Kind = "exception" // uncaught errors and rejections
	Chromium  Kind = "chromium"  // what the browser itself writes to the console
	Policy    Kind = "policy"    // a violation of the content security policy
	Network   Kind = "network"   // a request without an answer
)

// An Entry is one thing that a page or one of its workers said or suffered.
type Entry struct {
	Kind  Kind
	Level string // "error", "warning", "info", "log", "debug", …
	Text  string
	URL   string // of what it is about, if that is known
}

func (e Entry) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", e.Kind, e.Level, e.Text, e.URL))
}

// A Watch hears a page and its workers. Its methods may be called at any time
// and from any goroutine.
type Watch struct {
	ctx context.Context // the tab's

	mu       sync.Mutex
	entries  []Entry
	requests map[network.RequestID]string // URL
	worker   context.Context              // the newest worker's; nil until one is heard
}

// policyBinding carries violations of the content security policy out of the
// page without a trace in its console.
const policyBinding = "reportPolicyViolation"

const policyScript = `addEventListener("securitypolicyviolation", (e) =>
	` + policyBinding + `(e.violatedDirective + " forbids " + e.blockedURI + " in " + (e.sourceFile || e.documentURI)), true)`

func watch(ctx context.Context) *Watch {
	w := &Watch{ctx: ctx, requests: map[network.RequestID]string{}}
	chromedp.ListenTarget(ctx, w.hear)
	return w
}

// start is to run before the page is opened.
func (w *Watch) start() chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		if err := runtime.AddBinding(policyBinding).Do(ctx); err != nil {
			return err
		}
		_, err := page.AddScriptToEvaluateOnNewDocument(policyScript).Do(ctx)
		return err
	})
}

// hear is called with every event, in order; it must not wait for the browser.
func (w *Watch) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		words := make([]string, len(e.Args))
		for i, arg := range e.Args {
			if words[i] = strings.Trim(string(arg.Value), `"`); words[i] == "" {
				words[i] = arg.Description
			}
		}
		w.add(Entry{Console, string(e.Type), strings.Join(words, " "), ""})
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		w.add(Entry{Exception, "error", text, e.ExceptionDetails.URL})
	case *log.EventEntryAdded:
		w.add(Entry{Chromium, string(e.Entry.Level), e.Entry.Text, e.Entry.URL})
	case *runtime.EventBindingCalled:
		if e.Name == policyBinding {
			w.add(Entry{Policy, "error", e.Payload, ""})
		}
	case *network.EventRequestWillBeSent:
		w.mu.Lock()
		w.requests[e.RequestID] = e.Request.URL
		w.mu.Unlock()
	case *network.EventLoadingFailed:
		w.mu.Lock()
		url := w.requests[e.RequestID]
		w.mu.Unlock()
		level := "error"
		if e.Canceled { // by the page itself
			level = "info"
		}
		w.add(Entry{Network, level, e.ErrorText, url})
	case *target.EventAttachedToTarget:
		if strings.Contains(e.TargetInfo.Type, "worker") {
			go w.watchWorker(e.TargetInfo.TargetID)
		}
	}
}

// watchWorker hears a worker too. What it said before is told again when it is
// attached. It may be gone by then: that is no error.
func (w *Watch) watchWorker(id target.ID) {
	ctx, _ := chromedp.NewContext(w.ctx, chromedp.WithTargetID(id)) // ends with the tab
	chromedp.ListenTarget(ctx, w.hear)
	_ = chromedp.Run(ctx, log.Enable()) // chromedp enables only the runtime of a worker
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worker = ctx
}

func (w *Watch) add(e Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, e)
}

// Entries are all so far, the harmless ones too.
func (w *Watch) Entries() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Entry(nil), w.entries...)
}

// Problems are the entries of level error or warning, of any kind, that no
// pattern in allowed matches; allowedCount is how many did.
func (w *Watch) Problems(allowed ...*regexp.Regexp) (problems []Entry, allowedCount int) {
next:
	for _, e := range w.Entries() {
		if e.Level != "error" && e.Level != "warning" && e.Level != "assert" {
			continue
		}
		for _, pattern := range allowed {
			if pattern.MatchString(e.Text) {
				allowedCount++
				continue next
			}
		}
		problems = append(problems, e)
	}
	return problems, allowedCount
}

// String is one entry a line.
func (w *Watch) String() string {
	var b strings.Builder
	for _, e := range w.Entries() {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}
