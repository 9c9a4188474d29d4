package emulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer/yamlfile"
)

const (
	maxScenario = 1 << 20 // bytes
	maxSteps    = 1000
	maxSay      = 2000 // bytes, about two minutes of speech
)

// Scenario scripts an exchange, for tests of apps: what the client is expected to
// do, step by step, and what the service does then. docs/scenarios.md has the
// form of the file. A Scenario does not change, and any number of servers may
// play it.
type Scenario struct {
	name   string
	strict bool
	steps  []scenarioStep
}

// scenarioStep waits for what it expects, then for its delay, and then acts.
type scenarioStep struct {
	expect *expectation // nil: nothing
	after  time.Duration
	do     []action
	line   int
}

// expectation fits some events.
type expectation struct {
	words string // for people: "text containing …"
	fits  func(event) bool
}

// action is one thing that a step does, on the goroutine of the scenario's
// connection. It says why it could not, or nothing.
type action struct {
	do     func(*conversation) (wrong string)
	speaks bool
	mint   *fault // instead of do: needs no connection
}

// expectable are the kinds of events that can be expected by name.
var expectable = []eventKind{connected, resumed, typed, spoke, streamed, returned, minted, left}

// afterSetup are the messages that a client may send, each by itself.
var afterSetup = []string{"clientContent", "contextUpdate", "realtimeInput", "toolResponse"}

// ParseScenario reads a scenario, YAML or JSON. An error names the line and what
// may stand there.
func ParseScenario(text []byte) (*Scenario, error) {
	if len(text) > maxScenario {
		return nil, fmt.Errorf("a scenario has at most %d MiB", maxScenario>>20)
	}
	var file struct {
		Name   string         `yaml:"name"`
		Strict bool           `yaml:"strict"`
		Steps  []scenarioStep `yaml:"steps"`
	}
	root, err := yamlfile.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case root == nil:
		return nil, errors.New("the scenario is empty: write name, strict and steps")
	}
	var fancy plainYAML
	if ast.Walk(&fancy, root); fancy.err != nil {
		return nil, fancy.err
	}
	if err := yamlfile.Decode(root, &file); err != nil {
		return nil, err
	}
	switch n := len(file.Steps); {
	case n == 0:
		return nil, errors.New("the scenario has no steps")
	case n > maxSteps:
		return nil, fmt.Errorf("line %d: a scenario has at most %d steps", file.Steps[maxSteps].line, maxSteps)
	}
	for i, one := range file.Steps {
		if one.line == 0 {
			return nil, fmt.Errorf("step %d is empty: write expect, do, or both", i+1)
		}
	}
	return &Scenario{file.Name, file.Strict, file.Steps}, nil
}

// plainYAML looks for what a scenario does without: a few bytes of anchors can
// stand for any number of values, and tags for none of ours.
type plainYAML struct{ err error }

// Visit implements [ast.Visitor].
func (p *plainYAML) Visit(node ast.Node) ast.Visitor {
	switch node.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		p.err = cmp.Or(p.err, yamlfile.Wrong(node, "write it without anchors, aliases, tags and merge keys"))
	}
	return p
}

// readTree reads a mapping of any content.
func readTree(node ast.Node, what string) (tree, error) {
	var v any
	err := yaml.NodeToValue(node, &v)
	raw, unfit := json.Marshal(v)
	if err != nil || unfit != nil {
		return nil, yamlfile.Wrong(node, "%s is what JSON can hold", what)
	}
	message, no := decodeJSON(raw)
	if no != nil {
		return nil, yamlfile.Wrong(node, "%s: %s", what, no.message)
	}
	t, ok := message.(tree)
	if !ok {
		return nil, yamlfile.Wrong(node, "%s is an object, such as {serverContent: {turnComplete: true}}", what)
	}
	return t, nil
}

func isMapping(node ast.Node) bool {
	return node.Type() == ast.MappingType || node.Type() == ast.MappingValueType
}

func readWord(node ast.Node, what string) (string, error) {
	var word string
	if isMapping(node) || yaml.NodeToValue(node, &word) != nil {
		return "", yamlfile.Wrong(node, "%s takes a text", what)
	}
	return word, nil
}

