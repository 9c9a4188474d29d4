package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/chromium"
)

// A party is a page that is measured, or the variant of one.
type party struct {
	name  string
	path  string // of the page on a front
	piece int    // frames that it sends at once, where it can choose
	query string // of its address; see its script
}

// Ours comes first: the others are what it is measured beside.
var (
	ours = party{name: "livevalet", path: "/ours"}
	peer = party{name: "@google/genai", path: "/peer", piece: 2048} // as the samples
)

// patience is how long a page may take for anything.
const patience = 2 * time.Minute

// A stage is what the pages of a measurement run in.
type stage struct {
	*front
	browser context.Context
}

// onStage runs f with a browser of its own, in front of the service.
func onStage(ctx context.Context, s *service, sdk string, over line, f func(stage) error) (err error) {
	script, err := bundlePeer(ctx, sdk)
	if err != nil {
		return err
	}
	front, err := newFront(s.url, script, over)
	if err != nil {
		return err
	}
	defer front.server.Close()
	browser, stop, err := chromium.Start(ctx, chromium.NoGesture)
	if err != nil {
		return err
	}
	defer stop()
	return f(stage{front, browser})
}

// open opens a party's page as a visitor who has never been there, and waits until
// its script has run.
func (s stage) open(p party) (tab context.Context, leave func(), err error) {
	var window target.ID
	whole := cdp.WithExecutor(s.browser, chromedp.FromContext(s.browser).Browser)
	visitor, err := target.CreateBrowserContext().Do(whole)
	if err == nil {
		window, err = target.CreateTarget("about:blank").WithBrowserContextID(visitor).WithNewWindow(true).Do(whole)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open a window: %w", err)
	}
	tab, cancel := chromedp.NewContext(s.browser, chromedp.WithTargetID(window))
	leave = func() {
		cancel()
		_ = target.DisposeBrowserContext(visitor).Do(whole)
	}
	err = chromedp.Run(tab, performance.Enable().WithTimeDomain(performance.EnableTimeDomainThreadTicks),
		chromedp.Navigate(s.url+p.path+"?"+p.query))
	if err != nil {
		leave()
		return nil, nil, fmt.Errorf("open the page of %s: %w", p.name, err)
	}
	return tab, leave, nil
}

// eval gives what the body of an async function returns.
func eval[T any](tab context.Context, format string, args ...any) (value T, err error) {
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	err = chromedp.Run(ctx, chromedp.Evaluate("(async () => {"+fmt.Sprintf(format, args...)+"})()", &value,
		func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	if err != nil {
		err = fmt.Errorf("in the page: %w", err)
	}
	return value, err
}

// work is the processor time of a page.
type work struct {
	main time.Duration // of its main thread
	all  time.Duration // of its process: worker, audio thread, garbage collector, …
}

func (w work) since(o work) work { return work{w.main - o.main, w.all - o.all} }

func (w work) String() string {
	return fmt.Sprintf("%s on the main thread, %s in all", milliseconds(w.main), milliseconds(w.all))
}

// perMinute gives the work of a page in a minute of what f waits for.
func perMinute(tab context.Context, f func() error) (work, error) {
	before, err := workOf(tab)
	if err != nil {
		return work{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return work{}, err
	}
	minutes := time.Since(began).Minutes()
	after, err := workOf(tab)
	w := after.since(before)
	return work{time.Duration(float64(w.main) / minutes), time.Duration(float64(w.all) / minutes)}, err
}

// workOf gives what it was so far.
func workOf(tab context.Context) (w work, err error) {
	err = chromedp.Run(tab, chromedp.ActionFunc(func(ctx context.Context) error {
		metrics, err := performance.GetMetrics().Do(ctx)
		if err != nil {
			return err
		}
		for _, m := range metrics {
			switch d := time.Duration(m.Value * float64(time.Second)); m.Name {
			case "ThreadTime":
				w.main = d
			case "ProcessTime":
				w.all = d
			}
		}
		if w.main == 0 || w.all == 0 {
			return errors.New("the browser does not tell the processor time of a page")
		}
		return nil
	}))
	return w, err
}
