//go:build !js

package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/edge/edgetest"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// Facts 1 to 76 are about the service (docs/conformance.md). These are about its
// client.
func TestFacts(t *testing.T) {
	for _, fact := range []struct {
		number   int
		sentence string
		holds    func(*testing.T)
	}{
		{77, "binary and text frames are decoded, in the order in which they came", framesInOrder},
		{78, "nothing but setup is sent before setupComplete, and the wait for it has an end", nothingBeforeSetupComplete},
		{79, "the last resumable handle is kept through updates that are not resumable", handleIsKept},
		{80, "a refused token is not tried again, and ends are told apart", endsAreToldApart},
		{81, "interrupted is told before anything of the next answer, and what came before turnComplete is not told again", playbackIsTold},
		{82, "the connection is changed before timeLeft runs out, and without any goAway too", changedInTime},
		{83, "no token, handle or key is ever printed", nothingSecretIsPrinted},
	} {
		t.Run(fmt.Sprint(fact.number, " ", fact.sentence), fact.holds)
	}
}

// In a browser TestMessagesKeepTheirOrderWhateverTheirKindAndSize of the edge holds
// the same; there binary frames are asked for as ArrayBuffer, so that no Blob comes.
func framesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, stop := listen(edgetest.Handler(), nil)
		defer stop()
		socket, err := edge.Dialer{Client: client}.Dial(t.Context(), live.Token{Secret: live.NewSecret("auth_tokens/x"), URL: "ws://edge/socket/mixed", Param: "access_token"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close(t.Context())
		for n := range 40 { // every third is text, every second large
			m, err := socket.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Body.(map[string]any)["n"]; got != float64(n) {
				t.Fatalf("message %d is decoded as %v", n, got)
			}
		}
	})
}

func nothingBeforeSetupComplete(t *testing.T) {
	const way = 500 * time.Millisecond // from either end to the other
	slow := func(conn net.Conn) net.Conn { return lag(conn, func() time.Duration { return way }) }
	conversation{emulator: &emulator.Server{}, lag: slow}.hold(t, func(k *talk) {
		k.say("my name is Ada") // before there is even a token
		var setups int
		var complete, heard time.Time
		for _, e := range k.journal(0) {
			switch {
			case e.at("setup") != nil:
				setups++
			case e.at("setupComplete") != nil:
				complete = e.Time
			case e.Kind == "recv" && heard.IsZero():
				heard = e.Time
			}
		}
		if setups != 1 || complete.IsZero() || heard.Sub(complete) < 2*way {
			t.Errorf("after %d setups the first message comes %v after setupComplete left, which takes %v", setups, heard.Sub(complete), way)
		}
	})

	var heard []string // by services that never answer
	mute := func(service http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/ws/") {
				service.ServeHTTP(w, r)
				return
			}
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for {
				_, frame, err := ws.Read(context.Background())
				if err != nil {
					return
				}
				heard = append(heard, string(frame))
			}
		})
	}
	var began time.Time
	conversation{emulator: &emulator.Server{}, front: mute, ends: session.CodeTimeout, hears: func(e session.Event) {
		if _, closed := e.(session.Closed); closed && time.Since(began) > 31*time.Second {
			t.Errorf("it is given up after %v", time.Since(began))
		}
	}}.hold(t, func(k *talk) {
		began = time.Now()
		k.send("is anybody there?")
	})
	if len(heard) == 0 || slices.ContainsFunc(heard, func(frame string) bool { return !strings.HasPrefix(frame, `{"setup":`) }) {
		t.Errorf("a service that never answers is told %q", heard)
	}
}

func handleIsKept(t *testing.T) {
	conversation{emulator: &emulator.Server{}}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		k.send("tell a long story")
		time.Sleep(5 * time.Second)
		k.fault(`{"kind":"drop"}`)
		<-k.turns // the story, told again
		if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
			t.Errorf("the model says %q", words)
		}
		var given, used any
		empty := 0 // updates since the last handle
		for _, e := range k.journal(0) {
			switch update := e.at("sessionResumptionUpdate"); {
			case e.at("setup") != nil:
				if used = e.at("setup", "sessionResumption", "handle"); used != nil && (used != given || empty == 0) {
					t.Errorf("it resumes with %v after %v and %d updates without a handle", used, given, empty)
				}
			case update == nil:
			case e.at("sessionResumptionUpdate", "newHandle") == nil:
				empty++
			default:
				given, empty = e.at("sessionResumptionUpdate", "newHandle"), 0
			}
		}
		if used == nil {
			t.Error("it did not resume")
		}
	})
}

func endsAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		start  string   // trouble before the first connection
		faults []string // and after the first answer
		tokens string   // of the connections, by the order of their minting
		rung   session.Rung
		ends   string
	}{
		"the token is spent":       {start: `{"kind":"spent-token","token":"*"}`, tokens: "12"},
		"the token expires":        {faults: []string{`{"kind":"expire-token"}`}, tokens: "12", rung: session.RungToken},
		"the line is cut":          {faults: []string{`{"kind":"drop"}`}, tokens: "11", rung: session.RungHandle},
		"the service stumbles":     {faults: []string{`{"kind":"close","code":1011,"reason":"Internal error encountered."}`}, tokens: "11", rung: session.RungHandle},
		"the handle is forgotten":  {faults: []string{`{"kind":"forget-handle"}`, `{"kind":"drop"}`}, tokens: "112", rung: session.RungRestart},
		"the quota is used up":     {faults: []string{`{"kind":"close","code":1011,"reason":"You exceeded your current quota."}`}, tokens: "1", ends: session.CodeQuota},
		"the region is not served": {faults: []string{`{"kind":"close","code":1007,"reason":"User location is not supported for the API use."}`}, tokens: "1", ends: session.CodeRegion},
		"a message is refused":     {faults: []string{`{"kind":"close","code":1007,"reason":"Request contains an invalid argument."}`}, tokens: "1", ends: session.CodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			var minted []string
			tokens := "" // dialled with
			spoil := func(k *talk) session.TokenSource {
				return func(ctx context.Context, need live.Need) (live.Token, error) {
					token, err := k.mint(ctx, need)
					if minted = append(minted, token.Secret.Reveal()); c.start != "" && len(minted) == 1 {
						k.fault(c.start)
					}
					return token, err
				}
			}
			watch := func(service http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if token := r.URL.Query().Get("access_token"); token != "" {
						tokens += fmt.Sprint(1 + slices.Index(minted, token))
					}
					service.ServeHTTP(w, r)
				})
			}
			conversation{emulator: &emulator.Server{}, source: spoil, front: watch, ends: c.ends}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				for _, fault := range c.faults {
					k.fault(fault)
				}
				time.Sleep(time.Minute)
				k.mu.Lock()
				defer k.mu.Unlock()
				var rung session.Rung
				if len(k.resumed) == 1 {
					rung = k.resumed[0].Rung
				}
				if tokens != c.tokens || rung != c.rung || len(k.resumed) > 1 {
					t.Errorf("it connects with tokens %s and resumes by %v, want tokens %s and %q", tokens, k.resumed, c.tokens, c.rung)
				}
			})
		})
	}
}

// Playing is the application's, which can only do what it is told in time.
func playbackIsTold(t *testing.T) {
	var told []string // of the model's sound and turns, runs of the same once
	tell := func(what string) {
		if len(told) == 0 || told[len(told)-1] != what {
			told = append(told, what)
		}
	}
	hears := func(e session.Event) {
		received, ok := e.(session.Received)
		if !ok {
			return
		}
		m := received.Message
		if m.Interrupted {
			tell("interrupted")
		}
		if content, _ := m.Body.(map[string]any)["serverContent"].(map[string]any); content["modelTurn"] != nil {
			tell("sound")
		}
		if m.TurnComplete {
			tell("over")
		}
	}
	slow := func(conn net.Conn) net.Conn { return lag(conn, func() time.Duration { return 150 * time.Millisecond }) }
	conversation{emulator: &emulator.Server{}, lag: slow, hears: hears}.hold(t, func(k *talk) {
		k.send("tell a long story")
		time.Sleep(10 * time.Second)
		k.send("my name is Ada") // into it
		<-k.turns
		<-k.turns
		k.fault(`{"kind":"goaway","timeLeft":"10s"}`) // while the last words are heard
		k.say("what is my name?")
	})
	if got, want := strings.Join(told, ", "), "sound, interrupted, over, sound, over, sound, over"; got != want {
		t.Errorf("the application is told of %s, want %s", got, want)
	}
}

