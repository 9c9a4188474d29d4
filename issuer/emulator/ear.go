package emulator

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	earRate   = 16000        // samples/s, the native rate of input audio (documented)
	earFrame  = earRate / 50 // samples that are judged together: 20 ms
	maxRecord = 20 * earRate // samples of an utterance that are kept to be said back
	maxPause  = 1 << 20      // ms, the longest setting that is taken
	minRate   = 8000         // samples/s; a declared rate outside counts as undeclared (assumed)
	maxRate   = 192000
)

// detection says when sound counts as speech. Levels are RMS in dB below full
// scale. That the sensitivities work by level, and all levels, are assumed.
type detection struct {
	start   float64       // from here up it may be speech
	end     float64       // below here it is silence
	prefix  time.Duration // of speech before its start is believed
	silence time.Duration // of silence before its end is
}

// detectionOf reads automaticActivityDetection. HIGH is the default of both
// sensitivities (documented). The two durations' defaults are the server's
// choice: 800 ms was seen in one sample of the documentation, 100 ms is assumed.
func detectionOf(setting tree) (detection, *refusal) {
	d := detection{start: -40, end: -45, prefix: 100 * time.Millisecond, silence: 800 * time.Millisecond}
	if setting.text("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW" {
		d.start = -28
	}
	if setting.text("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW" {
		d.end = -55
	}
	for name, to := range map[string]*time.Duration{"prefixPaddingMs": &d.prefix, "silenceDurationMs": &d.silence} {
		if ms, ok := setting[name].(int64); ok {
			if ms < 0 || ms > maxPause {
				return d, errArgument() // assumed
			}
			*to = time.Duration(ms) * time.Millisecond
		}
	}
	return d, nil
}

// ear follows a microphone: PCM16 of any declared rate in, the begin and end of
// activity out. All its time is that of the sound, not of the clock, so that a
// clip sent at once and a live stream are heard alike.
type ear struct {
	detection
	manual bool // the client marks activity
	record bool // keep the sound of activity

	half   []byte // half a sample, whose other half the next message brings
	change resampler
	rest   []int16 // less than a frame

	// All in samples.
	at    int // heard so far
	began int // where activity did, or may have, begun
	loud  int // speech that is not believed yet
	quiet int // silence that is not believed yet

	active bool
	sound  []int16 // of it, from its first loud frame on
}

// moment is a begin or end of activity.
type moment struct {
	begins bool
	at     time.Duration // from the begin of the stream
	length time.Duration // of what was said, if it ends
	whole  time.Duration // and with the silence after it
	sound  []int16       // of what was said, if recorded
}

// hear takes in the next piece of the stream.
func (e *ear) hear(mime string, data []byte) (moments []moment) {
	if rate := rateOf(mime); rate != e.change.from {
		moments = e.drain()
		e.change = resampler{from: rate, to: earRate}
	}
	data = append(e.half, data...)
	pcm := make([]int16, len(data)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	e.half = append([]byte(nil), data[2*len(pcm):]...)
	return append(moments, e.take(e.change.resample(pcm))...)
}

// take judges whole frames.
func (e *ear) take(pcm []int16) (moments []moment) {
	pcm = append(e.rest, pcm...)
	for ; len(pcm) >= earFrame; pcm = pcm[earFrame:] {
		if m, ok := e.frame(pcm[:earFrame]); ok {
			moments = append(moments, m)
		}
	}
	e.rest = append([]int16(nil), pcm...)
	return moments
}

// drain takes what the resampler and the last, incomplete frame hold.
func (e *ear) drain() (moments []moment) {
	if e.change.from != 0 {
		moments = e.take(e.change.flush())
	}
	if len(e.rest) > 0 {
		if m, ok := e.frame(e.rest); ok {
			moments = append(moments, m)
		}
	}
	e.half, e.rest, e.change = nil, nil, resampler{}
	return moments
}

func (e *ear) frame(pcm []int16) (moment, bool) {
	e.at += len(pcm)
	if e.manual {
		if e.active {
			e.keep(pcm)
		}
		return moment{}, false
	}
	level := level(pcm)
	switch {
	case !e.active && level < e.start:
		e.loud, e.sound = 0, nil
	case !e.active:
		if e.loud == 0 {
			e.began = e.at - len(pcm)
		}
		e.loud += len(pcm)
		e.keep(pcm)
		if earTime(e.loud) >= e.prefix {
			e.active, e.quiet = true, 0
			return moment{begins: true, at: earTime(e.began)}, true
		}
	case level < e.end:
		e.quiet += len(pcm)
		e.keep(pcm)
		if earTime(e.quiet) >= e.silence {
			return e.over(), true
		}
	default:
		e.quiet = 0
		e.keep(pcm)
	}
	return moment{}, false
}

// begin is the client's mark.
func (e *ear) begin() {
	e.drain()
	if !e.active {
		e.active, e.began, e.quiet = true, e.at, 0
	}
}

// finish is the client's mark, or the end of its stream. Activity ends without
// waiting for silence.
func (e *ear) finish() []moment {
	moments := e.drain()
	if e.active {
		moments = append(moments, e.over())
	}
	e.loud, e.sound = 0, nil
	return moments
}

// busy reports whether the ear has something that is no finished activity yet.
func (e *ear) busy() bool { return e.loud > 0 || e.active && e.at > e.began }

// split gives up what was heard of the activity, which goes on from here, and
// tells how long that was.
func (e *ear) split() (whole time.Duration) {
	if e.active {
		whole = earTime(e.at - e.began)
	}
	e.began, e.loud, e.sound = e.at, 0, nil
	return whole
}

func (e *ear) over() moment {
	said := max(0, e.at-e.quiet-e.began) // none since a split in the silence after it
	m := moment{at: earTime(e.at - e.quiet), length: earTime(said), whole: earTime(e.at - e.began)}
	m.sound = e.sound[:min(len(e.sound), said)]
	e.active, e.loud, e.sound = false, 0, nil
	return m
}

func (e *ear) keep(pcm []int16) {
	if e.record && len(e.sound) < maxRecord {
		e.sound = append(e.sound, pcm...)
	}
}

// level is the RMS in dB of full scale. What does not change cannot be heard, so
// a microphone's constant offset does not count.
func level(pcm []int16) float64 {
	var sum, squares float64
	for _, x := range pcm {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	n := float64(len(pcm))
	power := squares/n - (sum/n)*(sum/n)
	return 10 * math.Log10(max(power, 1e-3)/(math.MaxInt16*math.MaxInt16))
}

func earTime(samples int) time.Duration { return time.Duration(samples) * time.Second / earRate }

// isPCM: other audio is accepted, but there is no decoder for it here.
func isPCM(mime string) bool {
	kind, _, _ := strings.Cut(mime, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "audio/pcm")
}

// rateOf is the declared rate in samples/s, 16000 if there is none.
func rateOf(mime string) int {
	for parameter := range strings.SplitSeq(mime, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if n, err := strconv.Atoi(strings.TrimSpace(value)); strings.EqualFold(name, "rate") && err == nil && minRate <= n && n <= maxRate {
			return n
		}
	}
	return earRate
}

// pcmLength is how long PCM16 of that declared type plays.
func pcmLength(mime string, size int) time.Duration {
	return time.Duration(size/2) * time.Second / time.Duration(rateOf(mime))
}
