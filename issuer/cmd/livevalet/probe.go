package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/livevalet/livevalet/issuer/conformance"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

const (
	// probeNamespace is where an emulator is probed: what checks do to clock and
	// connections nobody else may feel. One name serves every probe, since an
	// emulator bounds its namespaces and keeps them.
	probeNamespace = "livevalet-probe"

	// probeKey is what probe shows a service when there is no key.
	probeKey = "emulator-" + probeNamespace
)

type probeCommand struct {
	Slow       bool          `help:"Also run what takes minutes."`
	Paid       bool          `help:"Also run what costs money: the checks in which the model listens or answers. With an emulator's key they always run."`
	Model      string        `placeholder:"NAME" help:"A model that answers in AUDIO only (models/gemini-3.8-live)."`
	OtherModel string        `placeholder:"NAME" help:"Another model (models/gemini-3.1-flash-live-preview)."`
	Connection time.Duration `placeholder:"DURATION" help:"How long the service keeps a connection (10m)."`
	upstreamFlags
}

// Run prints a line for each fact, and what was learned of the open questions.
// It fails if a fact does not hold.
func (c *probeCommand) Run(ctx context.Context, p *program) error {
	key, from, err := apiKey(p.getenv)
	switch {
	case err != nil:
		return err
	case key.IsZero() && c.BaseURL == "":
		return errors.New("there is nothing to probe: name an emulator with --base-url, or set GEMINI_API_KEY")
	case c.Connection < 0:
		return errors.New("the connection's time is negative: leave --connection out for the default")
	case key.IsZero():
		key, from = live.NewSecret(probeKey), "none"
	}
	client, err := upstream.NewHTTPClient(upstream.Config{APIKey: key, BaseURL: c.BaseURL, SendKeyTo: c.SendKeyTo})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	target := conformance.Target{
		BaseURL: cmp.Or(c.BaseURL, upstream.Google), Key: key.Reveal(), Client: client,
		Model: qualified(c.Model), OtherModel: qualified(c.OtherModel), Connection: c.Connection, Paid: c.Paid, Slow: c.Slow,
	}
	announce(p.log, key, from, target.BaseURL)
	if err := conformance.Reach(ctx, target); err != nil {
		return fmt.Errorf("%w\nstart an emulator with `livevalet emulate`, or name another service with --base-url", err)
	}
	if !upstream.Real(key) {
		target.Paid, target.Parallel = true, 16
		if err := keepApart(ctx, &target); err != nil {
			return err
		}
	}
	return report(p.stdout, conformance.Check(ctx, target, conformance.Facts()))
}

// keepApart lets the checks of an emulator run in an empty namespace, with keys of
// that namespace. A service without namespaces is asked with the key there is,
// and has no clock to move.
func keepApart(ctx context.Context, target *conformance.Target) error {
	control, err := url.Parse(target.BaseURL)
	if err != nil {
		return errors.New("the base URL is not a URL")
	}
	control = control.JoinPath("__emulator/")
	control.RawQuery = url.Values{"ns": {probeNamespace}}.Encode()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, control.JoinPath("reset").String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := target.Client.Do(r)
	if err != nil {
		return fmt.Errorf("open a namespace for the checks: %w", err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		target.Key, target.OtherKey, target.Control = probeKey, probeKey+".other", control.String()
		return nil
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		target.OtherKey = target.Key + "-other"
		return nil
	}
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return fmt.Errorf("the emulator opens no namespace for the checks, start another one: %s %s", res.Status, strings.TrimSpace(string(answer)))
}

// qualified puts models/ in front of a model's name, as it is on the wire.
func qualified(model string) string {
	if model == "" || strings.Contains(model, "/") {
		return model
	}
	return "models/" + model
}

// report writes the results for people, each as soon as it is there.
func report(w io.Writer, checks iter.Seq[conformance.Result]) error {
	var results []conformance.Result
	count := map[conformance.Verdict]int{}
	for r := range checks {
		results = append(results, r)
		count[r.Verdict]++
		line := fmt.Sprintf("%2d  %-6s  %-23s  %s", r.Number, r.Verdict, r.Labels(), r.Sentence)
		if r.Detail != "" {
			line += " (" + r.Detail + ")"
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "\n%d pass, %d FAIL, %d unseen\n", count[conformance.Pass], count[conformance.Fail], count[conformance.Unseen])

	var differ, agree, open []string
	for _, a := range conformance.Answers(results) {
		switch {
		case a.Differs():
			differ = append(differ, fmt.Sprintf("  %-3s  %s  %s (default: %s)", a.ID, a.Text, a.Answer, a.Default))
		case a.Answer != "":
			agree = append(agree, a.ID)
		default:
			open = append(open, a.ID)
		}
	}
	if len(differ) > 0 {
		fmt.Fprintf(w, "\nSwitches that would make the emulator agree with this service:\n%s\n", strings.Join(differ, "\n"))
	} else {
		fmt.Fprintln(w, "\nNo switch of the emulator need be moved to agree with this service.")
	}
	fmt.Fprintf(w, "Its defaults agree on: %s\n", cmp.Or(strings.Join(agree, " "), "none"))
	fmt.Fprintf(w, "The checks cannot tell about: %s\n", cmp.Or(strings.Join(open, " "), "none"))
	if n := count[conformance.Fail]; n > 0 {
		return fmt.Errorf("%d of %d facts do not hold there", n, len(results))
	}
	return nil
}
