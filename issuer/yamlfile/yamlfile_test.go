package yamlfile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
)

type odd struct{ word string }

func (o *odd) UnmarshalYAML(node ast.Node) error {
	if o.word = node.GetToken().Value; o.word != "odd" {
		return Wrong(node, "write odd")
	}
	return nil
}

type part struct {
	A int `yaml:"a"`
	B int `yaml:"b"`
}

type file struct {
	Name  string          `yaml:"name"`
	Seed  uint64          `yaml:"seed"`
	Count int             `yaml:"count"`
	On    bool            `yaml:"on"`
	Wait  time.Duration   `yaml:"wait"`
	List  []string        `yaml:"list"`
	Odd   odd             `yaml:"odd"`
	Part  part            `yaml:"part"`
	Free  map[string]any  `yaml:"free"`
	Each  map[string]part `yaml:"each"`
	Odds  []odd           `yaml:"odds"`

	line int
}

func TestReadTakesWhatIsThere(t *testing.T) {
	f := file{line: 7, Count: 3}
	err := Read([]byte("# a comment\nname: x\nseed: 18446744073709551615\non: true\nwait: 12m\nlist: [a]\nodd: odd\npart:\n  b: 2\nfree: {any: {thing: 1}}\n"), &f)
	if err != nil || f.Name != "x" || f.Seed != 1<<64-1 || !f.On || f.Wait != 12*time.Minute || len(f.List) != 1 || f.Odd.word != "odd" || f.Part.B != 2 || len(f.Free) != 1 {
		t.Errorf("got %+v, %v", f, err)
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "---\nname: x\n", "part:\n", "name: &a x\nlist: [*a]", "part: &p {a: 1}"} {
		if err := Read([]byte(text), new(file)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAMistakeIsToldWithItsLine(t *testing.T) {
	for sentence, c := range map[string]struct{ text, want string }{
		"an unknown key":              {"on: true\nnam: CANARY", `line 2: unknown field "nam": there are name, seed, count, on, wait, list, odd, part, free, each, odds`},
		"an unknown key further in":   {"part:\n  a: 1\n  c: CANARY", `line 3: unknown field "c": there are a, b`},
		"the only key, unknown":       {"nam: CANARY", `line 1: unknown field "nam": there are name, `},
		"a key twice":                 {"name: CANARY\non: true\nname: CANARY", `line 3: mapping key "name" already defined at [1:1]: leave one of the two out`},
		"a second document":           {"name: x\n---\non: true", "write one document: what follows --- would be left out"},
		"a list":                      {"\n- CANARY", "line 2: write keys and values: there are name, "},
		"an empty list":               {"[]", "line 1: write keys and values: there are name, "},
		"a word":                      {"CANARY", "line 1: write keys and values: there are name, "},
		"a list where keys stand":     {"part: [CANARY]", "line 1: write keys and values: there are a, b"},
		"a word for a switch":         {"on: yes", "line 1: write true or false"},
		"a negative seed":             {"\nseed: -1", "line 2: write a whole number, not negative"},
		"a seed that is too large":    {"seed: 99999999999999999999999", "line 1: write a whole number, not negative"},
		"a word for a seed":           {"seed: CANARY", "line 1: write a whole number, not negative"},
		"a word for a number":         {"count: CANARY", "line 1: write a whole number"},
		"a number without its unit":   {"wait: 12", "line 1: write a duration such as 12m"},
		"a text for a list":           {"list: CANARY", "line 1: write a list, such as [a, b]"},
		"a list for a text":           {"name: [CANARY]", "line 1: write a text"},
		"what its own reader refuses": {"name: x\nodd: CANARY", "line 2: write odd"},
		"a bracket that stays open":   {"on: true\nlist: [CANARY\n", "line 2: "},
		"a quote that stays open":     {"name: 'CANARY\n", "line 1: "},
		"a tag that does not fit":     {"on: !!bool CANARY", "line 1: this is not YAML"},
		"an alias of nothing":         {"on: *CANARY", "line 1: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			err := Read([]byte(c.text), new(file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("it says %v, want %s", err, c.want)
			}
			for _, unwanted := range []string{"CANARY", "Go ", "struct", "uint", "\n"} {
				if strings.Contains(err.Error(), unwanted) {
					t.Errorf("it says %v", err)
				}
			}
		})
	}
}

func TestAllMistakesAreTold(t *testing.T) {
	var f file
	err := Read([]byte(`name: x
nam: CANARY
on: CANARY
each:
  one: {a: CANARY, c: 1, b: 2}
  two: CANARY
part:
  a: 7
  d: CANARY
  b: CANARY
odds: [odd, CANARY, odd,
  CANARY]
count: 5
`), &f)
	all, _ := err.(Errors)
	var lines []int
	for _, e := range all {
		lines = append(lines, e.Line)
	}
	if !slices.Equal(lines, []int{2, 3, 5, 5, 6, 9, 10, 11, 12}) || strings.Contains(err.Error(), "CANARY") || strings.Count(err.Error(), "\n") != 8 {
		t.Errorf("it says\n%v", err)
	}
	if f.Name != "x" || f.Part.A != 7 || f.Count != 5 || f.Each["one"].B != 2 || len(f.Odds) != 4 {
		t.Errorf("what is right was not read: %+v", f)
	}
}

func TestAnAliasIsNoMistake(t *testing.T) {
	var f file
	if err := Read([]byte("part: &p {a: 1}\neach: {x: *p, y: {<<: *p, b: 2}}\nfree: {z: *p}"), &f); err != nil || f.Each["x"].A != 1 || f.Each["y"] != (part{1, 2}) {
		t.Errorf("%v, %+v", err, f)
	}
}

func TestALineIsFoundByItsPath(t *testing.T) {
	node, err := Parse([]byte("a:\n  b:\n    - x\n    - y: 1\n      z: 2\nc: 1"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"": 0, "a": 1, "a b": 2, "a b 0": 3, "a b 1": 4, "a b 1 z": 5, "a b 9": 2, "a q": 1, "c": 6, "c d": 6, "nothing": 0} {
		if got := Line(node, strings.Fields(path)...); got != want {
			t.Errorf("%q stands in line %d, not %d", path, got, want)
		}
	}
}
