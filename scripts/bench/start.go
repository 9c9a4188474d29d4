package main

import (
	"context"
	"fmt"
	"time"
)

const (
	maxClick      = 1.0 // of the peer's time
	maxNavigation = 1.25
)

// slow is a line that is not good, and not the worst.
var slow = line{bits: 10e6, rtt: 40 * time.Millisecond}

// start is how long a visitor waits for a conversation that is live, in our page and
// in the peer's by turns. A token takes mintTime. After a click: the page has loaded,
// and ours has preloaded the engine. After a navigation: nothing is in any cache, and
// the page connects as soon as its script runs, ours with a compilation of the
// engine; also over a slow line.
type start struct {
	times int
	sdk   string
}

func (m start) measure(ctx context.Context, s *service) (table, error) {
	t := table{title: fmt.Sprintf("%d pages, from a click or a navigation until the conversation is live; a token takes %v", m.times, mintTime)}
	if m.times == 0 {
		return t, nil
	}
	compare := func(what string, most float64, times int, of func(stage, party) (time.Duration, error), over line) error {
		return onStage(ctx, s, m.sdk, over, func(s stage) error {
			took := map[string]lateness{}
			for range times {
				for _, p := range []party{ours, peer} {
					d, err := of(s, p)
					if err != nil {
						return err
					}
					took[p.name] = append(took[p.name], d)
				}
			}
			for _, p := range []party{peer, ours} {
				t.rows = append(t.rows, row{what + ", " + p.name, took[p.name].String(), "", false})
			}
			t.rows = append(t.rows, beside("  beside it", took[ours.name].quantile(0.5), took[peer.name].quantile(0.5), most))
			return nil
		})
	}
	if err := compare("click", maxClick, m.times, stage.click, line{}); err != nil {
		return t, err
	}
	if err := compare("navigation", maxNavigation, m.times, stage.navigate, line{}); err != nil {
		return t, err
	}
	return t, compare(fmt.Sprintf("the same over %d Mbit/s with %v", int(slow.bits/1e6), slow.rtt), 0, (m.times+4)/5, stage.navigate, slow)
}

// beside is by how many times a figure is the peer's; at most that, if most is not 0.
func beside(what string, ours, peer time.Duration, most float64) row {
	ratio := float64(ours) / float64(peer)
	r := row{what: what, figure: fmt.Sprintf("%.2f x", ratio)}
	if most > 0 {
		r.target, r.missed = fmt.Sprintf("<= %.2f x", most), ratio > most
	}
	return r
}

func (s stage) click(p party) (time.Duration, error) {
	tab, leave, err := s.open(p)
	if err != nil {
		return 0, err
	}
	defer leave()
	ms, err := eval[float64](tab, `await party.preload();
		await new Promise((resolve) => setTimeout(resolve, 200)); // until the page has nothing to do
		const clicked = performance.now();
		await party.start();
		return performance.now() - clicked;`)
	return time.Duration(ms * float64(time.Millisecond)), err
}

func (s stage) navigate(p party) (time.Duration, error) {
	p.query = "now"
	tab, leave, err := s.open(p)
	if err != nil {
		return 0, err
	}
	defer leave()
	ms, err := eval[float64](tab, "return live")
	return time.Duration(ms * float64(time.Millisecond)), err
}
