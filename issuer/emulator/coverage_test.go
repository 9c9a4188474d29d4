package emulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const resumable = textSetup + `,"sessionResumption":{}`

// withHandle is a setup that resumes.
func withHandle(setup, handle string) string {
	return strings.Replace(setup, `"sessionResumption":{}`, `"sessionResumption":{"handle":"`+handle+`"}`, 1)
}

// handles lists the handles that are good.
func (b *bench) handles(t *testing.T) []handleReport {
	t.Helper()
	code, _, text := b.do(t, "GET", "/__emulator/handles", "")
	var v struct{ Handles []handleReport }
	if err := json.Unmarshal([]byte(text), &v); err != nil || code != 200 {
		t.Fatalf("handles: %d %s", code, text)
	}
	return v.Handles
}

// last is what the newest handle contains.
func (b *bench) last(t *testing.T) coverage {
	t.Helper()
	synctest.Wait()
	all := b.handles(t)
	if len(all) == 0 {
		t.Fatal("there is no handle")
	}
	return all[len(all)-1].coverage
}

// received lists the seqs of what the server got after that one, but setups.
func (b *bench) received(t *testing.T, after int64) (seqs []int64) {
	t.Helper()
	synctest.Wait()
	for _, e := range b.server.world().journal.since(after) {
		if e.Kind == "recv" && !strings.HasPrefix(string(e.Message), `{"setup"`) {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs
}

func TestAHandleContainsWhatWasTakenIn(t *testing.T) {
	const typed = `{"realtimeInput":{"text":"my name is Ada"}}`
	const start, end = `{"realtimeInput":{"activityStart":{}}}`, `{"realtimeInput":{"activityEnd":{}}}`
	const patient = `,"realtimeInputConfig":{"activityHandling":"NO_INTERRUPTION"}`
	const help = `{"realtimeInput":{"text":"help"}}`
	clip := func(plan string) string {
		return audioMessage("audio/pcm;rate=16000", pcmBytes(sound(earRate, plan)))
	}
	speech, silence, spoken := clip("-20/400ms"), clip("-90/400ms"), clip("-20/400ms -90/1s")
	const wait, settle, turn = "wait 100ms", "wait 1m", "turn"
	for _, tt := range []struct {
		sentence, setup string
		messages        []string // or to wait for as long, or for the end of a turn
		want            int      // of the messages are contained
	}{
		{"nothing yet", "", []string{settle}, 0},
		{"typed text, once it was answered", "", []string{typed, settle}, 1},
		{"not before its answer begins", "", []string{help, wait, typed}, 1},
		{"what interrupts, once it was answered", "", []string{help, wait, typed, settle}, 2},
		{"clientContent that interrupts and asks nothing", "", []string{help, wait, `{"clientContent":{"turns":[{"parts":[{"text":"my name is Ada"}]}]}}`, settle}, 2},
		{"an empty one", "", []string{help, wait, `{"clientContent":{}}`, settle}, 2},
		{"not typed text that waits for the end of an answer", patient, []string{help, wait, typed, turn}, 1},
		{"not what the running answer is to", "", []string{typed, settle, help, wait}, 1},
		{"not the speech that interrupts", "", []string{help, wait, speech, wait}, 1},
		{"nor the speech that goes on", "", []string{silence, silence, speech, speech, settle}, 2},
		{"nor a sound that is too short to tell", "", []string{silence, clip("-20/60ms"), settle}, 1},
		{"but when it is over", "", []string{silence, clip("-20/60ms"), silence, settle}, 3},
		{"speech, once it was answered", "", []string{silence, spoken, settle, silence, settle}, 3},
		{"not speech that waits for the end of an answer", patient, []string{help, wait, spoken, silence, turn}, 1},
		{"nor typed text after it", patient, []string{help, wait, spoken, typed, turn}, 1},
		{"typed text in a noisy room, and the noise before", "", []string{speech, typed, settle, speech, settle}, 2},
		{"and when the text comes as clientContent", "", []string{speech, `{"clientContent":{"turns":[{"parts":[{"text":"hi"}]}],"turnComplete":true}}`, settle, speech, settle}, 2},
		{"typed text in the pause after speech", "", []string{clip("-20/400ms -90/300ms"), typed, silence, silence, silence, settle}, 5},
		{"nothing of a marked activity that goes on", manual, []string{typed, settle, start, `{"realtimeInput":{"text":"and remember tea"}}`, speech, settle}, 1},
		{"all of it, once it was answered", manual, []string{start, speech, end, settle}, 3},
		{"pictures", "", []string{typed, settle, `{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"AAAA"}}}`, settle}, 2},
		{"sound that cannot be decoded", "", []string{audioMessage("audio/webm", make([]byte, 100)), settle}, 1},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, &Server{Switches: Switches{UpdateEvery: 10 * time.Second}}, func(t *testing.T, b *bench) {
				c := b.openKey(t, resumable+tt.setup)
				for _, m := range tt.messages {
					if pause, ok := strings.CutPrefix(m, "wait "); ok {
						d, err := time.ParseDuration(pause)
						if err != nil {
							t.Fatal(err)
						}
						time.Sleep(d)
					} else if m == turn {
						c.turn(t, true)
					} else {
						c.send(t, m)
					}
				}
				got, seqs := b.last(t), b.received(t, 0)
				contained := slices.IndexFunc(seqs, func(seq int64) bool { return seq > got.Contains })
				if contained < 0 {
					contained = len(seqs)
				}
				if contained != tt.want || len(got.Without) > 0 {
					t.Errorf("it contains %d of %v: %+v", contained, seqs, got)
				}
			})
		})
	}
}

