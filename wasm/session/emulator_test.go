//go:build !js

package session_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/live"
	"github.com/livevalet/livevalet/wasm/session"
)

// pipeListener serves connections of net.Pipe, which virtual time can wait for.
type pipeListener struct {
	lag   func(net.Conn) net.Conn
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- l.lag(server):
		return l.lag(client), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listen serves handler in a bubble, to that client alone, until stop is called.
func listen(handler http.Handler, lag func(net.Conn) net.Conn) (client *http.Client, stop func()) {
	if lag == nil {
		lag = func(conn net.Conn) net.Conn { return conn }
	}
	l := &pipeListener{lag: lag, conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: l.DialContext, DisableKeepAlives: true}
	return &http.Client{Transport: transport}, func() {
		_ = server.Close()
		transport.CloseIdleConnections()
	}
}

// talk is a conversation with the emulator in a bubble.
type talk struct {
	t       *testing.T
	client  *http.Client
	service *emulator.Server
	session *session.Session
	conversation

	mu      sync.Mutex
	resumed []session.Resumed
	minted  int
	opened  int
	stalled int
	down    []session.State // states other than connecting and live
	said    strings.Builder
	turns   chan string // the model's words, a turn each
	calls   chan string // the ids of the function calls that the application sees
	ends    []session.ToolCall

	grows map[string]string // the utterances that are not final, by id
	final map[string]session.Utterance
}

// conversation says what a session talks with.
type conversation struct {
	emulator *emulator.Server
	life     time.Duration           // of tokens; zero is usual
	model    string                  // empty: gemini-3.8-live
	generate string                  // generationConfig that it needs, JSON; empty: AUDIO
	can      live.Capabilities       // of the grant
	allow    []string                // see live.Token
	lag      func(net.Conn) net.Conn // what lies between; nil: nothing
	setup    map[string]any          // nil: transcripts are asked for
	tools    []any                   // of the setup
	front    func(http.Handler) http.Handler
	source   func(*talk) session.TokenSource             // nil: the talk's own mint
	hears    func(session.Event)                         // beside the talk
	ends     string                                      // the code it ends with by itself; "": it does not
	manual   bool                                        // the application marks speech
	wall     func() time.Time                            // nil: the emulator's
	open     func(live.Token, session.Conn) session.Conn // what every connection is wrapped in; nil: nothing
	wrong    func(format string, args ...any)            // is told of what must not be; nil: the test
}

// hold runs play with a session that is about to go live. The emulator mints its
// tokens as an issuer would have them minted.
func (c conversation) hold(t *testing.T, play func(*talk)) {
	emu := c.emulator
	synctest.Test(t, func(t *testing.T) {
		handler := http.Handler(emu)
		if c.front != nil {
			handler = c.front(emu)
		}
		if c.wall == nil {
			c.wall = emu.Now
		}
		if c.wrong == nil {
			c.wrong = t.Errorf
		}
		client, stop := listen(handler, c.lag)
		c.life, c.model, c.generate = cmp.Or(c.life, usual), cmp.Or(c.model, "models/gemini-3.8-live"), cmp.Or(c.generate, `{"responseModalities":["AUDIO"]}`)
		dial := session.Dialing(edge.Dialer{Client: client}.Dial)
		k := &talk{t: t, client: client, service: emu, conversation: c, turns: make(chan string, 1000), calls: make(chan string, 1000),
			grows: map[string]string{}, final: map[string]session.Utterance{}}
		source, setup := session.TokenSource(k.mint), c.setup
		if c.source != nil {
			source = c.source(k)
		}
		if setup == nil {
			setup = map[string]any{"inputAudioTranscription": map[string]any{}, "outputAudioTranscription": map[string]any{}}
		}
		if c.tools != nil {
			setup["tools"] = c.tools
		}
		k.session = session.New(session.Config{
			Profile: "default",
			Setup:   setup,
			Editor:  edge.Editor{},
			Source:  source,
			Wall:    c.wall,
			Dial: func(ctx context.Context, tok live.Token) (session.Conn, error) {
				conn, err := dial(ctx, tok)
				if err == nil && c.open != nil {
					conn = c.open(tok, conn)
				}
				return conn, err
			},
			Emit: func(e session.Event) {
				k.event(e)
				if c.hears != nil {
					c.hears(e)
				}
			},
		})
		k.session.WithoutChance()
		done := make(chan error)
		go func() { done <- k.session.Run(context.Background()) }()
		play(k)
		if c.ends != "" {
			time.AfterFunc(time.Minute, k.session.Close)
		} else {
			k.session.Close()
		}
		err := <-done
		if failed, ok := errors.AsType[*session.Error](err); c.ends != "" && (!ok || failed.Code != c.ends) || c.ends == "" && err != nil {
			c.wrong("Run: %v, want code %q", err, c.ends)
		}
		for id, text := range k.grows {
			c.wrong("utterance %s (%q) is never final", id, text)
		}
		stop()
		_ = emu.Close()
		time.Sleep(2 * time.Second) // until what lags has arrived
		synctest.Wait()
	})
}

func (k *talk) mint(ctx context.Context, _ live.Need) (live.Token, error) {
	now := k.service.Now()
	body := fmt.Sprintf(`{"uses":1,"expireTime":%q,"newSessionExpireTime":%q,"fieldMask":"model,generationConfig",
		"bidiGenerateContentSetup":{"model":%q,"generationConfig":%s}}`,
		now.Add(k.life).UTC().Format(time.RFC3339), now.Add(time.Minute).UTC().Format(time.RFC3339), k.model, k.generate)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://emulator/v1alpha/auth_tokens", strings.NewReader(body))
	if err != nil {
		return live.Token{}, err
	}
	req.Header.Set("x-goog-api-key", "emulator-test")
	res, err := k.client.Do(req)
	if err != nil {
		return live.Token{}, err
	}
	defer res.Body.Close()
	var answer struct{ Name string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return live.Token{}, fmt.Errorf("mint: status %d, %v", res.StatusCode, err)
	}
	k.mu.Lock()
	k.minted++
	k.mu.Unlock()
	return live.Token{
		Secret: live.NewSecret(answer.Name), Profile: "default", Model: k.model, Lock: live.LockMasked, Allow: k.allow,
		ExpiresIn: k.life, NewSessionExpiresIn: time.Minute, RenewAfter: k.life * 3 / 4, Param: "access_token",
		Capabilities: k.can, Limits: live.Limits{ManualActivity: k.manual},
		URL: "ws://emulator/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
	}, nil
}

func (k *talk) event(e session.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch e := e.(type) {
	case session.Resumed:
		k.resumed = append(k.resumed, e)
	case session.TokenNews:
		if e.Opened {
			k.opened++
		}
	case session.Status:
		if e.State == session.StateWaiting {
			k.down = append(k.down, e.State)
		}
	case session.Stalled:
		k.stalled++
	case session.Utterance:
		k.utterance(e)
	case session.ToolCall:
		if e.State != session.CallMade {
			k.ends = append(k.ends, e)
		}
	case session.Received:
		body := e.Message.Body.(map[string]any)
		if asked, ok := body["toolCall"].(map[string]any); ok {
			for _, call := range asked["functionCalls"].([]any) {
				k.calls <- call.(map[string]any)["id"].(string)
			}
		}
		k.said.WriteString(cmp.Or(e.Message.Said, e.Message.Written))
		if e.Message.TurnComplete {
			k.turns <- k.said.String()
			k.said.Reset()
		}
	}
}

// utterance holds what is told of utterances against what is promised.
func (k *talk) utterance(u session.Utterance) {
	if before, over := k.final[u.ID]; over {
		k.wrong("%+v is told after it was final: %+v", u, before)
	}
	if u.Who == session.SpeakerModel && !strings.HasPrefix(u.Text, k.grows[u.ID]) {
		k.wrong("%+v does not grow out of %q", u, k.grows[u.ID])
	}
	if of, ok := k.final[u.Regenerates]; u.Regenerates != "" && (!ok || of.Who != u.Who) {
		k.wrong("%+v stands in the place of %+v", u, of)
	}
	if k.grows[u.ID] = u.Text; u.Final {
		delete(k.grows, u.ID)
		k.final[u.ID] = u
	}
}

// send sends text.
func (k *talk) send(text string) {
	k.t.Helper()
	k.put(map[string]any{"realtimeInput": map[string]any{"text": text}})
}

// put sends a message; the channel tells what became of it.
func (k *talk) put(message map[string]any) <-chan error {
	k.t.Helper()
	in, err := edge.NewInput(message)
	if err != nil {
		k.t.Fatal(err)
	}
	settled := make(chan error, 1)
	if err := k.session.Send(in, func(err error) { settled <- err }); err != nil {
		k.t.Fatal(err)
	}
	return settled
}

// say sends text and waits for the model's turn.
func (k *talk) say(text string) string {
	k.t.Helper()
	k.send(text)
	return k.hear(text)
}

// hear waits for the model's turn, the answer to what.
func (k *talk) hear(what string) string {
	k.t.Helper()
	select {
	case words := <-k.turns:
		return words
	case <-time.After(2 * time.Minute):
		k.t.Fatalf("no answer to %q", what)
		return ""
	}
}

// entry is one of the emulator's journal.
type entry struct {
	Seq                       int64
	Time                      time.Time
	Session, Token, Dir, Kind string
	Message                   map[string]any
	Contains                  int64
	Without                   []struct{ From, To int64 }
}

// at is what stands in its message at that path.
func (e entry) at(path ...string) any {
	var v any = e.Message
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// journal is what the emulator saw after the entry of that number.
func (k *talk) journal(after int64) []entry {
	k.t.Helper()
	res, err := k.client.Get(fmt.Sprint("http://emulator/__emulator/journal?after=", after))
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Entries []entry }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		k.t.Fatal(err)
	}
	return answer.Entries
}

