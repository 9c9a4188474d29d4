package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a program that ends by itself, and gives what it writes.
func command(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log output
	err = run(t.Context(), args, environ(env), nil, &out, &log)
	return out.String(), log.String(), err
}

func TestMintPrintsATokenOfAProfile(t *testing.T) {
	google := start(t, nil, "emulate", "--listen", ":0")
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	config := write(t, "hosts: [localhost]\naudit: {file: "+audit+", keyFile: "+write(t, "CANARY-key-of-the-audit")+"}\nprofiles:\n  a: {}\n  b: {leash: 5m}")
	env := map[string]string{"GEMINI_API_KEY": "emulator-CANARY"}
	for name, c := range map[string]struct {
		args    []string
		profile string
	}{
		"of the file":            {[]string{"--config", config, "--profile", "b"}, "b"},
		"that is built in":       {nil, "default"},
		"with the whole address": {[]string{"--url"}, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, err := command(t, env, append([]string{"mint", "--base-url", google.url}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			g := grant{Token: strings.TrimSpace(stdout), TokenParam: "access_token", WebSocketURL: "ws" + strings.TrimPrefix(google.url, "http") + livePath}
			if origin, token, ok := strings.Cut(g.Token, "?access_token="); ok {
				g.WebSocketURL, g.Token = origin, token
			} else if c.args != nil && c.args[0] == "--url" {
				t.Errorf("it prints %s", stdout)
			}
			g.open(t)
			if strings.Contains(stderr, g.Token) || strings.Contains(stderr, "CANARY") || !strings.Contains(stderr, "whoever has this token") ||
				!strings.Contains(stderr, `"profile":"`+c.profile+`"`) {
				t.Errorf("it warns %s", stderr)
			}
		})
	}
	text, err := os.ReadFile(audit)
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), `"caller":"operator","profile":"b","token":"`) {
		t.Errorf("on record is %s, %v", text, err)
	}

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a profile that is not there":           {[]string{"--config", config, "--profile", "c"}, "there are a, b"},
		"required records that do not work":     {[]string{"--config", write(t, "audit: {file: /dev/full, keyFile: "+write(t, "CANARY-key-of-the-audit")+", required: true}")}, "audit: "},
		"required records where the token goes": {[]string{"--config", write(t, "audit: {file: '-', required: true}")}, "audit.required: no record can go to standard output"},
		"a service that refuses the profile":    {[]string{"--config", write(t, "profiles: {default: {model: gemini-2.5-flash}}"), "--base-url", "http://127.0.0.1:9"}, "not available"},
	} {
		if stdout, stderr, err := command(t, env, append([]string{"mint", "--base-url", google.url}, c.args...)...); err == nil || stdout != "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %s%s", name, err, stdout, stderr)
		}
	}
}

const livePath = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"

func TestOperatorsTakeAccessAwayAtARunningServer(t *testing.T) {
	o := operate(t, "")
	g := o.token(t, shop...)
	ask := func(want string, args ...string) {
		t.Helper()
		if stdout, _, err := command(t, map[string]string{"LIVEVALET_CONFIG": o.config}, args...); err != nil || !strings.Contains(stdout, want) || strings.Contains(stdout, "CANARY") {
			t.Errorf("%q: %v, %s, want %s", args, err, stdout, want)
		}
	}
	ask(fmt.Sprintf("%.16s  default  ", hashOf(g.LeaseID)), "leases", "--user", "key:shop")
	ask("key:desk holds no lease", "leases", "--user", "key:desk")
	ask("key:desk has no access any more; live leases: 0, so look", "revoke", "key:desk")
	ask("key:shop has no access any more; live leases: 1, the last token ends at 2", "revoke", "key:shop")
	ask("key:desk\nkey:shop\n", "leases", "--revoked")
	ask("key:shop has no access: it was revoked", "leases", "--user", "key:shop")
	for path, body := range map[string]string{"/v1/token": "", "/v1/token/renew": fmt.Sprintf(`{"leaseId":%q,"reason":"refused"}`, g.LeaseID)} {
		if status, _, text := o.call(t, http.MethodPost, path, body, shop...); status != 403 || !strings.Contains(text, `"revoked"`) {
			t.Errorf("%s gives %d %s", path, status, text)
		}
	}
	ask("key:shop may ask again", "revoke", "--undo", "key:shop")
	ask("key:desk\n", "leases", "--revoked")
	o.token(t, shop...)
	o.call(t, http.MethodPost, "/v1/token/release", fmt.Sprintf(`{"leaseId":%q}`, g.LeaseID), shop...)
	ask("released", "leases", "--user", "key:shop")

	text, err := os.ReadFile(o.audit)
	if err != nil || !strings.Contains(string(text), `"decision":"revoked","caller":"admin","user":"key:shop"`) {
		t.Errorf("on record is %s, %v", text, err)
	}
}

