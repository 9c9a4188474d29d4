package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// field is one top-level field of the Live API's setup message.
type field struct {
	name string
	list bool   // a list of objects, not an object
	open string // why the page keeps it; empty: locked
}

// fields are all those that the Gemini API knows (documented, 2026-09), in the
// order of the mask. explicitVadSignal is missing: it exists on Vertex only.
// Fields that Google adds later are open to the page until they stand here.
var fields = []field{
	{name: "model"},
	{name: "generationConfig"},
	{name: "systemInstruction"},
	{name: "tools", list: true},
	{name: "realtimeInputConfig"},
	{name: "sessionResumption", open: "the page needs it to resume"},
	{name: "contextWindowCompression"},
	{name: "inputAudioTranscription"},
	{name: "outputAudioTranscription"},
	{name: "proactivity"},
	{name: "avatarConfig"},
	{name: "safetySettings", list: true},
	{name: "historyConfig", open: "the page needs it to seed a conversation that could not be resumed"},
	{name: "labels"},
}

// FieldMask is the token's fieldMask: every top-level field in fixed order,
// also those the profile leaves unset, which are thereby locked to unset. Only
// whole fields are named: the service was seen to refuse deeper paths.
func (p Profile) FieldMask() string {
	var locked []string
	for _, f := range fields {
		if f.open == "" {
			locked = append(locked, f.name)
		}
	}
	return strings.Join(locked, ",")
}

// builtIn is the setup that every profile starts from.
func builtIn() map[string]any {
	return map[string]any{
		"generationConfig":         map[string]any{"responseModalities": []any{"AUDIO"}},
		"contextWindowCompression": map[string]any{"slidingWindow": map[string]any{}},
		"inputAudioTranscription":  map[string]any{},
		"outputAudioTranscription": map[string]any{},
	}
}

// overlay lays a profile's setup over the built-in one.
func overlay(written map[string]any) (map[string]any, error) {
	setup := builtIn()
	for _, name := range slices.Sorted(maps.Keys(written)) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		switch {
		case i < 0:
			return nil, fmt.Errorf("the Gemini API knows no field %q: names are camelCase, as in the Live API's setup message", name)
		case name == "model":
			return nil, errors.New("write the model beside setup, not in it")
		case fields[i].open != "":
			return nil, fmt.Errorf("leave %s out: %s", name, fields[i].open)
		}
		value, err := plain(written[name])
		if err != nil {
			return nil, fmt.Errorf("%s cannot be written as JSON", name)
		}
		_, isObject := value.(map[string]any)
		_, isList := value.([]any)
		switch {
		case value == nil:
			delete(setup, name)
			continue
		case fields[i].list && !isList:
			return nil, fmt.Errorf("%s must be a list", name)
		case !fields[i].list && !isObject:
			return nil, fmt.Errorf("%s must be an object", name)
		}
		setup[name] = value
	}
	generation, _ := setup["generationConfig"].(map[string]any)
	if generation["responseModalities"] == nil {
		generation = maps.Clone(generation)
		if generation == nil {
			generation = map[string]any{}
		}
		generation["responseModalities"] = []any{"AUDIO"}
		setup["generationConfig"] = generation
	}
	if m := modalities(setup); len(m) != 1 || m[0] != "AUDIO" && m[0] != "TEXT" {
		return nil, errors.New(`generationConfig.responseModalities must be ["AUDIO"] or ["TEXT"]`)
	}
	return setup, nil
}

// plain copies a value into what encoding/json would make of it.
func plain(v any) (out any, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber() // a seed has more digits than a float64
	err = dec.Decode(&out)
	return out, err
}

func modalities(setup map[string]any) []string {
	generation, _ := setup["generationConfig"].(map[string]any)
	list, _ := generation["responseModalities"].([]any)
	var names []string
	for _, m := range list {
		name, _ := m.(string)
		names = append(names, name)
	}
	return names
}
