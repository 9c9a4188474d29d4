package conformance

import (
	"cmp"
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/livevalet/livevalet/issuer/emulator"
)

func TestMain(m *testing.M) {
	// genai brings a worker that never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// start serves an emulator and gives everything that can be asked of it.
func start(t *testing.T, s *emulator.Server) Target {
	t.Helper()
	ts := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		ts.Close()
	})
	return Target{
		BaseURL: ts.URL, Key: "emulator-conformance", OtherKey: "emulator-other", Control: ts.URL + "/__emulator/",
		Client: ts.Client(), Paid: true, Parallel: 16,
	}
}

func only(numbers ...int) (out []Fact) {
	for _, f := range Facts() {
		if slices.Contains(numbers, f.Number) {
			out = append(out, f)
		}
	}
	return out
}

// All facts, where each that must run alone gets an emulator of its own, so that
// nothing waits for anything.
func TestTheEmulatorConforms(t *testing.T) {
	t.Parallel()
	var results []Result
	var mu sync.Mutex
	var all sync.WaitGroup
	check := func(target Target, facts ...Fact) {
		all.Go(func() {
			got := slices.Collect(Check(t.Context(), target, facts))
			mu.Lock()
			defer mu.Unlock()
			results = append(results, got...)
		})
	}
	var together []Fact
	for _, f := range Facts() {
		if f.alone {
			check(start(t, &emulator.Server{}), f)
		} else {
			together = append(together, f)
		}
	}
	check(start(t, &emulator.Server{}), together...)
	all.Wait()

	slices.SortFunc(results, func(a, b Result) int { return cmp.Compare(a.Number, b.Number) })
	for _, r := range results {
		t.Logf("%d %s %s %v", r.Number, r.Verdict, r.Detail, r.Answers)
		if r.Verdict != Pass {
			t.Errorf("fact %d is %s: %s (%s)", r.Number, r.Verdict, r.Sentence, r.Detail)
		}
	}
	for _, a := range Answers(results) {
		if a.Answer != a.Default {
			t.Errorf("%s: %s is answered with %q, but the default is said to be %q", a.ID, a.Text, a.Answer, a.Default)
		}
	}
}

func TestFactsAreWhole(t *testing.T) {
	facts := Facts()
	if len(facts) != 76 {
		t.Errorf("there are %d facts", len(facts))
	}
	for i, f := range facts {
		if f.Number != i+1 || f.Sentence == "" || len(f.Evidence) == 0 || f.check == nil {
			t.Errorf("fact %d, in place %d, is not whole", f.Number, i+1)
		}
	}
	for i, q := range Questions() {
		if q.Default == "" || len(q.Facts) == 0 {
			t.Errorf("question %d is not whole", i+1)
		}
	}
}

func TestWhatCostsMoneyRunsOnlyWhenAskedFor(t *testing.T) {
	target := Target{BaseURL: "http://127.0.0.1:1", Key: "emulator"} // nobody is there
	for r := range Check(t.Context(), target, only(43, 57, 69)) {
		if r.Verdict != Unseen || !strings.Contains(r.Detail, "money") {
			t.Errorf("fact %d is %s: %s", r.Number, r.Verdict, r.Detail)
		}
	}
}

func TestAServiceThatIsNotThereFails(t *testing.T) {
	target := Target{BaseURL: "http://127.0.0.1:1", Key: "emulator-CANARY"}
	for r := range Check(t.Context(), target, only(1, 4, 18, 23, 74)) {
		if r.Verdict != Fail || r.Detail == "" || strings.Contains(r.Detail, "CANARY") {
			t.Errorf("fact %d is %s: %s", r.Number, r.Verdict, r.Detail)
		}
	}
}

func TestOnlyWhoIsThereIsReached(t *testing.T) {
	if err := Reach(t.Context(), start(t, &emulator.Server{})); err != nil {
		t.Errorf("an emulator: %v", err)
	}
	if err := Reach(t.Context(), Target{BaseURL: "http://127.0.0.1:1"}); err == nil {
		t.Error("nobody is reached")
	}
}

func TestResultsComeAsTheyAreKnown(t *testing.T) {
	released := make(chan struct{})
	facts := []Fact{
		{Number: 1, check: func(*probe) {}},
		{Number: 2, check: func(p *probe) {
			select {
			case <-released:
			case <-p.ctx.Done():
			}
		}},
	}
	for r := range Check(t.Context(), Target{}, facts) {
		if r.Number == 1 {
			close(released) // or the second never ends
		}
	}
	facts[1].check = func(p *probe) { <-p.ctx.Done() }
	for range Check(t.Context(), Target{}, facts) {
		break // which ends the second
	}
}

func TestAnEndedContextEndsTheChecks(t *testing.T) {
	target := start(t, &emulator.Server{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	for r := range Check(ctx, target, only(45, 68)) {
		if r.Verdict != Fail {
			t.Errorf("fact %d is %s: %s", r.Number, r.Verdict, r.Detail)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestNoSecretIsTold(t *testing.T) {
	p := &probe{target: Target{Key: "AIza-one", OtherKey: "AIza-two"}, secrets: []string{"handle-three"}}
	text := p.redact("AIza-one AIza-two handle-three auth_tokens/abc auth_tokens%2Fabc fine")
	if want := "[redacted] [redacted] [redacted] [redacted] [redacted] fine"; text != want {
		t.Errorf("got %q", text)
	}
}

func TestAnswersTellWhichSwitchesDiffer(t *testing.T) {
	answers := Answers([]Result{{Answers: map[string]string{"U1": "yes"}}, {Answers: map[string]string{"U2": "ignored"}}})
	for _, a := range answers {
		if want := a.ID == "U1"; a.Differs() != want {
			t.Errorf("%s differs: %t", a.ID, a.Differs())
		}
	}
}
