//go:build bundle

package browser_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// TestRotationsLeaveNothingInThePage changes a conversation's connection 60 times,
// 300 with LONG_TESTS set, and looks at what that leaves behind on the engine's
// thread and on the page. Each text is answered once, and the page is told so.
func TestRotationsLeaveNothingInThePage(t *testing.T) {
	t.Parallel()
	rotations := 60
	if os.Getenv("LONG_TESTS") != "" {
		rotations = 300
	}
	chromium := browser.Launch(t)
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
			c := startConversation(t, chromium.Open(server.URL).With(t), mode.inWorker, true)
			_, warm := c.rotate(max(60, rotations/3)) // its memory takes its size
			began := time.Now()
			n, after := c.rotate(rotations)
			t.Logf("%d rotations in %v: %+v, before %+v", n, time.Since(began).Round(time.Millisecond), after, warm)

			if after.Memory > warm.Memory+2<<20 {
				t.Errorf("%d bytes of wasm memory were %d", after.Memory, warm.Memory)
			}
			if after.Callbacks > warm.Callbacks+ofOne {
				t.Errorf("JavaScript can call %d functions, before %d", after.Callbacks, warm.Callbacks)
			}
			if after.Heap > warm.Heap+1<<20 || after.PageHeap > warm.PageHeap+1<<20 {
				t.Errorf("JavaScript's heap grew to %d and %d bytes", after.Heap, after.PageHeap)
			}
			if after.Open != 1 {
				t.Errorf("%d sockets are open", after.Open)
			}
			c.check()
		})
	}
}

// ofOne is how many callbacks come and go with a connection.
const ofOne = 4

// A footprint is what a conversation takes, in bytes and pieces.
type footprint struct {
	Memory         int // linear memory of the module
	Callbacks      int // functions of Go's that JavaScript holds
	Open           int // sockets
	Heap, PageHeap int // JavaScript's, on the engine's thread and on the page
}

// rotate changes the connection at least that often, and goes on until the engine
// has collected its garbage, which happens about every 50 rotations: what it lets
// go of is in JavaScript's tables until then.
func (c conversation) rotate(times int) (n int, f footprint) {
	c.t.Helper()
	browser.Instances[any](c.engine, "Go", `(all) => { globalThis.program = all.find((go) => Object.hasOwn(go, "_inst")); return null; }`)
	const callbacks = `program._values.filter((v) => typeof v === "function" && v.toString().includes("_pendingEvent")).length`
	for collected := false; n < times || !collected; n++ {
		if n > times+300 {
			c.t.Fatal("the engine never collects its garbage")
		}
		c.sleep(6 * time.Second) // connections that hold for less are changed slowly
		c.do("rotate()")
		before := f.Callbacks
		f.Callbacks = browser.Eval[int](c.engine, callbacks)
		collected = f.Callbacks < before
	}
	f.Memory = browser.Eval[int](c.engine, "program._inst.exports.mem.buffer.byteLength")
	f.Open = browser.Instances[int](c.engine, "WebSocket", `(all) => all.filter((s) => s !== WebSocket.prototype && s.readyState === WebSocket.OPEN).length`)
	f.Heap, f.PageHeap = heap(c.engine), heap(c.Page)
	return n, f
}

// heap is what is in use of JavaScript's heap after a garbage collection.
func heap(p *browser.Page) (used int) {
	p.Do(heapprofiler.CollectGarbage(), chromedp.ActionFunc(func(ctx context.Context) error {
		bytes, _, _, _, err := runtime.GetHeapUsage().Do(ctx)
		used = int(bytes)
		return err
	}))
	return used
}
