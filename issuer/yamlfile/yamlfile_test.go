package yamlfile

import (
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

type file struct {
	Name  string        `yaml:"name"`
	Seed  uint64        `yaml:"seed"`
	Count int           `yaml:"count"`
	On    bool          `yaml:"on"`
	Wait  time.Duration `yaml:"wait"`
	List  []string      `yaml:"list"`
	Odd   odd           `yaml:"odd"`
	Part  struct {
		A int `yaml:"a"`
		B int `yaml:"b"`
	} `yaml:"part"`
	Free map[string]any `yaml:"free"`

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
		"an unknown key":              {"on: true\nnam: CANARY", `line 2: unknown field "nam": there are name, seed, count, on, wait, list, odd, part, free`},
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
