// Command wasm is LiveValet's engine as the browser loads it: it joins the
// session to the browser's edge and hands the page one function, open (see
// Engine in web/src/engine.ts).
package main

import "syscall/js"

func main() {
	engine := js.Global().Get("Object").New()
	engine.Set("open", js.FuncOf(func(_ js.Value, args []js.Value) any { return open(args[0], args[1]) }))
	js.Global().Call("livevaletAnnounce", engine)
	select {} // the page's calls are all there is to do
}
