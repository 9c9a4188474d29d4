package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/profile"
	"github.com/livevalet/livevalet/wasm/edge"
	"github.com/livevalet/livevalet/wasm/session"
)

// The tightest times that people were caught by: tokens that start one session within
// a minute and are good for 90 s, at a service that says goAway every 30 s. The issuer
// and the engine are ours, whole; ten minutes long nobody notices.
func TestAConversationOutlivesTokensOf90SecondsWithAGoAwayEach30(t *testing.T) {
	withService(t, func(t *testing.T, s *service) {
		const every, lead = 30 * time.Second, 10 * time.Second
		s.ConnectionLifetime, s.GoAwayLead = every+lead, lead
		d, _ := limited(t, profile.Limits{}, func(c *Config) { // those of every profile
			c.Minter, c.Live = s, LiveHere
			c.Profiles = []profile.Profile{made(t, profile.Spec{Leash: 90 * time.Second, NewSession: time.Minute, Uses: 1})}
			c.Address = func(*http.Request) (netip.Addr, error) { return netip.IPv6Loopback(), nil }
		})
		var asked []string
		s.issuer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			d.ServeHTTP(w, r)
		})

		var mu sync.Mutex
		var resumed []session.Resumed
		answers := make(chan string, 100)
		conversation := session.New(session.Config{
			Profile: "default", Setup: map[string]any{"outputAudioTranscription": map[string]any{}}, Editor: edge.Editor{},
			Source: edge.Issuer{URL: "http://localhost/v1/token", Client: s.client, Header: http.Header{"Authorization": {"ada"}}}.Token,
			Dial:   session.Dialing(edge.Dialer{Client: s.client}.Dial),
			Emit: func(e session.Event) {
				mu.Lock()
				defer mu.Unlock()
				switch e := e.(type) {
				case session.Resumed:
					resumed = append(resumed, e)
				case session.Status:
					if e.State == session.StateWaiting {
						t.Errorf("it waits: %+v", e)
					}
				case session.Utterance:
					switch {
					case e.Who != session.SpeakerModel:
					case e.Cut || e.Regenerates != "":
						t.Errorf("an answer is cut: %+v", e)
					case e.Final:
						answers <- e.Text
					}
				}
			},
		})
		done := make(chan error)
		go func() { done <- conversation.Run(t.Context()) }()
		say := func(text string) string {
			t.Helper()
			in, err := edge.NewInput(map[string]any{"realtimeInput": map[string]any{"text": text}})
			if err != nil {
				t.Fatal(err)
			}
			if err := conversation.Send(in, func(err error) {
				if err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			select {
			case words := <-answers:
				return words
			case <-time.After(time.Minute):
				t.Fatalf("%q has no answer", text)
				return ""
			}
		}

		const long = 10 * time.Minute
		say("my name is Ada")
		said, told := 0, 0
		for begin := time.Now(); time.Since(begin) < long; time.Sleep(7 * time.Second) {
			text, want := "what is my name?", "Ada"
			if said++; said%8 == 0 { // few enough to be recalled between two goAways
				told++
				text, want = fmt.Sprint("remember that ", told), fmt.Sprintf("I will remember that %d.", told)
			}
			if words := say(text); !strings.Contains(words, want) {
				t.Errorf("after %v the model says %q, want %q", time.Since(begin), words, want)
			}
			s.checkTokens(t)
		}
		all := []string{"your name is Ada"}
		for n := told; n > 0; n-- { // the newest first
			all = append(all, fmt.Sprint(n))
		}
		if words, want := say("what do you remember?"), "I remember that "+strings.Join(all, ", and that "); !strings.HasPrefix(words, want) {
			t.Errorf("at the end the model says %q, want %q", words, want)
		}
		conversation.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}

		mu.Lock()
		defer mu.Unlock()
		for _, r := range resumed {
			if r.Rung == session.RungRestart {
				t.Errorf("a session was lost: %+v", r)
			}
		}
		if n := len(resumed); n < int(long/every) {
			t.Errorf("%d connections were resumed", n)
		}
		renewals := 0
		for _, path := range asked {
			if path == "/v1/token/renew" {
				renewals++
			}
		}
		if begun := len(asked) - renewals; renewals < int(long/(90*time.Second)) || begun > 2 { // one and its release
			t.Errorf("the issuer was asked for %d renewals and %d other things: %v", renewals, begun, asked)
		}
	})
}

// checkTokens looks for a socket that the service closed because its token was over.
func (s *service) checkTokens(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprint("http://service/__emulator/journal?after=", s.seen), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var journal struct{ Entries []json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&journal); err != nil || len(journal.Entries) == 0 {
		t.Fatalf("%d entries, %v", len(journal.Entries), err)
	}
	for _, entry := range journal.Entries {
		var numbered struct{ Seq int64 }
		if err := json.Unmarshal(entry, &numbered); err != nil {
			t.Fatal(err)
		}
		s.seen = numbered.Seq
		if strings.Contains(string(entry), "expired") {
			t.Errorf("a frame came on a token that was over: %s", entry)
		}
	}
}
