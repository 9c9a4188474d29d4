package profile

import (
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
		if slices.ContainsFunc(values, notScalar) {
			wrong.note("who."+claim, "write texts, numbers, true or false")
		}
	}
}

func notScalar(v any) bool {
	switch v.(type) {
	case string, bool, int, int64, uint64, float64:
		return false
	}
	return true
}

// Allows reports whether a caller may use the profile, who holds claims as
// authn.Caller.Holds says: of each claim that the profile names, one of its values. A
// profile that names none is for everybody.
func (p Profile) Allows(holds func(claim string, value any) bool) bool {
	for claim, values := range p.spec.Who {
		if !slices.ContainsFunc(values, func(v any) bool { return holds(claim, v) }) {
			return false
		}
	}
	return true
}
