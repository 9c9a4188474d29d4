package emulator

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// rawSocket is a client that may break every rule of the WebSocket protocol. The
// test closes it.
type rawSocket struct {
	net.Conn
	in       *bufio.Reader
	upgraded *http.Response
}

func (b *bench) rawSocket(t *testing.T, path string, header ...string) *rawSocket {
	t.Helper()
	conn, err := b.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "emulator:80")
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "http://emulator"+path, nil)
	for _, h := range [][2]string{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}} {
		r.Header.Set(h[0], h[1])
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	s := &rawSocket{Conn: conn, in: bufio.NewReader(conn)}
	if s.upgraded, err = http.ReadResponse(s.in, r); err != nil || s.upgraded.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", s.upgraded, err)
	}
	return s
}

// The first byte of a frame.
const (
	fin     = 0x80
	rsv1    = 0x40 // compressed
	opMore  = 0x00 // continues a message
	opText  = 0x01
	opClose = 0x08
	opPing  = 0x09
)

// rawFrame is masked with zeros, so that its payload is as it was.
func rawFrame(first byte, payload string) []byte {
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, fin|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, fin|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, fin|127), uint64(n))
	}
	return append(append(out, 0, 0, 0, 0), payload...)
}

// write ends quietly when the other end does.
func (s *rawSocket) write(frames ...[]byte) {
	if all := bytes.Join(frames, nil); len(all) > 0 { // a pipe delivers nothing too
		s.Write(all)
	}
}

// live sets the session up.
func (s *rawSocket) live(t *testing.T) {
	t.Helper()
	s.write(rawFrame(fin|opText, `{"setup":{`+audioSetup+`}}`))
	s.wantLive(t)
}

// wantLive reads setupComplete, and nothing more.
func (s *rawSocket) wantLive(t *testing.T) {
	t.Helper()
	const complete = "{\n  \"setupComplete\": {}\n}\n"
	got := make([]byte, 2+len(complete))
	if _, err := io.ReadFull(s.in, got); err != nil || string(got[2:]) != complete {
		t.Fatalf("got %q, %v", got, err)
	}
}

// end reads up to the close frame and answers it; 1006 without one.
func (s *rawSocket) end(t *testing.T) (code int, reason string) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return 1006, ""
		}
		size := uint64(head[1])
		switch size {
		case 126:
			var n uint16
			binary.Read(s.in, binary.BigEndian, &n)
			size = uint64(n)
		case 127:
			binary.Read(s.in, binary.BigEndian, &size)
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			return 1006, ""
		}
		if head[0] == fin|opClose {
			s.write(rawFrame(fin|opClose, string(payload[:2])))
			return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
	}
}

func TestBrokenFrames(t *testing.T) {
	setup := `{"setup":{` + audioSetup + `}}`
	unmasked := append([]byte{fin | opText, byte(len(setup))}, setup...)
	for _, tt := range []struct {
		sentence string
		frames   []byte
		code     int
	}{
		{"a compressed message, though compression was declined", rawFrame(fin|rsv1|opText, "\x00"), 1002},
		{"a bit that means nothing", rawFrame(fin|0x20|opText, "{}"), 1002},
		{"an opcode that means nothing", rawFrame(fin|0x03, "{}"), 1002},
		{"a continuation of nothing", rawFrame(fin|opMore, "{}"), 1002},
		{"a message within a message", append(rawFrame(opText, "{"), rawFrame(fin|opText, "{}")...), 1002},
		{"a ping of 126 bytes", rawFrame(fin|opPing, strings.Repeat("x", 126)), 1002},
		{"a ping in fragments", rawFrame(opPing, "x"), 1002},
		{"a close frame of one byte", rawFrame(fin|opClose, "x"), 1002},
		{"a close frame with a code that none may have", rawFrame(fin|opClose, "\x03\xed"), 1002},
		{"an unmasked message", unmasked, 1006},
		{"a frame longer than there is memory", append([]byte{fin | opText, fin | 127}, "\x7f\xff\xff\xff\xff\xff\xff\xff0000half of it"...), 1011},
		{"a frame of negative length", append([]byte{fin | opText, fin | 127}, "\xff\xff\xff\xff\xff\xff\xff\xff0000"...), 1006},
		{"text that is not UTF-8", rawFrame(fin|opText, "{\"setup\":\"\xff\"}"), 1007},
		{"text cut within a letter", append(rawFrame(opText, "\xc3"), rawFrame(fin|opMore, "")...), 1007},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				s := b.rawSocket(t, socketPath+"?key="+testKey, "Sec-WebSocket-Extensions", "permessage-deflate")
				defer s.Close()
				if got := s.upgraded.Header.Get("Sec-WebSocket-Extensions"); got != "" {
					t.Errorf("agreed to %s", got)
				}
				go s.write(tt.frames)
				if code, _ := s.end(t); code != tt.code {
					t.Errorf("closed with %d, want %d", code, tt.code)
				}
			})
		})
	}
}