func changedInTime(t *testing.T) {
	for name, c := range map[string]struct {
		emulator *emulator.Server
		fault    string // at the begin of a long answer
		within   time.Duration
	}{
		"the service talks on":        {&emulator.Server{}, `{"kind":"goaway","timeLeft":"10s"}`, 10 * time.Second},
		"the service says no more":    {&emulator.Server{}, `{"kind":"goaway","timeLeft":"10s"} {"kind":"stall"}`, 10 * time.Second},
		"the line is dead by then":    {&emulator.Server{}, `{"kind":"goaway","timeLeft":"10s"} {"kind":"half-open","holds":"5s"}`, 10 * time.Second},
		"a connection's time is over": {brief(30 * time.Second), "", 30 * time.Second},
		"the line is cut":             {&emulator.Server{}, `{"kind":"drop"}`, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: c.emulator}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				k.send("tell a long story")
				time.Sleep(2 * time.Second)
				faulted := time.Now()
				for fault := range strings.SplitSeq(c.fault, " ") {
					if fault != "" {
						k.fault(fault)
					}
				}
				time.Sleep(c.within)
				k.mu.Lock()
				if len(k.resumed) != 1 || k.resumed[0].Gap > 2*time.Second {
					t.Errorf("%v after the news: resumed %+v", time.Since(faulted), k.resumed)
				}
				if len(k.down) > 0 {
					t.Errorf("it waited %d times", len(k.down))
				}
				k.mu.Unlock()
				time.Sleep(time.Minute) // the story is told again
				for len(k.turns) > 0 {
					<-k.turns
				}
				if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
					t.Errorf("the model says %q", words)
				}
			})
		})
	}
}

// tap shows what the service writes.
type tap struct {
	net.Conn
	show func([]byte)
}

func (t tap) Write(data []byte) (int, error) {
	t.show(data)
	return t.Conn.Write(data)
}

func nothingSecretIsPrinted(t *testing.T) {
	var mu sync.Mutex
	var handles, tokens []string // in the order in which they were given
	newHandle := regexp.MustCompile(`"newHandle":\s*"([^"]+)"`)
	listening := func(conn net.Conn) net.Conn {
		return tap{conn, func(data []byte) {
			mu.Lock()
			defer mu.Unlock()
			for _, found := range newHandle.FindAllSubmatch(data, -1) {
				handles = append(handles, string(found[1]))
			}
		}}
	}
	noting := func(k *talk) session.TokenSource {
		return func(ctx context.Context, need live.Need) (live.Token, error) {
			token, err := k.mint(ctx, need)
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, token.Secret.Reveal())
			return token, err
		}
	}
	var printed bytes.Buffer
	hears := func(e session.Event) {
		fmt.Fprintf(&printed, "%v %+v %#v %q\n", e, e, e, e)
		if err := json.NewEncoder(&printed).Encode(e); err != nil {
			t.Error(err)
		}
		if closed, ok := e.(session.Closed); ok {
			fmt.Fprintln(&printed, closed.Err)
		}
	}
	conversation{emulator: &emulator.Server{}, lag: listening, source: noting, hears: hears, ends: session.CodeProtocol}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		for _, fault := range []string{`{"kind":"drop"}`, `{"kind":"expire-token"}`, `{"kind":"goaway","timeLeft":"10s"}`} {
			k.fault(fault)
			time.Sleep(30 * time.Second)
			k.say("what is my name?")
		}
		mu.Lock()
		reason := "refused " + tokens[len(tokens)-1] + " " + handles[len(handles)-1]
		mu.Unlock()
		k.fault(fmt.Sprintf(`{"kind":"close","code":1007,"reason":%q}`, reason))
		time.Sleep(time.Minute)
	})
	text := printed.String()
	if len(tokens) < 2 || len(handles) < 4 || !strings.Contains(text, ": refused ") {
		t.Fatalf("there are %d tokens and %d handles; printed is %q", len(tokens), len(handles), text)
	}
	for _, secret := range slices.Concat(tokens, handles, []string{"emulator-test"}) { // the last is the key
		if strings.Contains(text, secret) {
			t.Errorf("%q is printed", secret)
		}
	}
}
