package openapitest

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"
)

// fits says what is wrong with a value, or nothing.
func (d *Document) fits(schema, value any, where string) string {
	s := d.resolve(schema)
	for keyword, want := range s {
		wrong := func(format string, args ...any) string { return where + " " + fmt.Sprintf(format, args...) }
		switch keyword {
		case "description", "default", "properties":
		case "type":
			if got := typeOf(value); got != want {
				return wrong("is of type %s, not %s", got, want)
			}
		case "enum":
			if !slices.Contains(list(want), value) {
				return wrong("is %v, none of %v", value, want)
			}
		case "const":
			if value != want {
				return wrong("is %v, not %v", value, want)
			}
		case "pattern":
			if text, _ := value.(string); !regexp.MustCompile(want.(string)).MatchString(text) {
				return wrong("is %q, which does not match %s", text, want)
			}
		case "maxLength":
			if text, _ := value.(string); float64(len(text)) > want.(float64) {
				return wrong("is too long")
			}
		case "minimum":
			if n, _ := value.(float64); n < want.(float64) {
				return wrong("is %v, less than %v", value, want)
			}
		case "format":
			text, _ := value.(string)
			if _, err := time.Parse(time.RFC3339, text); want != "date-time" || err != nil {
				return wrong("is %q, which is no %v", text, want)
			}
		case "required":
			for _, name := range list(want) {
				if _, ok := value.(object)[name.(string)]; !ok {
					return wrong("has no %s", name)
				}
			}
		case "items":
			for i, item := range list(value) {
				if problem := d.fits(want, item, fmt.Sprintf("%s[%d]", where, i)); problem != "" {
					return problem
				}
			}
		case "additionalProperties":
			properties, _ := s["properties"].(object)
			o, _ := value.(object)
			for _, name := range slices.Sorted(maps.Keys(o)) {
				switch property, known := properties[name]; {
				case known:
					if problem := d.fits(property, o[name], where+"."+name); problem != "" {
						return problem
					}
				case want == false:
					return wrong("has a field %s that nobody told of", name)
				}
			}
		default:
			return wrong("has a schema with %s, which is not checked", keyword)
		}
	}
	// Objects that say nothing of other fields would be checked by halves.
	if _, closed := s["additionalProperties"]; s["type"] == "object" && !closed {
		return where + " has a schema without additionalProperties"
	}
	return ""
}

func typeOf(value any) string {
	switch value := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if value == math.Trunc(value) {
			return "integer"
		}
		return "number"
	case object:
		return "object"
	case []any:
		return "array"
	}
	return fmt.Sprintf("%T", value)
}
