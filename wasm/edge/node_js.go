package edge

import (
	"slices"
	"strconv"
	"strings"
	"syscall/js"

	"github.com/livevalet/livevalet/wasm/live"
)

var (
	jsJSON   = js.Global().Get("JSON")
	jsObject = js.Global().Get("Object")
	jsURL    = js.Global().Get("URL")
	jsArray  = js.Global().Get("Array")
	isArray  = jsArray.Get("isArray")
	aNull    = js.Global().Get("RegExp").New("null")
)

// node is a JSON value; the zero node is an absent one. Asking a node for what
// it is not gives the zero value, as absence does in the protocol.
type node struct{ value js.Value }

func parse(text js.Value) (n node, err error) {
	defer func() {
		if recover() != nil { // a SyntaxError, whose text may quote the frame
			n, err = node{}, live.ErrMalformed
		}
	}()
	return node{jsJSON.Call("parse", text)}, nil
}

func (n node) absent() bool { return n.value.IsUndefined() || n.value.IsNull() }

func (n node) isObject() bool {
	return n.value.Type() == js.TypeObject && !isArray.Invoke(n.value).Bool()
}

func (n node) keys() []string {
	if n.value.Type() != js.TypeObject {
		return nil
	}
	list := jsObject.Call("keys", n.value)
	keys := make([]string, list.Length())
	for i := range keys {
		keys[i] = list.Index(i).String()
	}
	return keys
}

func (n node) get(key string) node {
	if n.value.Type() != js.TypeObject {
		return node{}
	}
	return node{n.value.Get(key)}
}

func (n node) remove(key string) {
	if n.value.Type() == js.TypeObject {
		n.value.Delete(key)
	}
}

func (n node) items() []node {
	if n.value.Type() != js.TypeObject || !isArray.Invoke(n.value).Bool() {
		return nil
	}
	items := make([]node, n.value.Length())
	for i := range items {
		items[i] = node{n.value.Index(i)}
	}
	return items
}

func (n node) text() string {
	if n.value.Type() != js.TypeString {
		return ""
	}
	return n.value.String()
}

func (n node) number() float64 {
	if n.value.Type() != js.TypeNumber {
		return 0
	}
	return n.value.Float()
}

func (n node) truth() bool { return n.value.Type() == js.TypeBoolean && n.value.Bool() }

// canonical is the same text for equal values.
func (n node) canonical() string {
	switch n.value.Type() {
	case js.TypeObject:
	case js.TypeUndefined, js.TypeFunction, js.TypeSymbol:
		return ""
	default:
		return jsJSON.Call("stringify", n.value).String()
	}
	var b strings.Builder
	if n.isObject() {
		keys := n.keys()
		slices.Sort(keys)
		for _, key := range keys {
			b.WriteString("," + strconv.Quote(key) + ":" + n.get(key).canonical())
		}
		return "{" + b.String() + "}"
	}
	for _, item := range n.items() {
		b.WriteString("," + item.canonical())
	}
	return "[" + b.String() + "]"
}

func newObject() node       { return node{jsObject.New()} }
func newTruth(b bool) node  { return node{js.ValueOf(b)} }
func newText(s string) node { return node{js.ValueOf(s)} }

func newList(items []node) node {
	list := jsArray.New()
	for _, n := range items {
		list.Call("push", n.value)
	}
	return node{list}
}

// set sets a key of an object.
func (n node) set(key string, v node) { n.value.Set(key, v.value) }

func nodeOf(body live.Payload) node {
	value, _ := body.(js.Value)
	return node{value}
}

func (n node) body() live.Payload { return n.value }

// resolve makes ref absolute; "" if either is no URL. Without a base, ref must be
// absolute.
func resolve(base, ref string) (absolute string) {
	defer func() {
		if recover() != nil {
			absolute = ""
		}
	}()
	if base == "" {
		return jsURL.New(ref).Get("href").String()
	}
	return jsURL.New(ref, base).Get("href").String()
}
