package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// checks runs check on a configuration and gives its status and all it says.
func checks(t *testing.T, env map[string]string, config string, args ...string) (status int, said string) {
	t.Helper()
	name := write(t, config)
	var stdout, log output
	err := run(t.Context(), append([]string{"check", "--config", name}, args...), environ(env), nil, &stdout, &log)
	said = stdout.String()
	if err != nil {
		said += err.Error() + "\n"
	}
	if strings.Contains(said+log.String(), "CANARY") {
		t.Errorf("it tells a secret: %s%s", said, &log)
	}
	return statusOf(err), strings.ReplaceAll(said, name, "FILE")
}

func TestCheckTellsEveryMistakeWithItsLine(t *testing.T) {
	status, said := checks(t, nil, `listen: [CANARY]
hosts: [voice.example, "https://voice.example"]
origins:
  - https://app.example
  - "*"
origin: CANARY
auth: {apiKeysFile: /nowhere}
tls: {cert: x}
demo: perhaps
profiles:
  default:
    model: "x?key=CANARY"
    uses: 0
    leash: 12
    newSession: 2h
    lock: half
    setup:
      system_instruction: CANARY
      systemInstruction: CANARY
      tools: {CANARY: 1}
  listed:
    lock: [model, model, tools.0, sessionResumption]
    allow:
      - tool
      - tools: {max: 1}
      - generationConfig.temperature: {}
      - generationConfig.topP: {max: CANARY}
      - [CANARY]
    who: {groups: [], plan: {CANARY: 1}}
    limits:
      perCaller: 6
      concurrent: -1
      perDay: 5
  flow: {leash: 21h, uses: 99, ttl: 60s}
  deep:
    setup:
      generationConfig:
        response_modalities: [CANARY]
        max_output_tokens: CANARY
        temprature: CANARY
      systemInstruction:
        parts:
          - text: CANARY
          - {txt: CANARY}
      tools:
        - function_declarations: [CANARY]
        - functionDeclarations:
            - name: CANARY
              paramters: CANARY
      realtimeInputConfig:
        activity_handling: CANARY
        calmness: CANARY
    newFields: [tools.0]
`)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	golden(t, "testdata/check-bad.txt", said)
}

// What would keep serve from starting is found before.
func TestCheckFindsWhatServeWouldNotStartWith(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct{ env, words, want string }{
		"no address":                    {"", "listen: nonsense", `line 3: listen address "nonsense": write host:port`},
		"a port that is none":           {"", "listen: 'localhost:99999'", `"99999" is no port`},
		"a port of the environment":     {"PORT=CANARI", "", `"CANARI" is no port`},
		"no certificate":                {"", "tls: {cert: /nowhere/a, key: /nowhere/b}", "line 3: tls: open /nowhere/a: no such file"},
		"a certificate that is none":    {"", "tls: {cert: " + write(t, "CANARY") + ", key: " + write(t, "CANARY") + "}", "line 3: tls: "},
		"no folder of the store":        {"", "store: sqlite:///nowhere/state.db", "line 3: store: stat /nowhere: no such file or directory: make the folder first"},
		"a store that is a folder":      {"", "store: sqlite://" + folder, "is a folder: name a file in it"},
		"a store that there is not":     {"LIVEVALET_STORE=bogus", "", "LIVEVALET_STORE: write sqlite:///path/to/state.db"},
		"a Redis whose URL is none":     {"LIVEVALET_STORE=redis://voice:12#CANARY@host", "", "LIVEVALET_STORE: the URL cannot be read"},
		"a setting that is neither":     {"LIVEVALET_DEMO=CANARY", "", "LIVEVALET_DEMO: write true or false"},
		"no folder of the audit":        {"", "audit: {file: /nowhere/audit.jsonl, keyFile: " + write(t, adminCanary) + "}", "line 3: audit.file: stat /nowhere: no such file"},
		"no folder of the admin socket": {"", "admin: {listen: 'unix:/nowhere/a.sock', tokenFile: " + write(t, adminCanary) + "}", "line 3: admin.listen: stat /nowhere: no such file"},
		"a file for the audit's folder": {"", "audit: {file: " + write(t, "") + "/audit.jsonl, keyFile: " + write(t, adminCanary) + "}", "is no folder"},
	} {
		t.Run(name, func(t *testing.T) {
			config := "hosts: [localhost]\nauth: {apiKeysFile: " + write(t, "shop:"+hashOf("sesame")) + "}\n" + c.words
			env := map[string]string{"GEMINI_API_KEY": "emulator"}
			if name, value, ok := strings.Cut(c.env, "="); ok {
				env[name] = value
			}
			if status, said := checks(t, env, config); status != 1 || !strings.Contains(said, c.want) {
				t.Errorf("check ends with %d: %s", status, said)
			}
			if said := refusal(t, env, "serve", "--config", write(t, config), "--base-url", "http://127.0.0.1:9"); !strings.Contains(said, c.want) {
				t.Errorf("serve says %s", said)
			}
		})
	}
}

