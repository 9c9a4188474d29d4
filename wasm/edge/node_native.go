//go:build !js

package edge

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"github.com/livevalet/livevalet/wasm/live"
)

// node is a JSON value; the zero node is an absent one. Asking a node for what
// it is not gives the zero value, as absence does in the protocol.
type node struct{ value any }

func parse(data []byte) (node, error) {
	var n node
	if err := json.Unmarshal(data, &n.value); err != nil {
		return node{}, live.ErrMalformed
	}
	return n, nil
}

func (n node) absent() bool { return n.value == nil }

func (n node) isObject() bool { _, ok := n.value.(map[string]any); return ok }

func (n node) keys() []string {
	m, _ := n.value.(map[string]any)
	return slices.Collect(maps.Keys(m))
}

func (n node) get(key string) node {
	m, _ := n.value.(map[string]any)
	return node{m[key]}
}

func (n node) remove(key string) {
	m, _ := n.value.(map[string]any)
	delete(m, key)
}

func (n node) items() []node {
	list, _ := n.value.([]any)
	items := make([]node, len(list))
	for i, v := range list {
		items[i] = node{v}
	}
	return items
}

func (n node) text() string    { s, _ := n.value.(string); return s }
func (n node) number() float64 { f, _ := n.value.(float64); return f }
func (n node) truth() bool     { b, _ := n.value.(bool); return b }

// canonical is the same text for equal values.
func (n node) canonical() string {
	text, err := json.Marshal(n.value) // sorts the keys
	if err != nil {
		return ""
	}
	return string(text)
}

func newObject() node       { return node{map[string]any{}} }
func newTruth(b bool) node  { return node{b} }
func newText(s string) node { return node{s} }

func newList(items []node) node {
	list := make([]any, len(items))
	for i, n := range items {
		list[i] = n.value
	}
	return node{list}
}

// set sets a key of an object.
func (n node) set(key string, v node) { n.value.(map[string]any)[key] = v.value }

func nodeOf(body live.Payload) node { return node{body} }

func (n node) body() live.Payload { return n.value }

// resolve makes ref absolute; "" if either is no URL. Without a base, ref must be
// absolute.
func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ""
	}
	u, err := b.Parse(ref)
	if err != nil || !u.IsAbs() {
		return ""
	}
	return u.String()
}
