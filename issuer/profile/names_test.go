package profile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/schema"
)

func TestNamesAreCheckedAtEveryDepth(t *testing.T) {
	for text, want := range map[string][]string{
		`{"generationConfig":{"response_modalities":["AUDIO"],"max_output_tokens":1,"temprature":1,"seed":7}}`: {
			"setup.generationConfig.max_output_tokens: the Gemini API has no such field: write maxOutputTokens",
			"setup.generationConfig.response_modalities: the Gemini API has no such field: write responseModalities",
			"setup.generationConfig.temprature: the Gemini API has no such field: write temperature"},
		`{"systemInstruction":{"parts":[{"text":"a"},{"txt":"CANARY"}]}}`: {"setup.systemInstruction.parts.1.txt: the Gemini API has no such field: write text"},
		`{"systemInstruction":{"parts":{"text":"CANARY"}}}`:               {"setup.systemInstruction.parts: parts must be a list"},
		`{"systemInstruction":{"parts":["CANARY"]}}`:                      {"setup.systemInstruction.parts.0: parts must be an object"},
		`{"tools":[{"function_declarations":[]},{"googleSearch":{"any":1}}]}`: {
			"setup.tools.0.function_declarations: the Gemini API has no such field: write functionDeclarations"},
		`{"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"any_name":{"type":"STRING","min_length":1}}}}]}]}`: {
			"setup.tools.0.functionDeclarations.0.parameters.properties.any_name.min_length: the Gemini API has no such field: write minLength"},
		`{"tools":[{"functionDeclarations":[{"parametersJsonSchema":{"any_name":{"x_y":[1]}}}]}]}`: nil,
		`{"realtimeInputConfig":{"activity_handling":"x","automaticActivityDetection":{"disabeld":true}}}`: {
			"setup.realtimeInputConfig.activity_handling: the Gemini API has no such field: write activityHandling",
			"setup.realtimeInputConfig.automaticActivityDetection.disabeld: the Gemini API has no such field: write disabled"},
		`{"labels":{"any_name":"x"},"contextWindowCompression":{"slidingWindow":null}}`: nil,
		`{"proactivity":{"eager":true}}`: {"setup.proactivity.eager: the Gemini API has no such field: there are proactiveAudio; " +
			"one that is newer than this program has to stand in newFields, too: [proactivity.eager]"},
		`{"brandNew":{"a_b":1}}`: {"setup.brandNew: the Gemini API has no such field: there are avatarConfig, "},
	} {
		_, err := New("p", Spec{Setup: setup(text)})
		wrong, _ := errors.AsType[Mistakes](err)
		if len(wrong) != len(want) || strings.Contains(wrong.Error(), "CANARY") {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for n, w := range want {
			if !strings.Contains(wrong[n].Error(), w) {
				t.Errorf("%s: %v, want %s", text, wrong[n], w)
			}
		}
	}
}

// Google need not wait for us.
func TestANewFieldCanBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		spec Spec
		want string // "": none is wrong
		mask string // the end of it
	}{
		"deep in a list":          {Spec{NewFields: []string{"tools.functionDeclarations.x"}, Setup: setup(`{"tools":[{"functionDeclarations":[{"x":{"a_b":1}}]}]}`)}, "", ",labels"},
		"of the setup":            {Spec{NewFields: []string{"x"}, Setup: setup(`{"x":{"a_b":1}}`)}, "", ",labels,x"},
		"of the setup, a list":    {Spec{NewFields: []string{"x"}, Setup: setup(`{"x":[1]}`)}, "", ",labels,x"},
		"that is not set":         {Spec{NewFields: []string{"x"}}, "", ",labels,x"},
		"under a full lock":       {Spec{Lock: Full, NewFields: []string{"x"}, Setup: setup(`{"x":true}`)}, "", ""},
		"of generationConfig":     {Spec{NewFields: []string{"generationConfig.x"}, Setup: setup(`{"generationConfig":{"x":1}}`)}, "", ",labels"},
		"with an allowed sister":  {Spec{NewFields: []string{"generationConfig.x"}, Setup: setup(`{"generationConfig":{"x":1}}`), Allow: []Allowance{{Path: "generationConfig.topK"}}}, "", ",labels,generationConfig.x"},
		"under a list":            {Spec{Lock: Listed, Locked: []string{"model"}, NewFields: []string{"x"}, Setup: setup(`{"generationConfig":null,"x":1}`)}, "", "model,x"},
		"that we know by now":     {Spec{NewFields: []string{"tools"}, Setup: setup(`{"tools":[{"x":1}]}`)}, "", ",labels"},
		"without a lock":          {Spec{Lock: None, NewFields: []string{"x"}, Setup: setup(`{"x":1}`)}, "no effect", ""},
		"that is no path":         {Spec{NewFields: []string{"tools.0.x"}}, "newFields.0: write the path", ""},
		"beside one that is not":  {Spec{NewFields: []string{"tools.x"}, Setup: setup(`{"tools":[{"x":1,"y":1}]}`)}, "setup.tools.0.y: ", ""},
		"beside one that is deep": {Spec{NewFields: []string{"tools.x"}, Setup: setup(`{"tools":[{"functionDeclarations":[{"x":1}]}]}`)}, "functionDeclarations.0.x: ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New("p", c.spec)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("it says %v", err)
			}
			if !strings.HasSuffix(p.FieldMask(), c.mask) {
				t.Errorf("the mask is %s", p.FieldMask())
			}
		})
	}
}

// Two tables say what a setup has: theirs is what it may hold, ours in which order
// and for whom.
func TestTheTablesAgree(t *testing.T) {
	of := func(m string) (names []string) {
		for _, f := range schema.Messages[m].Fields {
			names = append(names, f.Name)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	var ours []string
	for _, f := range fields {
		ours = append(ours, f.name)
		if known := schema.Messages["Setup"].Fields[f.name]; known == nil || known.Repeated != f.list {
			t.Errorf("%s is another thing there: %+v", f.name, known)
		}
	}
	if slices.Sort(ours); !slices.Equal(ours, of("Setup")) {
		t.Errorf("the setup has %q here and %q there", ours, of("Setup"))
	}
	for _, name := range generation {
		if !slices.Contains(of("GenerationConfig"), name) {
			t.Errorf("generationConfig.%s is not there", name)
		}
	}
	for _, path := range Bounded() {
		at := schema.Messages["Setup"]
		for name := range strings.SplitSeq(path, ".") {
			if at == nil || at.Fields[name] == nil {
				t.Fatalf("%s is not there", path)
			}
			at = at.Fields[name].Of
		}
	}
}
