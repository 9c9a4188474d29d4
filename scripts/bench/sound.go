package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// minDecoded is the target for ours, as a multiple of the samples'.
const minDecoded = 1.0

// sound is how fast a page takes the model's sound: one message of the emulator's
// comes again and again, as fast as the page can read, until its PCM is ready. With
// ours, that is when the worker has handed it to the audio thread; with the peer's,
// when it is decoded, by `atob` as the samples do, and by `Uint8Array.fromBase64`.
// Nothing of it is played. The better of two counts, as nothing but other work
// makes a page slower.
type sound struct {
	messages int
	sdk      string
}

func (m sound) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("%d messages of sound at once", m.messages)}
	if m.messages == 0 {
		return t, nil
	}
	mine, atob, native := ours, peer, peer
	mine.query, atob.query, native.query = "counts", "counts", "counts&native"
	native.name += ", fromBase64"
	err := onStage(ctx, s, m.sdk, line{}, func(s stage) error {
		rates := map[string]float64{}
		for range 2 {
			for _, p := range []party{atob, native, mine} {
				rate, err := s.decode(ctx, p, m.messages)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				rates[p.name] = max(rates[p.name], rate)
			}
		}
		for _, p := range []party{atob, native, mine} {
			t.rows = append(t.rows, row{"ready each second, " + p.name, fmt.Sprintf("%.0f", rates[p.name]), "", false})
		}
		faster := rates[mine.name] / rates[atob.name]
		t.rows = append(t.rows, row{"  beside atob", fmt.Sprintf("%.2f x", faster), fmt.Sprintf(">= %.1f x", minDecoded), faster < minDecoded},
			row{"  beside fromBase64", fmt.Sprintf("%.2f x", rates[mine.name]/rates[native.name]), "", false})
		return nil
	})
	return t, err
}

// decode gives how many messages are ready each second.
func (s stage) decode(ctx context.Context, p party, messages int) (perSecond float64, err error) {
	tab, leave, err := s.open(p)
	if err != nil {
		return 0, err
	}
	defer leave()
	// The first of them is the emulator's own.
	if _, err := eval[any](tab, quietRoom+`const tell = await party.talk(stream, %d);
		await new Promise((resolve) => {
			party.counted(resolve);
			tell("my name is Ada");
		});
		await new Promise((resolve) => setTimeout(resolve, 1_500)); // until it has sent the rest
		let began, count = 0;
		globalThis.rate = new Promise((resolve) => {
			party.counted(() => {
				began ??= performance.now();
				if (++count === %d) resolve((count - 1) / (performance.now() - began) * 1_000);
			});
		});
		return null;`, p.piece, messages); err != nil {
		return 0, err
	}
	var group errgroup.Group
	group.Go(func() error { return s.flood(ctx, messages) })
	perSecond, err = eval[float64](tab, "return rate")
	if flooded := group.Wait(); flooded != nil {
		err = flooded
	}
	return perSecond, err
}
