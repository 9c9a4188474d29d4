package emulator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/issuer/schema"
)

// closeCodes are those of refusals and ends that are not the client's doing.
var closeCodes = []int{1007, 1008, 1009, 1011}

// wantEnd holds an end by the server to what a close frame may say.
func wantEnd(t *testing.T, code int, reason string) {
	t.Helper()
	if !slices.Contains(closeCodes, code) || reason == "" || len(reason) > 123 || !utf8.ValidString(reason) {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// wantNoSecrets looks for them in the journal.
func wantNoSecrets(t *testing.T, w *world, secrets ...string) {
	t.Helper()
	journal, err := json.Marshal(w.journal.since(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(journal, []byte(secret)) {
			t.Errorf("the journal contains %s: %s", secret, journal)
		}
	}
}

func FuzzMint(f *testing.F) {
	for _, body := range []string{
		``, `{}`, ` `, `null`, `[]`, `{"uses":1}`, `{"uses":"0","expireTime":"2000-01-01T12:00:00.5+01:00"}`, `{"uses":-1}`,
		`{"expireTime":"2000-01-01T20:00:00Z"}`, `{"new_session_expire_time":"1999-12-31T23:59:59Z"}`,
		`{"bidiGenerateContentSetup":{"model":"models/gemini-3.8-live","tools":[{"googleSearch":{}}]},"fieldMask":"model,tools,generationConfig.top_k"}`,
		`{"bidi_generate_content_setup":{"generationConfig":{"responseModalities":[3,"AUDIO"],"temperature":"1e2"},"labels":{"a":"b"}}}`,
		`{"bidiGenerateContentSetup":{"systemInstruction":{"parts":[{"inlineData":{"data":"_-8="}}]}},"fieldMask":"tools.0"}`,
		`{"uses":1,"uses":2}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"fieldMask":5,"uses":1.5,"x":"\ud800"}`, "{\"\xff\":1}", `{"uses":1}{}`,
		strings.Repeat(`{"bidiGenerateContentSetup":`, 99), `{"uses":` + strings.Repeat("9", 400) + `}`,
	} {
		f.Add([]byte(body))
	}
	const key = "emulator-0123456789abcdef"
	name := regexp.MustCompile(`^auth_tokens/[0-9a-f]{64}$`)
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte(key)) {
			return
		}
		synctest.Test(t, func(t *testing.T) { // so that it is always the same moment
			mint := func(s *Server, body []byte) (int, string) {
				r := httptest.NewRequest("POST", "/v1alpha/auth_tokens", bytes.NewReader(body))
				r.Header.Set("x-goog-api-key", key)
				answer := httptest.NewRecorder()
				s.ServeHTTP(answer, r)
				return answer.Code, answer.Body.String()
			}
			var s Server
			code, text := mint(&s, body)
			if len(text) > 256<<10 || strings.Contains(text, key) {
				t.Errorf("answered %d bytes: %.1000q", len(text), text)
			}
			var answer struct {
				Name  string
				Error *struct {
					Code            int
					Message, Status string
					Details         []map[string]any
				}
			}
			dec := json.NewDecoder(strings.NewReader(text))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&answer); err != nil {
				t.Fatalf("%v: %q", err, text)
			}
			report, _ := s.world().tokens.report(maxTokens)
			if code == 200 {
				if !name.MatchString(answer.Name) || answer.Error != nil || len(report) != 1 || report[0].Uses < 0 ||
					!report[0].Expire.After(time.Now()) || time.Until(report[0].Expire) >= maxLifetime {
					t.Errorf("minted %s: %+v", text, report)
				}
				wantNoSecrets(t, s.world(), answer.Name, key)
			} else if e := answer.Error; e == nil || code != 400 || e.Code != code || e.Status != "INVALID_ARGUMENT" || e.Message == "" || len(report) != 0 {
				t.Errorf("refused with %d %s", code, text)
			}
			// White space means nothing.
			var spaced bytes.Buffer
			if len(body) < maxMintBody/4 && json.Indent(&spaced, body, " ", "\t") == nil {
				if again, text := mint(new(Server), spaced.Bytes()); again != code {
					t.Errorf("%d, but indented %d %s", code, again, text)
				}
			}
		})
	})
}

