//go:build bundle

package browser_test

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/browser"
)

//go:embed testdata/talker.js
var talkerScript string

// sentences are what is said, by espeak-ng.
var sentences = []string{
	"What time is it?",
	"Please tell me about the weather.",
	"Which of the trains to the sea leaves before noon?",
}

// A round is what is said without waiting, by the sentence's number, and the fault
// that comes meanwhile.
type round struct {
	Sentences []int  `json:"-"`
	Kind      string `json:"kind,omitempty"`
	When      string `json:"when,omitempty"` // "before", "speech" or "answer"
}

// rounds are those in which something happens.
var rounds = []round{
	{Sentences: []int{0}, Kind: "goaway", When: "before"},
	{Sentences: []int{1}, Kind: "goaway", When: "speech"},
	{Sentences: []int{2}, Kind: "drop", When: "speech"},
	{Sentences: []int{0}, Kind: "goaway", When: "answer"},
	{Sentences: []int{2, 1}},
	{Sentences: []int{1}, Kind: "expire-token", When: "answer"},
	{Sentences: []int{0}, Kind: "goaway", When: "before"},
}

// causes are what the page is told of the faults.
var causes = map[string]string{"goaway": "goaway", "drop": "cut", "expire-token": "token"}

// TestASpokenConversationIsWhole has a page talk for a minute, and for 5 with
// LONG_TESTS set, over connections that end in every way. The emulator says back
// what it hears. So the sound that is played, what both are said to have said, and
// what the emulator's journal has, all are what was said: once, and in order. No
// other test runs beside the long form, so in that silences are rare, whatever
// excuses them, and answers come while the session still has what they answer.
func TestASpokenConversationIsWhole(t *testing.T) {
	lasts, alone := 5*time.Minute, os.Getenv("LONG_TESTS") != ""
	if !alone {
		t.Parallel()
		lasts = time.Minute
	}
	server := browser.Serve(t, "dev", "--listen", "127.0.0.1:0")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /capture.worklet.js", script(captureScript))
	speech := speak(t)
	mux.Handle("GET /speech/", http.StripPrefix("/speech/", http.FileServer(http.Dir(speech))))
	page := browser.Launch(t).Open(before(t, server.URL, mux, nil))
	browser.Eval[any](page, "{"+listenerScript+talkerScript+fmt.Sprintf(`}
		import("/livevalet.js").then(async ({ connect, preload }) => {
			Listener.connect = connect;
			const decode = async (_, i) => new OfflineAudioContext(1, 1, 48_000).decodeAudioData(await (await fetch("/speech/" + i)).arrayBuffer());
			const speech = await Promise.all(Array.from({ length: %d }, decode));
			const button = Object.assign(document.createElement("button"), { id: "talk", textContent: "talk" });
			button.onclick = (click) => Talker.start(click, speech).then((started) => (globalThis.talker = started));
			document.body.prepend(button);
			await preload();
			return null;
		})`, len(sentences)))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the captions are %+v", browser.Eval[[]caption](page, "globalThis.talker?.captions ?? []"))
		}
	})
	page.Click("#talk")
	page.Wait("globalThis.talker")
	tapped := time.UnixMilli(int64(browser.Eval[float64](page, "performance.timeOrigin + talker.tapped")))
	j := journal{t: t, server: server.URL}
	j.read() // often, since it keeps the newest only
	t.Logf("from the tap to the first microphone frame at the emulator: %v; to the first sound of an answer: %.0f ms",
		j.firstSound.Sub(tapped).Round(time.Millisecond), browser.Eval[float64](page, "talker.firstSound"))

	began := time.Now()
	var said []sentence
	var faults []string
	var silent, silences, late, underruns int
	talk := func(r round) {
		fault, _ := json.Marshal(r)
		numbers, _ := json.Marshal(r.Sentences)
		got := browser.Eval[sounded](page, fmt.Sprintf("talker.round(%s, %s)", numbers, fault))
		got.check(t, fmt.Sprintf("sentence %d, %+v", len(said), r), len(r.Sentences) > 1)
		answers := got.Heard[max(0, len(got.Heard)-len(r.Sentences)):] // without those that a cut ended
		if len(answers) != len(r.Sentences) {
			t.Fatalf("%d answers were heard to %+v", len(answers), r)
		}
		for i, number := range r.Sentences {
			said = append(said, sentence{number, i+1 < len(r.Sentences), answers[i]})
		}
		if r.Kind != "" {
			faults = append(faults, causes[r.Kind])
		}
		if got.longest() > longestSilence {
			silences++
		}
		silent, late, underruns = max(silent, got.longest()), max(late, got.Late), underruns+got.Underruns
		j.read()
	}
	for i, r := range rounds {
		talk(r)
		for n := 0; time.Since(began) < lasts*time.Duration(i+1)/time.Duration(len(rounds)); n++ {
			talk(round{Sentences: []int{n % len(sentences)}})
		}
	}
	t.Logf("%d sentences in %v; the longest silence in an answer was %d ms, sound came late by %d ms at most, %d underruns",
		len(said), time.Since(began).Round(time.Second), silent, late, underruns)
	if alone && silences > len(said)/20 {
		t.Errorf("there were silences beyond %d ms in %d answers of %d", longestSilence, silences, len(said))
	}

	if lost := browser.Eval[float64](page, "talker.lost"); alone && lost > 0 {
		t.Errorf("the session cannot tell whether %.0f ms were heard", lost)
	}
	if got := browser.Eval[[]string](page, "talker.causes"); !slices.Equal(got, faults) {
		t.Errorf("there were other connections for %v, want %v", got, faults)
	}
	if wrong := browser.Eval[string](page, "JSON.stringify(talker.wrong)"); wrong != "[]" {
		t.Errorf("this should not have happened: %s", wrong)
	}
	if len(j.sentences) != len(said) { // else one was lost, or came twice
		t.Fatalf("the emulator heard %d sentences, of %d: %v", len(j.sentences), len(said), j.sentences)
	}
	captions := []caption{
		{Who: "user", Text: "echo", Final: true},
		{Who: "model", Text: "From now on I say back what I hear, until you type: stop echo.", Final: true},
	}
	for i, s := range said {
		text := j.sentences[i].text
		var seconds float64
		if _, err := fmt.Sscanf(text, "(%f seconds of sound)", &seconds); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if want := length(t, filepath.Join(speech, fmt.Sprint(s.number))).Seconds(); math.Abs(seconds-want) > 0.5 {
			t.Errorf("sentence %d lasts %.1f s, and what the emulator heard %.1f s", i, want, seconds)
		}
		if answer := s.answer.Of / 1_000; !s.interrupted && math.Abs(answer-seconds) > 0.06 { // the text has tenths
			t.Errorf("of the answer %d, of %.1f s, the page got %.2f", i, seconds, answer)
		}
		captions = append(captions, caption{Who: "user", Text: text, Final: true}, caption{Who: "model", Text: text, Final: true, Interrupted: s.interrupted})
	}
	if got := browser.Eval[[]caption](page, "talker.captions"); !slices.Equal(got, captions) {
		t.Errorf("the captions are\n%+v, want\n%+v", got, captions)
	}
	if problems, _ := page.Problems(browser.SocketLine); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

