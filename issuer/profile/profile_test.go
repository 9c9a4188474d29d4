package profile

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestTheMaskNamesEveryFieldButThoseAPageNeeds(t *testing.T) {
	want, err := os.ReadFile("testdata/mask.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := Default().FieldMask(); got != strings.TrimSpace(string(want)) {
		t.Errorf("mask is %s", got)
	}
}

func TestTheDefaultSetupIsAsDocumented(t *testing.T) {
	raw, err := json.Marshal(Default().Setup(live.Secret{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"contextWindowCompression":{"slidingWindow":{}},"generationConfig":{"responseModalities":["AUDIO"]},` +
		`"inputAudioTranscription":{},"model":"models/gemini-3.8-live","outputAudioTranscription":{}}`
	if string(raw) != want {
		t.Errorf("setup is %s", raw)
	}
}

func TestASpec(t *testing.T) {
	const canary = "CANARY-instruction"
	for name, c := range map[string]struct {
		spec Spec
		want string // part of the error
	}{
		"with nothing set is good":                         {Spec{}, ""},
		"may name the model with its prefix":               {Spec{Model: "models/x-1"}, ""},
		"may have a leash above the default session":       {Spec{Leash: 2 * time.Hour}, ""},
		"may have a leash below the default start window":  {Spec{Leash: 20 * time.Second}, ""},
		"may unset a built-in field":                       {Spec{Setup: map[string]any{"contextWindowCompression": nil}}, ""},
		"may ask for text":                                 {Spec{Setup: setup(`{"generationConfig":{"responseModalities":["TEXT"]}}`)}, ""},
		"cannot have a model with a query":                 {Spec{Model: "x?key=y"}, "model:"},
		"cannot have a lock that there is not":             {Spec{Lock: "half"}, "write masked, full, none or a list"},
		"cannot have endless uses":                         {Spec{Uses: -1}, "uses:"},
		"cannot have many uses":                            {Spec{Uses: 11}, "uses:"},
		"cannot have a negative leash":                     {Spec{Leash: -1}, "leash:"},
		"cannot have a leash that the service refuses":     {Spec{Leash: 20 * time.Hour}, "leash:"},
		"cannot start sessions after the token's end":      {Spec{NewSession: time.Hour}, "newSession:"},
		"cannot have a session shorter than the leash":     {Spec{MaxSession: time.Minute}, "maxSession:"},
		"cannot have a session for ever":                   {Spec{MaxSession: 25 * time.Hour}, "maxSession:"},
		"cannot write the model into the setup":            {Spec{Setup: setup(`{"model":"x"}`)}, "beside setup"},
		"cannot lock resumption":                           {Spec{Setup: setup(`{"sessionResumption":{}}`)}, "setup.sessionResumption: leave it out"},
		"cannot lock the seeding of history":               {Spec{Setup: setup(`{"historyConfig":{}}`)}, "setup.historyConfig: leave it out"},
		"cannot set what exists on Vertex only":            {Spec{Setup: setup(`{"explicitVadSignal":true}`)}, "explicitVadSignal"},
		"cannot use snake_case":                            {Spec{Setup: setup(`{"system_instruction":"` + canary + `"}`)}, "write systemInstruction"},
		"cannot ask for two modalities":                    {Spec{Setup: setup(`{"generationConfig":{"responseModalities":["AUDIO","TEXT"]}}`)}, "responseModalities"},
		"cannot have an instruction that is no object":     {Spec{Setup: setup(`{"systemInstruction":"` + canary + `"}`)}, "systemInstruction must be an object"},
		"cannot have tools that are no list":               {Spec{Setup: setup(`{"tools":{"googleSearch":{}}}`)}, "tools must be a list"},
		"cannot have a generationConfig that is no object": {Spec{Setup: setup(`{"generationConfig":"` + canary + `"}`)}, "must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New("p", c.spec)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && err == nil:
				t.Fatalf("accepted, with setup %v", p.Setup(live.Secret{}))
			case c.want != "" && !strings.Contains(err.Error(), c.want):
				t.Errorf("error is %q, want it to say %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("error quotes the setup: %v", err)
			}
		})
	}
}

func TestASetupWithoutModalitiesGetsAudio(t *testing.T) {
	for _, written := range []string{`{"generationConfig":{"temperature":0.5}}`, `{"generationConfig":null}`} {
		p, err := New("p", Spec{Setup: setup(written)})
		if err != nil {
			t.Fatal(err)
		}
		if m := p.Modalities(); len(m) != 1 || m[0] != "AUDIO" {
			t.Errorf("%s gives modalities %v", written, m)
		}
	}
}

func TestChangingASetupLeavesTheProfileAlone(t *testing.T) {
	p := Default()
	p.Setup(live.Secret{})["tools"] = "x"
	if p.Setup(live.Secret{})["tools"] != nil {
		t.Error("the profile's setup was changed through a copy")
	}
}

func TestManualActivityIsReadFromTheSetup(t *testing.T) {
	p, err := New("p", Spec{Setup: setup(`{"realtimeInputConfig":{"automaticActivityDetection":{"disabled":true}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if !p.ManualActivity() || Default().ManualActivity() {
		t.Error("manual activity is not what the setup says")
	}
}

func TestTheFirstTokenHasTheDocumentedTerms(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 999, time.FixedZone("", 3600))
	terms, end := Default().First(now)
	at := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	want := Terms{at, at.Add(12 * time.Minute), at.Add(time.Minute), at.Add(9 * time.Minute)}
	if terms != want || end != at.Add(time.Hour) {
		t.Errorf("terms are %v until %v", terms, end)
	}
}

func TestTheLastTokenEndsWithItsLease(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	end := now.Add(5 * time.Minute)
	terms, ok := Default().Renewed(now, end)
	if !ok || terms.Expire != end || terms.NewSessionExpire != now.Add(2*time.Minute) {
		t.Errorf("terms are %v, %v", terms, ok)
	}
	if _, ok := Default().Renewed(end.Add(-time.Second/2), end); ok {
		t.Error("a token was given for the last half second")
	}
}

func TestNoTermsOutliveLeashOrLease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leash := time.Duration(rapid.Int64Range(int64(minLeash), int64(maxLife)-1).Draw(t, "leash"))
		p, err := New("p", Spec{Leash: leash})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		first, end := p.First(now)
		again := now.Add(time.Duration(rapid.Int64Range(0, int64(p.MaxSession())).Draw(t, "later")))
		next, ok := p.Renewed(again, end)
		for _, x := range []Terms{first, next} {
			if x == next && !ok {
				continue
			}
			if x.Expire.Sub(x.Issued) > leash || x.Expire.After(end) || x.NewSessionExpire.After(x.Expire) || x.RenewAfter.After(end) || !x.Expire.After(x.Issued) {
				t.Fatalf("terms %v of a lease until %v with leash %v", x, end, leash)
			}
		}
	})
}

func setup(text string) (m map[string]any) {
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	return m
}
