//go:build bundle

package browser_test

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	permissions "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/scripts/browser"
	"github.com/livevalet/livevalet/scripts/chromium"
)

//go:embed testdata/microphone.js
var microphoneScript string

// noGesture lets pages make sound without a click.
var noGesture = chromium.NoGesture

const micRate = 16000 // samples/s on the wire

// A wire is the Live socket of a server, listened to on its way.
type wire struct {
	t      *testing.T
	server string // as a page reaches it
	target *url.URL

	mu    sync.Mutex
	heard []sent
}

// sent is a message of a client's.
type sent struct {
	kind string // "setup", "clientContent", "audio", "activityStart", …
	at   time.Time
	pcm  []int16
}

// listen serves what the built server serves, and listens to its socket.
func listen(t *testing.T, args ...string) *wire {
	t.Helper()
	w := &wire{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/", w.serve)
	w.server, w.target = front(t, mux, args...)
	return w
}

func (w *wire) serve(rw http.ResponseWriter, r *http.Request) {
	client, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = client.CloseNow() }()
	service, _, err := websocket.Dial(r.Context(), "ws://"+w.target.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return
	}
	defer func() { _ = service.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		defer cancel()
		pass(ctx, service, client, func([]byte) {})
	}()
	pass(ctx, client, service, w.note)
}

// pass passes messages on, and the end.
func pass(ctx context.Context, from, to *websocket.Conn, note func([]byte)) {
	from.SetReadLimit(-1)
	for {
		kind, message, err := from.Read(ctx)
		if err != nil {
			if code := websocket.CloseStatus(err); code > 0 {
				_ = to.Close(code, "")
			}
			return
		}
		note(message)
		if to.Write(ctx, kind, message) != nil {
			return
		}
	}
}