// A sentence was said, and its answer perhaps interrupted.
type sentence struct {
	number      int
	interrupted bool
	answer      heard
}

// A caption is what is to be shown of who said what.
type caption struct {
	Who, Text               string
	Final, Cut, Interrupted bool
}

// sounded is what was heard of the answers in a round. Durations are in ms.
type sounded struct {
	Heard      []heard
	Played     float64
	Like       *float64 // what was sent, if it is one answer in one piece
	Gaps, Sent []int    // silences, in what was played and in what was sent
	Late       int      // came some sound, at most, too late to follow what came before it
	Underruns  int
}

const longestSilence = 120 // ms, in an answer

// allowed is the longest silence that is not the player's fault: it was sent, or, on a
// machine that has more to do, sound came too late for the cushion and was awaited anew.
func (s sounded) allowed() int {
	const least, most = 120, 500 // ms: the cushion
	allowed := max(longestSilence, slices.Max(append(s.Sent, 0)))
	if s.Late <= least {
		return allowed
	}
	return max(allowed, s.Late+most)
}

// within are the silences within answers, of which there is one less than answers between them.
func (s sounded) within() []int {
	between := max(0, len(s.Heard)-1)
	gaps := slices.Sorted(slices.Values(s.Gaps))
	return gaps[:max(0, len(gaps)-between)]
}

