// Package yamlfile reads YAML that people write, strictly: one document, no key
// twice and none that does nothing. Its errors are all mistakes there are, each
// with its line and what may stand there, and quote no value, which may be a
// secret.
package yamlfile

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Error is a mistake in a file.
type Error struct {
	Line    int // the first is 1; 0: it is the file's as a whole
	message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.message)
}

// Errors are the mistakes in a file, a line of text for each.
type Errors []*Error

func (all Errors) Error() string {
	var lines []string
	for _, e := range all {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

// Wrong is a mistake in a node.
func Wrong(node ast.Node, format string, args ...any) error { return wrongAt(node, format, args...) }

func wrongAt(node ast.Node, format string, args ...any) *Error {
	return &Error{node.GetToken().Position.Line, fmt.Sprintf(format, args...)}
}

// Read reads a file into a struct whose fields all have a yaml tag. An empty file
// changes nothing. After [Errors] the struct has what was read without mistake.
func Read(text []byte, into any) error {
	node, err := Parse(text)
	if err != nil || node == nil {
		return err
	}
	return Decode(node, into)
}

// Parse gives the content of a file, nil if it is empty.
func Parse(text []byte) (ast.Node, error) {
	parsed, err := parser.ParseBytes(text, 0)
	switch {
	case err != nil:
		return nil, plain(err)
	case len(parsed.Docs) > 1:
		return nil, Errors{{message: "write one document: what follows --- would be left out"}}
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return nil, nil
	}
	return parsed.Docs[0].Body, nil
}

// Decode reads a mapping into a struct, as Read does.
func Decode(node ast.Node, into any) error {
	// The decoder stops at its first mistake and does not know which keys there
	// are, so each part is read by itself first.
	if wrong := read(node, reflect.ValueOf(into).Elem()); len(wrong) > 0 {
		return wrong
	}
	if err := yaml.NodeToValue(node, into, yaml.Strict()); err != nil {
		return plain(err)
	}
	return nil
}

// read reads a node part by part and finds all mistakes in it.
func read(node ast.Node, into reflect.Value) (wrong Errors) {
	switch node.(type) {
	case *ast.NullNode, *ast.AnchorNode, *ast.AliasNode: // only the whole can tell
		return nil
	}
	t := into.Type()
	sequence, isSequence := node.(*ast.SequenceNode)
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.NodeUnmarshaler]()):
	case t.Kind() == reflect.Struct:
		return readStruct(node, into)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct && isMapping(node):
		values := reflect.MakeMap(t)
		for _, pair := range pairs(node) {
			value := reflect.New(t.Elem()).Elem()
			wrong = append(wrong, read(pair.Value, value)...)
			values.SetMapIndex(reflect.ValueOf(pair.Key.GetToken().Value), value)
		}
		into.Set(values)
		return wrong
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && isSequence:
		values := reflect.MakeSlice(t, len(sequence.Values), len(sequence.Values))
		for i, item := range sequence.Values {
			wrong = append(wrong, read(item, values.Index(i))...)
		}
		into.Set(values)
		return wrong
	}
	if ast.Filter(ast.AliasType, node) != nil {
		return nil
	}
	if err := yaml.NodeToValue(node, into.Addr().Interface(), yaml.Strict()); err != nil {
		return plain(err)
	}
	return nil
}

func readStruct(node ast.Node, into reflect.Value) (wrong Errors) {
	fields := map[string]reflect.Value{}
	var keys []string
	for f := range into.Type().Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			fields[key] = into.FieldByIndex(f.Index)
			keys = append(keys, key)
		}
	}
	there := "there are " + strings.Join(keys, ", ")
	if !isMapping(node) {
		return Errors{wrongAt(node, "write keys and values: %s", there)}
	}
	for _, pair := range pairs(node) {
		if pair.Key.Type() == ast.MergeKeyType {
			continue
		}
		key := pair.Key.GetToken().Value
		if field, known := fields[key]; known {
			wrong = append(wrong, read(pair.Value, field)...)
		} else {
			wrong = append(wrong, wrongAt(pair.Key, "unknown field %q: %s", key, there))
		}
	}
	return wrong
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// pairs are the keys and values of a mapping.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values
	case *ast.MappingValueNode: // one alone
		return []*ast.MappingValueNode{node}
	}
	return nil
}

// Line is where the deepest part of a path stands that there is: a key of a
// mapping, or a list's item by its number. 0 is nothing of it.
func Line(node ast.Node, path ...string) int {
	if node == nil || len(path) == 0 {
		return 0
	}
	for _, pair := range pairs(node) {
		if pair.Key.GetToken().Value == path[0] {
			return cmp.Or(Line(pair.Value, path[1:]...), pair.Key.GetToken().Position.Line)
		}
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(list.Values) {
			return cmp.Or(Line(list.Values[i], path[1:]...), list.Values[i].GetToken().Position.Line)
		}
	}
	return 0
}

// plain is what the decoder says, for people.
func plain(err error) Errors {
	if ours, ok := errors.AsType[Errors](err); ok {
		return ours
	}
	if ours, ok := errors.AsType[*Error](err); ok {
		return Errors{ours}
	}
	theirs, ok := errors.AsType[yaml.Error](err)
	if !ok || theirs.GetToken() == nil {
		return Errors{{message: "this is not YAML, or not of the documented form"}}
	}
	message, _, _ := strings.Cut(theirs.GetMessage(), "\n")
	var wanted reflect.Type
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		wanted = e.DstType
	} else if e, ok := errors.AsType[*yaml.OverflowError](err); ok {
		wanted = e.DstType
	} else if e, ok := errors.AsType[*yaml.UnexpectedNodeTypeError](err); ok && e.Expected == ast.SequenceType {
		wanted = reflect.TypeFor[[]any]()
	}
	switch {
	case wanted != nil:
		message = wish(wanted)
	case strings.HasPrefix(message, "mapping key "):
		message += ": leave one of the two out"
	case strings.Contains(message, `"`): // what is quoted may be a secret
		message = "this is not YAML"
	}
	return Errors{{theirs.GetToken().Position.Line, message}}
}

// wish tells what to write where something else stands.
func wish(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "write a duration such as 12m"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "write true or false"
	case reflect.Float64:
		return "write a number"
	case reflect.Int, reflect.Int64:
		return "write a whole number"
	case reflect.Uint64:
		return "write a whole number, not negative and below 2^64"
	case reflect.String:
		return "write a text"
	case reflect.Slice:
		return "write a list, such as [a, b]"
	case reflect.Map, reflect.Struct:
		return "write keys and values"
	}
	return "this is not of the documented form"
}