func TestAMessageInManyFragments(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		s := b.rawSocket(t, socketPath+"?key="+testKey)
		defer s.Close()
		setup := `{"setup":{` + audioSetup + `}}`
		s.write(rawFrame(opText, setup[:1]))
		for i := range setup[1:] {
			s.write(rawFrame(opMore, ""), rawFrame(fin|opPing, ""), rawFrame(opMore, setup[i+1:i+2]))
			s.in.Discard(2) // the pong
		}
		s.write(rawFrame(fin|opMore, ""))
		s.wantLive(t)
	})
}

// TestTheDripping sends a message so slowly that it never comes to its end.
func TestTheDripping(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		first    []byte
		drop     []byte
	}{
		{"nothing at all", nil, nil},
		{"a message in fragments", rawFrame(opText, "{"), rawFrame(opMore, " ")},
		{"a frame byte by byte", rawFrame(fin|opText, strings.Repeat(" ", 100_000))[:20], []byte(" ")},
		{"pings", nil, rawFrame(fin|opPing, "")},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				begin := time.Now()
				s := b.rawSocket(t, socketPath+"?key="+testKey)
				defer s.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					s.write(tt.first)
					for ctx.Err() == nil {
						time.Sleep(time.Second)
						s.write(tt.drop)
					}
				}()
				if code, reason := s.end(t); code != 1011 || !strings.HasPrefix(reason, "Deadline expired") || time.Since(begin) != 10*time.Minute {
					t.Errorf("closed with %d %q after %v", code, reason, time.Since(begin))
				}
			})
		})
	}
}

// The client keeps the connection, and says nothing of what the close frame
// waits for.
func TestAnUnansweredCloseFrameIsNotWaitedForLong(t *testing.T) {
	for sentence, last := range map[string][]byte{
		"between two messages":           nil,
		"between two fragments":          rawFrame(opText, "{"),
		"within a frame":                 rawFrame(fin|opText, "{}")[:7],
		"on a dead line, within a frame": rawFrame(fin|opText, "{}")[:7],
		"within what is too big":         rawFrame(fin|opText, strings.Repeat(" ", readLimit+2))[:readLimit+15],
	} {
		t.Run(sentence, func(t *testing.T) {
			bubble(t, new(Server), func(t *testing.T, b *bench) {
				s := b.rawSocket(t, socketPath+"?key="+testKey)
				defer s.Close()
				s.live(t)
				if strings.HasPrefix(sentence, "on a dead line") {
					b.control(t, "POST", "fault", `{"kind":"half-open","holds":"1h"}`)
				}
				go io.Copy(io.Discard, s)
				s.write(last)
				time.Sleep(10*time.Minute + closeTimeout)
				synctest.Wait()
				w := b.server.world()
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(w.open) > 0 {
					t.Error("the connection is still there")
				}
			})
		})
	}
}

