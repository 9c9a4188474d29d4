package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table is everything a client may say: the body of the token service and the
// messages of the socket. One line is one field: its name, "[]" for a list or
// "map" for a map from strings, its kind, and an enum's values in the order of
// their numbers, from 1. A kind that begins with a capital is another message
// of the table.
//
// Names, unknown-name errors, numeric strings, mask paths and locks all follow
// from it. Shapes that the documentation leaves open are "object": any JSON
// object. Fields that exist on Vertex only are left out, so they are unknown
// names here. Fields are documented; that Google's own table has no more of
// them is assumed.
const table = `
AuthToken
  name                       string
  expireTime                 timestamp
  newSessionExpireTime       timestamp
  uses                       int32
  bidiGenerateContentSetup   Setup
  fieldMask                  string

ClientMessage
  setup                      Setup
  clientContent              ClientContent
  realtimeInput              RealtimeInput
  toolResponse               ToolResponse
  contextUpdate              ContextUpdate

Setup
  model                      string
  generationConfig           GenerationConfig
  systemInstruction          Content
  tools                      [] Tool
  realtimeInputConfig        RealtimeInputConfig
  sessionResumption          SessionResumption
  contextWindowCompression   ContextWindowCompression
  inputAudioTranscription    AudioTranscription
  outputAudioTranscription   AudioTranscription
  proactivity                Proactivity
  avatarConfig               AvatarConfig
  safetySettings             [] SafetySetting
  historyConfig              HistoryConfig
  labels                     map string

GenerationConfig
  responseModalities         [] enum TEXT IMAGE AUDIO VIDEO
  temperature                float
  topP                       float
  topK                       float
  maxOutputTokens            int32
  candidateCount             int32
  presencePenalty            float
  frequencyPenalty           float
  seed                       int32
  mediaResolution            enum MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH
  speechConfig               SpeechConfig
  thinkingConfig             ThinkingConfig
  enableAffectiveDialog      bool
  translationConfig          TranslationConfig
  stopSequences              [] string
  responseMimeType           string
  responseSchema             Schema
  responseJsonSchema         any
  responseLogprobs           bool
  logprobs                   int32

SpeechConfig
  languageCode               string
  voiceConfig                VoiceConfig

VoiceConfig
  prebuiltVoiceConfig        PrebuiltVoice
  replicatedVoiceConfig      ReplicatedVoice

PrebuiltVoice
  voiceName                  string

ReplicatedVoice
  mimeType                   string
  voiceSampleAudio           bytes
  consentAudio               bytes
  voiceConsentSignature      ConsentSignature

ConsentSignature
  signature                  string

ThinkingConfig
  includeThoughts            bool
  thinkingBudget             int32
  thinkingLevel              enum LOW HIGH MEDIUM MINIMAL

TranslationConfig
  targetLanguageCode         string
  echoTargetLanguage         bool

Tool
  functionDeclarations       [] FunctionDeclaration
  googleSearch               object
  codeExecution              object
  urlContext                 object
  googleMaps                 object
  fileSearch                 object
  computerUse                object
  googleSearchRetrieval      object
  mcpServers                 [] object

FunctionDeclaration
  name                       string
  description                string
  parameters                 Schema
  parametersJsonSchema       any
  response                   Schema
  responseJsonSchema         any
  behavior                   enum BLOCKING NON_BLOCKING

Schema
  type                       string
  format                     string
  title                      string
  description                string
  nullable                   bool
  enum                       [] string
  items                      Schema
  minItems                   int64
  maxItems                   int64
  properties                 map Schema
  required                   [] string
  minProperties              int64
  maxProperties              int64
  propertyOrdering           [] string
  minimum                    float
  maximum                    float
  minLength                  int64
  maxLength                  int64
  pattern                    string
  anyOf                      [] Schema
  default                    any
  example                    any

RealtimeInputConfig
  automaticActivityDetection ActivityDetection
  activityHandling           enum START_OF_ACTIVITY_INTERRUPTS NO_INTERRUPTION
  turnCoverage               enum TURN_INCLUDES_ONLY_ACTIVITY TURN_INCLUDES_ALL_INPUT TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO
  interimTranscriptTimestampEnabled bool

ActivityDetection
  disabled                   bool
  startOfSpeechSensitivity   enum START_SENSITIVITY_HIGH START_SENSITIVITY_LOW
  endOfSpeechSensitivity     enum END_SENSITIVITY_HIGH END_SENSITIVITY_LOW
  prefixPaddingMs            int32
  silenceDurationMs          int32

SessionResumption
  handle                     string
  transparent                bool

ContextWindowCompression
  triggerTokens              int64
  slidingWindow              SlidingWindow

SlidingWindow
  targetTokens               int64

AudioTranscription
  languageCodes              [] string
  customVocabulary           [] string
  mode                       enum VERBATIM SMART
  diarization                bool
  wordTimestamp              bool
  languageAuto               object
  languageHints              object
  adaptationPhrases          [] string

Proactivity
  proactiveAudio             bool

AvatarConfig
  avatarName                 string
  customizedAvatar           CustomizedAvatar
  audioBitrateBps            int32
  videoBitrateBps            int32

CustomizedAvatar
  imageMimeType              string
  imageData                  bytes

SafetySetting
  category                   string
  threshold                  string

HistoryConfig
  initialHistoryInClientContent bool

Content
  role                       string
  parts                      [] Part

Part
  text                       string
  inlineData                 Blob
  fileData                   object
  thought                    bool
  thoughtSignature           bytes
  functionCall               object
  functionResponse           FunctionResponse
  executableCode             object
  codeExecutionResult        object
  videoMetadata              object

Blob
  mimeType                   string
  data                       bytes

ClientContent
  turns                      [] Content
  turnComplete               bool

RealtimeInput
  audio                      Blob
  video                      Blob
  text                       string
  activityStart              Empty
  activityEnd                Empty
  audioStreamEnd             bool
  mediaChunks                [] Blob

Empty

ToolResponse
  functionResponses          [] FunctionResponse

FunctionResponse
  id                         string
  name                       string
  response                   object
  scheduling                 enum SILENT WHEN_IDLE INTERRUPT
  willContinue               bool
  parts                      [] object

ContextUpdate
  systemInstruction          Content
  tools                      ToolList

ToolList
  tools                      [] Tool
`