func (s sounded) longest() int { return slices.Max(append(s.within(), 0)) }

// check tells of silences that are not allowed, of what was played otherwise than it
// was sent, and of answers that were not heard to their end.
func (s sounded) check(t *testing.T, what string, barges bool) {
	t.Helper()
	if s.Like != nil && *s.Like < 0.99 {
		t.Errorf("%s: what was played is like what was sent by %.4f", what, *s.Like)
	}
	var all float64
	if allowed := s.allowed(); s.longest() > allowed {
		t.Errorf("%s: silences of %v ms in %d answers, want at most %d; sound came late by %d", what, s.Gaps, len(s.Heard), allowed, s.Late)
	}
	for i, turn := range s.Heard {
		all += turn.MS
		interrupted := barges && i == 0
		if turn.MS == 0 || turn.Interrupted != interrupted || (turn.MS < turn.Of) != interrupted {
			t.Errorf("%s: %+v was heard", what, turn)
		}
	}
	const nearly = 10 // ms
	if !barges && math.Abs(s.Played-all) > nearly {
		t.Errorf("%s: %.0f ms were played, and %.0f heard", what, s.Played, all)
	}
}

// A journal is what the emulator knows of what was said.
type journal struct {
	t      *testing.T
	server string

	seq        int64
	firstSound time.Time
	words      string
	sentences  []spoken
}

// spoken is what the session heard, as far as it still knows it.
type spoken struct {
	seq  int64
	text string
}

// read takes what is new in it. Who resumes a session by a handle makes it forget
// what came after the handle.
func (j *journal) read() {
	j.t.Helper()
	var news struct {
		Entries []struct {
			Seq, Contains int64
			Time          time.Time
			Message       struct {
				RealtimeInput struct{ Audio any }
				Setup         struct{ SessionResumption struct{ Handle string } }
				ServerContent struct{ InputTranscription struct{ Text string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(get(j.t, fmt.Sprintf("%s/__emulator/journal?after=%d", j.server, j.seq))), &news); err != nil {
		j.t.Fatal(err)
	}
	for _, e := range news.Entries {
		if e.Seq != j.seq+1 {
			j.t.Fatalf("after %d the journal has %d", j.seq, e.Seq)
		}
		j.seq = e.Seq
		if e.Message.RealtimeInput.Audio != nil && j.firstSound.IsZero() {
			j.firstSound = e.Time
		}
		if e.Message.Setup.SessionResumption.Handle != "" {
			j.words = ""
			j.sentences = slices.DeleteFunc(j.sentences, func(s spoken) bool { return s.seq > e.Contains })
		}
		j.words += e.Message.ServerContent.InputTranscription.Text
		if strings.HasSuffix(j.words, ")") {
			j.sentences = append(j.sentences, spoken{e.Seq, j.words})
			j.words = ""
		}
	}
}

// speak has the sentences spoken, into files of a directory by their numbers.
func speak(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i, text := range sentences {
		out, err := exec.CommandContext(t.Context(), "espeak-ng", "-w", filepath.Join(dir, fmt.Sprint(i)), text).CombinedOutput()
		if err != nil {
			t.Fatalf("espeak-ng (Debian's package espeak-ng): %v\n%s", err, out)
		}
	}
	return dir
}

// length is how long a file of espeak-ng's speaks, from the first to the last loud sample.
func length(t *testing.T, file string) time.Duration {
	t.Helper()
	const rate, header, loud = 22050, 44, 300
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, last := -1, 0
	for i := header; i+1 < len(b); i += 2 {
		if x := int16(binary.LittleEndian.Uint16(b[i:])); x > loud || x < -loud {
			last = i
			if first < 0 {
				first = i
			}
		}
	}
	return time.Duration((last-first)/2) * time.Second / rate
}
