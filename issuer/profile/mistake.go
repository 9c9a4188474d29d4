package profile

import (
	"fmt"
	"strings"
)

// Mistake is one thing that is wrong with a Spec. It quotes nothing of the
// setup, which may be a system instruction.
type Mistake struct {
	Profile string
	Field   string // path to where it is in the Spec's file form, such as "setup.tools"; empty: the whole
	Reason  string // what may stand there
}

func (m Mistake) Error() string {
	if m.Field == "" {
		return fmt.Sprintf("profile %q: %s", m.Profile, m.Reason)
	}
	return fmt.Sprintf("profile %q: %s: %s", m.Profile, m.Field, m.Reason)
}

// Mistakes is all that is wrong with a Spec, in the order of its fields.
type Mistakes []Mistake

func (all Mistakes) Error() string {
	var lines []string
	for _, m := range all {
		lines = append(lines, m.Error())
	}
	return strings.Join(lines, "\n")
}

// note adds a mistake.
func (all *Mistakes) note(field, format string, args ...any) {
	*all = append(*all, Mistake{Field: field, Reason: fmt.Sprintf(format, args...)})
}
