package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Allowance is an exception from the lock. Without bounds it leaves a path to the
// page, which nobody then checks. With bounds the path stays locked, and the
// caller may ask for a value of it together with the token.
type Allowance struct {
	// Path is a field of the setup or a child of generationConfig. With bounds it
	// is one of those that take them; see [Bounded].
	Path string

	Min, Max *float64 // of a number; Max is required, Min is 0 if left out
	Values   []string // of a word; required
}

func (a Allowance) bounded() bool { return a.Min != nil || a.Max != nil || a.Values != nil }

// kind is what a value that takes bounds may be.
type kind string

const (
	number kind = "number"
	whole  kind = "whole number"
	word   kind = "word"
)

// bounded are the paths that take bounds. They are all below generationConfig:
// what else a setup holds has no order to bound it by.
var bounded = map[string]kind{
	"generationConfig.temperature":                                            number,
	"generationConfig.topP":                                                   number,
	"generationConfig.topK":                                                   whole,
	"generationConfig.maxOutputTokens":                                        whole,
	"generationConfig.mediaResolution":                                        word,
	"generationConfig.speechConfig.languageCode":                              word,
	"generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName": word,
	"generationConfig.thinkingConfig.thinkingBudget":                          whole,
	"generationConfig.thinkingConfig.thinkingLevel":                           word,
	"generationConfig.translationConfig.targetLanguageCode":                   word,
}

// Bounded lists the paths that take bounds.
func Bounded() []string { return slices.Sorted(maps.Keys(bounded)) }

// checkAllow finds what is wrong with the allowances, and gives the paths that
// they leave to the page.
func (s Spec) checkAllow(wrong *Mistakes) (open []string) {
	seen := map[string]bool{}
	for i, a := range s.Allow {
		at := "allow." + strconv.Itoa(i)
		name, _, _ := strings.Cut(a.Path, ".")
		f := fieldNamed(name)
		switch kind := bounded[a.Path]; {
		case seen[a.Path]:
			wrong.note(at, "%s is allowed twice", a.Path)
		case s.Lock == None:
			wrong.note(at, "without a lock everything is allowed: leave allow out")
		case a.bounded() && kind == "":
			wrong.note(at, "bounds are for %s", strings.Join(Bounded(), ", "))
		case a.bounded() && kind == word && (len(a.Values) == 0 || a.Min != nil || a.Max != nil):
			wrong.note(at, "write the words there are to choose from: values: [...]")
		case a.bounded() && kind != word && (a.Max == nil || a.Values != nil || a.min() < 0 || *a.Max < a.min()):
			wrong.note(at, "write the largest value, and the smallest if that is not 0: {min: 0, max: 1}")
		case a.bounded():
		case !maskable(a.Path):
			wrong.note(at, "name a field of the setup, or one of generationConfig such as generationConfig.temperature")
		case name == "model":
			wrong.note(at, "model cannot be left to the page: write a profile for each model")
		case f.open != "":
			wrong.note(at, "%s is open to every page: leave it out", name)
		case s.Lock != Masked:
			wrong.note(at, "only the lock %s can leave a field to the page; with bounds, its value can be asked for", Masked)
		case name != a.Path && slices.ContainsFunc(s.Allow, func(b Allowance) bool { return b.Path == name }):
			wrong.note(at, "%s is allowed with %s: leave one of the two out", a.Path, name)
		default:
			open = append(open, a.Path)
		}
		seen[a.Path] = true
	}
	return open
}

// checkBounds finds bounds on what the page sets as it likes.
func (p Profile) checkBounds(wrong *Mistakes) {
	for i, a := range p.spec.Allow {
		if a.bounded() && p.spec.Lock != None && bounded[a.Path] != "" && !p.fixes(a.Path) {
			wrong.note("allow."+strconv.Itoa(i), "bounds on %s would have no effect: the token leaves it to the page", a.Path)
		}
	}
}

func (a Allowance) min() float64 {
	if a.Min == nil {
		return 0
	}
	return *a.Min
}

// ErrChoice is a caller who asks for what the profile does not allow. The error
// that wraps it names the path and what it may be, and quotes nothing.
var ErrChoice = errors.New("the profile does not allow this")

// With is the profile with values that a caller chose, by their paths. They are
// what encoding/json makes of them. Errors wrap [ErrChoice].
func (p Profile) With(choices map[string]any) (Profile, error) {
	if len(choices) == 0 {
		return p, nil
	}
	setup, err := plain(p.setup)
	if err != nil {
		return Profile{}, err
	}
	p.setup = setup.(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(choices)) {
		i := slices.IndexFunc(p.spec.Allow, func(a Allowance) bool { return a.Path == path && a.bounded() })
		if i < 0 {
			return Profile{}, fmt.Errorf("%w: overrides can name %s", ErrChoice, listOf(p.choosable()))
		}
		if a := p.spec.Allow[i]; !a.takes(choices[path]) {
			return Profile{}, fmt.Errorf("%w: %s must be %s", ErrChoice, path, a)
		}
		put(p.setup, strings.Split(path, "."), choices[path])
	}
	return p, nil
}

// choosable are the paths whose values callers can ask for.
func (p Profile) choosable() []string {
	var paths []string
	for _, a := range p.spec.Allow {
		if a.bounded() {
			paths = append(paths, a.Path)
		}
	}
	return paths
}

// takes reports whether a value is within the bounds.
func (a Allowance) takes(v any) bool {
	if bounded[a.Path] == word {
		text, ok := v.(string)
		return ok && slices.Contains(a.Values, text)
	}
	n, ok := v.(float64)
	if digits, isDigits := v.(json.Number); isDigits {
		parsed, err := digits.Float64()
		n, ok = parsed, err == nil
	}
	return ok && n >= a.min() && n <= *a.Max && (bounded[a.Path] == number || n == float64(int64(n)))
}

// String tells what a caller may choose.
func (a Allowance) String() string {
	if bounded[a.Path] == word {
		return "one of " + strings.Join(a.Values, ", ")
	}
	return fmt.Sprintf("a %s from %s to %s", bounded[a.Path], decimal(a.min()), decimal(*a.Max))
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func listOf(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func put(at map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[path[len(path)-1]] = v
}