// FuzzJSON compares our reading of JSON with encoding/json's.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, ` null `, `true`, `tru`, `truee`, `"a\u00e9\n\/"`, `"\ud83d\ude00 \ud800"`, `"\x"`, `"`, `"\`, "\"\t\"", "\"\x7f\"", `-0.5e+10`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `1-1`, `Infinity`,
		`{"a":[1,{"b":null}],"a":{"c":2}}`, `{"a":1,}`, `[1,]`, `[,1]`, `{"a" : 1 , "b":[ ] }`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `[1 2]`, `{} {}`, `[}`, "\ufeff{}", "", "\v1", "[1]\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, no := decodeJSON(data)
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var want any
		err := dec.Decode(&want)
		if err == nil && dec.Decode(new(any)) != io.EOF {
			err = errors.New("there is more")
		}
		if no != nil && (strings.Contains(no.message, "Message too") || !utf8.Valid(data)) {
			return // encoding/json knows no such limits, and mends UTF-8
		}
		if (no == nil) != (err == nil) {
			t.Fatalf("refused: %v, by encoding/json: %v", no, err)
		}
		if no == nil && !reflect.DeepEqual(got, trees(want)) {
			t.Errorf("%#v, by encoding/json %#v", got, want)
		}
	})
}

// trees makes trees of the maps in v.
func trees(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := tree{}
		for name, sub := range v {
			out[name] = trees(sub)
		}
		return out
	case []any:
		for i := range v {
			v[i] = trees(v[i])
		}
	}
	return v
}

// specimen has every field of a message. mark is in all of its texts.
func specimen(m *schema.Message, mark string, depth int) tree {
	out := tree{}
	for _, f := range m.Fields {
		var v any
		switch {
		case f.Of != nil && depth == 0:
			continue
		case f.Of != nil:
			v = specimen(f.Of, mark, depth-1)
		case len(f.Values) > 0:
			v = f.Values[len(mark)%len(f.Values)]
		case f.Kind == "string":
			v = mark + " " + f.Name
		case f.Kind == "object":
			v = tree{mark: f.Name}
		case f.Kind == "bytes":
			v = []byte(mark)
		case f.Kind == "bool":
			v = len(mark)%2 == 0
		default:
			v = int64(len(mark))
		}
		switch {
		case f.Repeated:
			v = []any{v}
		case f.Mapped:
			v = tree{mark: v}
		}
		out[f.Name] = v
	}
	return out
}

// paths are those that a mask may name, in camelCase, down to that many levels.
func paths(m *schema.Message, before string, levels int) (all []string) {
	for _, f := range m.Fields {
		all = append(all, before+f.Name)
		if f.Of != nil && !f.Repeated && !f.Mapped && levels > 1 {
			all = append(all, paths(f.Of, before+f.Name+".", levels-1)...)
		}
	}
	return all
}