// Whose a token was can be told after a restart, by every process with the key, and
// by nobody else.
func TestATokenThatWasFoundHasAnOwner(t *testing.T) {
	o := operate(t, "")
	o.token(t, shop...)
	g := o.token(t, shop...)
	if err := o.stop(); err != nil {
		t.Fatal(err)
	}
	rotated := o.audit + ".1"
	if err := os.Rename(o.audit, rotated); err != nil {
		t.Fatal(err)
	}
	again := start(t, map[string]string{"GEMINI_API_KEY": "emulator-x"}, "serve", "--config", o.config, "--base-url", o.google.url)
	h := again.token(t, shop...)
	for name, c := range map[string]struct {
		token string
		files []string
		env   string // another key
		want  string // the lease; empty: nothing is found
	}{
		"in the file":                   {h.Token + "\n", nil, "", h.LeaseID},
		"in one that was rotated away":  {g.Token, []string{rotated, o.audit}, "", g.LeaseID},
		"not in that one":               {g.Token, nil, "", ""},
		"with another key":              {h.Token, nil, write(t, "CANARY-another-key"), ""},
		"that nobody has":               {"auth_tokens/CANARY", nil, "", ""},
		"without saying which":          {"\n", nil, "", ""},
		"in a file that is not there":   {h.Token, []string{"/nowhere"}, "", ""},
		"with a key that is not there":  {h.Token, nil, "/nowhere", ""},
		"that is longer than there are": {strings.Repeat("CANARY", 1000), nil, "", ""},
	} {
		var stdout, log output
		err := run(t.Context(), append([]string{"find", "--config", o.config}, c.files...),
			environ(map[string]string{"LIVEVALET_AUDIT_KEYFILE": c.env}), strings.NewReader(c.token), &stdout, &log)
		if c.want == "" {
			if err == nil || stdout.String() != "" || strings.Contains(err.Error()+log.String(), "CANARY") {
				t.Errorf("%s: %v, %s", name, err, &stdout)
			}
			continue
		}
		var line struct{ Decision, Caller, Lease string }
		if jerr := json.Unmarshal([]byte(stdout.String()), &line); err != nil || jerr != nil || line.Decision != "granted" || line.Caller != "key:shop" || line.Lease != hashOf(c.want) {
			t.Errorf("%s: %v, %s", name, err, &stdout)
		}
	}
}

func TestWhatOperatorsCannotDoIsSaid(t *testing.T) {
	o := operate(t, "")
	wrong := write(t, "CANARY-another-token")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nowhere":                {nil, "--config"},
		"with a wrong token":     {[]string{"--config", o.config, "--admin-tokenfile", wrong}, "unauthenticated: "},
		"where nobody listens":   {[]string{"--admin-listen", "unix:" + o.socket() + "x", "--admin-tokenfile", wrong}, "is the server running?"},
		"at the public listener": {[]string{"--admin-listen", strings.TrimPrefix(o.url, "http://"), "--admin-tokenfile", wrong}, "the admin listener answers 40"},
		"across the network":     {[]string{"--admin-listen", "192.0.2.1:1", "--admin-tokenfile", wrong}, "other machines"},
	} {
		for _, ask := range [][]string{{"revoke", "key:ada"}, {"leases", "--user", "ada"}, {"leases", "--revoked"}} {
			if stdout, stderr, err := command(t, nil, append(ask, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(stdout+stderr+err.Error(), "CANARY") {
				t.Errorf("%s: %v, %s", name, err, stdout)
			}
		}
	}
}

func TestRevokingAUserThatCannotBeIsNoSuccess(t *testing.T) {
	o := operate(t, "")
	for user, status := range map[string]int{"shop": 1, " key:shop": 1, "key:": 1, "anonymous": 1, "key:shop ": 1, "": 2, ".": 2, "..": 2} {
		for _, args := range [][]string{{"revoke", user}, {"revoke", "--undo", user}} {
			stdout, _, err := command(t, nil, append(args, "--config", o.config)...)
			if statusOf(err) != status || stdout != "" || !strings.Contains(err.Error(), "no caller is called so: write jwt:, key: or proxy:") {
				t.Errorf("%q: %v, %s", args, err, stdout)
			}
		}
	}
}

func TestEveryCommandTeachesByExample(t *testing.T) {
	for _, name := range []string{"dev", "serve", "check", "emulate", "probe", "mint", "revoke", "leases", "find"} {
		if stdout, _, err := command(t, nil, name, "--help"); err != nil || strings.Count(stdout, "livevalet "+name) < 2 {
			t.Errorf("%s --help says %s, %v", name, stdout, err)
		}
	}
}

func TestTheAdminListenerMayBeAPortOfThisMachine(t *testing.T) {
	token := write(t, adminCanary)
	config := write(t, fmt.Sprintf("hosts: [localhost]\nauth: {apiKeysFile: %s}\nadmin: {listen: '127.0.0.2:0', tokenFile: %s}", write(t, "shop:"+hashOf("sesame")), token))
	google := start(t, nil, "emulate", "--listen", ":0")
	r := start(t, map[string]string{"GEMINI_API_KEY": "emulator"}, "serve", "--listen", ":0", "--config", config, "--base-url", google.url)
	_, rest, _ := strings.Cut(r.log.String(), `"serves operators","address":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	stdout, _, err := command(t, nil, "leases", "--user", "ada", "--admin-listen", addr, "--admin-tokenfile", token)
	if err != nil || stdout != "ada holds no lease\n" {
		t.Errorf("at %q: %s, %v", addr, stdout, err)
	}
}