func TestAHandleContainsToolResponses(t *testing.T) {
	for _, tt := range []struct {
		sentence, say, scheduling string
		handles                   int // while the call waits
	}{
		{"a call that is waited for", "call a blocking tool", "", 0},
		{"one that is not", "call a non-blocking tool", "", 0},
		{"told of at once", "call a non-blocking tool", `,"scheduling":"INTERRUPT"`, 0},
		{"told to nobody", "call a non-blocking tool", `,"scheduling":"SILENT"`, 0},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				c := b.openKey(t, resumable+`,"tools":[{"functionDeclarations":[{"name":"ask"},{"name":"tell","behavior":"NON_BLOCKING"}]}]`)
				c.say(t, tt.say)
				a := c.calls(t)
				time.Sleep(time.Minute)
				if got := b.handles(t); len(got) != tt.handles {
					t.Errorf("handles while the call waits: %+v", got)
				}
				c.send(t, `{"toolResponse":{"functionResponses":[{"id":"`+a.ids[0]+`","name":"x","response":{"output":"ok"}`+tt.scheduling+`}]}}`)
				time.Sleep(time.Minute)
				if got, seqs := b.last(t), b.received(t, 0); got.Contains != seqs[1] {
					t.Errorf("got %+v, received %v", got, seqs)
				}
			})
		})
	}
}

func TestAResumedSessionContainsWhatItsHandleDid(t *testing.T) {
	bubble(t, &Server{Switches: Switches{UpdateEvery: 10 * time.Second}}, func(t *testing.T, b *bench) {
		c := b.openKey(t, resumable)
		handle := c.ask(t, "my name is Ada", true).handle
		want := b.last(t)
		c.say(t, "remember tea") // and is cut before there is a handle
		synctest.Wait()
		c.conn.CloseNow()
		seqs := b.received(t, 0)

		c = b.openKey(t, withHandle(resumable, handle))
		time.Sleep(time.Minute) // until there are new handles
		if got := b.last(t); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("without anything new: %+v, want %+v", got, want)
		}
		c.conn.CloseNow()
		c = b.openKey(t, withHandle(resumable, handle))
		c.say(t, "remember milk")
		time.Sleep(time.Minute)
		got := b.last(t)
		if want := (coverage{b.received(t, 0)[2], []seqRange{{seqs[0] + 1, seqs[1]}}}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with something new: %+v, want %+v", got, want)
		}

		// The journal has the same where handles are given and where they are used.
		var given, used []coverage
		for _, e := range b.server.world().journal.since(0) {
			switch {
			case e.Contains > 0 && e.Kind == "send":
				given = append(given, e.coverage)
			case e.Contains > 0:
				used = append(used, e.coverage)
			}
		}
		if fmt.Sprint(given[len(given)-1]) != fmt.Sprint(got) || fmt.Sprint(used) != fmt.Sprint([]coverage{want, want}) {
			t.Errorf("the journal: given %+v, used %+v", given, used)
		}
		code, _, text := b.do(t, "GET", "/__emulator/journal", "")
		if code != 200 || !strings.Contains(text, fmt.Sprintf(`"contains":%d,"without":[{"from":%d,"to":%d}]`, got.Contains, seqs[0]+1, seqs[1])) {
			t.Errorf("%d %s", code, text)
		}
	})
}

