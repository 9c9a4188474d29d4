// Package engines drives one page in each of three browser engines, in the
// protocol that each has: Chromium by its own, Firefox by WebDriver BiDi,
// WebKitGTK by WebDriver.
//
// A browser has folders and a sound card of its own, reaches nothing but this
// machine, and ends with the test that launched it. The functions of this package
// fail the test that they are given.
package engines

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/livevalet/livevalet/scripts/child"
)

// patience is how long a browser may take for anything, on a busy machine: only what
// hangs is to take so long.
const patience = 2 * time.Minute

// A Page is the one page of a browser.
type Page interface {
	// Open opens url and waits until it has loaded.
	Open(t testing.TB, url string)
	// Click clicks as a person does, which allows the page to play sound.
	Click(t testing.TB, selector string)
	// Eval gives the value of a JavaScript expression as JSON. It waits for a promise.
	Eval(t testing.TB, expression string) json.RawMessage
	// Complaints are the errors and warnings on the console so far.
	Complaints() []string
}

// An Engine is a browser that can be launched.
type Engine struct {
	Name string
	// Launch starts it with an empty profile, and with devices of rate, in Hz. Chromium
	// and WebKitGTK play at a rate of their own all the same.
	Launch func(t testing.TB, rate int) Page
	// Mute: its pages have no Complaints.
	Mute bool
	// Hasty: its pages may begin sound within some seconds of a click alone.
	Hasty bool
}

// All are the engines, each by the browser that Debian has.
var All = []Engine{
	{Name: "Chromium", Launch: launchChromium},
	{Name: "Firefox", Launch: launchFirefox},
	{Name: "WebKitGTK", Launch: launchWebKit, Mute: true, Hasty: true},
}

// home is the environment of a program that leaves nothing behind, and meets
// nothing of the person whose machine it is.
func home(t testing.TB) []string {
	t.Helper()
	// Not t.TempDir: with the test's name in it, it is too long for a socket.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	runtime := filepath.Join(dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{
		"HOME=" + dir,
		"XDG_RUNTIME_DIR=" + runtime,
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
		"XDG_CACHE_HOME=" + filepath.Join(dir, "cache"),
		"XDG_DATA_HOME=" + filepath.Join(dir, "data"),
		"DBUS_SESSION_BUS_ADDRESS=disabled:",
		"GSETTINGS_BACKEND=memory",
		"NO_AT_BRIDGE=1",
	}
}

// serve runs a program until the test ends. ready matches the line by which it
// announces itself; the first group is the server's URL.
func serve(t testing.TB, env []string, ready, name string, args ...string) *child.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := child.Command(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = append(cmd.Env, env...)
	server, err := child.ServeForeign(ctx, cmd, regexp.MustCompile(ready))
	if err != nil {
		t.Fatalf("%v\nwhat these tests need is installed by make test-engines if it is root on Debian", err)
	}
	t.Cleanup(func() { _ = server.Stop(5 * time.Second) }) // browsers do not end well when they are told to
	return server
}

// Tone is what the microphone of every engine hears, in Hz.
const Tone = 1000

// pulse sets up a sound server: a speaker, and a microphone that is the monitor of
// another one, where the tone is played. Browsers do not take a monitor itself.
const pulse = `
load-module module-native-protocol-unix
load-module module-null-sink sink_name=speaker rate=%[1]d
load-module module-null-sink sink_name=air rate=%[1]d
load-module module-sine sink=air rate=%[1]d frequency=%[2]d
load-module module-remap-source master=air.monitor source_name=microphone
set-default-sink speaker
set-default-source microphone
`

// soundCard gives the programs with this environment a speaker and a microphone.
// Without a card the clock of an AudioContext stands still, in all engines but
// Chromium.
func soundCard(t testing.TB, env []string, rate int) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "pulse.pa")
	if err := os.WriteFile(script, fmt.Appendf(nil, pulse, rate, Tone), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, env, `(Daemon startup complete)`, "pulseaudio", "-n", "-v", "--file="+script,
		"--exit-idle-time=-1", "--daemonize=no", "--high-priority=no", "--realtime=no")
}

// inJSON makes an expression whose value is a string: the JSON of another's.
func inJSON(expression string) string {
	return "(async () => JSON.stringify(await (" + expression + ")) ?? 'null')()"
}
