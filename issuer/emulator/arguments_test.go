package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/livevalet/livevalet/issuer/schema"
)

// violates says how v breaks a schema, "" if it does not. It is written from the
// specification of JSON Schema, apart from the code under test.
func violates(root, schema, v any) string {
	s, ok := schema.(map[string]any)
	if !ok {
		return map[bool]string{true: "", false: "nothing is allowed"}[schema != false]
	}
	if ref, ok := s["$ref"].(string); ok {
		at := root
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			if name != "#" {
				at = at.(map[string]any)[name]
			}
		}
		return violates(root, at, v)
	}
	if v == nil && s["nullable"] == true {
		return ""
	}
	number := func(key string) float64 {
		if n, ok := s[key].(float64); ok {
			return n
		}
		return math.NaN() // compares as false
	}
	list := func(key string) []any { l, _ := s[key].([]any); return l }
	kind := map[reflect.Kind]string{reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Invalid: "null"}[reflect.ValueOf(v).Kind()]
	var allowed []string
	switch t := s["type"].(type) {
	case string:
		allowed = []string{strings.ToLower(t)}
	case []any:
		for _, one := range t {
			allowed = append(allowed, one.(string))
		}
	}
	whole := kind == "number" && v == math.Trunc(v.(float64))
	if len(allowed) > 0 && !slices.Contains(allowed, kind) && !(whole && slices.Contains(allowed, "integer")) {
		return fmt.Sprintf("%v is no %v", v, allowed)
	}
	if one, ok := s["const"]; ok && !reflect.DeepEqual(one, v) {
		return fmt.Sprintf("%v is not %v", v, one)
	}
	if values := list("enum"); values != nil && !slices.ContainsFunc(values, func(one any) bool { return reflect.DeepEqual(one, v) }) {
		return fmt.Sprintf("%v is not one of %v", v, values)
	}
	for _, one := range list("allOf") {
		if no := violates(root, one, v); no != "" {
			return no
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if some := list(key); some != nil && !slices.ContainsFunc(some, func(one any) bool { return violates(root, one, v) == "" }) {
			return fmt.Sprintf("%v is none of %s", v, key)
		}
	}
	switch v := v.(type) {
	case float64:
		if v < number("minimum") || v > number("maximum") || v <= number("exclusiveMinimum") || v >= number("exclusiveMaximum") ||
			s["exclusiveMinimum"] == true && v == number("minimum") || math.Abs(math.Remainder(v, number("multipleOf"))) > 1e-9 {
			return fmt.Sprintf("%v is out of range", v)
		}
	case string:
		pattern, _ := s["pattern"].(string)
		if n := float64(utf8.RuneCountInString(v)); n < number("minLength") || n > number("maxLength") || !regexp.MustCompile(pattern).MatchString(v) {
			return fmt.Sprintf("%q does not fit", v)
		}
	case []any:
		if n := float64(len(v)); n < number("minItems") || n > number("maxItems") {
			return fmt.Sprintf("%d items", len(v))
		}
		for i, item := range v {
			of := s["items"]
			if first := list("prefixItems"); i < len(first) {
				of = first[i]
			}
			if no := violates(root, of, item); no != "" {
				return no
			}
			if s["uniqueItems"] == true && slices.IndexFunc(v, func(one any) bool { return reflect.DeepEqual(one, item) }) != i {
				return fmt.Sprintf("%v is twice in %v", item, v)
			}
		}
	case map[string]any:
		if n := float64(len(v)); n < number("minProperties") || n > number("maxProperties") {
			return fmt.Sprintf("%d properties", len(v))
		}
		for _, name := range list("required") {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Sprintf("%v is missing", name)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			of, known := properties[name]
			if !known {
				of = s["additionalProperties"]
			}
			if no := violates(root, of, v[name]); no != "" {
				return name + ": " + no
			}
		}
	}
	return ""
}