func TestCloseWaitsForNoClient(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		for _, last := range [][]byte{nil, rawFrame(fin|opText, "{}")[:7], rawFrame(fin|opText, `{"setup":{}}`)} {
			s := b.rawSocket(t, socketPath+"?key="+testKey)
			defer s.Close()
			s.live(t)
			s.write(last) // a second setup is answered with a close frame
		}
		synctest.Wait()
		begin := time.Now()
		b.server.Close()
		if took := time.Since(begin); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Over real sockets, since it is the reset of a connection that could swallow
// the close frame.
func TestAMessageThatIsTooBig(t *testing.T) {
	var s Server
	server := httptest.NewServer(&s)
	defer server.Close()
	defer s.Close()
	for _, tt := range []struct {
		sentence string
		size     int
		code     websocket.StatusCode
	}{
		{"at the limit it is read", readLimit, 1007},
		{"one byte more is too much", readLimit + 1, 1009},
		{"and so is twice as much", 2 * readLimit, 1009},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			conn, _, err := websocket.Dial(t.Context(), server.URL+socketPath+"?key="+testKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			// An error of writing is no news: the close frame says why.
			go conn.Write(t.Context(), websocket.MessageText, bytes.Repeat([]byte(" "), tt.size))
			_, _, err = conn.Read(t.Context())
			if websocket.CloseStatus(err) != tt.code {
				t.Errorf("got %v, want %d", err, tt.code)
			}
			if tt.code == 1009 && !strings.Contains(err.Error(), "A message may have 16777216 bytes.") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		s := b.rawSocket(t, socketPath+"?key="+testKey)
		defer s.Close()
		s.live(t)
		s.write(rawFrame(fin|opText, `{"realtimeInput":{"text":"tell a long story"}}`))
		asked := time.Now()
		// What else it says is not taken in meanwhile.
		go s.write(rawFrame(fin|opText, `{"realtimeInput":{"text":"tell a long story"}}`))
		synctest.Wait()
		w := b.server.world()
		open, _, _ := w.sessions.state(w.sessions.match("*")[0])
		<-open.done
		synctest.Wait()
		if got := time.Since(asked); got != writeTimeout {
			t.Errorf("cut after %v", got)
		}
		entries := w.journal.since(0)
		if last := entries[len(entries)-1]; last.Kind != "close" || !strings.Contains(string(last.Message), "1006") {
			t.Errorf("the journal ends with %+v", last)
		}
		if n := len(w.sessions.match("*")); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestNothingMoreIsSaidToAClientThatWasCut(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		s := b.rawSocket(t, socketPath+"?key="+testKey)
		defer s.Close()
		s.write(rawFrame(fin|opText, `{"setup":{`+audioSetup+`,"realtimeInputConfig":{"automaticActivityDetection":{"prefixPaddingMs":1,"silenceDurationMs":1}}}}`))
		s.wantLive(t)
		w := b.server.world()
		open, _, _ := w.sessions.state(w.sessions.match("*")[0])
		var pcm []byte
		for _, x := range sound(16000, strings.Repeat("-20/100ms -90/100ms ", 20)) { // each is answered
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(x))
		}
		s.write(rawFrame(fin|opText, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"`+base64.StdEncoding.EncodeToString(pcm)+`"}}}`))
		<-open.done
		if open.turns > 1 {
			t.Errorf("it gave %d answers", open.turns)
		}
	})
}

func TestWhatIsHeldBackIsBounded(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		c := b.openKey(t, audioSetup)
		b.control(t, "POST", "fault", `{"kind":"burst","holds":"1m"}`)
		w := b.server.world()
		open, _, _ := w.sessions.state(w.sessions.match("*")[0])
		sent := 0
		open.command(t.Context(), func(c *conversation) {
			for ; c.end == nil && sent < 100; sent++ {
				c.sendFrame(make([]byte, 1<<20), entry{}, nil)
			}
		})
		if sent != maxDelayed>>20+1 {
			t.Errorf("%d MiB were held back", sent)
		}
		c.wantClosed(t, 1006, "")
	})
}

func TestMintBodiesAreNotDecompressed(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	// Small enough to be there at once: nobody reads it, and a client whose line is
	// closed while it writes gets an error in place of the answer.
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		for coding, want := range map[string]string{
			"gzip":     "Content-Encoding is not supported here, send the body as it is.",
			"identity": "Invalid JSON payload received. Invalid UTF-8.",
		} {
			code, _, text := b.do(t, "POST", "/v1alpha/auth_tokens", bomb.String(), "x-goog-api-key", testKey, "Content-Encoding", coding)
			if code != 400 || !strings.Contains(text, want) {
				t.Errorf("%s: got %d %s", coding, code, text)
			}
		}
	})
}

// heapInUse is what the heap holds, in bytes.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what was pooled is dropped by the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLittleIsKeptOfLargeMessages(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		token := b.mint(t, "")
		refused := func(setup, reason string) {
			c := b.dial(t, tokenPath+token)
			defer c.conn.CloseNow()
			c.send(t, `{"setup":{`+setup+`}}`)
			_, got := c.closed(t)
			if !strings.HasPrefix(got, reason) {
				t.Errorf("refused with %q", got)
			}
		}
		c := b.openKey(t, textSetup)
		kinds := map[string]func(size int){
			"models": func(size int) { refused(`"model":"models/`+strings.Repeat("x", size)+`"`, "models/x") },
			"modalities": func(size int) {
				refused(`"model":"models/gemini-3.8-live","generationConfig":{"responseModalities":["AUDIO"`+strings.Repeat(`,"AUDIO"`, min(size, 40_000))+`]}`, "The requested combination")
			},
			"facts": func(size int) { c.ask(t, "remember that "+strings.Repeat("x", size), false) },
		}
		for what, tell := range kinds {
			tell(1) // makes what is made once
			synctest.Wait()
			before := heapInUse()
			for range maxTokenRecord {
				tell(maxPending)
			}
			synctest.Wait()
			// 16 of 64 KiB.
			if grown := heapInUse() - before; grown > 512<<10 {
				t.Errorf("%d bytes are kept of large %s", grown, what)
			}
		}
	})
}

func TestManyIdleSockets(t *testing.T) {
	bubble(t, new(Server), func(t *testing.T, b *bench) {
		memory := func() (goroutines int, bytes int64) {
			synctest.Wait()
			return runtime.NumGoroutine(), heapInUse()
		}
		open := func(n int) []*rawSocket {
			var all []*rawSocket
			for range n {
				s := b.rawSocket(t, socketPath+"?key="+testKey)
				s.live(t)
				all = append(all, s)
			}
			return all
		}
		open(1)[0].Close() // makes what is made once
		goroutines, before := memory()
		all := open(idleSockets)
		w := b.server.world()
		if got := len(w.sessions.match("*")); got != idleSockets {
			t.Fatalf("%d sessions are open", got)
		}
		b.server.Close()
		for _, s := range all {
			if code, _ := s.end(t); code != 1006 {
				t.Errorf("closed with %d", code)
			}
			s.Close()
		}
		all, w.journal = nil, nil
		after, rest := memory()
		if after > goroutines {
			t.Errorf("%d goroutines, and %d before", after, goroutines)
		}
		// What the runtime keeps of a goroutine that has ended is half a kilobyte.
		if left := rest - before; left > 2*idleSockets<<10 {
			t.Errorf("%d bytes are left", left)
		}
	})
}
