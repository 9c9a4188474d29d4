//go:build !js

package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

// maxGrant bounds an issuer's answer, which has about 1 kB.
const maxGrant = 64 << 10

// Issuer is a token endpoint. Its methods may be called from any goroutine.
type Issuer struct {
	URL    string       // of POST /v1/token
	Client *http.Client // nil is http.DefaultClient
	Header http.Header  // added to every request, such as Authorization
}

// Token asks for a token. It is a session's token source.
func (i Issuer) Token(ctx context.Context, need live.Need) (live.Token, error) {
	target, body := i.URL, map[string]string{"profile": need.Profile}
	if need.RenewURL != "" {
		target, body = need.RenewURL, map[string]string{"leaseId": need.Lease.Reveal(), "reason": string(need.Reason)}
		if !need.Handle.IsZero() {
			body["handle"] = need.Handle.Reveal()
		}
	}
	r, err := i.post(ctx, target, body)
	if err != nil {
		return live.Token{}, err
	}
	return r.token()
}

// Release tells the issuer that the token's lease ended. It waits for the
// answer, as long as ctx lasts, and ignores it.
func (i Issuer) Release(ctx context.Context, t live.Token) {
	if t.ReleaseURL != "" {
		_, _ = i.post(ctx, t.ReleaseURL, map[string]string{"leaseId": t.Lease.Reveal()})
	}
}

func (i Issuer) post(ctx context.Context, target string, body any) (reply, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return reply{}, &live.TokenError{Code: "protocol", Detail: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(data))
	if err != nil {
		return reply{}, &live.TokenError{Code: "protocol", Detail: "the token endpoint's address is not a URL"}
	}
	req.Header = i.Header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Content-Type", "application/json")
	client := i.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, unreachable(ctx, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxGrant))
	if err != nil {
		return reply{}, unreachable(ctx, err)
	}
	n, _ := parse(answer) // what is no JSON has no fields
	return reply{
		status:     res.StatusCode,
		retryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now()),
		body:       n,
		base:       res.Request.URL.String(),
	}, nil
}

func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	detail := err.Error()
	if e, ok := err.(*url.Error); ok {
		detail = e.Err.Error() // without the address
	}
	return &live.TokenError{Code: "network", Detail: detail}
}

// retryAfter reads the header in both of its forms.
func retryAfter(header string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(header); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