// usual is how long an issuer lets tokens live that it would rather renew.
const usual = 12 * time.Minute

// An hour with the service's limits as they are: connections of ten minutes,
// tokens of twelve. Nobody notices.
func TestAnHourOfConversationNeverGoesDown(t *testing.T) {
	for name, emu := range map[string]*emulator.Server{
		"with goaway":         {},
		"without any warning": {GoAwayLead: -1, FinalClose: emulator.CloseFrame{Code: live.CloseAbnormal}},
	} {
		t.Run(name, func(t *testing.T) {
			conversation{emulator: emu}.hold(t, func(k *talk) {
				k.say("my name is Ada")
				began := time.Now()
				for time.Since(began) < time.Hour {
					time.Sleep(97 * time.Second)
					if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
						t.Errorf("after %v the model says %q", time.Since(began), words)
					}
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				if len(k.resumed) < 6 {
					t.Errorf("%d connections were resumed in an hour, want at least 6", len(k.resumed))
				}
				for _, r := range k.resumed {
					if r.Rung == session.RungRestart {
						t.Errorf("a session was lost: %+v", r)
					}
				}
				if len(k.down) > 0 {
					t.Errorf("the session waited %d times", len(k.down))
				}
			})
		})
	}
}

// A day of connections of ten minutes and tokens of thirty, in which hardly
// anything is said: all of it is rotation.
func TestADayOfRotationsLosesNothing(t *testing.T) {
	conversation{emulator: &emulator.Server{}, life: 30 * time.Minute}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		for began := time.Now(); time.Since(began) < 24*time.Hour; {
			time.Sleep(3 * time.Hour)
			if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
				t.Errorf("after %v the model says %q", time.Since(began), words)
			}
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		t.Logf("%d rotations, %d tokens", len(k.resumed), k.minted)
		// The rotations come before the ten minutes are over, the tokens last for
		// three quarters of their life.
		if n := len(k.resumed); n < 144 || n > 160 {
			t.Errorf("%d rotations in a day, want about 150", n)
		}
		if k.minted < 48 || k.minted > 72 {
			t.Errorf("%d tokens were minted in a day, want about 64", k.minted)
		}
		for _, r := range k.resumed {
			if r.Rung == session.RungRestart {
				t.Errorf("a session was lost: %+v", r)
			}
		}
		if len(k.down) > 0 {
			t.Errorf("the session waited %d times", len(k.down))
		}
	})
}