func TestCheckTellsWhatIsOpen(t *testing.T) {
	keys := write(t, "shop:"+hashOf("sesame"))
	status, said := checks(t, nil, `hosts: [voice.example]
auth: {apiKeysFile: `+keys+`}
profiles:
  default: {}
  free: {lock: none}
  full: {lock: full, limits: {minutesPerDay: 120, perCaller: 100/10s}}
  helper:
    setup: {systemInstruction: {parts: [{text: CANARY}]}, inputAudioTranscription: null, contextWindowCompression: null}
    leash: 5m
    uses: 2
    limits: {perCaller: 10/h+2, concurrent: 2, minutesPerDay: 90}
    who: {groups: [voice], plan: pro}
    allow:
      - tools
      - generationConfig.temperature
      - generationConfig.maxOutputTokens: {min: 16, max: 2048}
      - generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName: {values: [Kore, Puck]}
  listed: {lock: [systemInstruction, tools]}
`)
	if status != 0 {
		t.Errorf("status %d", status)
	}
	golden(t, "testdata/check-good.txt", said)
}

func TestCheckWithoutProfilesTellsOfTheBuiltInOne(t *testing.T) {
	status, said := checks(t, nil, "hosts: [voice.example]", "--anonymous-anyone-can-spend-your-quota")
	if status != 0 || !strings.HasPrefix(said, "profile default: gemini-3.8-live, lock masked\n") {
		t.Errorf("status %d, %s", status, said)
	}
}

func TestCheckTellsWhatOfTheFileSurprises(t *testing.T) {
	const flag = "--anonymous-anyone-can-spend-your-quota"
	const shared, nameless = "Mind: auth.proxyHeader without addressHeader: all who come through the proxy share its address, and so the %s of limits.perAddress.", "Mind: anonymous callers have no name"
	keys := write(t, "shop:"+hashOf("sesame"))
	for name, c := range map[string]struct {
		config string
		args   []string
		want   []string
	}{
		"keys":                            {"auth: {apiKeysFile: " + keys + "}", nil, nil},
		"a proxy's users":                 {"auth: {proxyHeader: {name: X-User, from: [127.0.0.1]}}", nil, []string{fmt.Sprintf(shared, "30/m")}},
		"a proxy's users, with limits":    {"auth: {proxyHeader: {name: X-User, from: [127.0.0.1]}}\nlimits: {perAddress: 500/m}", nil, []string{fmt.Sprintf(shared, "500/m")}},
		"a proxy's users, and address":    {"auth: {proxyHeader: {name: X-User, from: [127.0.0.1]}}\naddressHeader: {name: X-Real-IP, from: [127.0.0.1]}", nil, nil},
		"everybody":                       {"", []string{flag}, nil},
		"keys, and everybody besides":     {"auth: {apiKeysFile: " + keys + ", anonymous: true}", []string{flag}, []string{nameless}},
		"a proxy's users, and all others": {"auth: {proxyHeader: {name: X-User, from: [127.0.0.1]}, anonymous: true}", []string{flag}, []string{fmt.Sprintf(shared, "30/m"), nameless}},
	} {
		status, said := checks(t, nil, "hosts: [localhost]\n"+c.config, c.args...)
		if status != 0 || strings.Count(said, "\nMind: ") != len(c.want) {
			t.Errorf("%s: %d, %s", name, status, said)
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: it does not say %s", name, want)
			}
		}
	}
}