// Whatever is said and wherever it is cut, a resumed session knows what was told
// in the messages that its handle contains, and nothing else.
func TestAResumedSessionKnowsWhatItsHandleContains(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := &Server{}
			if random.IntN(2) == 0 {
				s.Switches.UpdateEvery = 700 * time.Millisecond
			}
			bubble(t, s, func(t *testing.T, b *bench) {
				newForgetful(t, b, random).play(60)
			})
		})
	}
}

// forgetful is a client that tells facts, interrupts, calls and is cut at random.
type forgetful struct {
	t      *testing.T
	b      *bench
	random *rand.Rand
	setup  string
	manual bool

	c               *client
	activity, typed bool
	handles         []string         // the newest last
	calls           []string         // ids that wait
	told            map[int64]string // facts by the seq of their message
	facts           int
	seen            int64 // seq
	checked         int
}

func newForgetful(t *testing.T, b *bench, random *rand.Rand) *forgetful {
	f := &forgetful{t: t, b: b, random: random, told: map[int64]string{}}
	f.manual = random.IntN(3) == 0
	handling := []string{"NO_INTERRUPTION", "START_OF_ACTIVITY_INTERRUPTS"}[random.IntN(2)]
	f.setup = resumable + fmt.Sprintf(`,"realtimeInputConfig":{"activityHandling":%q,"automaticActivityDetection":{"disabled":%v}}`, handling, f.manual) +
		`,"tools":[{"functionDeclarations":[{"name":"ask"},{"name":"tell","behavior":"NON_BLOCKING"}]}]`
	f.c = b.openKey(t, f.setup)
	return f
}

func (f *forgetful) play(steps int) {
	for range steps {
		switch n := f.random.IntN(12); {
		case n < 3:
			f.tell()
		case n < 5:
			f.sound()
		case n < 6 && f.activity && f.typed: // one activity is one text, and so one fact
		case n < 6:
			f.send(fmt.Sprintf(`{"realtimeInput":{"text":%q}}`, []string{"call a blocking tool", "call a non-blocking tool", "help"}[f.random.IntN(3)]), "")
			f.typed = f.activity
		case n < 8:
			f.answer()
		case n < 11:
			time.Sleep(time.Duration(f.random.IntN(1500)) * time.Millisecond)
		default:
			f.cut()
		}
		f.read()
	}
	time.Sleep(time.Minute)
	f.read()
	f.cut()
	if f.checked == 0 {
		f.t.Error("nothing was resumed")
	}
}

// send notes the fact that the message tells, if there is one.
func (f *forgetful) send(message, fact string) {
	f.c.send(f.t, message)
	if fact != "" {
		seqs := f.b.received(f.t, f.seen)
		f.seen = seqs[len(seqs)-1]
		f.told[f.seen] = fact
	}
}

func (f *forgetful) tell() {
	f.facts++
	fact := fmt.Sprintf("f%d", f.facts)
	switch way := f.random.IntN(3); {
	case f.activity && f.typed:
		return
	case f.activity, way == 0 && !f.manual:
		f.typed = f.activity
		f.send(`{"realtimeInput":{"text":"remember `+fact+`"}}`, fact)
	default:
		f.send(fmt.Sprintf(`{"clientContent":{"turns":[{"parts":[{"text":"remember %s"}]}],"turnComplete":%v}}`, fact, f.manual || way == 1), fact)
	}
}

