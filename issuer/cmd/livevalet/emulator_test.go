package main

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/livevalet/livevalet/issuer/emulator"
)

func TestEveryOptionOfTheEmulatorsFileIsItsOwn(t *testing.T) {
	// One key for each field, so that none can be mixed up with another.
	var got emulatorOptions
	err := got.fill(write(t, `
connection: 20s
goAwayLead: -1s
finalClose: 1008 The operation was aborted.
handleLifetime: 24h
seed: 7
rude: true
updateEvery: 1.2s
unknownToken: 1007 No such token
unknownHandle: not-found
strictMask: true
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := emulatorOptions{
		Connection: span(20 * time.Second), GoAwayLead: span(-time.Second), FinalClose: closeFrame{1008, "The operation was aborted."},
		HandleLifetime: span(24 * time.Hour), Seed: 7, Rude: true, UpdateEvery: cadence(1200 * time.Millisecond),
		UnknownToken: closeFrame{1007, "No such token"}, UnknownHandle: "not-found", StrictMask: true,
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

// Every switch there is has a key, whose name is its own, and reaches the server.
func TestEverySwitchHasAFlagAndAKey(t *testing.T) {
	options := reflect.TypeFor[emulatorOptions]()
	for i := range reflect.TypeFor[emulator.Switches]().NumField() {
		name := reflect.TypeFor[emulator.Switches]().Field(i).Name
		t.Run(name, func(t *testing.T) {
			field, ok := options.FieldByName(name)
			key := strings.ToLower(name[:1]) + name[1:]
			if !ok || field.Tag.Get("yaml") != key || !strings.HasPrefix(field.Tag.Get("name"), "u") {
				t.Fatalf("option is %v, tag %s", ok, field.Tag)
			}
			value := "true"
			switch field.Type {
			case reflect.TypeFor[cadence]():
				value = "1s"
			case reflect.TypeFor[closeFrame]():
				value = "1008 x"
			case reflect.TypeFor[handleRefusal]():
				value = "invalid"
			}
			var o emulatorOptions
			if err := o.fill(write(t, key+": "+value), nil); err != nil {
				t.Fatal(err)
			}
			switches := reflect.ValueOf(o.server(&program{}).Switches)
			for j := range switches.NumField() {
				if got := !switches.Field(j).IsZero(); got != (i == j) {
					t.Errorf("%s is set: %v", switches.Type().Field(j).Name, got)
				}
			}
		})
	}
}

func TestAFlagWinsOverTheEmulatorsFile(t *testing.T) {
	file := write(t, "unknownToken: 1007 by file\nconnection: 1h\nmintEchoes: true\nrude: true\nseed: 7\nunaskedUpdates: true")
	for sentence, c := range map[string]struct {
		env  map[string]string
		args []string
		want emulatorOptions // beside the file's
	}{
		"as itself": {nil, []string{"--emulator-u5-unknown-token", "1008 by flag", "--emulator-connection=20s"},
			emulatorOptions{UnknownToken: closeFrame{1008, "by flag"}, Connection: span(20 * time.Second), MintEchoes: true, Rude: true, Seed: 7, UnaskedUpdates: true}},
		"from the environment": {map[string]string{"LIVEVALET_EMULATOR_U5_UNKNOWN_TOKEN": "1008 by flag", "LIVEVALET_EMULATOR_RUDE": "false"}, nil,
			emulatorOptions{UnknownToken: closeFrame{1008, "by flag"}, Connection: span(time.Hour), MintEchoes: true, Seed: 7, UnaskedUpdates: true}},
		"with a zero value": {nil, []string{"--emulator-u8-mint-echoes=false", "--emulator-rude=false", "--emulator-seed=0", "--emulator-u9-unasked-updates=false"},
			emulatorOptions{UnknownToken: closeFrame{1007, "by file"}, Connection: span(time.Hour)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			var cli struct {
				Config   string
				Emulator emulatorOptions `embed:"" prefix:"emulator-"`
			}
			parser, err := kong.New(&cli, kong.Resolvers(kong.ResolverFunc(settings(environ(c.env)).flag)))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := parser.Parse(append(c.args, "--config", file))
			if err != nil {
				t.Fatal(err)
			}
			if err := cli.Emulator.fill(cli.Config, given(parsed)); err != nil || cli.Emulator != c.want || cli.Config != file {
				t.Errorf("got %+v, %v", cli, err)
			}
		})
	}
	r := start(t, nil, "emulate", "--listen", ":0", "--config", file, "--emulator-u8-mint-echoes=false", "--emulator-rude=false")
	_, _, text := r.call(t, http.MethodPost, "/v1alpha/auth_tokens", `{"uses":7}`, "X-Goog-Api-Key", "emulator")
	if !strings.Contains(text, `"name"`) || strings.Contains(text, "uses") {
		t.Errorf("minted %s", text)
	}
}

func TestABadOptionOfTheEmulatorIsRefused(t *testing.T) {
	for sentence, c := range map[string]struct{ file, want string }{
		"an unknown key":     {"connection: 20s\nconection: 20s", "line 2: unknown field \"conection\": there are connection, goAwayLead"},
		"two documents":      {"rude: true\n---\nrude: false", "write one document"},
		"a negative seed":    {"seed: -1", "line 1: write a whole number, not negative"},
		"a key twice":        {"seed: 1\nseed: 2", "line 2: mapping key \"seed\" already defined"},
		"no duration":        {"seed: 1\n\nconnection: soon", "line 3:"},
		"no close code":      {"finalClose: 1005 x", "line 1: write a close code"},
		"no way to refuse":   {"unknownHandle: maybe", "line 1: write not-found or invalid"},
		"no time at all":     {"connection: 0s", "line 1: write a duration that is not zero"},
		"updates too often":  {"seed: 1\nupdateEvery: 99ms", "line 2: write a duration of at least 100ms"},
		"negative updates":   {"updateEvery: -1s", "line 1: write a duration of at least 100ms"},
		"what is no mapping": {"- a", "line 1:"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := refused(t, nil, "emulate", "--listen", ":0", "--config", write(t, c.file)); !strings.Contains(got, c.want) {
				t.Errorf("it says %s", got)
			}
		})
	}
	for flag, want := range map[string]string{
		"--emulator-u17-unknown-handle=maybe": "not-found or invalid",
		"--emulator-connection=0s":            "--emulator-connection: write a duration that is not zero",
		"--emulator-goaway-lead=0":            "--emulator-goaway-lead: write a duration that is not zero",
		"--emulator-u9-update-every=9ms":      "--emulator-u9-update-every: write a duration of at least 100ms",
	} {
		for _, command := range []string{"dev", "emulate"} {
			if got := refused(t, nil, command, "--listen", ":0", flag); !strings.Contains(got, want) {
				t.Errorf("%s %s says %s", command, flag, got)
			}
		}
	}
}

func TestEmulateEndsAsItsScenarioDoes(t *testing.T) {
	const strict = "name: x\nstrict: true\nsteps: [expect: mint, expect: mint]"
	for sentence, c := range map[string]struct {
		scenario string
		mints    int
		want     string // "" for a good end
	}{
		"a strict one that passed":      {strict, 2, ""},
		"a strict one that is not over": {strict, 1, "the scenario is not over: step 2 (line 3): expects mint"},
		"one that is not strict":        {"steps: [expect: mint]", 0, ""},
		"none":                          {"", 0, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			args := []string{"emulate", "--listen", ":0"}
			if c.scenario != "" {
				args = append(args, "--scenario", write(t, c.scenario))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out, in := io.Pipe()
			done := make(chan error, 1)
			go func() { done <- run(ctx, args, nil, nil, in, new(output)) }()
			line := make([]byte, 200)
			n, err := out.Read(line)
			if err != nil {
				t.Fatal(err)
			}
			url, _ := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "livevalet: ready ")
			for range c.mints {
				running{url: url}.call(t, http.MethodPost, "/v1alpha/auth_tokens", "{}", "X-Goog-Api-Key", "emulator")
			}
			http.DefaultClient.CloseIdleConnections()
			cancel()
			switch err := <-done; {
			case c.want == "" && err != nil, c.want != "" && (err == nil || err.Error() != c.want):
				t.Errorf("it ended with %v, want %q", err, c.want)
			}
		})
	}
}

func TestAScenarioIsReadBeforeAnythingIsServed(t *testing.T) {
	bad := write(t, "steps:\n  - expect: hello\n")
	for _, args := range [][]string{{"emulate", "--listen", ":0", "--scenario", bad}, {"dev", "--listen", ":0", "--emulator-scenario", bad}} {
		if got := refused(t, nil, args...); !strings.Contains(got, bad+": line 2: expect is one of connect") {
			t.Errorf("%s says %s", args[0], got)
		}
	}
	r := start(t, nil, "dev", "--listen", ":0", "--emulator-scenario", write(t, "name: mine\nsteps: [expect: mint]"))
	if _, _, text := r.call(t, http.MethodGet, "/__emulator/scenario", ""); !strings.Contains(text, `"name":"mine"`) {
		t.Errorf("dev plays %s", text)
	}
}

func TestWhoCannotListenIsToldHowToListenElsewhere(t *testing.T) {
	taken := strings.TrimPrefix(start(t, nil, "emulate", "--listen", ":0").url, "http://")
	for _, addr := range []string{taken, ":99999", ":http2"} {
		for _, command := range []string{"dev", "emulate"} {
			if got := refused(t, nil, command, "--listen", addr); !strings.Contains(got, "--listen :0") {
				t.Errorf("%s at %s says %s", command, addr, got)
			}
		}
	}
}
