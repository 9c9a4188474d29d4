package main

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall/js"
	"testing"
	"time"
)

// A test has the tables of the memory profiler, 1.4 MB that come with the first
// sample. The engine has none.
func init() { runtime.MemProfileRate = 0 }

// perConversation is how often a conversation changes its connection.
const perConversation = 60

// A page may be open for days. What a rotation leaves behind would add up. With
// LONG_TESTS set there are five conversations, and so 300 rotations.
func TestRotationsLeaveNothingBehind(t *testing.T) {
	conversations := 1
	if os.Getenv("LONG_TESTS") != "" {
		conversations = 5
	}
	running := runningGo(t)
	var gaps []int // ms
	converse := func() (memory, callbacks int) {
		p := openPage(t, "/v1/token")
		defer p.close()
		p.wantState("live")
		p.say("my name is Ada")
		for i := range perConversation {
			fault := []string{"goaway", "drop"}[i%2]
			p.fault(fault)
			// After connections that did not hold the engine waits, unless the page
			// becomes visible.
			for state := ""; state != "connecting"; {
				if state = p.want("status").Get("state").String(); state == "waiting" {
					p.session.Call("wake")
				}
			}
			resumed := p.want("resumed")
			if resumed.Get("rung").String() != "handle" {
				t.Fatalf("after rotation %d, by %s: %s", i, fault, asJSON(resumed))
			}
			gaps = append(gaps, resumed.Get("gapMs").Int())
			p.nextID++ // a turn, and with it a new handle
			p.session.Call("send", p.nextID, object("realtimeInput", object("text", "empty turn")))
			p.want("emptyturn")
		}
		memory, callbacks = running.memory(), running.callbacks()
		if answer := p.say("what is my name?"); !strings.Contains(answer, "Ada") {
			t.Errorf("after %d rotations the model answers %q", perConversation, answer)
		}
		return memory, callbacks
	}
	converse() // the heap takes its final size
	warm, held := converse()
	for range conversations {
		memory, callbacks := converse()
		t.Logf("%d bytes of memory, before %d; JavaScript can call %d functions, before %d", memory, warm, callbacks, held)
		if memory > warm+2<<20 {
			t.Errorf("%d rotations took %d bytes of memory", perConversation, memory-warm)
		}
		if callbacks != held {
			t.Errorf("%d rotations left %d callbacks", perConversation, callbacks-held)
		}
	}
	slices.Sort(gaps)
	t.Logf("gap: p50 %d ms, p95 %d ms", gaps[len(gaps)/2], gaps[len(gaps)*95/100])
}

// goInstance is the object of wasm_exec.js that runs this program.
type goInstance struct{ js.Value }

// runningGo gets hold of it: it is this where a callback is made.
func runningGo(t *testing.T) goInstance {
	t.Helper()
	class := js.Global().Get("Go").Get("prototype")
	plain := class.Get("_makeFuncWrapper")
	js.Global().Call("eval", `Go.prototype._makeFuncWrapper = function () { Go.running = this; return () => {}; }`)
	js.FuncOf(func(js.Value, []js.Value) any { return nil }).Release()
	class.Set("_makeFuncWrapper", plain)
	t.Cleanup(func() { js.Global().Get("Go").Delete("running") })
	return goInstance{js.Global().Get("Go").Get("running")}
}

// memory is the size of the linear memory in bytes.
func (g goInstance) memory() int {
	return g.Get("_inst").Get("exports").Get("mem").Get("buffer").Get("byteLength").Int()
}

// callbacks counts the functions of js.FuncOf that this program still holds.
func (g goInstance) callbacks() int {
	// A released one stays until its finalizer has run.
	for range 2 {
		runtime.GC()
		time.Sleep(time.Millisecond) // there is one thread: the finalizers run first
	}
	count := js.Global().Call("eval", `(go) => go._values.filter((v) => typeof v === "function" && v.toString().includes("_pendingEvent")).length`)
	return count.Invoke(g.Value).Int()
}
