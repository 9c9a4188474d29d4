package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for anything, on a busy machine: only what
// hangs is to take so long.
const patience = 2 * time.Minute

// A Page is one tab. Its methods name elements by CSS selector.
type Page struct {
	*Watch // what went wrong in it
	t      testing.TB
	ctx    context.Context
}

// Open opens url in a new tab and waits until it has loaded. The tab comes to the
// front, as hidden ones draw nothing and have slow timers, and is watched from
// before its first request.
func (b *Browser) Open(url string) *Page {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	p := &Page{watch(ctx), b.t, ctx}
	if err := chromedp.Run(ctx, p.Watch.start(), page.BringToFront(), chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("open %s: %v", url, err)
	}
	return p
}

// With returns the page for a sub-test.
func (p *Page) With(t testing.TB) *Page { return &Page{p.Watch, t, p.ctx} }

// Worker is the worker that the page has started last, as if it were a page. It
// waits for the first.
func (p *Page) Worker() *Page {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		worker := p.worker
		p.mu.Unlock()
		if worker != nil {
			return &Page{p.Watch, p.t, worker}
		}
		if time.Now().After(end) {
			p.t.Fatal("the page has started no worker")
		}
	}
}

// Do runs chromedp's own actions.
func (p *Page) Do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatalf("%v\n%s", err, p.Watch)
	}
}

// Click clicks as a person does, once the element is visible and enabled.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Do(chromedp.WaitEnabled(selector, chromedp.ByQuery), chromedp.Click(selector, chromedp.ByQuery))
}

// Type types text into an element once it is enabled.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.Do(chromedp.WaitEnabled(selector, chromedp.ByQuery), chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// Eval gives the value of a JavaScript expression; it waits for a promise.
func Eval[T any](p *Page, expression string) (value T) {
	p.t.Helper()
	await := func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }
	p.Do(chromedp.Evaluate(expression, &value, await))
	return value
}

// Instances gives what function makes of the array of all objects of a class that
// no garbage collection takes.
func Instances[T any](p *Page, class, function string) (value T) {
	p.t.Helper()
	p.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		prototype, _, err := runtime.Evaluate(class + ".prototype").Do(ctx)
		if err != nil {
			return err
		}
		all, err := runtime.QueryObjects(prototype.ObjectID).Do(ctx)
		if err != nil {
			return err
		}
		on := func(call *runtime.CallFunctionOnParams) *runtime.CallFunctionOnParams {
			return call.WithObjectID(all.ObjectID)
		}
		return chromedp.CallFunctionOn("function () { return ("+function+")(this); }", &value, on).Do(ctx)
	}))
	return value
}

// Back goes back to a page that waits in the browser's cache of pages.
func (p *Page) Back() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	restored := make(chan struct{}, 1)
	chromedp.ListenTarget(ctx, func(event any) {
		if e, ok := event.(*page.EventFrameNavigated); ok && e.Type == page.NavigationTypeBackForwardCacheRestore {
			restored <- struct{}{}
		}
	})
	p.Do(chromedp.Evaluate("history.back()", nil))
	select {
	case <-restored:
	case <-ctx.Done():
		p.t.Fatalf("the page was not in the cache of pages\n%s", p.Watch)
	}
}

// Text is an element's visible text.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Eval[string](p, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// Wait waits until a JavaScript expression is true.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Run(ctx, chromedp.Poll(expression, nil, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0)))
	if err != nil {
		text := "?"
		_ = chromedp.Run(p.ctx, chromedp.Evaluate("document.body.innerText", &text))
		p.t.Fatalf("waited in vain for %s: %v\nthe page says:\n%s\n%s", expression, err, text, p.Watch)
	}
}

// Screenshot keeps a picture of the whole page as .out/name.png, which git
// ignores, if SCREENSHOTS is set in the environment. No test looks at one, and on
// a busy machine Chromium was seen to take half a minute for it.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	if os.Getenv("SCREENSHOTS") == "" {
		return
	}
	var png []byte
	p.Do(chromedp.FullScreenshot(&png, 100))
	dir := filepath.Join(root(p.t), ".out")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o666); err != nil {
		p.t.Fatal(err)
	}
}
