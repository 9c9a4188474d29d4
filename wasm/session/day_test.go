//go:build !js

package session_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// day is somebody's conversation with a rude service, hour after hour. The texts in
// it have numbers; the emulator's journal says which of them its newest handle
// contains.
type day struct {
	*talk
	random  *rand.Rand
	read    int64            // of the journal
	arrived map[int][]entry  // texts, of those that are not yet known to be told
	handles map[string]entry // the newest of each session
	told    int              // texts up to this one are told
	doubled int

	mu       sync.Mutex
	sent     int                          // guarded by mu: texts
	settled  map[int]int                  // guarded by mu: how often each text was
	over     bool                         // guarded by mu: nothing more is typed
	faults   map[string]int               // guarded by mu: met, by kind
	refusals []live.TokenError            // guarded by mu: what the issuer is about to answer
	calls    map[string]session.CallState // guarded by mu: by id
	sound    time.Duration                // guarded by mu: of both sides
}

// hour is what happens in one, in any order. About 40 s of it are sound.
var hour = slices.Concat(
	slices.Repeat([]func(*day){(*day).types}, 60),
	slices.Repeat([]func(*day){(*day).speaks, (*day).callsATool, (*day).changesNetwork, (*day).meetsABusyIssuer}, 2),
	[]func(*day){(*day).hearsAStory, (*day).mutes, (*day).sleepsShortly, (*day).sleepsLong, (*day).hidesThePage},
)

