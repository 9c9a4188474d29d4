package main

import (
	"context"
	"errors"
	"syscall/js"
	"time"

	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// open starts a session and returns its EngineSession. Every function of that
// enqueues and returns: an export runs inside the page's call and may not wait
// for anything that this call holds up.
func open(options, host js.Value) js.Value {
	page, news := edge.Host{Value: host}, newMailbox()
	cfg := session.Config{
		Editor:  edge.Editor{},
		Source:  page.Token,
		Release: page.Release,
		Dial:    session.Dialing(edge.Dial),
		Emit:    func(e session.Event) { news.put(eventObject(e)) },
	}
	if !js.Global().Get("document").IsUndefined() {
		cfg.Frozen = 90 * time.Second // a hidden page's timers are late by up to a minute, a worker's are not
	}
	unread := live.Try(func() error {
		cfg.Profile, cfg.Setup = options.Get("profile").String(), options.Get("setup")
		if model := options.Get("model"); model.Type() == js.TypeString {
			cfg.Model = model.String()
		}
		if idle := options.Get("idle"); idle.Type() == js.TypeObject {
			cfg.Idle, cfg.IdleWarning = milliseconds(idle.Get("after")), milliseconds(idle.Get("warn"))
		}
		return nil
	})
	s := session.New(cfg)
	crash(s, unread)
	// queue answers the call with that id once: at once if add fails, else when what
	// it added is settled.
	queue := func(id js.Value, add func(settle func(error)) error) {
		settle := func(err error) { news.put(sentObject(id, err)) }
		if err := add(settle); err != nil {
			settle(err)
		}
	}
	exports, release := export(s, map[string]func(args []js.Value){
		"send": func(args []js.Value) {
			queue(args[0], func(settle func(error)) error {
				in, err := edge.NewInput(args[1])
				if err != nil {
					return err
				}
				in.Rerun = len(args) > 2 && args[2].Truthy()
				return s.Send(in, settle)
			})
		},
		"update": func(args []js.Value) {
			queue(args[0], func(settle func(error)) error {
				change, err := edge.NewUpdate(args[1])
				if err != nil {
					return err
				}
				return s.Update(change, settle)
			})
		},
		"dropPicture": func([]js.Value) { s.DropPicture() },
		"stay":        func([]js.Value) { s.Stay() },
		"wake":        func([]js.Value) { s.Wake() },
		"doubt":       func([]js.Value) { s.Doubt() },
		"close":       func([]js.Value) { s.Close() },
	})
	go func() {
		_ = s.Run(context.Background()) // its last event tells how it ended
		news.close()
	}()
	go func() {
		news.deliver(func(event js.Value) { guard(s, func() { host.Call("emit", event) }) })
		release()
	}()
	return exports
}

// milliseconds is 0 for undefined.
func milliseconds(v js.Value) time.Duration {
	if v.Type() != js.TypeNumber {
		return 0
	}
	return time.Duration(v.Float() * float64(time.Millisecond))
}

// guard calls f for the session, whose end it is if f panics.
func guard(s *session.Session, f func()) { crash(s, live.Try(func() error { f(); return nil })) }

// crash ends the session if err is a panic.
func crash(s *session.Session, err error) {
	if p, ok := errors.AsType[*live.Panic](err); ok {
		s.Crash(p)
	}
}

// export makes an object of functions for the session, and the function that lets
// go of them.
func export(s *session.Session, funcs map[string]func(args []js.Value)) (object js.Value, release func()) {
	object = newObject()
	var made []js.Func
	for name, f := range funcs {
		fn := js.FuncOf(func(_ js.Value, args []js.Value) any {
			guard(s, func() { f(args) })
			return nil
		})
		made = append(made, fn)
		object.Set(name, fn)
	}
	return object, func() {
		for _, fn := range made {
			fn.Release()
		}
	}
}
