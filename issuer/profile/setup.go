package profile

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/livevalet/livevalet/issuer/schema"
)

// field is one top-level field of the Live API's setup message.
type field struct {
	name string
	list bool   // a list of objects, not an object
	open string // why the page keeps it; empty: locked
}

// fields are all those that the Gemini API knows (documented, 2026-09), in the
// order of the mask. explicitVadSignal is missing: it exists on Vertex only.
// Fields that Google adds later are open to the page until they stand here, or in
// a profile's NewFields.
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

// generation are the fields of generationConfig that Live takes (documented,
// 2026-09), in the order of the mask. The others it refuses, so nobody can use
// them.
var generation = []string{
	"responseModalities", "temperature", "topP", "topK", "maxOutputTokens", "candidateCount", "presencePenalty",
	"frequencyPenalty", "seed", "mediaResolution", "speechConfig", "thinkingConfig", "enableAffectiveDialog", "translationConfig",
}

// fieldNamed is the zero field if there is none.
func fieldNamed(name string) field {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}
	}
	return fields[i]
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

// overlay lays the spec's setup over the built-in one, and leaves out what the
// token does not fix.
func (p Profile) overlay(wrong *Mistakes) map[string]any {
	setup := builtIn()
	for _, name := range slices.Sorted(maps.Keys(p.spec.Setup)) {
		at, f := "setup."+name, fieldNamed(name)
		value, err := plain(p.spec.Setup[name])
		_, isObject := value.(map[string]any)
		_, isList := value.([]any)
		switch {
		case f.name == "" && !p.spec.isNew(name):
			wrong.note(at, "%s", unknown(schema.Messages["Setup"], name, name))
		case name == "model":
			wrong.note(at, "write the model beside setup, not in it")
		case f.open != "":
			wrong.note(at, "leave it out: %s", f.open)
		case err != nil:
			wrong.note(at, "this cannot be written as JSON")
		case value == nil:
			delete(setup, name)
		case f.list && !isList:
			wrong.note(at, "%s must be a list", name)
		case f.name != "" && !f.list && !isObject:
			wrong.note(at, "%s must be an object", name)
		case !p.reaches(name, value):
			wrong.note(at, "this would have no effect: the token leaves %s to the page", name)
		default:
			p.spec.checkNames(wrong, at, name, schema.Messages["Setup"].Fields[name], value)
			setup[name] = value
		}
	}
	speak(setup)
	if m := modalities(setup); len(m) != 1 || m[0] != "AUDIO" && m[0] != "TEXT" {
		wrong.note("setup.generationConfig", `responseModalities must be ["AUDIO"] or ["TEXT"]`)
	}
	p.trim(setup)
	return setup
}

// speak asks for sound where the setup does not say what to answer with.
func speak(setup map[string]any) {
	generation, _ := setup["generationConfig"].(map[string]any)
	if generation["responseModalities"] == nil {
		generation = maps.Clone(generation)
		if generation == nil {
			generation = map[string]any{}
		}
		generation["responseModalities"] = []any{"AUDIO"}
		setup["generationConfig"] = generation
	}
}

// reaches reports whether the token fixes all that a field's value says.
func (p Profile) reaches(name string, value any) bool {
	if p.fixes(name) {
		return true
	}
	inside, _ := value.(map[string]any)
	for child := range inside {
		if !p.fixes(name + "." + child) {
			return false
		}
	}
	return len(inside) > 0
}

// trim takes away of the built-in setup what the token does not fix.
func (p Profile) trim(setup map[string]any) {
	maps.DeleteFunc(setup, func(name string, value any) bool {
		if p.fixes(name) {
			return false
		}
		inside, _ := value.(map[string]any)
		maps.DeleteFunc(inside, func(child string, _ any) bool { return !p.fixes(name + "." + child) })
		return len(inside) == 0
	})
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
	names := []string{}
	for _, m := range list {
		name, _ := m.(string)
		names = append(names, name)
	}
	return names
}