// Tokens that hardly outlive two connections: each is renewed ahead, and no
// rotation waits for one.
func TestShortTokensAreRenewedAhead(t *testing.T) {
	emu := &emulator.Server{ConnectionLifetime: 40 * time.Second, GoAwayLead: 10 * time.Second}
	conversation{emulator: emu, life: 90 * time.Second}.hold(t, func(k *talk) {
		k.say("my name is Ada")
		for range 20 {
			time.Sleep(25 * time.Second)
			if words := k.say("what is my name?"); !strings.Contains(words, "Ada") {
				t.Errorf("the model says %q", words)
			}
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, r := range k.resumed {
			if r.Cause != session.CauseGoAway && r.Cause != session.CauseRenew {
				t.Errorf("resumed %+v: not in time", r)
			}
		}
		if len(k.resumed) < 15 || k.minted < 7 || k.minted > 10 || len(k.down) > 0 {
			t.Errorf("%d rotations, %d tokens, %d waits", len(k.resumed), k.minted, len(k.down))
		}
	})
}

// An hour with a service that misbehaves all the time: mints fail, lines go
// silent, connections are cut every few minutes. The conversation goes on. What
// was asked into a cut may stay unanswered, so not every question is counted.
func TestARudeHourDoesNotEndAConversation(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			conversation{emulator: &emulator.Server{Rude: true, Seed: seed}}.hold(t, func(k *talk) {
				began := time.Now()
				asked, remembered := 0, 0
				for text := "my name is Ada"; time.Since(began) < time.Hour; text = "what is my name?" {
					asked++
					k.send(text)
					select {
					case words := <-k.turns:
						if strings.Contains(words, "Ada") {
							remembered++
						}
					case <-time.After(30 * time.Second):
					}
					time.Sleep(20 * time.Second)
				}
				if remembered*10 < asked*9 {
					t.Errorf("%d of %d answers knew the name", remembered, asked)
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				if len(k.resumed) < 8 {
					t.Errorf("only %d connections were resumed: that was not rude", len(k.resumed))
				}
			})
		})
	}
}

