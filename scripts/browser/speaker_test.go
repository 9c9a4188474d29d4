//go:build bundle

package browser_test

import (
	_ "embed"
	"net/http"
	"testing"

	"github.com/livevalet/livevalet/scripts/browser"
)

var (
	//go:embed testdata/listener.js
	listenerScript string
	//go:embed testdata/capture.worklet.js
	captureScript string
)

// heard is a turn, as the speaker tells of it.
type heard struct {
	MS, Of      float64
	Interrupted bool
}

// played is what a listener hears after it said something.
type played struct {
	Underruns int
	Heard     []heard
}

// TestSpeaker listens to what the built page plays: the frames that the audio
// thread rendered, whenever it came to that.
func TestSpeaker(t *testing.T) {
	t.Parallel()
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /capture.worklet.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write([]byte(captureScript))
	})
	chromium := browser.Launch(t)
	t.Run("without a click sound waits, and the next brings it", func(t *testing.T) {
		page := chromium.Open(server.URL).With(t)
		browser.Eval[any](page, `import("/livevalet.js").then(async ({ connect }) => {
			globalThis.session = await connect({ speaker: true });
			await session.sendRealtimeInput({ text: "my name is Ada" });
			return null;
		})`)
		page.Wait("session.speaker.blocked")
		if browser.Eval[bool](page, "session.speaker.playing") {
			t.Error("it plays")
		}
		browser.Eval[any](page, `(globalThis.heard = new Promise((resolve) => session.speaker.addEventListener("heard", resolve, { once: true })), null)`)
		page.Click("h1")
		if browser.Eval[bool](page, "heard.then(() => session.speaker.blocked)") {
			t.Error("it is heard, and blocked")
		}
		browser.Eval[any](page, "session.close().then(() => null)")
	})
	page := chromium.Open(before(t, server.URL, mux, nil))
	step := func(name string, do func(t *testing.T, page *browser.Page)) {
		if !t.Failed() { // where one step fails, the next has nothing to stand on
			t.Run(name, func(t *testing.T) { do(t, page.With(t)) })
		}
	}

	step("a click is enough for sound", func(t *testing.T, page *browser.Page) {
		browser.Eval[any](page, "{"+listenerScript+`}
			import("/livevalet.js").then(async ({ connect, preload }) => {
				Listener.connect = connect;
				const button = Object.assign(document.createElement("button"), { id: "listen", textContent: "listen" });
				button.onclick = () => Listener.start().then((started) => (globalThis.listener = started));
				document.body.prepend(button);
				await preload();
				return null;
			})`)
		page.Click("#listen")
		page.Wait("globalThis.listener")
		whole(t, hear(page, "my name is Ada", ""), 1)
		t.Logf("from the click to the first sound of the answer: %.0f ms", browser.Eval[float64](page, "listener.sounding[0] - listener.asked"))
	})
	step("over a line with jitter and a page that is busy, what is played is what was sent", func(t *testing.T, page *browser.Page) {
		browser.Eval[any](page, `listener.emulator("slow", { jitter: "120ms" }).then(() => null)`)
		var underruns []int
		for range 8 { // the cushion grows until it is large enough, on a busy machine too
			got := hear(page, "remember that the key is under the mat of the door", `, 1, () => Listener.stall(300)`)
			underruns = append(underruns, got.Underruns)
			if got.Underruns > 0 {
				continue
			}
			like := browser.Eval[float64](page, "listener.likeness()")
			t.Logf("underruns of each turn: %v; the last is like what was sent by %.4f", underruns, like)
			if like < 0.99 {
				t.Errorf("what is played is like what was sent by %.4f", like)
			}
			return
		}
		t.Errorf("underruns of each turn: %v", underruns)
	})
	step("who interrupts hears nothing any more, and then the next turn", func(t *testing.T, page *browser.Page) {
		browser.Eval[any](page, `listener.emulator("slow", { latency: "1ms" }).then(() => null)`)
		got := hear(page, "tell a long story", `, 1, () => new Promise((resolve) => setTimeout(resolve, 500)).then(() => listener.emulator("phantom-interrupt"))`)
		turn := got.Heard[0]
		if !turn.Interrupted || turn.MS <= 0 || turn.MS >= turn.Of {
			t.Errorf("it heard %+v", turn)
		}
		sounding := browser.Eval[[]float64](page, "listener.sounding")
		if rendered := sounding[1] - sounding[0]; rendered > (turn.MS+turn.Of)/2 {
			t.Errorf("of %.0f ms %.0f were played", turn.Of, rendered)
		}
		t.Logf("from interrupted, on the page, to silence at the device: %.0f ms", browser.Eval[float64](page, "listener.sounding[1] - listener.interrupted"))
		whole(t, hear(page, "what is my name?", ""), 1)
	})
	step("an answer that is cut plays as far as it came, and then what is said instead", func(t *testing.T, page *browser.Page) {
		whole(t, hear(page, "what do you remember?", `, 2, () => listener.emulator("drop")`), 2)
	})
	browser.Eval[any](page, "listener.session.close().then(() => null)")
	if problems, _ := page.Problems(browser.SocketLine); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// whole fails unless so many turns were heard to their end.
func whole(t *testing.T, got played, turns int) {
	t.Helper()
	if len(got.Heard) != turns {
		t.Errorf("it heard %+v, want %d turns", got.Heard, turns)
	}
	for _, turn := range got.Heard {
		if turn.MS != turn.Of || turn.MS == 0 || turn.Interrupted {
			t.Errorf("it heard %+v", turn)
		}
	}
}

// hear has the listener say something.
func hear(page *browser.Page, text, more string) played {
	return browser.Eval[played](page, `listener.hear("`+text+`"`+more+`)`)
}
