// Package conformance holds what is known about the token service and the Live
// socket of the Gemini API as numbered facts, each with its evidence and a
// check that asks a service at any address whether the fact holds there.
//
// It knows neither the issuer nor the emulator and shares no type with them: it
// writes JSON and reads JSON, over HTTP and WebSockets, as a stranger would.
//
// A check sees one of three things: the fact holds, it does not, or it cannot
// be seen there from outside. On its way it may learn the answer to an open
// question, one of [Questions].
//
// # Invariants
//
//   - Nothing that a check says holds a key, a token's name or a handle.
//   - Checks share nothing but the service. Those that move its clock or let it
//     misbehave run alone.
//   - What costs money or minutes runs only when the [Target] asks for it.
package conformance

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Label says how a fact is known.
type Label string

// The labels. Assumed facts are house rules: nobody has documented or measured
// them.
const (
	Documented Label = "documented" // by Google
	Observed   Label = "observed"   // by a third party at the real service
	Recorded   Label = "recorded"   // in Google's own recorded sessions
	Run        Label = "run"        // measured by running an official SDK
	SDK        Label = "sdk"        // read in an official SDK's source
	Standard   Label = "standard"   // follows from proto3 JSON or an RFC
	Inferred   Label = "inferred"   // from one of the above
	Assumed    Label = "assumed"
)

// Fact is one sentence about the service.
type Fact struct {
	Number   int
	Sentence string
	Evidence []Label // never empty

	// Paid marks a check that lets the model answer or hear, which costs money
	// at the real service.
	Paid bool

	alone bool // moves the service's clock or lets it misbehave
	check func(*probe)
}

// Labels is the evidence on one line.
func (f Fact) Labels() string {
	words := make([]string, len(f.Evidence))
	for i, l := range f.Evidence {
		words[i] = string(l)
	}
	return strings.Join(words, ", ")
}

// Facts lists all facts in the order of their numbers.
func Facts() []Fact {
	all := slices.Concat(tokenFacts, upgradeFacts, setupFacts, constraintFacts, useFacts, conversationFacts, resumptionFacts)
	slices.SortFunc(all, func(a, b Fact) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// Target is the service to ask. Only BaseURL and Key are required.
type Target struct {
	BaseURL string // such as https://generativelanguage.googleapis.com
	Key     string // an API key of the service

	// Client carries every request, the sockets' too. Whoever has rules about
	// where a key may go puts them here. It must follow no redirect. Nil is a
	// client without rules.
	Client *http.Client

	// OtherKey belongs to another project. Empty: what needs it is left out.
	OtherKey string

	// Control is where an emulator answers to control calls, such as
	// http://127.0.0.1:8089/__emulator/. Empty, or not answering: what needs it
	// is unseen.
	Control string

	// Model must answer in AUDIO only; empty is models/gemini-3.8-live.
	// OtherModel is a different one; empty is models/gemini-3.1-flash-live-preview.
	Model, OtherModel string

	// Connection is how long the service keeps a connection. Zero is 10 minutes.
	Connection time.Duration

	Paid bool // run checks that cost money
	Slow bool // run checks that take minutes

	// Parallel is how many checks run at a time. Zero is 4.
	Parallel int
}

// Verdict is what a check saw.
type Verdict string

// The verdicts.
const (
	Pass   Verdict = "pass"
	Fail   Verdict = "FAIL"
	Unseen Verdict = "unseen"
)

// Result is the verdict on one fact.
type Result struct {
	Fact
	Verdict Verdict
	Detail  string            // why it failed or was not seen; a remark if it passed
	Answers map[string]string // to open questions, by their id
}

// Reach reports whether anything answers at the target.
func Reach(ctx context.Context, target Target) error {
	target = target.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.BaseURL+"/", nil)
	if err != nil {
		return err
	}
	res, err := target.Client.Do(r)
	if err != nil {
		return fmt.Errorf("nothing answers: %w", err)
	}
	return res.Body.Close()
}

// Check asks the target about the facts and gives the results in their order,
// each as soon as it and all before it are known. The checks end early, with
// failures, when ctx does, and when nobody wants the next result.
func Check(ctx context.Context, target Target, facts []Fact) iter.Seq[Result] {
	target = target.withDefaults()
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results := make([]chan Result, len(facts))
		for i := range results {
			results[i] = make(chan Result, 1)
		}
		var checks sync.WaitGroup
		checks.Go(func() { checkAll(ctx, target, facts, results) })
		defer checks.Wait()
		defer cancel()
		for _, r := range results {
			if !yield(<-r) {
				return
			}
		}
	}
}

// checkAll runs what can run at once, then what must run alone.
func checkAll(ctx context.Context, target Target, facts []Fact, results []chan Result) {
	var together sync.WaitGroup
	places := make(chan struct{}, target.Parallel)
	for i, f := range facts {
		if f.alone {
			continue
		}
		places <- struct{}{}
		together.Go(func() {
			results[i] <- f.run(ctx, target)
			<-places
		})
	}
	together.Wait()
	for i, f := range facts {
		if f.alone {
			results[i] <- f.run(ctx, target)
		}
	}
}

func (t Target) withDefaults() Target {
	t.BaseURL = strings.TrimRight(t.BaseURL, "/")
	t.Model = cmp.Or(t.Model, "models/gemini-3.8-live")
	t.OtherModel = cmp.Or(t.OtherModel, "models/gemini-3.1-flash-live-preview")
	t.Connection = cmp.Or(t.Connection, 10*time.Minute)
	t.Parallel = cmp.Or(t.Parallel, 4)
	client := http.Client{}
	if t.Client != nil {
		client = *t.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Client = &client
	return t
}

// run does one check. A check ends by returning, which is a pass, or by
// panicking with its outcome.
func (f Fact) run(ctx context.Context, target Target) (r Result) {
	r = Result{Fact: f, Verdict: Pass}
	if f.Paid && !target.Paid {
		r.Verdict, r.Detail = Unseen, "it costs money, and was not asked for"
		return r
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{ctx: ctx, target: target, alone: f.alone, answers: map[string]string{}}
	defer func() {
		ended := recover()
		cancel()
		p.hangUp()
		r.Detail, r.Answers = p.remark, p.answers
		switch o := ended.(type) {
		case nil:
		case outcome:
			r.Verdict, r.Detail = o.verdict, o.detail
		default:
			panic(ended)
		}
		r.Detail = p.redact(r.Detail)
		for id, answer := range r.Answers {
			r.Answers[id] = p.redact(answer)
		}
	}()
	f.check(p)
	return r
}
