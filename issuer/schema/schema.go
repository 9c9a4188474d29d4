// Package schema knows the fields of what clients of the Live API and its token
// service send. It holds no behaviour: what each side makes of it is theirs.
package schema

import (
	"strings"
	"unicode"
)

// table is everything a client may say: the body of the token service and the
// messages of the socket. One line is one field: its name, "[]" for a list or
// "map" for a map from strings, its kind, and an enum's values in the order of
// their numbers, from 1. A kind that begins with a capital is another message
// of the table.
//
// Of the emulator, names, unknown-name errors, numeric strings, mask paths and locks
// all follow from it. Shapes that the documentation leaves open are "object": any JSON
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

// Message is one message of the table. It is not to be changed.
type Message struct {
	Name   string
	Fields map[string]*Field // by both spellings
}

// Field is one field of a message. It is not to be changed.
type Field struct {
	Name     string // camelCase
	Snake    string // as the service writes it in errors
	Kind     string
	Repeated bool
	Mapped   bool
	Values   []string // of an enum
	Of       *Message // nil for scalars
}

// Messages are all there are, by their names.
var Messages = read(table)

func read(text string) map[string]*Message {
	all := map[string]*Message{}
	var current *Message
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case !strings.HasPrefix(line, " "):
			current = &Message{Name: words[0], Fields: map[string]*Field{}}
			all[current.Name] = current
		default:
			f := &Field{Name: words[0], Snake: SnakeCase(words[0])}
			switch rest := words[1:]; rest[0] {
			case "[]":
				f.Repeated, f.Kind, f.Values = true, rest[1], rest[2:]
			case "map":
				f.Mapped, f.Kind = true, rest[1]
			default:
				f.Kind, f.Values = rest[0], rest[1:]
			}
			current.Fields[f.Name], current.Fields[f.Snake] = f, f
		}
	}
	for _, m := range all {
		for _, f := range m.Fields {
			f.Of = all[f.Kind]
		}
	}
	return all
}

// SnakeCase is a name as the service writes it in errors.
func SnakeCase(camel string) string {
	var b strings.Builder
	for _, r := range camel {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Meant is the name of the field for which another name is a likely slip: in another
// spelling, or with a letter or two wrong. Empty: there is none such.
func (m *Message) Meant(name string) string {
	if f := m.Fields[name]; f != nil {
		return f.Name
	}
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	best, least := "", 3
	for _, f := range m.Fields {
		d := distance(plain(name), plain(f.Name))
		if d < least && d <= len(f.Name)/3 || d == least && best != "" && f.Name < best {
			best, least = f.Name, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