// only gives the one key of a mapping and its value.
func only(node ast.Node, keys ...string) (key string, value ast.Node, err error) {
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = append(pairs, node)
	}
	if len(pairs) == 1 {
		key = pairs[0].Key.GetToken().Value
	}
	if !slices.Contains(keys, key) {
		return "", nil, yamlfile.Wrong(node, "write one of %s", strings.Join(keys, ", "))
	}
	return key, pairs[0].Value, nil
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (s *scenarioStep) UnmarshalYAML(node ast.Node) error {
	var file struct {
		Expect *expectation `yaml:"expect"`
		After  string       `yaml:"after"`
		Do     []action     `yaml:"do"`
	}
	if err := yamlfile.Decode(node, &file); err != nil {
		return err
	}
	*s = scenarioStep{expect: file.Expect, do: file.Do, line: node.GetToken().Position.Line}
	if file.After != "" {
		var err error
		if s.after, err = time.ParseDuration(file.After); err != nil || s.after < 0 {
			return yamlfile.Wrong(node, "after is a duration, such as 300ms or 1m30s")
		}
	}
	if s.after > 0 && len(s.do) == 0 {
		return yamlfile.Wrong(node, "after is the time before do: write do, or leave after out")
	}
	if s.expect == nil && len(s.do) == 0 {
		return yamlfile.Wrong(node, "a step has expect, do, or both")
	}
	return nil
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (e *expectation) UnmarshalYAML(node ast.Node) error {
	if !isMapping(node) {
		word, err := readWord(node, "expect")
		if kind := eventKind(word); err == nil && slices.Contains(expectable, kind) {
			*e = expectation{word, func(e event) bool { return e.kind == kind }}
			return nil
		}
		return yamlfile.Wrong(node, "expect is one of %s, {text: …}, {matches: …}, {toolResponse: …}, {message: …}", strings.Trim(fmt.Sprint(expectable), "[]"))
	}
	key, value, err := only(node, "text", "matches", "toolResponse", "message")
	if err != nil {
		return err
	}
	if key == "message" {
		part, err := readTree(value, "message")
		for name := range part {
			if len(part) > 1 || !slices.Contains(afterSetup, name) {
				return yamlfile.Wrong(value, "a message has one of %s; after the setup expect connect or resume", strings.Join(afterSetup, ", "))
			}
		}
		*e = expectation{"a message that contains the given one", func(e event) bool { return e.message != nil && includes(asJSON(e.message), part) }}
		return err
	}
	word, err := readWord(value, key)
	switch {
	case err != nil:
		return err
	case word == "" && key == "toolResponse":
		return yamlfile.Wrong(value, "toolResponse names a function: for any of them write expect: toolResponse")
	case word == "":
		return yamlfile.Wrong(value, "%s is empty: for any text write expect: text", key)
	}
	named := redactText(word) // for people
	switch key {
	case "text":
		*e = expectation{fmt.Sprintf("text containing %q", named), func(e event) bool { return e.kind == typed && strings.Contains(e.text, word) }}
	case "matches":
		pattern, err := regexp.Compile(word)
		if err != nil {
			return yamlfile.Wrong(value, "matches is a regular expression of RE2: %v", err)
		}
		*e = expectation{fmt.Sprintf("text matching %q", named), func(e event) bool { return e.kind == typed && pattern.MatchString(e.text) }}
	case "toolResponse":
		*e = expectation{"a toolResponse of " + named, func(e event) bool { return e.kind == returned && slices.Contains(e.functions, word) }}
	}
	return nil
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (a *action) UnmarshalYAML(node ast.Node) error {
	key, value, err := only(node, "send", "say", "call", "fault")
	if err != nil {
		return err
	}
	switch key {
	case "send":
		message, err := readTree(value, "send")
		a.do = func(c *conversation) string { return c.sendRaw(message) }
		return err
	case "say":
		words, err := readWord(value, "say")
		if len(words) > maxSay {
			err = yamlfile.Wrong(value, "say is at most %d bytes: say the rest in another turn", maxSay)
		}
		a.speaks = true
		a.do = func(c *conversation) string { c.perform(reaction{text: words}); return "" }
		return err
	case "call":
		return a.calls(value)
	}
	return a.suffers(value)
}

func (a *action) calls(node ast.Node) (err error) {
	var name string
	var args tree
	if isMapping(node) {
		var file struct {
			Name string   `yaml:"name"`
			Args ast.Node `yaml:"args"`
		}
		if err := yamlfile.Decode(node, &file); err != nil {
			return err
		}
		name = file.Name
		if file.Args != nil {
			if args, err = readTree(file.Args, "args"); err != nil {
				return err
			}
		}
	} else if name, err = readWord(node, "call"); err != nil {
		return err
	}
	if name == "" {
		return yamlfile.Wrong(node, "call names a function: write call: get_time, or call: {name: get_time, args: {…}}")
	}
	a.do = func(c *conversation) string { return c.callAs(name, args) }
	return nil
}

// suffers reads a fault as the control endpoint does.
func (a *action) suffers(node ast.Node) error {
	t, err := readTree(node, "fault")
	if err != nil {
		return err
	}
	var f fault
	if err := decodeStrict(pretty(t), &f); err != nil {
		return yamlfile.Wrong(node, "fault: %v", err)
	}
	if f.Session != "" || f.Token != "" {
		return yamlfile.Wrong(node, "fault: leave session and token out, they are the scenario's own")
	}
	f, wrong := f.complete()
	if wrong != "" {
		return yamlfile.Wrong(node, "fault: %s", wrong)
	}
	if faultKinds[f.Kind].mint {
		a.mint = &f
	}
	a.do = func(c *conversation) string {
		switch kind := faultKinds[f.Kind]; {
		case kind.mint:
			c.world.failMints(f)
		case kind.onToken != nil && c.caller.token == nil:
			return f.Kind + " needs a session by token"
		default:
			c.suffer(f)
		}
		return ""
	}
	return nil
}

// asJSON is a client message as JSON would have it.
func asJSON(message tree) any {
	raw, _ := json.Marshal(message)
	v, _ := decodeJSON(raw)
	return v
}

// includes reports whether v has all that part has.
func includes(v, part any) bool {
	switch part := part.(type) {
	case tree:
		whole, ok := v.(tree)
		for name, sub := range part {
			ok = ok && whole.has(name) && includes(whole[name], sub)
		}
		return ok
	case []any:
		whole, ok := v.([]any)
		return ok && slices.EqualFunc(whole, part, includes)
	}
	return v == part
}
