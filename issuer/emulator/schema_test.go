package emulator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/schema"
)

// Everything here is judged alike in the body of a mint and in the first message
// of a socket.
func TestHostileJSON(t *testing.T) {
	const payload = "Invalid JSON payload received. "
	deep := func(levels int) string {
		return `"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}]}]`
	}
	number := func(n string) string { return `"generationConfig":{"temperature":` + n + `}` }
	integer := func(n string) string { return `"contextWindowCompression":{"triggerTokens":` + n + `}` }
	const tooDeep, tooLarge = payload + "Message too deep: it may have 100 levels.", payload + "Message too large: it may have 50000 values."
	for _, tt := range []struct {
		sentence string
		setup    string // members of it
		problem  string // "": accepted
	}{
		{"a hundred levels", deep(100 - 6), ""},
		{"a hundred and one", deep(101 - 6), tooDeep},
		{"a hundred thousand", deep(100_000), tooDeep},
		{"opened and never closed", `"tools":` + strings.Repeat("[", 1<<19), tooDeep},
		{"brackets in a string are none", `"model":"` + strings.Repeat(`[\"{`, 1000) + `"`, ""},
		{"a schema in a schema in a schema", `"tools":[{"functionDeclarations":[{"name":"f","parameters":` + strings.Repeat(`{"items":`, 1000) + "{}" + strings.Repeat("}", 1000) + `}]}]`, tooDeep},
		{"many small fields", `"labels":{` + strings.Repeat(`"a":"b",`, 50_000) + `"a":"b"}`, tooLarge},
		{"many small messages", `"tools":[` + strings.Repeat(`{},`, 50_000) + `{}]`, tooLarge},
		{"a long string", `"model":"` + strings.Repeat("m", 1<<19) + `"`, ""},

		{"the same key twice: the last one counts (assumed)", `"model":5,"model":"m"`, ""},
		{"and so does the wrong one", `"model":"m","model":5`, "Invalid value at '@.model' (TYPE_STRING), 5"},
		{"both spellings at once", `"generationConfig":{"topP":1},"generation_config":{"top_p":1}`, ""},

		{"a number beyond float64", number("1e400"), "Invalid value at '@.generation_config.temperature' (TYPE_FLOAT), 1e400"},
		{"and below", number("-1e400"), "Invalid value at '@.generation_config.temperature' (TYPE_FLOAT), -1e400"},
		{"a number that is nearly nothing", number("1e-400"), ""},
		{"a number with a million digits", number("1" + strings.Repeat("0", 1_000_000)), "Invalid value at '@.generation_config.temperature' (TYPE_FLOAT), 1000"},
		{"the largest int64", integer(`"9223372036854775807"`), ""},
		{"one more", integer("9223372036854775808"), "Invalid value at '@.context_window_compression.trigger_tokens' (TYPE_INT64), 9223372036854775808"},
		{"a fraction where an integer belongs", integer("0.5"), "Invalid value at '@.context_window_compression.trigger_tokens' (TYPE_INT64), 0.5"},
		{"no number at all", number("NaN"), payload + "Unexpected token."},
		{"a hexadecimal string", number(`"0x10"`), `Invalid value at '@.generation_config.temperature' (TYPE_FLOAT), "0x10"`},

		{"invalid UTF-8 in a string", `"model":"` + "\xff" + `"`, payload + "Invalid UTF-8."},
		{"and in a name", `"mod` + "\xc3\x28" + `":"m"`, payload + "Invalid UTF-8."},
		{"half a surrogate pair", `"model":"\ud800"`, ""},
		{"a NUL in a string", `"model":"` + "\x00" + `"`, payload + "Unexpected token."},
		{"an unknown name of half a megabyte", `"` + strings.Repeat("x", 1<<19) + `":1`, payload + `Unknown name "` + strings.Repeat("x", maxNamed) + `" at '@': Cannot find field.`},
		{"a system instruction of the wrong kind is not told", `"systemInstruction":"be nice"`,
			"Invalid value at '@.system_instruction' (type.googleapis.com/google.ai.generativelanguage.Content), (hidden)"},
		{"nor a part of one", `"systemInstruction":{"parts":[{"text":["be nice"]}]}`, "Invalid value at '@.system_instruction.parts[0].text' (TYPE_STRING), (hidden)"},
		{"nor a handle", `"sessionResumption":{"handle":{"x":"y"}}`, "Invalid value at '@.session_resumption.handle' (TYPE_STRING), (hidden)"},
		{"a wrong value of half a megabyte", `"model":["` + strings.Repeat("x", 1<<19) + `"]`, `Invalid value at '@.model' (TYPE_STRING), ["` + strings.Repeat("x", 58)},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			for _, way := range []struct {
				message           *schema.Message
				before, at, after string
			}{
				{authTokenMessage, `{"bidiGenerateContentSetup":{`, "auth_token.bidi_generate_content_setup", `}}`},
				{clientMessage, `{"setup":{`, "setup", `}}`},
			} {
				at, _, _ := strings.Cut(way.at, ".")
				if at == way.at {
					at = ""
				}
				_, no := read(way.message, []byte(way.before+tt.setup+way.after), at)
				want := strings.ReplaceAll(tt.problem, "@", way.at)
				got := ""
				if no != nil {
					got = no.message
				}
				if !strings.HasPrefix(got, want) || want == "" && got != "" {
					t.Errorf("%s: got %.300q, want %.300q", way.at, got, want)
				}
			}
		})
	}
}

func TestAnErrorIsShortHoweverMuchIsWrong(t *testing.T) {
	long := strings.Repeat("k", 1<<19)
	var wrong strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&wrong, `"%s%d":5,`, "name", i)
	}
	for sentence, body := range map[string]string{
		"unknown names":      `{` + wrong.String() + `"x":1}`,
		"wrong values":       `{"bidiGenerateContentSetup":{"labels":{` + wrong.String() + `"x":1}}}`,
		"below a long key":   `{"bidiGenerateContentSetup":{"labels":{"` + long + `":1,` + wrong.String() + `"x":1}}}`,
		"within a long path": `{"bidiGenerateContentSetup":{"tools":[{"functionDeclarations":[{"parameters":{"properties":{"` + long + `":{"properties":{` + wrong.String() + `"x":1}}}}}]}]}}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			_, no := read(authTokenMessage, []byte(body), "auth_token")
			if no == nil {
				t.Fatal("accepted")
			}
			if size := len(pretty(no.body())); size > 256<<10 {
				t.Errorf("the answer has %d bytes", size)
			}
			if got := strings.Count(no.message, "\n") + 1; got != maxViolations {
				t.Errorf("%d things are told, want %d", got, maxViolations)
			}
		})
	}
}
