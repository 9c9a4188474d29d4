package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"sync"
)

// conversation is what every example prints.
var conversation = regexp.MustCompile(`(?m)^Hello Ada, nice to meet you\.\n[1-9]\d{4,} bytes of audio$`)

// examples checks the ones in docs/examples, and runs them against the emulator.
func (p *project) examples(ctx context.Context) (tally, report) {
	dir := filepath.Join(p.root, "docs", "examples")
	if err := p.npmInstall(ctx, dir); err != nil {
		return tally{failed: 1}, report(err.Error())
	}
	if err := p.tsc(ctx, dir); err != nil {
		return tally{failed: 1}, report(err.Error())
	}
	emulator := []service{p.livevalet("GOOGLE_GEMINI_BASE_URL", "emulate", "--listen", "127.0.0.1:0")}
	return p.with(ctx, emulator, func(settings []string) (result tally, why report) {
		examples := [][]string{{"go", "run", "./talk"}, {"node", "talk.mjs"}, {"node", "dist/talk.js"}}
		failed := make([]error, len(examples))
		var all sync.WaitGroup // at once: each listens to speech, which takes its time
		for i, words := range examples {
			all.Go(func() {
				example := p.in(ctx, "", words[0], words[1:]...)
				example.Dir = dir
				example.Env = append(example.Environ(), settings...)
				said, err := run(example)
				if err == nil && !conversation.MatchString(said) {
					err = fmt.Errorf("%v said:\n%s", words, said)
				}
				failed[i] = err
			})
		}
		all.Wait()
		for _, err := range failed {
			if err == nil {
				result.passed++
				continue
			}
			result.failed++
			why += report(err.Error() + "\n")
		}
		return result, why
	})
}