func FuzzMask(f *testing.F) {
	for _, mask := range []string{
		"model", "model,model", "generationConfig,generationConfig.topP", "generationConfig.topP,generationConfig", "generation_config.top_k",
		"labels", "labels.a", "tools", "tools.0", "tools.googleSearch", "systemInstruction.parts", "realtimeInputConfig.automaticActivityDetection.disabled",
		"", ",", "model,", ".model", "model.", "generationConfig..topP", " model", "config", "temperature", "MODEL", "generationconfig", "*",
		"sessionResumption", "sessionResumption.handle", "generationConfig.responseSchema.items.items.minItems", "generationConfig.responseSchema" + strings.Repeat(".items", 1000), "contextWindowCompression.slidingWindow.targetTokens", strings.Repeat("generationConfig.", 1000),
	} {
		f.Add(mask)
	}
	const levels = 8 // a Schema has no last one
	known := map[string]bool{}
	for _, path := range paths(setupMessage, "", levels) {
		known[path] = true
		known[schema.SnakeCase(path)] = true
	}
	f.Fuzz(func(t *testing.T, mask string) {
		token, client := specimen(setupMessage, "token", 3), specimen(setupMessage, "the client", 3)
		l, no := newLock(token, mask, Switches{})
		resolves := true
		for path := range strings.SplitSeq(mask, ",") {
			if strings.Count(path, ".") >= levels {
				resolves = no == nil
				break
			}
			resolves = resolves && (mask == "" || known[path] || known[schema.SnakeCase(path)] && mixed(path))
		}
		if (no == nil) != resolves {
			t.Fatalf("resolves: %v, but the answer is %v", resolves, no)
		}
		if no != nil || mask == "" {
			return
		}
		out := l.apply(client)
		if again := l.apply(out); !reflect.DeepEqual(again, out) {
			t.Errorf("applied twice: %v, once: %v", again, out)
		}
		var canonical []string
		free := clone(out).(tree)
		unlocked := clone(client).(tree)
		cleared, _ := newLock(tree{}, mask, Switches{})
		for _, path := range l.paths {
			canonical = append(canonical, strings.Join(path, "."))
			got, has := lookup(out, path)
			if want, ok := lookup(token, path); has != ok || !reflect.DeepEqual(got, want) {
				t.Errorf("%v is %v, the token's is %v", path, got, want)
			}
			if v, ok := lookup(cleared.apply(client), path); ok {
				t.Errorf("%v is %v, which the token does not have", path, v)
			}
			remove(free, path)
			remove(unlocked, path)
		}
		if !reflect.DeepEqual(free, unlocked) {
			t.Errorf("what is not locked is %v, the client's was %v", free, unlocked)
		}
		same, no := newLock(token, strings.Join(canonical, ","), Switches{})
		if no != nil || !reflect.DeepEqual(same.paths, l.paths) {
			t.Errorf("%v becomes %v, %v", l.paths, same.paths, no)
		}
		if !reflect.DeepEqual(token, specimen(setupMessage, "token", 3)) || !reflect.DeepEqual(client, specimen(setupMessage, "the client", 3)) {
			t.Error("the token's or the client's setup was changed")
		}
	})
}

// mixed reports whether every name of a path is wholly of one spelling.
func mixed(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if schema.SnakeCase(name) != name && strings.Contains(name, "_") {
			return false
		}
	}
	return true
}

func FuzzSetup(f *testing.F) {
	for _, frame := range []string{
		`{"setup":{` + audioSetup + `}}`, `{"setup":{` + textSetup + `,"sessionResumption":{},"labels":{"a":"b"}}}`, `{"setup":{}}`, `{}`, `null`, ``, `[]`, `{"setup":null}`,
		`{"setup":{"model":"models/no"}}`, `{"setup":{"model":""}}`, `{"clientContent":{}}`, `{"setup":{` + audioSetup + `},"clientContent":{}}`,
		`{"setup":{"model":"models/gemini-3.8-live-extended-thinking","generation_config":{"thinking_config":{"thinking_level":"LOW"}}}}`,
		`{"setup":{"model":"models/gemini-3.1-flash-live-preview","historyConfig":{"initialHistoryInClientContent":true},"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}}}`,
		`{"setup":{` + audioSetup + `,"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","pattern":"^a+$"},"b":{"anyOf":[{"type":"INTEGER","minimum":3}]}}},"behavior":"BLOCKING"}]}]}}`,
		`{"setup":{` + audioSetup + `,"realtimeInputConfig":{"automaticActivityDetection":{"silenceDurationMs":-1,"prefixPaddingMs":2147483647}}}}`,
		`{"setup":{` + audioSetup + `,"sessionResumption":{"handle":"x","transparent":true}}}`, `{"setup":{` + audioSetup + `,"outputAudioTranscription":{},"proactivity":{"proactiveAudio":false}}}`,
		"{\"setup\":{\"model\":\"\xc3\"}}", `{"setup":{"model":"` + strings.Repeat("é", 100) + `"}}`, `{"setup":{"` + strings.Repeat("é", 100) + `":1}}`, strings.Repeat(`{"setup":`, 200),
		`{"setup":{` + audioSetup + `,"generationConfig":{"responseModalities":["AUDIO","TEXT"]}}}`, `{"setup":{"model":"models/gemini-3.8-live","tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"$ref":"#"}}]}]}}`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			c := b.dial(t, tokenPath+token)
			c.sendBytes(frame)
			synctest.Wait()
			if len(c.frames) == 0 {
				code, reason := c.closed(t)
				wantEnd(t, code, reason)
				b.open(t, tokenPath+token, audioSetup) // a refused setup costs no use
			} else {
				if got := compact(c.next(t).data); got != `{"setupComplete":{}}` {
					t.Errorf("got %s", got)
				}
				// Whatever it is a session of, it understands some word, and says so or closes.
				c.sendBytes([]byte(`{"realtimeInput":{"text":"call a tool"}}`))
				time.Sleep(time.Minute)
				c.leave(t)
			}
			wantNoSecrets(t, b.server.world(), token)
		})
	})
}

