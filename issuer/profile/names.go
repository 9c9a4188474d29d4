package profile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/livevalet/livevalet/issuer/schema"
)

var newField = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$`)

// checkNewFields finds what cannot be a path of the setup.
func (s Spec) checkNewFields(wrong *Mistakes) {
	for i, path := range s.NewFields {
		if !newField.MatchString(path) {
			wrong.note("newFields."+strconv.Itoa(i), "write the path of a field of setup, without the numbers of list items, such as tools.newTool")
		}
	}
}

// isNew reports whether a path is vouched for by NewFields.
func (s Spec) isNew(path string) bool { return slices.Contains(s.NewFields, path) }

// checkNames finds the names in a value of the setup that the service does not know.
// At is where the value is; path is the same without list items and map keys.
func (s Spec) checkNames(wrong *Mistakes, at, path string, f *schema.Field, value any) {
	if value == nil || s.isNew(path) {
		return
	}
	list, isList := value.([]any)
	object, isObject := value.(map[string]any)
	switch {
	case f.Repeated && !isList:
		wrong.note(at, "%s must be a list", f.Name)
	case f.Repeated:
		one := *f
		one.Repeated = false
		for i, item := range list {
			s.checkNames(wrong, fmt.Sprint(at, ".", i), path, &one, item)
		}
	case (f.Of != nil || f.Mapped) && !isObject:
		wrong.note(at, "%s must be an object", f.Name)
	case f.Mapped:
		one := *f
		one.Mapped = false
		for _, key := range slices.Sorted(maps.Keys(object)) {
			s.checkNames(wrong, at+"."+key, path, &one, object[key])
		}
	case f.Of != nil:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			inside, below := at+"."+name, path+"."+name
			if known := f.Of.Fields[name]; known != nil && known.Name == name {
				s.checkNames(wrong, inside, below, known, object[name])
			} else if !s.isNew(below) {
				wrong.note(inside, "%s", unknown(f.Of, name, below))
			}
		}
	}
}

// unknown says what to do about a name.
func unknown(m *schema.Message, name, path string) string {
	if meant := m.Meant(name); meant != "" {
		return "the Gemini API has no such field: write " + meant
	}
	if len(m.Fields) == 0 {
		return "the Gemini API has no field here"
	}
	var names []string
	for _, f := range m.Fields {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return fmt.Sprintf("the Gemini API has no such field: there are %s; one that is newer than this program has to stand in newFields, too: [%s]",
		strings.Join(slices.Compact(names), ", "), path)
}
