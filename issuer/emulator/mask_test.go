package emulator

import (
	"reflect"
	"testing"

	"github.com/livevalet/livevalet/issuer/schema"
)

// Trees are shared between sessions, so applying a lock must copy.
func TestApplyingALockLeavesTokenAndClientAlone(t *testing.T) {
	token := func() tree { return tree{"generationConfig": tree{"temperature": 1.0, "topK": 2.0}} }
	client := func() tree {
		return tree{"model": "m", "tools": []any{tree{}}, "generationConfig": tree{"temperature": 0.0, "topP": 3.0}}
	}
	l, no := newLock(token(), "generationConfig.temperature,tools,generationConfig,generationConfig.topP,labels", Switches{})
	if no != nil {
		t.Fatal(no.message)
	}
	sent := client()
	got := l.apply(sent)
	if want := (tree{"model": "m", "generationConfig": tree{"temperature": 1.0, "topK": 2.0}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got.tree("generationConfig")["temperature"] = 5.0
	if !reflect.DeepEqual(l.setup, token()) || !reflect.DeepEqual(sent, client()) {
		t.Errorf("token's setup is now %v, the client's %v", l.setup, sent)
	}
}

func TestTheTableIsComplete(t *testing.T) {
	scalars := map[string]bool{"string": true, "bool": true, "int32": true, "int64": true, "float": true,
		"bytes": true, "timestamp": true, "enum": true, "object": true, "any": true}
	used := map[string]bool{"AuthToken": true, "ClientMessage": true}
	for _, m := range schema.Messages {
		for _, f := range m.Fields {
			if f.Of == nil && !scalars[f.Kind] {
				t.Errorf("%s.%s is of the unknown kind %q", m.Name, f.Name, f.Kind)
			}
			if (f.Kind == "enum") != (len(f.Values) > 0) {
				t.Errorf("%s.%s has the values %v", m.Name, f.Name, f.Values)
			}
			used[f.Kind] = true
		}
	}
	for name := range schema.Messages {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
}
