package live

import (
	"fmt"
	"runtime"
	"strings"
)

// Panic is a panic as an error. Of the value it keeps the type, and the text only
// where that is the Go runtime's own: any other may hold what somebody said, or a
// secret. For the same reason the stack has no arguments.
type Panic struct {
	Type  string // of the value
	Text  string // may be empty
	Stack string // "function (file:line)", a line each, the innermost first
}

func (p *Panic) Error() string {
	if p.Text == "" {
		return "panic of type " + p.Type
	}
	return "panic: " + p.Text
}

// Try calls f. If f panics, the error is a *Panic. What the engine does on a
// goroutine of its own, or in a callback, it does in here: a panic nobody catches
// ends the whole program, and is printed with all that it holds.
func Try(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = newPanic(value)
		}
	}()
	return f()
}

// maxFrames bounds a stack.
const maxFrames = 50

// newPanic must be called while the stack of the panic still stands.
func newPanic(value any) *Panic {
	p := &Panic{Type: fmt.Sprintf("%T", value)}
	if e, ok := value.(runtime.Error); ok {
		p.Text = e.Error()
	}
	pcs := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without Callers, newPanic and its caller
	var stack []string
	for more := len(pcs) > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		name := base(f.Function)
		if name == "live.Try" {
			break
		}
		if len(stack) > 0 || !strings.HasPrefix(name, "runtime.") { // the way from the panic to here
			stack = append(stack, fmt.Sprintf("%s (%s:%d)", name, base(f.File), f.Line))
		}
	}
	p.Stack = strings.Join(stack, "\n")
	return p
}

// base is a path's last element.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