func (w *wire) note(message []byte) {
	one := sent{at: time.Now()}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(message, &m); err != nil {
		w.t.Errorf("the client sent no JSON: %v", err)
		return
	}
	for one.kind = range m {
	}
	if input, ok := m["realtimeInput"]; ok {
		var in map[string]json.RawMessage
		var blob struct {
			Data     []byte
			MimeType string
		}
		_ = json.Unmarshal(input, &in)
		for one.kind = range in {
		}
		if one.kind == "audio" {
			_ = json.Unmarshal(in["audio"], &blob)
			if blob.MimeType != "audio/pcm;rate=16000" || len(blob.Data) != micRate/50*2 {
				w.t.Errorf("%d bytes of %s", len(blob.Data), blob.MimeType)
			}
			for i := 0; i+1 < len(blob.Data); i += 2 {
				one.pcm = append(one.pcm, int16(binary.LittleEndian.Uint16(blob.Data[i:])))
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, one)
}

// sound is all that came, and when each 20 ms of it did.
func (w *wire) sound() (pcm []int16, times []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.heard {
		if one.pcm != nil {
			pcm, times = append(pcm, one.pcm...), append(times, one.at)
		}
	}
	return pcm, times
}

// kinds are the messages in order, repeated ones once.
func (w *wire) kinds() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kinds []string
	for _, one := range w.heard {
		kinds = append(kinds, one.kind)
	}
	return strings.Join(slices.Compact(kinds), " ")
}

// waitFor waits until so much sound has come.
func (w *wire) waitFor(length time.Duration) {
	w.t.Helper()
	eventually(w.t, length.String(), func() (bool, string) {
		pcm, _ := w.sound()
		got := time.Duration(len(pcm)) * time.Second / micRate
		return got >= length, got.String()
	})
}

// open opens a page of the wire's server with the script.
func (w *wire) open(t *testing.T, chromium *browser.Browser) *browser.Page {
	t.Helper()
	page := chromium.Open(w.server).With(t)
	browser.Eval[any](page, "(async () => {"+microphoneScript+"})().then(() => null)")
	return page
}

// run waits for the end of a function of the page's.
func run[T any](page *browser.Page, body string) T {
	return browser.Eval[T](page, "(async () => {"+body+"})()")
}

// tell gives how loud a tone is in a sound, and how loud the rest: dB of full scale.
func tell(pcm []int16, hertz float64) (tone, rest float64) {
	var ss, sc, cc, sx, cx float64
	wave := func(i int) (s, c float64) { return math.Sincos(2 * math.Pi * hertz * float64(i) / micRate) }
	for i, x := range pcm {
		s, c := wave(i)
		y := float64(x) / math.MaxInt16
		ss, sc, cc, sx, cx = ss+s*s, sc+s*c, cc+c*c, sx+s*y, cx+c*y
	}
	det := ss*cc - sc*sc
	a, b := (sx*cc-cx*sc)/det, (cx*ss-sx*sc)/det
	var squares float64
	for i, x := range pcm {
		s, c := wave(i)
		squares += math.Pow(float64(x)/math.MaxInt16-a*s-b*c, 2)
	}
	decibels := func(power float64) float64 { return 10 * math.Log10(power) }
	return decibels(a*a + b*b), decibels(2 * squares / float64(len(pcm)))
}

// TestAToneArrivesAsItIs has devices of two rates hear 1 kHz, and beside it what
// would be another tone at 16 kHz, were it not taken out.
func TestAToneArrivesAsItIs(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t, noGesture)
	for _, rate := range []int{44100, 48000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			w := listen(t)
			page := w.open(t, chromium)
			began := time.Now()
			run[any](page, fmt.Sprintf(`devicesOf(%d);
				const { source } = tones([1_000, 8_700, 12_300, 15_000, 20_000], 0.18);
				globalThis.session = await connect({ microphone: { mode: "open", source } });
				return null;`, rate))
			w.waitFor(3 * time.Second)
			run[any](page, "await session.close(); return null")

			// A busy machine may tear what Chromium itself passes on. What the
			// filter does is the same in every piece, so the cleanest one tells.
			pcm, times := w.sound()
			const length = micRate / 4
			loudness, rest := 0., math.Inf(1)
			for at := 0; at+length <= len(pcm); at += length / 5 {
				if tone, others := tell(pcm[at:at+length], 1000); others < rest {
					loudness, rest = tone, others
				}
			}
			t.Logf("1 kHz at %.2f dB, all else %.1f dB below; first sound %v after the page was told", loudness, loudness-rest, times[0].Sub(began).Round(time.Millisecond))
			want := 20 * math.Log10(0.18)
			if math.Abs(loudness-want) > 0.5 {
				t.Errorf("the tone came at %.2f dB, want %.2f", loudness, want)
			}
			if rest > loudness-60 {
				t.Errorf("all else is %.1f dB below the tone, want 60", loudness-rest)
			}
		})
	}
}

// TestTheFirstSyllableIsHeard speaks before there is a token, until the worklet has
// heard 600 ms.
func TestTheFirstSyllableIsHeard(t *testing.T) {
	t.Parallel()
	w := listen(t)
	page := w.open(t, browser.Launch(t, noGesture))
	run[any](page, `const { volume, source } = tones([1_000], 0);
		await connect({
			microphone: { source },
			async token() {
				await until(() => made.told?.length > 0);
				volume.gain.value = 0.5;
				await until(() => made.told.filter(({ rms }) => rms > 0.3).length >= 12); // of 50 ms
				volume.gain.value = 0;
				const answer = await fetch("/v1/token", { method: "POST" });
				return answer.json();
			},
		});
		return null;`)
	eventually(t, "500 ms of a tone", func() (bool, string) {
		pcm, _ := w.sound()
		loud := 0
		for piece := range slices.Chunk(pcm, micRate/50) {
			if tone, _ := tell(piece, 1000); tone > -10 {
				loud++
			}
		}
		return loud >= 25, fmt.Sprintf("%d ms", 20*loud)
	})
	if kinds := w.kinds(); kinds != "setup audio" {
		t.Errorf("the client sent %s", kinds)
	}
}