func (f *forgetful) sound() {
	if f.manual && f.random.IntN(2) == 0 {
		mark := "activityStart"
		if f.activity {
			mark = "activityEnd"
		}
		f.activity, f.typed = !f.activity, false
		f.send(`{"realtimeInput":{"`+mark+`":{}}}`, "")
		return
	}
	plan := []string{"-20/300ms", "-90/300ms", "-90/900ms", "-20/50ms", "-20/200ms -90/1s -20/200ms"}[f.random.IntN(5)]
	rate := []int{16000, 8000}[f.random.IntN(2)]
	f.send(audioMessage(fmt.Sprintf("audio/pcm;rate=%d", rate), pcmBytes(sound(rate, plan))), "")
}

func (f *forgetful) answer() {
	f.read()
	if len(f.calls) == 0 {
		return
	}
	f.facts++
	output := fmt.Sprintf("r%d", f.facts)
	scheduling := []string{"WHEN_IDLE", "INTERRUPT", "SILENT"}[f.random.IntN(3)]
	f.send(`{"toolResponse":{"functionResponses":[{"id":"`+f.calls[0]+`","name":"x","response":{"output":"`+output+`"},"scheduling":"`+scheduling+`"}]}}`, "x says "+output)
	f.calls = f.calls[1:]
}

// cut ends the connection, resumes with one of the newest handles and compares.
func (f *forgetful) cut() {
	if len(f.handles) == 0 {
		return
	}
	f.c.conn.CloseNow()
	synctest.Wait()
	f.read()
	handle := f.handles[max(0, len(f.handles)-1-f.random.IntN(5))]
	var covers coverage
	for _, one := range f.b.handles(f.t) {
		if one.Handle == "#"+digestOf(handle).String() {
			covers = one.coverage
		}
	}
	var want []string
	for seq, fact := range f.told {
		lost := slices.ContainsFunc(covers.Without, func(r seqRange) bool { return r.From <= seq && seq <= r.To })
		if seq <= covers.Contains && !lost {
			want = append(want, fact)
		}
	}
	f.c = f.b.openKey(f.t, withHandle(f.setup, handle))
	f.calls, f.activity, f.typed = nil, false, false
	if f.manual {
		f.send(`{"clientContent":{"turns":[{"parts":[{"text":"what do you remember"}]}],"turnComplete":true}}`, "")
	} else {
		f.send(`{"realtimeInput":{"text":"what do you remember"}}`, "")
	}
	var answered string
	for answered == "" {
		a := f.c.turn(f.t, false)
		answered = a.text
		if a.handle != "" {
			f.handles = append(f.handles, a.handle)
		}
	}
	var got []string
	if answered != "I do not remember anything yet." {
		list := strings.TrimSuffix(strings.TrimPrefix(answered, "I remember that "), ".")
		for fact := range strings.SplitSeq(list, ", and that ") {
			got = append(got, strings.NewReplacer("ask says", "x says", "tell says", "x says").Replace(fact))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if f.checked++; !slices.Equal(got, want) {
		f.t.Fatalf("with %+v it knows %v, want %v\n%v", covers, got, want, f.told)
	}
}

// read notes what came.
func (f *forgetful) read() {
	synctest.Wait()
	for len(f.c.frames) > 0 {
		frame, ok := <-f.c.frames
		if !ok {
			return
		}
		var m struct {
			SessionResumptionUpdate struct{ NewHandle string }
			ToolCall                struct{ FunctionCalls []struct{ ID string } }
			ToolCallCancellation    struct{ IDs []string }
		}
		if err := json.Unmarshal(frame.data, &m); err != nil {
			f.t.Fatal(err)
		}
		if m.SessionResumptionUpdate.NewHandle != "" {
			f.handles = append(f.handles, m.SessionResumptionUpdate.NewHandle)
		}
		for _, one := range m.ToolCall.FunctionCalls {
			f.calls = append(f.calls, one.ID)
		}
		f.calls = slices.DeleteFunc(f.calls, func(id string) bool { return slices.Contains(m.ToolCallCancellation.IDs, id) })
	}
}
