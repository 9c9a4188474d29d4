//go:build bundle

package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/color"
	"image/jpeg"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/livevalet/livevalet/scripts/browser"
)

// fakeDevices gives a page a camera and a microphone of Chromium's own, unasked.
var fakeDevices = []chromedp.ExecAllocatorOption{
	chromedp.Flag("use-fake-device-for-media-stream", true),
	chromedp.Flag("use-fake-ui-for-media-stream", true),
}

// canvas is a page's own source of pictures.
const canvas = `(() => {
	const canvas = Object.assign(document.createElement("canvas"), { width: 1920, height: 1080 });
	const context = canvas.getContext("2d");
	setInterval(() => {
		context.fillStyle = "hsl(" + performance.now() + " 100% 50%)";
		context.fillRect(0, 0, canvas.width, canvas.height);
	}, 50);
	return canvas.captureStream();
})()`

// overhear keeps what a socket of the engine's is given to send, and when (ms).
const overhear = `globalThis.sent = [];
const { send } = WebSocket.prototype;
WebSocket.prototype.send = function (message) {
	sent.push({ at: performance.now(), message });
	return send.call(this, message);
}, null`

// TestCamera has the emulator see a camera, and a screen.
func TestCamera(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t, fakeDevices...)
	for _, source := range []struct {
		name, options string
		width, height int
	}{
		{"the camera", `{ maxSize: 320 }`, 320, 240},
		{"a screen", `{ source: "screen" }`, 768, 432}, // a fake one of Chromium's
	} {
		for _, mode := range modes {
			t.Run(source.name+", the engine "+mode.name, func(t *testing.T) {
				server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL
				c := startConversation(t, chromium.Open(server).With(t), mode.inWorker, true)
				browser.Eval[any](c.engine, overhear)
				look(c, source.options)
				browser.Eval[any](c.Page, `globalThis.ends = 0;
					conversation.session.camera.addEventListener("ended", () => ends++)`)
				eventually(t, "two pictures", func() (bool, string) {
					n := pictures(t, server)
					return n >= 2, fmt.Sprint(n)
				})
				last := -1000.
				for _, picture := range browser.Eval[[]struct {
					At   float64
					Data []byte
				}](c.engine, `sent.map(({ at, message }) => ({ at, data: JSON.parse(message).realtimeInput?.video?.data })).filter(({ data }) => data)`) {
					if picture.At-last < 995 { // a timer may be early by a little
						t.Errorf("a picture %.0f ms after the one before", picture.At-last)
					}
					last = picture.At
					size, err := jpeg.DecodeConfig(bytes.NewReader(picture.Data))
					if err != nil {
						t.Fatalf("not a JPEG: %v", err)
					}
					if size.Width != source.width || size.Height != source.height {
						t.Errorf("a picture of %d by %d, want %d by %d", size.Width, size.Height, source.width, source.height)
					}
				}
				browser.Eval[any](c.Page, `{
					const [track] = conversation.session.camera.preview.getTracks();
					track.stop();
					track.dispatchEvent(new Event("ended")); // Which browsers tell of unplugged cameras.
				}
				null`)
				if told := browser.Eval[string](c.Page, "conversation.session.camera.state + ends"); told != "off1" {
					t.Errorf("after its track the camera is %s", told)
				}
				c.do("say()") // after the picture that may have been under way
				before := pictures(t, server)
				time.Sleep(1200 * time.Millisecond) // what must not happen has no end to wait for
				if after := pictures(t, server); after != before {
					t.Errorf("%d pictures came after the end of the track", after-before)
				}
				c.check()
			})
		}
	}
}

// TestAWindowThatIsSharedIsSeenFromBehindIt shares another tab, as people share a
// window: it is in front, so the page that shares it is hidden.
func TestAWindowThatIsSharedIsSeenFromBehindIt(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t, chromedp.Flag("auto-select-tab-capture-source-by-title", "shared"),
		chromedp.Flag("disable-renderer-backgrounding", false), chromedp.Flag("disable-background-timer-throttling", false))
	shared := chromium.Open("about:blank")
	browser.Eval[any](shared, `document.title = "shared";
		setInterval(() => (document.body.style = "height: 100vh; background: hsl(" + performance.now() / 10 + " 100% 50%)"), 50);
		null`)
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL
	tab := chromium.Open("about:blank")
	tab.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(slowTimers).Do(ctx)
		return err
	}), chromedp.Navigate(server))
	c := startConversation(t, tab, true, true)
	look(c, `{ source: "screen" }`)
	shared.Do(page.BringToFront())
	hidden(t, c)

	browser.Eval[any](c.engine, overhear)
	const seen = `sent.map(({ message }) => JSON.parse(message).realtimeInput?.video?.data).filter((data) => data)`
	eventually(t, "pictures of four colours", func() (bool, string) { // too many for the page's timers
		colours := make(map[color.Color]bool) // one, if the page sees what is past
		for _, data := range browser.Eval[[][]byte](c.engine, seen) {
			picture, err := jpeg.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("not a JPEG: %v", err)
			}
			colours[picture.At(picture.Bounds().Dx()/2, picture.Bounds().Dy()/2)] = true
		}
		return len(colours) >= 4, fmt.Sprint(len(colours))
	})
	c.check()
}

// look starts the camera in what the browser takes for a click.
func look(c conversation, options string) {
	c.t.Helper()
	c.Do(chromedp.Evaluate(`conversation.session.camera.start(`+options+`)`, nil, func(e *runtime.EvaluateParams) *runtime.EvaluateParams {
		return e.WithUserGesture(true).WithAwaitPromise(true)
	}))
}

// pictures counts what the emulator got.
func pictures(t *testing.T, server string) (n int) {
	t.Helper()
	var journal struct {
		Entries []struct {
			Message struct {
				RealtimeInput struct{ Video json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal([]byte(get(t, server+"/__emulator/journal")), &journal); err != nil {
		t.Fatal(err)
	}
	for _, e := range journal.Entries {
		if e.Message.RealtimeInput.Video != nil {
			n++
		}
	}
	return n
}

// TestTheEndOfASessionWithPicturesIsForetold has a grant say that the context is not
// compressed. The service then ends a session with pictures after two minutes.
func TestTheEndOfASessionWithPicturesIsForetold(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0").URL
	page := browser.Launch(t).Open(server)
	browser.Eval[any](page, `(async () => {
		const { connect } = await import("/livevalet.js");
		const token = async () => ({ ...await (await fetch("/v1/token", { method: "POST" })).json(), session: { compression: false } });
		globalThis.session = await connect({ token });
		session.addEventListener("sessioncap", ({ detail }) => (globalThis.cap = detail));
		await session.camera.start({ source: `+canvas+` });
	})().then(() => null)`)
	eventually(t, "a picture", func() (bool, string) { return pictures(t, server) > 0, "none" })
	conversation{page, t, page.Worker()}.sleep(70 * time.Second)
	page.Wait("globalThis.cap")
	if !browser.Eval[bool](page, "cap.video && cap.msLeft > 0 && cap.msLeft <= 60_000") {
		t.Errorf("told %s", browser.Eval[string](page, "JSON.stringify(cap)"))
	}
	browser.Eval[any](page, "session.close().then(() => null)")
}
