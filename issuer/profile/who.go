package profile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// checkWho finds what is wrong with the claims.
func (s Spec) checkWho(wrong *Mistakes) {
	for _, claim := range slices.Sorted(maps.Keys(s.Who)) {
		values := s.Who[claim]
		if len(values) == 0 {
			wrong.note("who."+claim, "write a value or a list of values: an empty list would let nobody in")
		}
		for _, v := range values {
			if scalar(v) == nil {
				wrong.note("who."+claim, "write texts, numbers, true or false")
				break
			}
		}
	}
}

// Allows reports whether a caller with these claims may use the profile: each
// claim that it names must be there with one of its values, or, where the claim
// is a list, have one of them in it. A profile that names none is for everybody.
// Claims are what encoding/json makes of a token's.
func (p Profile) Allows(claims map[string]any) bool {
	for claim, values := range p.spec.Who {
		has, isList := claims[claim].([]any)
		if texts, ok := claims[claim].([]string); ok {
			isList = true
			for _, t := range texts {
				has = append(has, t)
			}
		}
		if !isList {
			has = []any{claims[claim]}
		}
		if !slices.ContainsFunc(has, func(v any) bool {
			return slices.ContainsFunc(values, func(want any) bool { return scalar(want) == scalar(v) })
		}) {
			return false
		}
	}
	return true
}

// scalar brings a text, a number or a truth into a form that can be compared,
// and anything else to nil. A number is not equal to the text of it, and is its
// digits, so that no large one is rounded to another.
func scalar(v any) any {
	switch v := v.(type) {
	case string, bool, json.Number:
		return v
	case float64:
		return json.Number(decimal(v))
	case int, int64, uint64:
		return json.Number(fmt.Sprint(v))
	}
	return nil
}
