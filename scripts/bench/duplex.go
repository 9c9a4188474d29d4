package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

const (
	// maxPacing is the target for the 99th percentile of the pacing error.
	maxPacing = 20 * time.Millisecond

	// speedup is how much faster than real time the emulator sends audio
	// (docs/emulator.md).
	speedup = 3

	inRate  = 16000 // samples/s
	outRate = 24000
	chunk   = 20 * time.Millisecond
	talks   = 2 * time.Second // of speech-like sound, and then
	listens = 4 * time.Second // of a quiet room
	silence = 300 * time.Millisecond
)

// duplex is sessions that send a microphone's sound without a pause, and are
// answered with speech.
//
// All times are judged by the client's schedule, which nothing delays: piece n
// of a session's sound, of 20 ms, is due at the session's start plus n+1 times
// 20 ms. The emulator names the place in that sound where the activity ended;
// with the silence after it, which the setup demands, that gives the piece
// whose last sample ended the activity. When this piece was due, the answer is
// due too: its audio message k as much later as the audio before it takes to
// play, divided by speedup.
//
// The pacing error of an audio message is the time from there to its arrival
// at the client. It contains everything: a late timer of the client, the way in,
// detection, the plan of the answer, the emulator's timers, the way out.
type duplex struct {
	sessions int
	lasts    time.Duration
}

// heard is what a session, or all of them, saw.
type heard struct {
	sent    lateness // pieces of sound, when they were handed to the socket
	ends    lateness // the news that the activity ended
	audio   lateness // the pacing error
	answers int      // that were complete
}

func (h *heard) add(o heard) {
	h.sent, h.ends, h.audio = append(h.sent, o.sent...), append(h.ends, o.ends...), append(h.audio, o.audio...)
	h.answers += o.answers
}

func (d duplex) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("%d duplex sessions in real time for %v", d.sessions, d.lasts)}
	if d.sessions == 0 {
		return t, nil
	}
	h, err := d.run(ctx, s)
	if err != nil {
		return t, err
	}
	p99 := h.audio.quantile(0.99)
	t.rows = []row{
		{"pacing error of the answers' audio, p99", milliseconds(p99), fmt.Sprintf("<= %v", maxPacing), p99 > maxPacing},
		{"the same", h.audio.String(), "", false},
		{"news of the end of speech, late by", h.ends.String(), "", false},
		{"the client's own sending, late by", h.sent.String(), "", false},
		{"messages in and out", fmt.Sprintf("%.0f/s, %.0f/s of audio", float64(len(h.sent))/d.lasts.Seconds(), float64(len(h.audio))/d.lasts.Seconds()), "", false},
		{"answers", fmt.Sprint(h.answers), "", false},
	}
	if h.sent.quantile(0.99) > maxPacing/2 {
		t.note = "The client's own timers were late: the machine is busy with other things, so measure again."
	}
	return t, nil
}

// run lets the sessions talk. Their starts are spread over one round of talking
// and listening, so that the load is even.
func (d duplex) run(ctx context.Context, s *service) (all heard, err error) {
	setup := fmt.Sprintf(`"model":"models/gemini-3.8-live","sessionResumption":{},"outputAudioTranscription":{},`+
		`"realtimeInputConfig":{"automaticActivityDetection":{"silenceDurationMs":%d}}`, silence.Milliseconds())
	conns, err := s.openAll(ctx, d.sessions, setup)
	defer closeAll(conns)
	if err != nil {
		return all, err
	}
	sound := microphone()
	begin := time.Now().Add(100 * time.Millisecond)
	each := make([]heard, len(conns))
	group, ctx := errgroup.WithContext(ctx)
	for i, conn := range conns {
		start := begin.Add((talks + listens) * time.Duration(i) / time.Duration(len(conns)))
		group.Go(func() error { return each[i].talk(ctx, conn, sound, start, begin.Add(d.lasts)) })
	}
	err = group.Wait()
	for _, h := range each {
		all.add(h)
	}
	if err == nil && all.answers == 0 {
		err = errors.New("nobody was answered: let them talk for longer")
	}
	return all, err
}

// talk is one session, until end.
func (h *heard) talk(ctx context.Context, conn *websocket.Conn, sound [][]byte, start, end time.Time) error {
	reading := make(chan error, 1)
	go func() { reading <- h.listen(ctx, conn, start) }()
	err := h.speak(ctx, conn, sound, start, end)
	if err == nil {
		err = conn.Close(websocket.StatusNormalClosure, "")
	} else {
		conn.CloseNow()
	}
	if read := <-reading; websocket.CloseStatus(read) != websocket.StatusNormalClosure && !errors.Is(read, net.ErrClosed) {
		return fmt.Errorf("read: %w", read)
	}
	return err
}

func (h *heard) speak(ctx context.Context, conn *websocket.Conn, sound [][]byte, start, end time.Time) error {
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n+1) * chunk)
		if due.After(end) {
			return nil
		}
		time.Sleep(time.Until(due))
		h.sent = append(h.sent, time.Since(due))
		if err := conn.Write(ctx, websocket.MessageText, sound[n%len(sound)]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
}

func (h *heard) listen(ctx context.Context, conn *websocket.Conn, start time.Time) error {
	var due time.Time // of the answer
	var played time.Duration
	for {
		_, message, err := conn.Read(ctx)
		now := time.Now()
		if err != nil {
			return err
		}
		if data := value(message, "data"); data != nil {
			h.audio = append(h.audio, now.Sub(due.Add(played/speedup)))
			size := base64.RawStdEncoding.DecodedLen(len(bytes.TrimRight(data, "=")))
			played += time.Duration(size/2) * time.Second / outRate
		}
		if string(value(message, "type")) == "ACTIVITY_END" {
			at, err := time.ParseDuration(string(value(message, "audioOffset")))
			if err != nil {
				return fmt.Errorf("ACTIVITY_END: %w", err)
			}
			due, played = start.Add(at+silence), 0
			h.ends = append(h.ends, now.Sub(due))
		}
		if bytes.Contains(message, []byte(`"turnComplete"`)) {
			h.answers++
		}
	}
}

// value is the text of the first member of that name, nil if there is none. Of
// the emulator's own messages this is enough, and costs a client next to
// nothing.
func value(message []byte, name string) []byte {
	_, after, ok := bytes.Cut(message, []byte(`"`+name+`": "`))
	if !ok {
		return nil
	}
	text, _, _ := bytes.Cut(after, []byte(`"`))
	return text
}

// microphone is one round of talking and listening, as messages.
func microphone() (messages [][]byte) {
	noise := rand.New(rand.NewPCG(1, 2))
	var pcm []byte
	for i := range int((talks + listens).Seconds() * inRate) {
		at := float64(i) / inRate
		x := 0.0005 * (2*noise.Float64() - 1) // -71 dBFS: a quiet room
		if at < talks.Seconds() {
			// Four syllables a second, of a voice at 120 Hz with its harmonics.
			for k := 1.0; k <= 8; k++ {
				x += 0.2 / k * math.Sin(2*math.Pi*120*k*at) * (0.55 - 0.45*math.Cos(2*math.Pi*4*at))
			}
		}
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(x*math.MaxInt16)))
	}
	for piece := range slices.Chunk(pcm, 2*inRate*int(chunk)/int(time.Second)) {
		messages = append(messages, fmt.Appendf(nil, `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=%d","data":"%s"}}}`,
			inRate, base64.StdEncoding.EncodeToString(piece)))
	}
	return messages
}