// brief is a service that cuts every connection after a while, without a warning.
func brief(life time.Duration) *emulator.Server {
	return &emulator.Server{ConnectionLifetime: life, GoAwayLead: -1, FinalClose: emulator.CloseFrame{Code: live.CloseAbnormal}}
}

// Stories that take half a minute each, on connections that last 45 s. Each
// question is told once, each story is told whole, and what was cut short is
// followed by another one in its place.
func TestATranscriptIsWholeOverManyCuts(t *testing.T) {
	conversation{emulator: brief(45 * time.Second)}.hold(t, func(k *talk) {
		const questions = 10
		for n := range questions {
			k.send(fmt.Sprint("tell a long story, number ", n))
			time.Sleep(70 * time.Second)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		typed, again, stories, cut := map[string]bool{}, map[string]bool{}, map[string]int{}, 0
		for _, u := range k.final {
			again[u.Regenerates] = true
			switch {
			case u.Typed && typed[u.Text]:
				t.Errorf("%q is told twice", u.Text)
			case u.Typed:
				typed[u.Text] = true
			case u.Cut:
				cut++
			default:
				stories[u.Text]++
			}
		}
		for _, u := range k.final {
			if u.Cut && !again[u.ID] {
				t.Errorf("%+v is not given again", u)
			}
		}
		if len(stories) != 1 || len(typed) != questions {
			t.Errorf("%d questions and %d different stories are told: %v", len(typed), len(stories), stories)
		}
		if cut < 3 {
			t.Errorf("only %d stories were cut short", cut)
		}
	})
}

// frame is 20 ms of sound.
func frame(t *testing.T, level int16) live.Input {
	t.Helper()
	pcm := make([]byte, 640)
	for i := range 320 {
		binary.LittleEndian.PutUint16(pcm[2*i:], uint16(level*int16(1-i/8%2*2)))
	}
	in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{
		"audio": map[string]any{"mimeType": "audio/pcm;rate=16000", "data": base64.StdEncoding.EncodeToString(pcm)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// A cut in the answer to speech: the speech is sent again, heard again and still
// one utterance.
func TestSpeechIsOneUtteranceOverACut(t *testing.T) {
	conversation{emulator: brief(20 * time.Second)}.hold(t, func(k *talk) {
		for n := range 2000 { // the user speaks from 16.5 s to 18 s
			level := int16(0)
			if n >= 825 && n < 900 {
				level = 8000
			}
			if err := k.session.Send(frame(t, level), func(error) {}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		var heard, cut, again []session.Utterance
		for _, u := range k.final {
			switch {
			case u.Who == session.SpeakerUser:
				heard = append(heard, u)
			case u.Cut:
				cut = append(cut, u)
			default:
				again = append(again, u)
			}
		}
		if len(heard) != 1 || !strings.Contains(heard[0].Text, "seconds of sound)") || strings.Count(heard[0].Text, "(") != 1 {
			t.Errorf("the user is told to have said %+v", heard)
		}
		if len(cut) != 1 || len(again) != 1 || again[0].Regenerates != cut[0].ID {
			t.Errorf("the model is told to have said %+v, then %+v", cut, again)
		}
	})
}

// fault makes trouble on all sessions.
func (k *talk) fault(body string) {
	k.t.Helper()
	res, err := k.client.Post("http://emulator/__emulator/fault", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		k.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNotFound { // 404: between two connections
		k.t.Fatalf("fault: status %d", res.StatusCode)
	}
}