// sendBytes sends what may meet a socket that is closed.
func (c *client) sendBytes(frame []byte) {
	_ = c.conn.Write(context.Background(), websocket.MessageText, frame)
}

// FuzzConversation sends the lines of its input one by one, after a setup with
// everything. A line that begins with a digit n is followed by n² tenths of a
// second of silence.
func FuzzConversation(f *testing.F) {
	sound := func(level float64, ms time.Duration) string {
		var pcm []byte
		for _, x := range tone(8000, 300, level, ms*time.Millisecond) {
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(x))
		}
		return `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=8000","data":"` + base64.StdEncoding.EncodeToString(pcm) + `"}}}`
	}
	const loud, quiet = -20, -90
	text := func(s string) string { return `{"realtimeInput":{"text":"` + s + `"}}` }
	for _, lines := range [][]string{
		{"9" + text("my name is Ada"), "9" + text("what is my name")},
		{"2" + text("tell a long story"), "9" + text("stop")},
		{"1" + text("call two tools"), `9{"toolResponse":{"functionResponses":[{"id":"function-call-1","response":{}}]}}`},
		{"1" + text("call and cancel"), "9" + text("call a blocking tool"), "9" + text("think about tea"), "9" + text("search for tea")},
		{"9" + text("empty turn"), "9" + text("say nothing"), "9" + text("help")},
		{text("echo"), sound(loud, 200), "9" + sound(quiet, 200), `9{"realtimeInput":{"audioStreamEnd":true}}`},
		{sound(loud, 200), sound(quiet, 200), "3" + sound(loud, 200), "9" + sound(quiet, 200)},
		{`9{"clientContent":{"turns":[{"role":"user","parts":[{"text":"remember that tea is hot"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}],"turnComplete":true}}`, `{"clientContent":{"turns":[{"role":"function"}]}}`},
		{`{"realtimeInput":{"mediaChunks":[]}}`}, {`{"realtimeInput":{"activityStart":{}}}`}, {`{"setup":{}}`}, {``}, {`{"realtimeInput":{},"clientContent":{}}`},
		{`{"realtimeInput":{"video":{"mimeType":"image/jpeg","data":"/9j/"}}}`, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=8000;rate=x","data":"AAE"}}}`, `9{"realtimeInput":{"audio":{"mimeType":"audio/ogg","data":""}}}`},
		{`{"contextUpdate":{"tools":{"tools":[]}}}`, "9" + text("call a tool"), `{"contextUpdate":{"systemInstruction":{"parts":[{"text":"be brief"}]}}}`},
		{"{\"realtimeInput\":{\"text\":\"\xff\"}}"},
	} {
		f.Add([]byte(strings.Join(lines, "\n")))
	}
	const setup = audioSetup + `,"sessionResumption":{},"outputAudioTranscription":{},"inputAudioTranscription":{},"contextWindowCompression":{"slidingWindow":{}},
		"realtimeInputConfig":{"automaticActivityDetection":{"silenceDurationMs":100}},
		"tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f","behavior":"BLOCKING"},{"name":"g","behavior":"NON_BLOCKING","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}]`
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 256<<10 || bytes.Count(script, []byte("\n")) > 20 {
			return
		}
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			token := b.mint(t, "")
			c := b.open(t, tokenPath+token, setup)
			for line := range bytes.SplitSeq(script, []byte("\n")) {
				wait := time.Duration(0)
				if len(line) > 0 && '0' <= line[0] && line[0] <= '9' {
					n := time.Duration(line[0] - '0')
					wait, line = n*n*100*time.Millisecond, line[1:]
				}
				c.sendBytes(line)
				time.Sleep(wait)
			}
			handle := wantConversation(t, c)
			synctest.Wait()
			if handle != "" { // and so it is known how to go on
				b.open(t, tokenPath+token, setup[:strings.Index(setup, `,"sessionResumption"`)]+`,"sessionResumption":{"handle":"`+handle+`"}`)
				wantNoSecrets(t, b.server.world(), handle)
			}
			wantNoSecrets(t, b.server.world(), token)
		})
	})
}

