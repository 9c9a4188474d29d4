package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	maxMainThread = 0.25 // of the peer's
	maxMicGap     = 80 * time.Millisecond

	blocked  = 500 * time.Millisecond
	idleness = 10 * time.Second

	// quietRoom is a microphone that hears noise, of which the emulator's ear takes
	// no notice. It is no device, so that both pages hear the same.
	quietRoom = `const context = new AudioContext();
		const room = new AudioBufferSourceNode(context, { loop: true, buffer: new AudioBuffer({ length: 48_000, sampleRate: 48_000 }) });
		const samples = room.buffer.getChannelData(0);
		for (let i = 0; i < samples.length; i++) samples[i] = 0.004 * (Math.random() - 0.5);
		globalThis.stream = room.connect(new MediaStreamAudioDestinationNode(context)).stream;
		room.start();`

	// said is said back, which takes the emulator longer than leastHeard.
	said       = "remember that the key is under the mat, the cat is on the roof, the train to the sea leaves before noon, and somebody has to water the plants on the balcony every other day"
	leastHeard = 8 * time.Second
)

// talk is what a conversation costs the page, scaled to a minute: the microphone streams without a pause
// while the model speaks. The processor time is the main thread's, and beside it that
// of all threads of the page's process, where ours has the engine in a worker; what a
// page costs that does nothing but make the microphone's noise is taken off both.
// Then the page waits in a loop for 500 ms, a few times, and the emulator's journal
// has for how long no sound came.
//
// The peer is there twice: with pieces of 2048 frames, as the samples send, and of
// 20 ms, as ours does, which is the same work and what the target is for.
type talk struct {
	blocks int
	sdk    string
}

func (m talk) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: "a microphone that streams while the model speaks"}
	if m.blocks == 0 {
		return t, nil
	}
	same := peer
	same.name, same.piece = peer.name+" with 20 ms", 320
	err := onStage(ctx, s, m.sdk, line{}, func(stage stage) error {
		idle, err := stage.idle()
		if err != nil {
			return err
		}
		t.rows = append(t.rows, row{"processor time for a minute of a page that does nothing", idle.String(), "", false})
		costs, gaps := map[string]work{}, map[string]lateness{}
		parties := []party{peer, same, ours}
		for range 2 { // the lesser of two, as nothing but other work makes a page slower
			for _, p := range parties {
				cost, gap, err := stage.talk(ctx, s, p, m.blocks)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				cost = cost.since(idle)
				if before, ok := costs[p.name]; !ok || cost.main < before.main {
					costs[p.name] = cost
				}
				gaps[p.name] = append(gaps[p.name], gap...)
			}
		}
		for _, p := range parties {
			t.rows = append(t.rows, row{"  added by " + p.name, costs[p.name].String(), "", false})
		}
		mine, theirs := costs[ours.name], costs[same.name]
		t.rows = append(t.rows,
			beside("  on the main thread, beside it", mine.main, theirs.main, maxMainThread),
			beside("  in all", mine.all, theirs.all, 0),
			beside("  on the main thread, beside the samples", mine.main, costs[peer.name].main, 0))
		for _, p := range []party{peer, same} {
			t.rows = append(t.rows, row{fmt.Sprintf("longest gap in the sound while blocked for %v, %s", blocked, p.name), gaps[p.name].String(), "", false})
		}
		longest := gaps[ours.name].quantile(1)
		t.rows = append(t.rows, row{"the same, " + ours.name, gaps[ours.name].String(), fmt.Sprintf("<= %v", maxMicGap), longest > maxMicGap})
		return nil
	})
	return t, err
}

// idle gives what a minute costs in which nothing happens.
func (s stage) idle() (work, error) {
	tab, leave, err := s.open(ours)
	if err != nil {
		return work{}, err
	}
	defer leave()
	if _, err := eval[any](tab, quietRoom+"return null"); err != nil {
		return work{}, err
	}
	return perMinute(tab, func() error {
		_, err := eval[any](tab, "return new Promise((resolve) => setTimeout(() => resolve(null), %d))", idleness.Milliseconds())
		return err
	})
}

// talk gives what a minute costs, and the longest gap of each block.
func (s stage) talk(ctx context.Context, emulator *service, p party, blocks int) (cost work, gaps lateness, err error) {
	tab, leave, err := s.open(p)
	if err != nil {
		return cost, nil, err
	}
	defer leave()
	if _, err := eval[any](tab, quietRoom+"globalThis.tell = await party.talk(stream, %d); return null;", p.piece); err != nil {
		return cost, nil, err
	}
	cost, err = perMinute(tab, func() error {
		heard, err := eval[float64](tab, "return tell(%q)", said)
		if err == nil && heard < leastHeard.Seconds() {
			err = fmt.Errorf("%.1f s of the model were heard", heard)
		}
		return err
	})
	if err != nil {
		return cost, nil, err
	}
	for range blocks {
		from, _, err := emulator.sound(ctx, 0)
		if err != nil {
			return cost, nil, err
		}
		if _, err := eval[any](tab, `const pause = () => new Promise((resolve) => setTimeout(resolve, %d));
			await pause();
			for (const end = performance.now() + %[1]d; performance.now() < end;);
			await pause();
			return null;`, blocked.Milliseconds()); err != nil {
			return cost, nil, err
		}
		_, came, err := emulator.sound(ctx, from)
		if err != nil {
			return cost, nil, err
		}
		if len(came) < 2 {
			return cost, nil, errors.New("the microphone is silent")
		}
		gaps = append(gaps, longestGap(came))
	}
	return cost, gaps, nil
}

func longestGap(times []time.Time) (longest time.Duration) {
	for i := range times[1:] {
		longest = max(longest, times[i+1].Sub(times[i]))
	}
	return longest
}

// sound gives when sound of a microphone has come since an entry of the journal, and
// which entry is the newest.
func (s *service) sound(ctx context.Context, after int64) (newest int64, came []time.Time, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/__emulator/journal?after=%d", s.url, after), nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("read the journal: %w", err)
	}
	defer answer.Body.Close()
	var journal struct {
		Entries []struct {
			Seq     int64
			Time    time.Time
			Message struct{ RealtimeInput struct{ Audio any } }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&journal); err != nil {
		return 0, nil, fmt.Errorf("read the journal: %w", err)
	}
	newest = after
	for _, e := range journal.Entries {
		newest = e.Seq
		if e.Message.RealtimeInput.Audio != nil {
			came = append(came, e.Time)
		}
	}
	return newest, came, nil
}