// TestNothingOvertakesTheHistory announces one. The button is held before it is
// told; where the token leaves it to the page, that marks who speaks.
func TestNothingOvertakesTheHistory(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t, noGesture)
	for _, tt := range []struct{ name, token, want string }{
		{"the profile says who speaks", `"/v1/token"`, "setup clientContent audio audioStreamEnd"},
		{"the page says who speaks", `async () => {
			const headers = { "Content-Type": "application/json", "x-goog-api-key": "emulator-dev" };
			const { name } = await (await fetch("/v1alpha/auth_tokens", { method: "POST", headers, body: '{"uses":1}' })).json();
			const grant = await (await fetch("/v1/token", { method: "POST" })).json();
			return { ...grant, token: name, lock: "none" };
		}`, "setup clientContent activityStart audio activityEnd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := listen(t)
			page := w.open(t, chromium)
			state := run[string](page, fmt.Sprintf(`const { context, source } = tones([1_000], 0.5);
				const session = await connect({
					token: %s,
					microphone: { source, mode: "push-to-talk" },
					config: {
						historyConfig: { initialHistoryInClientContent: true },
						realtimeInputConfig: { automaticActivityDetection: { disabled: true } },
					},
				});
				session.microphone.press();
				await until(() => session.microphone.level.rms > 0.1);
				await passes(context, 0.5);
				await session.sendClientContent({ turns: "I am Ada" });
				session.microphone.release();
				return new Promise((resolve) => session.addEventListener("message", ({ detail }) =>
					detail.serverContent?.turnComplete && resolve(session.state)));`, tt.token))
			if got := w.kinds(); got != tt.want || state != "live" {
				t.Errorf("the session is %s, and the client sent %s, want %s", state, got, tt.want)
			}
		})
	}
}

// TestABusyPageDoesNotHoldUpTheMicrophone blocks the page for 500 ms, again and
// again. Were it on the way, no sound would arrive meanwhile but what was under way.
func TestABusyPageDoesNotHoldUpTheMicrophone(t *testing.T) {
	t.Parallel()
	const blocks, underWay = 4, 100 * time.Millisecond
	w := listen(t)
	page := w.open(t, browser.Launch(t, noGesture))
	run[any](page, `const { source } = tones([1_000], 0.5);
		await connect({ microphone: { source } });
		return null;`)
	w.waitFor(time.Second)
	arrived, gap := 0, time.Hour
	for range blocks {
		block := run[struct{ From, To int64 }](page, `const from = Date.now();
			while (Date.now() < from + 500);
			return { from, to: Date.now() };`)
		from, to := time.UnixMilli(block.From), time.UnixMilli(block.To)
		_, before := w.sound()
		w.waitFor(time.Duration(len(before))*20*time.Millisecond + 200*time.Millisecond)
		_, times := w.sound()
		longest := time.Duration(0)
		for i, at := range times[1:] {
			if at.After(from) && times[i].Before(to) {
				longest = max(longest, at.Sub(times[i]))
			}
			if at.After(from.Add(underWay)) && at.Before(to) {
				arrived++
			}
		}
		gap = min(gap, longest)
	}
	t.Logf("%d pieces of 20 ms arrived while the page was blocked, of %d; the longest gap of the best of %d blocks was %v",
		arrived, blocks*20, blocks, gap.Round(time.Millisecond))
	if arrived < blocks*20/4 {
		t.Errorf("%d pieces arrived while the page was blocked", arrived)
	}
}

