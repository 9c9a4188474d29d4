package emulator

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
)

// reaction is what the model does about what it heard. The zero value is a turn
// in which it says nothing.
type reaction struct {
	mute    bool       // there is no turn at all
	calls   []function // before all else
	cancel  bool       // and the last of them is withdrawn
	thought string
	text    string
	sound   iter.Seq[phrase] // instead of text
	sources string           // what was searched for
	later   *reaction
}

// withdrawAfter is when the trigger's call is withdrawn.
const withdrawAfter = 300 * time.Millisecond

// trigger is something to type that makes the model do a thing worth testing.
type trigger struct {
	say   string // an example, told on "help"
	words *regexp.Regexp
	does  func(config, []string) reaction
}

// triggers are tried in order. All must stand at the begin of what is said.
var triggers = []trigger{
	{"call and cancel", begins(`call (and|then) cancel`), func(c config, _ []string) reaction {
		r := c.calls(c.two()...)
		r.cancel = len(r.calls) > 0
		return r
	}},
	{"call two tools", begins(`call (two|both)( tools| functions)?`), func(c config, _ []string) reaction { return c.calls(c.two()...) }},
	{"call a blocking tool", begins(`call a blocking (tool|function)`), func(c config, _ []string) reaction {
		return c.calls(c.first(func(f function) bool { return !f.async })...)
	}},
	{"call a non-blocking tool", begins(`call a non-?blocking (tool|function)`), func(c config, _ []string) reaction {
		return c.calls(c.first(func(f function) bool { return f.async })...)
	}},
	{"call a tool", begins(`(call|use) (a|the|any) (tool|function)`), func(c config, _ []string) reaction {
		return c.calls(c.first(func(function) bool { return true })...)
	}},
	{"call, and the name of your function", begins(`call ([\w.:-]*\w)`), func(c config, said []string) reaction {
		return c.calls(c.first(func(f function) bool { return f.name == said[1] })...)
	}},
	{"tell a long story", begins(`(tell|give)( me)? a long (story|answer)`), func(config, []string) reaction { return reaction{text: longStory} }},
	{"say nothing", begins(`(say nothing|be silent)`), func(config, []string) reaction { return reaction{mute: true} }},
	{"empty turn", begins(`empty turn`), func(config, []string) reaction { return reaction{} }},
	{"search for tea", begins(`search for (.+)`), func(c config, said []string) reaction {
		if !c.tools.search {
			return reaction{text: "I have no search. Declare googleSearch."}
		}
		what := strings.TrimRight(cut(said[1], maxHeard), " .!?")
		return reaction{text: "The web says that " + what + " is fine.", sources: what}
	}},
	{"think about tea", begins(`think about (.+)`), func(c config, said []string) reaction {
		what := strings.TrimRight(cut(said[1], maxHeard), " .!?")
		thinks := reaction{thought: "The user asks about " + what + ". It is fine, I think.", text: "I thought about " + what + ". It is fine."}
		switch c.can.thinking {
		case thinkingRefused:
			return reaction{text: "This model does not think."}
		case thinkingRequired:
			return reaction{text: "Let me think.", later: &thinks}
		}
		return thinks
	}},
}

func begins(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^\W*(?:please )?` + words + `(?:\W|$)`)
}

// saying is an example of what the model understands, as GET /__emulator/help
// tells it.
type saying struct {
	Say string `json:"say"`
}

// sayings are all.
var sayings = func() []saying {
	list := []saying{{"my name is Ada"}, {"what is my name"}, {"remember that the key is under the mat"}, {"what do you remember"}, {"echo"}, {"help"}}
	for _, one := range triggers {
		list = append(list, saying{one.say})
	}
	return list
}()

// helpAnswer is also a page of documentation, see docs/emulator.md.
var helpAnswer = func() string {
	var says []string
	for _, one := range sayings {
		says = append(says, one.Say)
	}
	return "I understand: " + strings.Join(says, "; ") + ". Anything else I say back."
}()

// longStory takes about half a minute to say.
var longStory = "This is a long story." + strings.Repeat(" It goes on and on, and nothing happens in it at all.", 7) + " The end."

// calls is the reaction that calls functions.
func (c config) calls(functions ...function) reaction {
	switch {
	case len(c.tools.functions) == 0:
		return reaction{text: "I have no functions. Declare one."}
	case len(functions) == 0:
		return reaction{text: "None of your functions is like that."}
	}
	return reaction{calls: functions, text: "I called " + functions[0].name + ", and go on while it works."}
}

// first is the first function that fits, if there is one.
func (c config) first(fits func(function) bool) []function {
	if i := slices.IndexFunc(c.tools.functions, fits); i >= 0 {
		return c.tools.functions[i : i+1]
	}
	return nil
}

// two are the first two functions, or the only one twice.
func (c config) two() []function {
	all := c.tools.functions
	if len(all) == 0 {
		return nil
	}
	return []function{all[0], all[min(1, len(all)-1)]}
}

// react is the whole model.
func (c *conversation) react() reaction {
	if said := c.spoken; c.pending == "" && said.length > 0 {
		if len(said.sound) > 0 {
			return reaction{sound: said.sayBack()}
		}
		return reaction{text: "I heard " + strings.Trim(inWords(said.length), "()") + "."}
	}
	for _, one := range triggers {
		if said := one.words.FindStringSubmatch(c.pending); said != nil {
			return one.does(c.config, said)
		}
	}
	var r reaction
	r.text, c.memory = c.memory.answer(c.pending)
	return r
}

// grounding is what a search leaves in the answer (documented fields).
func grounding(query, answer string) tree {
	return content("groundingMetadata", tree{
		"webSearchQueries":  []any{query},
		"searchEntryPoint":  tree{"renderedContent": `<div>Search</div>`},
		"groundingChunks":   []any{tree{"web": tree{"uri": "https://example.com/", "title": "example.com"}}},
		"groundingSupports": []any{tree{"segment": tree{"endIndex": len(answer), "text": answer}, "groundingChunkIndices": []any{0}}},
	})
}