func TestAStatusSaysWhoseMistakeItIs(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want int
	}{
		"help":                       {nil, []string{"check", "--help"}, 0},
		"no file named":              {nil, []string{"check"}, 2},
		"a flag that there is not":   {nil, []string{"check", "--config", "x", "--mnit"}, 2},
		"a command that there isn't": {nil, []string{"chekc"}, 2},
		"a variable that is not":     {map[string]string{"LIVEVALET_CONFG": "x"}, []string{"check"}, 2},
		"a file that is not there":   {nil, []string{"check", "--config", "/nowhere"}, 1},
		"a file that is no YAML":     {nil, []string{"check", "--config", write(t, "a: [")}, 1},
		"an empty file":              {nil, []string{"check", "--config", write(t, "")}, 1},
		"two documents":              {nil, []string{"check", "--config", write(t, "a: 1\n---\nb: 1")}, 1},
	} {
		var stdout, log output
		err := run(t.Context(), c.args, environ(c.env), nil, &stdout, &log)
		if got := statusOf(err); got != c.want {
			t.Errorf("%s: status %d, %v", name, got, err)
		}
	}
}

// What Google thinks of masks is disputed, so both kinds of service are served.
func TestAMaskThatTheServiceRefuses(t *testing.T) {
	keys := write(t, "shop:"+hashOf("sesame"))
	env := map[string]string{"GEMINI_API_KEY": "emulator-locks"}
	config := func(lock string) string {
		return fmt.Sprintf("hosts: [localhost]\nauth: {apiKeysFile: %s}\nprofiles: {default: {lock: %s}}", keys, lock)
	}
	for _, strict := range []bool{false, true} {
		args := []string{"emulate", "--listen", ":0"}
		if strict {
			args = append(args, "--emulator-u3-strict-mask")
		}
		google := start(t, nil, args...)
		for lock, refused := range map[string]bool{
			"masked": strict, "full": false, "none": false,
			"[model, generationConfig, systemInstruction]": false, "[model, tools, labels]": strict,
		} {
			t.Run(fmt.Sprintf("strict %v, lock %s", strict, lock), func(t *testing.T) {
				status, said := checks(t, env, config(lock), "--mint", "--base-url", google.url)
				if (status == 1) != refused || strings.Contains(said, ": minted at emulator") == refused {
					t.Errorf("check says %d, %s", status, said)
				}
				serve := []string{"serve", "--config", write(t, config(lock)), "--listen", ":0", "--base-url", google.url}
				if refused {
					if said := refusal(t, env, serve...); !strings.Contains(said, "refuses the mask path ") || !strings.Contains(said, "tools, ") {
						t.Errorf("serve says %s", said)
					}
					return
				}
				if lock != "none" { // whose setup is the page's
					start(t, env, serve...).token(t, "Authorization", "Bearer sesame").open(t)
				}
			})
		}
	}
}

// The trial is over when dev is ready, and has left nothing in the emulator: neither
// a token nor the mint that a scenario waits for.
func TestDevTriesTheMaskAtItsStart(t *testing.T) {
	scenario := write(t, "steps: [expect: mint]")
	for lock, masks := range map[string][]string{"masked": nil, "full": {"--emulator-u3-strict-mask"}} {
		t.Run("with an emulator of its own it has the lock "+lock, func(t *testing.T) {
			r := start(t, nil, append([]string{"dev", "--listen", ":0", "--emulator-scenario", scenario}, masks...)...)
			r.fellBack(t, lock)
			if _, _, text := r.call(t, http.MethodGet, "/__emulator/tokens", ""); strings.Contains(text, `"lock"`) {
				t.Errorf("the emulator has %s", text)
			}
			if _, _, text := r.call(t, http.MethodGet, "/__emulator/scenario", ""); !strings.Contains(text, `"done":false`) {
				t.Errorf("the scenario says %s", text)
			}
			r.has(t, lock)
		})
		t.Run("with another it has the lock "+lock, func(t *testing.T) {
			google := start(t, nil, append([]string{"emulate", "--listen", ":0"}, masks...)...)
			r := start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "dev", "--listen", ":0", "--base-url", google.url)
			r.fellBack(t, lock)
			r.has(t, lock)
		})
	}
}