// TestASpokenQuestionIsAnswered plays a file as Chromium's microphone.
func TestASpokenQuestionIsAnswered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(speak(t), "2")
	w := listen(t)
	page := w.open(t, browser.Launch(t, noGesture, chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-file-for-fake-audio-capture", file+"%noloop")))
	told := run[string](page, `const session = await connect({ microphone: true, config: { outputAudioTranscription: {} } });
		return new Promise((resolve) => session.addEventListener("transcript", ({ detail }) => {
			if (detail.who === "model" && detail.final) resolve(detail.text);
		}));`)
	if told == "" {
		t.Error("the model said nothing")
	}
	settings := run[map[string]any](page, `const { microphone } = await connect({ microphone: true }); return microphone.settings`)
	t.Logf("the model says %q; the browser granted %v", told, settings)
	if settings["echoCancellation"] != true || settings["label"] == "" {
		t.Errorf("settings are %v", settings)
	}
	if problems, _ := page.Problems(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// TestAMicrophoneThatIsRefusedCostsNothing asks a browser that says no.
func TestAMicrophoneThatIsRefusedCostsNothing(t *testing.T) {
	t.Parallel()
	const name = "insecure.example"
	w := listen(t, "--host="+name)
	chromium := browser.Launch(t, noGesture, chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("host-resolver-rules", "MAP "+name+" 127.0.0.1"))
	const told = `return connect({ microphone: true, worker: false }).then(() => "heard", ({ code, phase }) => code + " " + phase)`

	page := w.open(t, chromium)
	page.Do(chromedp.ActionFunc(func(ctx context.Context) error {
		whole := cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
		return permissions.SetPermission(&permissions.PermissionDescriptor{Name: "microphone"}, permissions.PermissionSettingDenied).Do(whole)
	}))
	if got := run[string](page, told); got != "microphone_denied setup" {
		t.Errorf("a microphone that is denied: %s", got)
	}

	w.server = strings.Replace(w.server, "127.0.0.1", name, 1)
	if got := run[string](w.open(t, chromium), told); got != "insecure_context setup" {
		t.Errorf("a page without TLS: %s", got)
	}
	if minted := get(t, w.target.String()+"/__emulator/tokens"); strings.Contains(minted, "expireTime") {
		t.Errorf("tokens were minted: %s", minted)
	}
	if kinds := w.kinds(); kinds != "" {
		t.Errorf("the client sent %s", kinds)
	}
}

// TestTheModelDoesNotHearItself has the model's voice come back into the
// microphone, 20 dB below, and then somebody speak who is 12 dB louder than that.
func TestTheModelDoesNotHearItself(t *testing.T) {
	t.Parallel()
	chromium := browser.Launch(t, noGesture)
	for _, tt := range []struct{ mode, want string }{
		{"open", "interrupted by the echo"}, // of which the emulator's ear is the witness
		{"gated", "interrupted by speech"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			w := listen(t)
			got := run[string](w.open(t, chromium), fmt.Sprintf(`const echo = 10 ** (-20 / 20), louder = 10 ** (12 / 20);
				const { context, volume, source } = tones([], 1);
				const session = await connect({ speaker: true });
				let interrupted = false;
				session.addEventListener("message", ({ detail }) => (interrupted ||= detail.serverContent?.interrupted === true));
				const listen = async (seconds) => {
					for (const from = context.currentTime; context.currentTime < from + seconds && !interrupted; ) await passes(context, 0.02);
				};
				await until(() => made["livevalet-speaker"]);
				made["livevalet-speaker"].connect(new GainNode(context, { gain: echo })).connect(volume);
				await session.microphone.start({ source, mode: %q });
				await session.sendRealtimeInput({ text: "tell a long story" });

				const levels = [];
				const watch = setInterval(() => session.speaker.level > 0.001 && levels.push(session.speaker.level), 20);
				await until(() => session.speaker.playing);
				await listen(6);
				clearInterval(watch);
				if (interrupted) return "interrupted by the echo";

				const rms = Math.sqrt(levels.reduce((sum, x) => sum + x * x, 0) / levels.length);
				const voice = speech(context, 3, rms * echo * louder);
				voice.connect(volume);
				voice.start();
				await listen(5);
				return interrupted ? "interrupted by speech" : "not interrupted";`, tt.mode))
			if got != tt.want {
				t.Errorf("the model was %s, want %s", got, tt.want)
			}
		})
	}
}