// message is one message of the table.
type message struct {
	name   string
	fields map[string]*field // by both spellings
}

type field struct {
	name     string // camelCase
	snake    string
	kind     string
	repeated bool
	mapped   bool
	values   []string // of an enum
	of       *message // nil for scalars
}

var messages = readTable(table)

// What clients begin with, and the part that tokens lock.
var (
	authTokenMessage = messages["AuthToken"]
	clientMessage    = messages["ClientMessage"]
	setupMessage     = messages["Setup"]
)

func readTable(text string) map[string]*message {
	all := map[string]*message{}
	var current *message
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case !strings.HasPrefix(line, " "):
			current = &message{name: words[0], fields: map[string]*field{}}
			all[current.name] = current
		default:
			f := &field{name: words[0], snake: snakeCase(words[0])}
			switch rest := words[1:]; rest[0] {
			case "[]":
				f.repeated, f.kind, f.values = true, rest[1], rest[2:]
			case "map":
				f.mapped, f.kind = true, rest[1]
			default:
				f.kind, f.values = rest[0], rest[1:]
			}
			current.fields[f.name], current.fields[f.snake] = f, f
		}
	}
	for _, m := range all {
		for _, f := range m.fields {
			f.of = all[f.kind]
		}
	}
	return all
}

// snakeCase is a field's name as the service writes it in errors.
func snakeCase(camel string) string {
	var b strings.Builder
	for _, r := range camel {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// tree is a message in canonical form: camelCase names, no nulls, int64 for
// every integer, float64, []byte, time.Time, tree for messages and objects.
// A tree that several goroutines see is never changed.
type tree map[string]any

func (t tree) has(name string) bool    { _, ok := t[name]; return ok }
func (t tree) tree(name string) tree   { v, _ := t[name].(tree); return v }
func (t tree) text(name string) string { v, _ := t[name].(string); return v }
func (t tree) flag(name string) bool   { v, _ := t[name].(bool); return v }
func (t tree) list(name string) []any  { v, _ := t[name].([]any); return v }

func (t tree) trees(name string) []tree {
	var out []tree
	for _, v := range t.list(name) {
		if sub, ok := v.(tree); ok {
			out = append(out, sub)
		}
	}
	return out
}

// clone copies maps and lists; scalars are never changed in place.
func clone(v any) any {
	switch v := v.(type) {
	case tree:
		out := make(tree, len(v))
		for name, sub := range v {
			out[name] = clone(sub)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = clone(sub)
		}
		return out
	}
	return v
}

// sizeOf is about how many bytes of memory v takes. A map comes in groups of
// eight entries.
func sizeOf(v any) (n int) {
	switch v := v.(type) {
	case tree:
		n = 48 + 40*max(8, len(v))
		for name, sub := range v {
			n += len(name) + sizeOf(sub)
		}
	case []any:
		n = 24
		for _, sub := range v {
			n += 16 + sizeOf(sub)
		}
	case string:
		n = 16 + len(v)
	case []byte:
		n = 24 + len(v)
	default:
		n = 16
	}
	return n
}

// What an error tells.
const (
	maxViolations = 100 // things; the service tells all (observed)
	maxNamed      = 200 // bytes of an unknown name, of a map's key, or of a model
)

// read decodes data as m. at is the path that errors name for the whole
// message, "" for none.
func (m *message) read(data []byte, at string) (tree, *refusal) {
	v, no := decodeJSON(data)
	if no != nil {
		return nil, no
	}
	object, ok := v.(tree)
	if !ok {
		return nil, refuse(invalidArgument, invalidJSON+"Expected an object.")
	}
	var r reader
	if at != "" {
		r.path = []segment{{name: at}}
	}
	out := r.message(m, object)
	return out, r.refusal()
}

// reader collects what is wrong, because the service reports all of it at once.
type reader struct {
	path       []segment // to what is being read
	violations []violation
}

// segment is one part of a path, which becomes text only in an error.
type segment struct {
	name   string // of a field, or a map's key
	key    bool
	item   bool
	index  int  // of an item
	secret bool // what is below is not for logs
}

// at is the path.
func (r *reader) at() string {
	var b strings.Builder
	for i, s := range r.path {
		switch {
		case s.item:
			fmt.Fprintf(&b, "[%d]", s.index)
		case s.key:
			fmt.Fprintf(&b, "[%q].value", cut(s.name, maxNamed))
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

type violation struct{ field, description string }

func (r *reader) refusal() *refusal {
	if len(r.violations) == 0 {
		return nil
	}
	var lines []string
	var details []any
	for _, v := range r.violations {
		lines = append(lines, v.description)
		d := tree{"description": v.description}
		if v.field != "" {
			d["field"] = v.field
		}
		details = append(details, d)
	}
	no := refuse(invalidArgument, strings.Join(lines, "\n"))
	no.details = []any{tree{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": details}}
	return no
}

func (r *reader) unknown(name string) {
	if len(r.violations) == maxViolations {
		return
	}
	at, place := r.at(), ""
	if at != "" {
		place = " at '" + at + "'"
	}
	r.violations = append(r.violations, violation{at,
		fmt.Sprintf(invalidJSON+"Unknown name %q%s: Cannot find field.", cut(name, maxNamed), place)})
}

func (r *reader) invalid(kind string, v any) {
	if len(r.violations) == maxViolations {
		return
	}
	at := r.at()
	shown, _ := json.Marshal(v)
	if slices.ContainsFunc(r.path, func(s segment) bool { return s.secret }) {
		shown = []byte("(hidden)") // the service shows it; errors end in logs
	}
	r.violations = append(r.violations, violation{at,
		fmt.Sprintf("Invalid value at '%s' (%s), %s", at, kind, cut(string(shown), 60))})
}

func (r *reader) enter(s segment) { r.path = append(r.path, s) }
func (r *reader) leave()          { r.path = r.path[:len(r.path)-1] }

func (r *reader) message(m *message, object tree) tree {
	out := make(tree, len(object))
	// Sorted, so that several errors come in the same order each time.
	for _, name := range slices.Sorted(maps.Keys(object)) {
		f := m.fields[name]
		if f == nil {
			r.unknown(name)
			continue
		}
		if object[name] == nil {
			continue // null is omission
		}
		r.enter(segment{name: f.snake, secret: secretFields[f.name]})
		if v := r.field(f, object[name]); v != nil {
			out[f.name] = v
		}
		r.leave()
	}
	return out
}

// field reads all of a field, nil if it is wrong.
func (r *reader) field(f *field, v any) any {
	switch {
	case f.repeated:
		list, ok := v.([]any)
		if !ok {
			r.invalid("repeated "+f.wireType(), v)
			return nil
		}
		out := make([]any, 0, len(list))
		for i, item := range list {
			r.enter(segment{item: true, index: i})
			out = append(out, r.value(f, item))
			r.leave()
		}
		return out
	case f.mapped:
		object, ok := v.(tree)
		if !ok {
			r.invalid("map", v)
			return nil
		}
		out := make(tree, len(object))
		for _, key := range slices.Sorted(maps.Keys(object)) {
			r.enter(segment{key: true, name: key})
			out[key] = r.value(f, object[key])
			r.leave()
		}
		return out
	}
	return r.value(f, v)
}

// value reads one value, nil if it is wrong.
func (r *reader) value(f *field, v any) any {
	if f.of != nil {
		if object, ok := v.(tree); ok {
			return r.message(f.of, object)
		}
	} else if out := f.scalar(v); out != nil {
		return out
	}
	r.invalid(f.wireType(), v)
	return nil
}

// wireType is the kind as the service's front end names it in errors.
func (f *field) wireType() string {
	switch {
	case f.of != nil:
		return "type.googleapis.com/google.ai.generativelanguage." + f.of.name
	case f.kind == "timestamp":
		return "type.googleapis.com/google.protobuf.Timestamp"
	case f.kind == "object":
		return "type.googleapis.com/google.protobuf.Struct"
	}
	return "TYPE_" + strings.ToUpper(f.kind)
}

// scalar follows the proto3 JSON mapping, which is lenient: numbers may be
// strings, base64 may be of either alphabet, enums may be numbers.
func (f *field) scalar(v any) any {
	s, isString := v.(string)
	switch f.kind {
	case "string":
		if isString {
			return s
		}
	case "bool":
		if b, ok := v.(bool); ok {
			return b
		}
	case "int32", "int64":
		if n, ok := integer(v); ok && (f.kind == "int64" || n == int64(int32(n))) {
			return n
		}
	case "float":
		if x, ok := number(v); ok {
			return x
		}
	case "bytes":
		if isString {
			if b, err := decodeBase64(s); err == nil {
				return b
			}
		}
	case "timestamp":
		if isString {
			if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
				return t
			}
		}
	case "enum":
		if isString && (slices.Contains(f.values, s) || strings.HasSuffix(s, "UNSPECIFIED")) {
			return s
		}
		if n, ok := integer(v); ok && !isString && 0 < n && n <= int64(len(f.values)) {
			return f.values[n-1]
		}
	case "object":
		if object, ok := v.(tree); ok {
			return object
		}
	case "any":
		return v
	}
	return nil
}

func integer(v any) (int64, bool) {
	x, ok := number(v)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64); err == nil {
		return n, true
	}
	// 1.0 and 1e3 are integers too, but only where a float64 is exact.
	if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}

func number(v any) (float64, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		if !json.Valid([]byte(v)) || strings.TrimSpace(v) != v {
			return 0, false
		}
		text = v
	default:
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

func decodeBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(standardAlphabet.Replace(strings.TrimRight(s, "=")))
}

// cut is the beginning of s, at most n bytes of valid UTF-8. It is a copy: what
// is kept of a message must not keep the rest of it in memory.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(s)
}