// fellBack checks that the log tells of a full lock, if it should.
func (r running) fellBack(t *testing.T, lock string) {
	t.Helper()
	if said := strings.Contains(r.log.String(), "refuses the mask path "); said != (lock == "full") {
		t.Errorf("it begins with %s", r.log)
	}
}

// has checks that tokens have a lock, and work.
func (r running) has(t *testing.T, lock string) {
	t.Helper()
	if _, _, text := r.call(t, http.MethodPost, "/v1/token", ""); !strings.Contains(text, `"lock":"`+lock+`"`) {
		t.Errorf("a token is %s", text)
	}
	r.token(t).open(t)
}

func TestAServiceThatIsDownStopsNobodyFromStarting(t *testing.T) {
	env := map[string]string{"GEMINI_API_KEY": "emulator"}
	config := write(t, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}")
	for _, args := range [][]string{{"dev"}, {"serve", "--config", config}} {
		r := start(t, env, append(args, "--listen", ":0", "--base-url", "http://127.0.0.1:9")...)
		if !strings.Contains(r.log.String(), "cannot be asked whether it takes the profiles") {
			t.Errorf("%s begins with %s", args[0], r.log)
		}
		if status, _, text := r.call(t, http.MethodPost, "/v1/token", "", "Authorization", "Bearer sesame"); status != http.StatusServiceUnavailable && args[0] == "serve" {
			t.Errorf("a token is %d %s", status, text)
		}
	}
}

func TestCheckOpensASocketWithEachProfile(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	env := map[string]string{"GEMINI_API_KEY": "emulator-connect"}
	const good = "{default: {}, full: {lock: full}, none: {lock: none}, listed: {lock: [systemInstruction]}}"
	for profiles, c := range map[string]struct {
		status, ready int
		want          string
	}{
		good:                                   {0, 4, `profile "full": a session is ready at emulator`},
		"{default: {model: gemini-2.5-flash}}": {1, 0, `profile "default": the Live socket refuses the token with 1008`},
	} {
		status, said := checks(t, env, "hosts: [localhost]\nauth: {apiKeysFile: "+write(t, "shop:"+hashOf("sesame"))+"}\nprofiles: "+profiles, "--connect", "--base-url", google.url)
		if status != c.status || !strings.Contains(said, c.want) || strings.Count(said, ": a session is ready at emulator\n") != c.ready || strings.Contains(said, "auth_tokens") {
			t.Errorf("%s: %d, %s", profiles, status, said)
		}
	}
}

// The service knows more of a setup than we do, so what it says is passed on.
func TestAFieldThatTheServiceRefusesIsNamed(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	env := map[string]string{"GEMINI_API_KEY": "emulator"}
	config := "hosts: [localhost]\nauth: {apiKeysFile: " + write(t, "shop:"+hashOf("sesame")) + `}
profiles: {default: {setup: {tools: [{googleSearch: {}}, {functionDeclarations: [{name: f, parameters: {minItems: CANARY}}]}]}}}`
	const want = "http 400 INVALID_ARGUMENT, because of setup.tools.1.functionDeclarations.0.parameters.minItems"
	if status, said := checks(t, env, config, "--mint", "--base-url", google.url); status != 1 || !strings.Contains(said, want) {
		t.Errorf("check ends with %d: %s", status, said)
	}
	if said := refusal(t, env, "serve", "--listen", ":0", "--config", write(t, config), "--base-url", google.url); !strings.Contains(said, want) || strings.Contains(said, "CANARY") {
		t.Errorf("serve says %s", said)
	}
}

// refusal is what a program that does not serve says.
func refusal(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	var stdout, log output
	err := run(t.Context(), args, environ(env), nil, &stdout, &log)
	if err == nil {
		t.Fatal("it was not refused")
	}
	return err.Error()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%v, it says\n%s", err, got)
	}
}
