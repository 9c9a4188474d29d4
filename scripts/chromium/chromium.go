// Package chromium starts headless browsers for tests and measurements.
package chromium

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

// flags keep Chromium quiet on the network, and from loading the pages of its address
// bar, which are half of what a start takes; the rest are chromedp's own.
var flags = append(chromedp.DefaultExecAllocatorOptions[:],
	chromedp.Flag("headless", "new"),
	chromedp.DisableGPU,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-features", "site-per-process,Translate,BlinkGenPropertyTrees,WebUIOmniboxPopup,WebUIOmniboxAimPopup"), // the first three are chromedp's
	chromedp.WindowSize(1280, 900),
	chromedp.WSURLReadTimeout(time.Minute), // a busy machine starts it slowly
)

// NoGesture lets pages make sound without a click.
var NoGesture = chromedp.Flag("autoplay-policy", "no-user-gesture-required")

// Start starts a Chromium with an empty profile, in the environment of this
// program. The context is of its first tab; stop waits until the browser is gone.
// More flags may ask for a fake microphone, say.
func Start(ctx context.Context, more ...chromedp.ExecAllocatorOption) (browser context.Context, stop func(), err error) {
	allocator, end := chromedp.NewExecAllocator(ctx, append(flags[:len(flags):len(flags)], more...)...)
	browser, _ = chromedp.NewContext(allocator)
	stop = func() {
		_ = chromedp.Cancel(browser)
		end()
	}
	if err := chromedp.Run(browser); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start Chromium (Debian's package chromium): %w", err)
	}
	return browser, stop, nil
}