// A day, or without LONG_TESTS two hours, in which the service makes trouble all
// the time, the issuer now and then, and the machine sleeps. Nothing that was typed
// is lost, or told twice without being called uncertain; every call ends once; and
// in the end no more memory is in use than in the morning.
func TestADayInTheLife(t *testing.T) {
	hours := 2
	if os.Getenv("LONG_TESTS") != "" {
		hours = 24
	}
	began := time.Now()
	d := &day{
		random: rand.New(rand.NewPCG(1, 2)), arrived: map[int][]entry{}, handles: map[string]entry{}, settled: map[int]int{},
		faults: map[string]int{}, calls: map[string]session.CallState{},
	}
	service := &emulator.Server{Rude: true, Seed: 24, ConnectionLifetime: 210 * time.Second, Logger: slog.New(d)}
	service.Switches.UpdateEvery = 3 * time.Second
	setup := map[string]any{
		"inputAudioTranscription": map[string]any{}, "outputAudioTranscription": map[string]any{},
		"contextWindowCompression": map[string]any{"slidingWindow": map[string]any{}}, // without it a session ends after 15 min
		"tools":                    []any{map[string]any{"functionDeclarations": []any{map[string]any{"name": "get_time"}}}},
	}
	can := live.Capabilities{Text: "realtimeInput", Turns: "anytime", Seed: "clientContent"} // as the issuer says of the model
	conversation{emulator: service, can: can, setup: setup, source: d.source, hears: d.hears, lag: d.lag}.hold(t, func(k *talk) {
		d.talk = k
		start, morning := service.Now(), uint64(0)
		for n := 1; service.Now().Sub(start) < time.Duration(hours)*time.Hour; n++ {
			for _, i := range d.random.Perm(len(hour)) {
				hour[i](d)
				d.look()
				time.Sleep(time.Duration(d.random.Int64N(int64(70 * time.Second))))
			}
			d.isTold()
			if n <= 2 && n < hours {
				morning = heap()
			}
		}
		evening := heap()
		t.Logf("%v passed; %d kB in use in the morning, %d kB in the evening", service.Now().Sub(start).Round(time.Minute), morning>>10, evening>>10)
		if evening > morning+2<<20 {
			t.Error("memory grows")
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.over = true
	})
	d.report(t, hours)
	t.Logf("it took %v", time.Since(began).Round(time.Millisecond))
}

// heap is what is in use once nothing is under way.
func heap() uint64 {
	synctest.Wait()
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// types sends a text that is answered without a word.
func (d *day) types() {
	d.mu.Lock()
	if d.over {
		d.mu.Unlock()
		return
	}
	d.sent++
	n := d.sent
	d.mu.Unlock()
	d.input("realtimeInput", map[string]any{"text": fmt.Sprintf("empty turn f%d.", n)}, func(err error) {
		if err != nil {
			d.t.Errorf("f%d is settled with %v", n, err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.settled[n]++
	})
}

func (d *day) input(kind string, body map[string]any, settle func(error)) {
	in, err := edge.NewInput(map[string]any{kind: body})
	if err == nil {
		err = d.session.Send(in, settle)
	}
	if err != nil {
		d.t.Errorf("send %v: %v", body, err)
	}
}

// speaks says something for two seconds, and leaves the microphone on for one.
func (d *day) speaks() {
	for n := range 150 {
		level := int16(8000)
		if n >= 100 {
			level = 0
		}
		if err := d.session.Send(frame(d.t, level), func(error) {}); err != nil {
			d.t.Error(err)
		}
		d.hearsSound(20 * time.Millisecond)
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *day) mutes() {
	d.input("realtimeInput", map[string]any{"audioStreamEnd": true}, func(error) {})
}

func (d *day) callsATool() { d.send("call get_time") }

func (d *day) hearsAStory() { d.send("tell a long story") }

func (d *day) changesNetwork() { d.session.Doubt() }

func (d *day) hidesThePage() {
	time.Sleep(5 * time.Minute)
	d.session.Wake()
}

// sleepsShortly lets the world's time pass, but not the machine's.
func (d *day) sleepsShortly() { d.sleeps(45 * time.Second) }

// sleepsLong takes the line along.
func (d *day) sleepsLong() {
	d.fault(`{"kind":"half-open","holds":"1m"}`)
	d.sleeps(40 * time.Minute)
}

func (d *day) sleeps(longest time.Duration) {
	if err := d.service.Advance(time.Duration(d.random.Int64N(int64(longest)))); err != nil {
		d.t.Error(err)
	}
}

func (d *day) meetsABusyIssuer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusals = append(d.refusals,
		live.TokenError{Code: "rate_limited", Status: 429, RetryAfter: 3 * time.Second},
		live.TokenError{Code: "upstream_unavailable", Status: 503})
}

// source is an issuer that is busy at times, in front of the emulator's mint.
func (d *day) source(k *talk) session.TokenSource {
	return func(ctx context.Context, need live.Need) (live.Token, error) {
		d.mu.Lock()
		if len(d.refusals) > 0 {
			refusal := d.refusals[0]
			d.refusals = d.refusals[1:]
			d.mu.Unlock()
			d.meets(fmt.Sprint("issuer ", refusal.Status))
			return live.Token{}, &refusal
		}
		d.mu.Unlock()
		token, err := k.mint(ctx, need)
		if err != nil {
			d.meets("mint 503")
		}
		return token, err
	}
}

// lag is up to 300 ms each way.
func (d *day) lag(conn net.Conn) net.Conn {
	return lag(conn, func() time.Duration { return rand.N(300 * time.Millisecond) })
}

// meets counts faults, and gives how many of that kind there were.
func (d *day) meets(fault string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[fault]++
	return d.faults[fault]
}

func (d *day) hearsSound(length time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sound += length
}

// hears takes events, and answers calls some seconds after they were made.
func (d *day) hears(e session.Event) {
	switch e := e.(type) {
	case session.ToolCall:
		d.follows(e)
	case session.Received:
		for len(d.turns) > 0 {
			<-d.turns
		}
		for _, call := range e.Message.Calls {
			time.AfterFunc(3*time.Second, func() {
				d.input("toolResponse", map[string]any{"functionResponses": []any{
					map[string]any{"id": call.ID, "name": call.Name, "response": map[string]any{"output": "noon"}},
				}}, func(error) {})
			})
		}
		parts, _ := entry{Message: e.Message.Body.(map[string]any)}.at("serverContent", "modelTurn", "parts").([]any)
		for _, part := range parts {
			blob, _ := part.(map[string]any)["inlineData"].(map[string]any)
			data, _ := blob["data"].(string)
			d.hearsSound(time.Duration(base64.StdEncoding.DecodedLen(len(data))) * time.Second / 48_000)
		}
	}
}

// follows holds the news of a call against those before.
func (d *day) follows(news session.ToolCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch before, known := d.calls[news.ID]; {
	case news.Repeated && !known,
		!news.Repeated && news.State == session.CallMade && known,
		news.State != session.CallMade && before != session.CallMade:
		d.t.Errorf("%+v after %q", news, before)
	case !news.Repeated:
		d.calls[news.ID] = news.State
	}
}

var numbered = regexp.MustCompile(`f(\d+)\.`)

// look reads on in the journal.
func (d *day) look() {
	for _, e := range d.journal(d.read) {
		if e.Seq != d.read+1 {
			d.t.Fatalf("the journal lacks %d entries", e.Seq-d.read-1)
		}
		d.read = e.Seq
		text, _ := e.at("realtimeInput", "text").(string)
		switch found := numbered.FindStringSubmatch(text); {
		case found != nil:
			n, _ := strconv.Atoi(found[1])
			d.arrived[n] = append(d.arrived[n], e)
		case e.at("sessionResumptionUpdate", "newHandle") != nil:
			d.handles[e.Session] = e
		}
	}
}

// isTold waits until handles contain all that was typed since the last time, and
// counts what one contains twice.
func (d *day) isTold() {
	d.t.Helper()
	var sent int
	for range 20 {
		time.Sleep(30 * time.Second)
		d.look()
		d.mu.Lock()
		sent = d.sent
		d.mu.Unlock()
		if !slices.ContainsFunc(numbers(d.told+1, sent), func(n int) bool { return len(d.holding(n)) == 0 }) {
			break
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range numbers(d.told+1, sent) {
		sessions := d.holding(n)
		if len(sessions) == 0 || d.settled[n] != 1 {
			d.t.Errorf("f%d is told %d times and was settled %d times; it arrived %d times", n, len(sessions), d.settled[n], len(d.arrived[n]))
		}
		d.doubled += len(sessions) - len(slices.Compact(sessions))
		delete(d.arrived, n)
		delete(d.settled, n)
	}
	d.told = sent
}

func numbers(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// holding names the session of each message with text n that its session's newest
// handle contains.
func (d *day) holding(n int) (sessions []string) {
	for _, e := range d.arrived[n] {
		handle := d.handles[e.Session]
		forgotten := slices.ContainsFunc(handle.Without, func(r struct{ From, To int64 }) bool { return r.From <= e.Seq && e.Seq <= r.To })
		if e.Seq <= handle.Contains && !forgotten {
			sessions = append(sessions, e.Session)
		}
	}
	return sessions
}

// report tells what kind of day it was, and holds the receipts against it.
func (d *day) report(t *testing.T, hours int) {
	d.talk.mu.Lock()
	defer d.talk.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	replayed, uncertain, rungs, causes := 0, 0, map[session.Rung]int{}, map[session.Cause]int{}
	var gaps []time.Duration
	for _, r := range d.resumed {
		replayed += r.Replayed
		uncertain += r.Uncertain
		rungs[r.Rung]++
		causes[r.Cause]++
		gaps = append(gaps, r.Gap)
	}
	slices.Sort(gaps)
	met := 0
	for _, n := range d.faults {
		met += n
	}
	ends := map[session.CallState]int{}
	for id, state := range d.calls {
		if ends[state]++; state == session.CallMade {
			t.Errorf("call %s has no end", id)
		}
	}
	t.Logf("%d faults: %v", met, d.faults)
	t.Logf("%d tokens, %d connections after the first: %v, %v; gaps of %v, the longest %v",
		d.minted, len(d.resumed), rungs, causes, gaps[len(gaps)/2], gaps[len(gaps)-1])
	t.Logf("%d texts: %d messages replayed, %d uncertain, %d texts doubled; calls %v; %v of sound", d.sent, replayed, uncertain, d.doubled, ends, d.sound)
	if d.doubled > uncertain || d.doubled > d.sent/50 {
		t.Error("too much was doubled, or was not called uncertain")
	}
	if met < 1000*hours/24 || rungs[session.RungToken] < 3*hours || replayed < hours {
		t.Error("the day is too easy")
	}
	if d.sound > time.Duration(hours)*50*time.Second {
		t.Error("there is more sound than 20 minutes a day")
	}
}

// Handle takes the emulator's log. Whatever befalls a connection, somebody types at
// the worst time after it.
func (d *day) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "fault befalls a connection" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "kind" {
				n := d.meets(a.Value.String())
				time.AfterFunc(time.Duration(n%8)*50*time.Millisecond, d.types)
			}
			return true
		})
	}
	return nil
}

func (d *day) Enabled(context.Context, slog.Level) bool { return true }
func (d *day) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d *day) WithGroup(string) slog.Handler            { return d }