func TestArgumentsSatisfyTheirSchema(t *testing.T) {
	for _, tt := range []struct{ sentence, schema, want string }{ // want: the arguments, where they are of interest
		{"required and optional properties", `{"type":"OBJECT","properties":{"city":{"type":"STRING"},"days":{"type":"INTEGER"}},"required":["city"]}`, `{"city":"city","days":1}`},
		{"no properties", `{"type":"OBJECT","properties":{}}`, `{}`},
		{"an enum", `{"type":"OBJECT","properties":{"unit":{"type":"STRING","enum":["C","F"]}}}`, ""},
		{"an enum of anything", `{"type":"object","properties":{"x":{"enum":[1,"a",null,{"b":2}]}}}`, ""},
		{"nested objects", `{"type":"OBJECT","properties":{"a":{"type":"OBJECT","properties":{"b":{"type":"OBJECT","properties":{"c":{"type":"BOOLEAN"}},"required":["c"]}},"required":["b"]}},"required":["a"]}`, `{"a":{"b":{"c":true}}}`},
		{"deep ones keep what is required", `{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"object","properties":{"c":{"type":"object","properties":{"d":{"type":"object","required":["e"],"properties":{"e":{"type":"integer"},"f":{}}}},"required":["d"]}}}}}}}`, `{"a":{"b":{"c":{"d":{"e":1}}}}}`},
		{"arrays", `{"type":"OBJECT","properties":{"n":{"type":"ARRAY","items":{"type":"NUMBER"},"minItems":3,"maxItems":5}}}`, `{"n":[1,2,3]}`},
		{"arrays whose limits are strings, as int64 may be", `{"type":"OBJECT","properties":{"n":{"type":"ARRAY","items":{"type":"STRING"},"minItems":"2"}}}`, `{"n":["n","n2"]}`},
		{"unique items", `{"type":"object","properties":{"n":{"type":"array","items":{"enum":["a","b","c"]},"minItems":3,"uniqueItems":true},"m":{"type":"array","items":{"type":"integer","maximum":0},"minItems":4,"uniqueItems":true},"o":{"type":"array","items":{"type":"string","maxLength":3},"minItems":9,"uniqueItems":true}}}`, ""},
		{"empty arrays", `{"type":"object","properties":{"n":{"type":"array","maxItems":0}}}`, `{"n":[]}`},
		{"tuples", `{"type":"object","properties":{"n":{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}]}}}`, `{"n":["n",2]}`},
		{"minimum and maximum", `{"type":"OBJECT","properties":{"a":{"type":"INTEGER","minimum":10},"b":{"type":"INTEGER","maximum":-10},"c":{"type":"NUMBER","minimum":0.25,"maximum":0.5}}}`, `{"a":10,"b":-10,"c":0.5}`},
		{"limits that are excluded", `{"type":"object","properties":{"a":{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":3},"b":{"type":"number","exclusiveMinimum":1,"exclusiveMaximum":1.5},"c":{"type":"number","exclusiveMinimum":5},"d":{"type":"number","exclusiveMaximum":1},"e":{"type":"integer","minimum":1,"exclusiveMinimum":true}}}`, `{"a":2,"b":1.25,"c":6,"d":0,"e":2}`},
		{"multiples", `{"type":"object","properties":{"a":{"type":"integer","multipleOf":7,"minimum":8},"b":{"type":"number","multipleOf":0.5,"maximum":0.7},"c":{"type":"integer","multipleOf":10,"maximum":15}}}`, `{"a":14,"b":0.5,"c":10}`},
		{"the length of strings", `{"type":"object","properties":{"a":{"type":"string","minLength":10},"much":{"type":"string","maxLength":2},"nothing":{"type":"string","maxLength":0}}}`, `{"a":"a.........","much":"ch","nothing":""}`},
		{"formats", `{"type":"OBJECT","properties":{"a":{"type":"STRING","format":"date-time"}}}`, `{"a":"2026-01-02T15:04:05Z"}`},
		{"patterns", `{"type":"object","properties":{"a":{"type":"string","pattern":"^[A-Z]{2}-\\d+(x|y)?$"},"b":{"type":"string","pattern":"^[a-z]+$","minLength":7},"c":{"type":"string","pattern":"^(red|green)$"}}}`, `{"a":"AA-0","b":"aaaaaaa","c":"red"}`},
		{"anyOf", `{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"NULL"},{"type":"STRING","minLength":2}]}}}`, `{"a":"a."}`},
		{"oneOf and a type beside it", `{"type":"object","properties":{"a":{"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"oneOf":[{"required":["m"],"properties":{"m":{"type":"integer"}}}]}}}`, `{"a":{"k":"k","m":1}}`},
		{"allOf", `{"allOf":[{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},{"required":["b"],"properties":{"b":{"const":"x"}}}]}`, `{"a":"a","b":"x"}`},
		{"a list of types", `{"type":"object","properties":{"a":{"type":["null","integer"]}}}`, `{"a":1}`},
		{"references", `{"type":"object","properties":{"from":{"$ref":"#/$defs/place"}},"$defs":{"place":{"type":"object","properties":{"lat":{"type":"number","minimum":-90,"maximum":90}},"required":["lat"]}}}`, `{"from":{"lat":1}}`},
		{"a schema that refers to itself", `{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}},"required":["name"]}`, ""},
		{"properties in number", `{"type":"object","minProperties":3,"properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"}}`, `{"a":"a","field1":1,"field2":1}`},
		{"no type, but properties", `{"properties":{"a":{"minimum":4},"b":{"items":{"type":"boolean"}}},"required":["a"]}`, `{"a":4,"b":[true]}`},
	} {
		for key, message := range map[string]*schema.Message{"parameters": schema.Messages["FunctionDeclaration"], "parametersJsonSchema": schema.Messages["FunctionDeclaration"]} {
			if google := strings.Contains(tt.schema, "OBJECT"); key == "parameters" && !google || key != "parameters" && strings.Contains(tt.schema, `"2"`) {
				continue // not all that one can say, the other can
			}
			t.Run(tt.sentence+", as "+key, func(t *testing.T) {
				declared, no := read(message, []byte(`{"name":"f","`+key+`":`+tt.schema+`}`), "")
				if no != nil {
					t.Fatal(no)
				}
				set, no := toolsOf([]tree{{"functionDeclarations": []any{declared}}}, capability{})
				if no != nil {
					t.Fatal(no)
				}
				var schema any
				json.Unmarshal([]byte(strings.ReplaceAll(tt.schema, `"2"`, `2`)), &schema)
				for seed := range uint64(8) {
					written, err := json.Marshal(arguments(set.functions[0], seed))
					if err != nil {
						t.Fatal(err)
					}
					if tt.want != "" && string(written) != tt.want {
						t.Errorf("got %s, want %s", written, tt.want)
					}
					var v any
					json.Unmarshal(written, &v)
					if no := violates(schema, schema, v); no != "" {
						t.Errorf("%s: %s", written, no)
					}
					if again, _ := json.Marshal(arguments(set.functions[0], seed)); string(again) != string(written) {
						t.Error("another time it is different")
					}
				}
			})
		}
	}
	t.Run("no schema means no arguments", func(t *testing.T) {
		if got := arguments(function{name: "f"}, 0); got == nil || len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("what cannot be satisfied costs little", func(t *testing.T) {
		self := tree{"type": "object", "required": []any{"a", "b"}, "properties": tree{"a": tree{"$ref": "#"}, "b": tree{"$ref": "#"}}}
		huge := tree{"type": "array", "minItems": 1e12, "items": tree{"type": "string", "minLength": 1e12, "pattern": "^((((a+)+)+)+)+$"}}
		var names []any
		for i := range 100_000 {
			names = append(names, fmt.Sprint(i))
		}
		wide := tree{"type": "array", "minItems": 1e3, "items": tree{"type": "array", "minItems": 1e3, "items": tree{"type": "object", "required": names}}}
		written, _ := json.Marshal(arguments(function{name: "f", schema: tree{"type": "object", "properties": tree{"self": self, "huge": huge, "wide": wide, "loop": tree{"$ref": "#/properties/loop"}}}}, 0))
		if len(written) > 1<<20 {
			t.Errorf("%d bytes", len(written))
		}
	})
}
