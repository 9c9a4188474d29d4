package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	// patience is how long an answer may take that has no other bound.
	patience = 15 * time.Second

	// quiet is how long nothing must come where nothing may come.
	quiet = 300 * time.Millisecond

	// idle is longer than the fastest updates that were seen.
	idle = 1500 * time.Millisecond

	// soon is how far ahead times are set that a check waits for where the clock
	// cannot be moved. The service's time is known to the second, so it leaves at
	// least three for what must be done before.
	soon = 4 * time.Second

	// later is how far ahead they are set where it can: so far that it does not
	// matter how busy the machine is.
	later = 10 * time.Minute

	// Waits up to short are waited for, up to long if slow checks are asked for.
	// Beyond that only a clock that can be moved helps.
	short = 15 * time.Second
	long  = 20 * time.Minute
)

// object is a JSON object.
type object = map[string]any

// probe is one check at work. Its methods end the check when the service does
// not do what they say.
type probe struct {
	ctx     context.Context
	target  Target
	alone   bool // it may move the service's clock
	remark  string
	answers map[string]string
	sockets []*socket
	secrets []string // handles and token names that were seen
}

// outcome ends a check.
type outcome struct {
	verdict Verdict
	detail  string
}

func (p *probe) fail(format string, args ...any) { panic(outcome{Fail, fmt.Sprintf(format, args...)}) }
func (p *probe) unseen(format string, args ...any) {
	panic(outcome{Unseen, fmt.Sprintf(format, args...)})
}

// answer settles an open question, as far as this check can tell.
func (p *probe) answer(question, format string, args ...any) {
	p.answers[question] = fmt.Sprintf(format, args...)
}

var tokenName = regexp.MustCompile(`auth_tokens(/|%2F)[0-9A-Za-z_-]+`)

// redact takes out what must not be told.
func (p *probe) redact(text string) string {
	for _, secret := range append([]string{p.target.Key, p.target.OtherKey}, p.secrets...) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return tokenName.ReplaceAllString(text, "[redacted]")
}

// reply is an answer over HTTP.
type reply struct {
	status int
	header http.Header
	text   string
	body   object // nil if it is no JSON object
}

// message is the one of an error body.
func (r reply) message() string {
	e, _ := r.body["error"].(object)
	text, _ := e["message"].(string)
	return text
}

// call makes one request. body is sent as it is if it is a string, as JSON
// otherwise; nil is none.
func (p *probe) call(method, target string, body any, header ...string) reply {
	text, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err) // checks send nothing that cannot be marshalled
		}
		text = string(raw)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(text))
	if err != nil {
		p.fail("%v", err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := p.target.Client.Do(r)
	if err != nil {
		p.fail("no answer: %v", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		p.fail("the answer breaks off: %v", err)
	}
	out := reply{status: res.StatusCode, header: res.Header, text: string(raw)}
	_ = json.NewDecoder(bytes.NewReader(raw)).Decode(&out.body)
	if name, ok := out.body["name"].(string); ok {
		p.secrets = append(p.secrets, name)
	}
	return out
}

// mint asks for a token with the target's key.
func (p *probe) mint(body any) reply {
	return p.mintAs(p.target.Key, body)
}

func (p *probe) mintAs(key string, body any) reply {
	return p.call("POST", p.target.BaseURL+"/v1alpha/auth_tokens", body, "x-goog-api-key", key)
}

// token mints one, or fails.
func (p *probe) token(body any) string {
	return p.nameOf(p.mint(body))
}

func (p *probe) nameOf(r reply) string {
	name, _ := r.body["name"].(string)
	if r.status != http.StatusOK || name == "" {
		p.fail("no token: %d %s", r.status, r.message())
	}
	return name
}

// refusedMint expects 400 INVALID_ARGUMENT with those words.
func (p *probe) refusedMint(what string, r reply, words string) {
	e, _ := r.body["error"].(object)
	if r.status != http.StatusBadRequest || e["status"] != "INVALID_ARGUMENT" || !strings.Contains(r.message(), words) {
		p.fail("%s gives %d %q, want 400 %q", what, r.status, r.message(), words)
	}
}

// now is the service's time, to the second; it is up to a second later there.
func (p *probe) now() time.Time {
	r := p.mint(object{})
	p.nameOf(r)
	at, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		p.fail("an answer has no usable Date: %v", err)
	}
	return at.UTC()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// sleep waits in real time.
func (p *probe) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
		p.fail("%v", context.Cause(p.ctx))
	}
}

// ahead is how far ahead a check sets times that it lets pass.
func (p *probe) ahead() time.Duration {
	if p.moveClock(time.Millisecond) {
		return later
	}
	return soon
}

// elapse lets time pass at the service: by its clock if that can be moved, by
// waiting if that is short or was asked for. It reports whether it could.
func (p *probe) elapse(d time.Duration) bool {
	switch {
	case p.moveClock(d):
	case d <= short:
		p.sleep(d)
	case p.target.Slow && d <= long:
		p.sleep(d)
	default:
		return false
	}
	return true
}

// moveClock reports whether the service has a clock that moves, and that this
// check may move, since no other runs meanwhile.
func (p *probe) moveClock(d time.Duration) bool {
	if !p.alone || p.target.Control == "" {
		return false
	}
	p.sleep(quiet) // what was sent must be there before, a close above all
	return p.control("clock", object{"advance": d.String()})
}

// mustElapse is elapse for checks that see nothing without it.
func (p *probe) mustElapse(d time.Duration) {
	if !p.elapse(d) {
		p.unseen("it takes %s, and the service has no clock to move", d)
	}
}

// needs gives up at once where d cannot elapse, before anything is spent.
func (p *probe) needs(d time.Duration) {
	if !(p.target.Slow && d <= long) && !p.moveClock(time.Millisecond) {
		p.unseen("it takes %s, and the service has no clock to move", d)
	}
}

// control makes a control call and reports whether the service has it.
func (p *probe) control(name string, body object) bool {
	if p.target.Control == "" {
		return false
	}
	u, err := url.Parse(p.target.Control)
	if err != nil {
		p.fail("the control URL is no URL")
	}
	r := p.call("POST", u.JoinPath(name).String(), body)
	switch r.status {
	case http.StatusOK:
		return true
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest:
		return false
	}
	p.fail("the control call %s gives %d", name, r.status)
	return false
}