// leave closes the socket, unless the server has done it.
func (c *client) leave(t *testing.T) {
	t.Helper()
	c.conn.Close(websocket.StatusNormalClosure, "")
	// While it closes the library drops what comes, its own news included.
	if code, reason := c.closed(t); code != 1000 && !errors.Is(c.err, net.ErrClosed) {
		wantEnd(t, code, reason)
	}
}

// wantConversation leaves, holds all that has come to the grammar of turns, and
// gives the last handle.
func wantConversation(t *testing.T, c *client) (handle string) {
	t.Helper()
	synctest.Wait()
	came := len(c.frames)
	defer c.leave(t)
	interrupted, generated := false, false // in the running turn
	for range came {
		f := <-c.frames
		if f.kind != websocket.MessageBinary || encodingJSON(t, decoded(t, f.data)) != string(f.data) {
			t.Errorf("%v %q", f.kind, f.data)
		}
		v, no := decodeJSON(f.data)
		if no != nil {
			t.Fatalf("%s: %q", no.message, f.data)
		}
		m := v.(tree)
		content, update := m.tree("serverContent"), m.tree("sessionResumptionUpdate")
		switch {
		case content.flag("interrupted") && interrupted, content.flag("generationComplete") && (generated || interrupted), content.has("modelTurn") && interrupted:
			t.Errorf("%s, though interrupted is %v and generationComplete %v", f.data, interrupted, generated)
		case content.flag("turnComplete") && !generated && !interrupted:
			t.Errorf("%s, though nothing was", f.data)
		case update.flag("resumable") != update.has("newHandle"), update.has("newHandle") && update.text("newHandle") == handle:
			t.Errorf("after the handle %q came %s", handle, f.data)
		case update.has("newHandle"):
			handle = update.text("newHandle")
		}
		interrupted = (interrupted || content.flag("interrupted")) && !content.flag("turnComplete")
		generated = (generated || content.flag("generationComplete")) && !content.flag("turnComplete")
	}
	return handle
}

func FuzzHandle(f *testing.F) {
	for _, handle := range []string{
		"", "%", "% ", "%%", "#%", "x", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000", "null", "auth_tokens/" + strings.Repeat("0", 64),
		strings.Repeat("a", 1000), "\x00", "é", "../../etc/passwd", "' OR 1=1", "{}", "00000000-0000-4000-8000-000000000000\n",
	} {
		f.Add(handle)
	}
	const with = audioSetup + `,"outputAudioTranscription":{},"sessionResumption":{"handle":`
	f.Fuzz(func(t *testing.T, form string) {
		if !utf8.ValidString(form) || len(form) > 64<<10 || strings.Count(form, "%") > 100 {
			return
		}
		bubble(t, new(Server), func(t *testing.T, b *bench) {
			c := b.openKey(t, audioSetup+`,"sessionResumption":{}`)
			good := c.ask(t, "my name is Ada", true).handle
			c.conn.Close(websocket.StatusNormalClosure, "")
			synctest.Wait()

			handle := strings.NewReplacer("%", good, "#", strings.ToUpper(good[:1])).Replace(form)
			quoted, _ := json.Marshal(handle)
			c = b.dial(t, socketPath+"?key="+testKey)
			c.send(t, `{"setup":{`+with+string(quoted)+`}}}`)
			synctest.Wait()
			knows := map[string]string{"": "You have not told me your name yet.", good: "Your name is Ada."}[handle]
			switch live := len(c.frames) > 0; {
			case live != (knows != ""):
				t.Fatalf("%q is accepted: %v", handle, live)
			case live:
				c.next(t)
				if got := c.ask(t, "what is my name?", true).transcript; got != knows {
					t.Errorf("it said %q", got)
				}
				c.conn.Close(websocket.StatusNormalClosure, "")
			default:
				code, reason := c.closed(t)
				wantEnd(t, code, reason)
				if len(handle) > 8 && strings.Contains(reason, handle) {
					t.Errorf("the reason is %q", reason)
				}
			}
			if len(handle) > 8 {
				wantNoSecrets(t, b.server.world(), handle)
			}
			// A refused handle harms no good one.
			b.open(t, socketPath+"?key="+testKey, with+`"`+good+`"}`)
		})
	})
}
