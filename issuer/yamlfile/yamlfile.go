// Package yamlfile reads YAML that people write, strictly: one document, no key
// twice and none that does nothing. Its errors name the line and what may stand
// there, and quote no value, which may be a secret.
package yamlfile

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Error is a mistake in a file.
type Error struct {
	Line    int // the first is 1
	message string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.message) }

// Wrong is a mistake in a node.
func Wrong(node ast.Node, format string, args ...any) error {
	return &Error{node.GetToken().Position.Line, fmt.Sprintf(format, args...)}
}

// Read reads a file into a struct whose fields all have a yaml tag. An empty file
// changes nothing.
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
		return nil, errors.New("write one document: what follows --- would be left out")
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return nil, nil
	}
	return parsed.Docs[0].Body, nil
}

// Decode reads a mapping into a struct, as Read does.
func Decode(node ast.Node, into any) error {
	if err := fits(node, reflect.TypeOf(into).Elem()); err != nil {
		return err
	}
	if err := yaml.NodeToValue(node, into, yaml.Strict()); err != nil {
		return plain(err)
	}
	return nil
}

// fits looks for keys that a struct does not have, since the decoder cannot tell
// which there are.
func fits(node ast.Node, t reflect.Type) error {
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.NodeUnmarshaler]()) {
		return nil
	}
	fields := map[string]reflect.Type{}
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			fields[key] = f.Type
			keys = append(keys, key)
		}
	}
	there := "there are " + strings.Join(keys, ", ")
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = append(pairs, node)
	case *ast.NullNode, *ast.AnchorNode, *ast.AliasNode: // the decoder's business
	default:
		return Wrong(node, "write keys and values: %s", there)
	}
	for _, pair := range pairs {
		if pair.Key.Type() == ast.MergeKeyType {
			continue
		}
		key := pair.Key.GetToken().Value
		field, known := fields[key]
		if !known {
			return Wrong(pair.Key, "unknown field %q: %s", key, there)
		}
		if err := fits(pair.Value, field); err != nil {
			return err
		}
	}
	return nil
}

// plain is what the decoder says, for people.
func plain(err error) error {
	if ours, ok := errors.AsType[*Error](err); ok {
		return ours
	}
	theirs, ok := errors.AsType[yaml.Error](err)
	if !ok || theirs.GetToken() == nil {
		return errors.New("this is not YAML, or not of the documented form")
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
	return &Error{theirs.GetToken().Position.Line, message}
}

// wish tells what to write where something else stands.
func wish(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "write a duration such as 12m"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "write true or false"
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
