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

// hint is something to say, and what the model does then.
type hint struct {
	Say  string `json:"say"`
	Does string `json:"does"`
}

// hints is all that the model understands, told on "help".
func hints() []hint {
	all := []hint{
		{"my name is Ada", `remembers it; so it does with "call me Ada"`},
		{"what is my name", "knows"},
		{"remember that the key is under the mat", "remembers this too"},
		{"what do you remember", "tells"},
		{"echo", `says back what the microphone sends, until "stop echo"`},
		{"help", "tells all this"},
	}
	for _, one := range triggers {
		all = append(all, one.hint)
	}
	return all
}

// trigger is something to say that makes the model do a thing worth testing.
type trigger struct {
	hint
	words *regexp.Regexp
	meant func(config, []string) bool // nil: always
	react func(config, []string) reaction
}

// triggers are tried in order. All must stand at the begin of what is said.
var triggers = []trigger{
	{
		hint:  hint{"call and cancel", "calls two, and withdraws the second after 0.3 s"},
		words: begins(`call (and|then) cancel`),
		react: func(c config, _ []string) reaction {
			r := c.calls(c.two()...)
			r.cancel = len(r.calls) > 0
			return r
		},
	}, {
		hint:  hint{"call two tools", "calls two at once, the same one twice if there is no other"},
		words: begins(`call (two|both)( tools| functions)?`),
		react: func(c config, _ []string) reaction { return c.calls(c.two()...) },
	}, {
		hint:  hint{"call a blocking tool", "calls the first function that is waited for"},
		words: begins(`call a blocking (tool|function)`),
		react: func(c config, _ []string) reaction {
			return c.calls(c.first(func(f function) bool { return !f.async })...)
		},
	}, {
		hint:  hint{"call a non-blocking tool", "calls the first one that is not"},
		words: begins(`call a non-?blocking (tool|function)`),
		react: func(c config, _ []string) reaction {
			return c.calls(c.first(func(f function) bool { return f.async })...)
		},
	}, {
		hint:  hint{"call a tool", "calls the first declared function, with arguments that satisfy its schema"},
		words: begins(`(call|use) (a|the|any) (tool|function)`),
		react: func(c config, _ []string) reaction {
			return c.calls(c.first(func(function) bool { return true })...)
		},
	}, {
		hint:  hint{"call, and the name of your function", `calls that one: "call get_time"`},
		words: begins(`call ([\w.:-]*\w)(\W.*)?`),
		// "call me Ada" is none, unless there is a function "me".
		meant: func(c config, said []string) bool {
			return c.named(said[1]) != nil || strings.Trim(said[2], " .!?") == ""
		},
		react: func(c config, said []string) reaction { return c.calls(c.named(said[1])...) },
	}, {
		hint:  hint{"tell a long story", "speaks for half a minute"},
		words: begins(`(tell|give)( me)? a long (story|answer)`),
		react: func(config, []string) reaction { return reaction{text: longStory} },
	}, {
		hint:  hint{"say nothing", "does not answer"},
		words: begins(`(say nothing|be silent)`),
		react: func(config, []string) reaction { return reaction{mute: true} },
	}, {
		hint:  hint{"empty turn", "completes a turn without content"},
		words: begins(`empty turn`),
		react: func(config, []string) reaction { return reaction{} },
	}, {
		hint:  hint{"search for tea", "adds grounding metadata, if googleSearch is declared"},
		words: begins(`search for (.+)`),
		react: func(c config, said []string) reaction {
			if !c.tools.search {
				return reaction{text: "I have no search. Declare googleSearch."}
			}
			what := strings.TrimRight(cut(said[1], maxHeard), " .!?")
			return reaction{text: "The web says that " + what + " is fine.", sources: what}
		},
	}, {
		hint:  hint{"think about tea", "adds thoughts, if the model thinks and includeThoughts is set"},
		words: begins(`think about (.+)`),
		react: func(c config, said []string) reaction {
			what := strings.TrimRight(cut(said[1], maxHeard), " .!?")
			thinks := reaction{thought: "The user asks about " + what + ". It is fine, I think.", text: "I thought about " + what + ". It is fine."}
			switch c.can.thinking {
			case thinkingRefused:
				return reaction{text: "This model does not think."}
			case thinkingRequired:
				return reaction{text: "Let me think.", later: &thinks}
			}
			return thinks
		},
	},
}

func begins(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^\W*(?:please )?` + words + `(?:\W|$)`)
}

var helpAnswer = func() string {
	var says []string
	for _, one := range hints() {
		says = append(says, one.Say)
	}
	return "I understand: " + strings.Join(says, "; ") + ". Anything else I say back."
}()

// longStory takes about half a minute to say.
var longStory = "This is a long story." + strings.Repeat(" It goes on and on, and nothing happens in it at all.", 8) + " The end."

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

// named is the function of that name.
func (c config) named(name string) []function {
	return c.first(func(f function) bool { return f.name == name })
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
		if said := one.words.FindStringSubmatch(c.pending); said != nil && (one.meant == nil || one.meant(c.config, said)) {
			return one.react(c.config, said)
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
