package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livevalet/livevalet/issuer/conformance"
)

func TestProbeTellsEveryFactAndFailsWhereOneDoesNotHold(t *testing.T) {
	nothing := httptest.NewServer(http.NotFoundHandler())
	defer nothing.Close()
	var stdout, log output
	err := run(t.Context(), []string{"probe", "--base-url", nothing.URL}, nil, nil, &stdout, &log)
	if err == nil || !strings.Contains(err.Error(), "of 76 facts do not hold") {
		t.Errorf("it ends with %v", err)
	}
	lines := strings.Split(stdout.String(), "\n")
	if len(lines) < 78 || !strings.HasPrefix(lines[0], " 1  FAIL    observed") || !strings.HasPrefix(lines[1], " 2  pass    observed") || lines[76] != "" {
		t.Errorf("it prints\n%s", &stdout)
	}
	if !strings.Contains(stdout.String(), "The checks cannot tell about: U1 ") {
		t.Error("it does not say which questions stay open")
	}
}

// A second probe finds the clock where the first left it.
func TestProbesLeaveAnEmulatorAsItWas(t *testing.T) {
	r := start(t, nil, "emulate", "--listen", ":0")
	moving := slices.DeleteFunc(conformance.Facts(), func(f conformance.Fact) bool {
		return !slices.Contains([]int{6, 68, 75}, f.Number)
	})
	for range 2 {
		target := conformance.Target{BaseURL: r.url, Key: "emulator-mine", Client: http.DefaultClient, Paid: true}
		if err := keepApart(t.Context(), &target); err != nil {
			t.Fatal(err)
		}
		for result := range conformance.Check(t.Context(), target, moving) {
			if result.Verdict != conformance.Pass {
				t.Errorf("fact %d is %s: %s", result.Number, result.Verdict, result.Detail)
			}
		}
		_, header, _ := r.call(t, http.MethodPost, "/v1alpha/auth_tokens", "{}", "X-Goog-Api-Key", target.OtherKey)
		if now, err := http.ParseTime(header.Get("Date")); err != nil || time.Until(now) < 10*time.Minute {
			t.Errorf("the other project's time is %s, %v: it lives elsewhere", now, err)
		}
	}
	_, header, tokens := r.call(t, http.MethodGet, "/__emulator/tokens", "")
	if now, err := http.ParseTime(header.Get("Date")); err != nil || time.Until(now) > 10*time.Minute {
		t.Errorf("others find the time at %s, %v", now, err)
	}
	if tokens != "{\"count\":0,\"tokens\":[]}\n" {
		t.Errorf("others find %d bytes of tokens", len(tokens))
	}
}

func TestProbeSaysWhyItCannotKeepApart(t *testing.T) {
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"detail":"there are 1024 namespaces already: use one of them"}`, http.StatusBadRequest)
	}))
	defer full.Close()
	var stdout, log output
	err := run(t.Context(), []string{"probe", "--base-url", full.URL}, nil, nil, &stdout, &log)
	if err == nil || !strings.Contains(err.Error(), "1024 namespaces already") || stdout.String() != "" {
		t.Errorf("it prints %s and ends with %v", &stdout, err)
	}
}

func TestProbeEndsWithTheSwitchesThatDiffer(t *testing.T) {
	fact := conformance.Fact{Number: 7, Sentence: "a sentence", Evidence: []conformance.Label{conformance.Documented, conformance.Assumed}}
	var out output
	err := report(&out, slices.Values([]conformance.Result{
		{Fact: fact, Verdict: conformance.Pass, Answers: map[string]string{"U1": "yes", "U2": "ignored"}},
		{Fact: fact, Verdict: conformance.Unseen, Detail: "it costs money"},
	}))
	if err != nil {
		t.Errorf("what is unseen is no failure: %v", err)
	}
	for _, want := range []string{
		" 7  pass    documented, assumed      a sentence\n", "a sentence (it costs money)\n", "1 pass, 0 FAIL, 1 unseen",
		"  U1   does newSessionExpireTime gate", " yes (default: no)\n", "agree on: U2\n", "cannot tell about: U3 U4",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, &out)
		}
	}
}

func TestProbeShowsARealKeyToNobodyElse(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.NotFound(w, nil)
	}))
	defer elsewhere.Close()
	real := map[string]string{"GEMINI_API_KEY": canary}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"a real key for another host": {real, []string{"probe", "--base-url", elsewhere.URL}, "--send-key-to"},
		"neither a key nor a service": {nil, []string{"probe"}, "nothing to probe"},
		"a base URL that is none":     {nil, []string{"probe", "--base-url", "here"}, "must look like"},
		"nobody is there":             {nil, []string{"probe", "--base-url", "http://127.0.0.1:1"}, "livevalet emulate"},
		"a negative time":             {nil, []string{"probe", "--base-url", elsewhere.URL, "--connection=-1s"}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := refused(t, c.env, c.args...); !strings.Contains(said, c.want) {
				t.Errorf("it says %s, want %s", said, c.want)
			}
		})
	}
	if asked.Load() > 0 {
		t.Error("the other host was asked")
	}
}
