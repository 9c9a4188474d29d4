package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// knocks opens an issuer behind that guard and counts the tokens that it mints.
func knocks(t *testing.T, c GuardConfig, who Authenticator) (d desk, minted *int) {
	t.Helper()
	guard, err := NewGuard(c)
	if err != nil {
		t.Fatal(err)
	}
	minted = new(int)
	return open(t, func(c *Config) {
		c.Guard, c.Authenticator = guard, who
		c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) {
			*minted++
			return live.NewSecret(fmt.Sprintf("auth_tokens/%d", *minted)), nil
		})
	}), minted
}

// fields sets header fields by name and value; "Host" too.
func fields(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == "Host" {
				r.Host = pairs[i+1]
			} else {
				r.Header.Add(pairs[i], pairs[i+1])
			}
		}
	}
}

// A page of another site can make a browser send what it likes but Host, Origin
// and Sec-Fetch-Site, without asking as long as the type is that of a form.
func TestAForeignPageGetsNothingWhateverItSends(t *testing.T) {
	const page = "https://evil.example"
	d, minted := knocks(t, GuardConfig{Hosts: []string{"voice.example"}, Origins: []string{"https://app.example"}}, named{})
	for name, c := range map[string]struct {
		body   string
		header []string
		want   code
	}{
		"a form":                    {"profile=default", []string{"Origin", page, "Sec-Fetch-Site", "cross-site", "Content-Type", "application/x-www-form-urlencoded"}, originNotAllowed},
		"a form of parts":           {"{}", []string{"Origin", page, "Content-Type", "multipart/form-data; boundary=x"}, originNotAllowed},
		"text":                      {"{}", []string{"Origin", page, "Content-Type", "text/plain"}, originNotAllowed},
		"a beacon of no type":       {"{}", []string{"Origin", page, "Sec-Fetch-Site", "cross-site", "Content-Type", ""}, originNotAllowed},
		"JSON":                      {"{}", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"nothing":                   {"", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"a user's cookies":          {"", []string{"Origin", page, "Sec-Fetch-Site", "cross-site", "Cookie", "session=CANARY"}, originNotAllowed},
		"a user's credential":       {"", []string{"Origin", page, "Sec-Fetch-Site", "cross-site", "Authorization", "CANARY"}, originNotAllowed},
		"no origin, from a sandbox": {"", []string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"null in an old browser":    {"", []string{"Origin", "null"}, originNotAllowed},
		"its site alone":            {"", []string{"Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"of a sister's name":        {"", []string{"Origin", "https://shop.voice.example", "Sec-Fetch-Site", "same-site"}, originNotAllowed},
		"two origins":               {"", []string{"Origin", page, "Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"two origins in one":        {"", []string{"Origin", "https://app.example, " + page, "Sec-Fetch-Site", "cross-site"}, originNotAllowed},
		"another method in a field": {"", []string{"Origin", page, "Sec-Fetch-Site", "cross-site", "X-HTTP-Method-Override", "GET"}, originNotAllowed},
		"under a rebound name":      {"", []string{"Host", "evil.example", "Origin", page, "Sec-Fetch-Site", "same-origin"}, hostNotAllowed},
		"with our name beside it":   {"", []string{"Host", "evil.example", "Sec-Fetch-Site", "same-origin", "X-Forwarded-Host", "voice.example"}, hostNotAllowed},
	} {
		for _, path := range []string{"/v1/token", "/api/token", "/v1/token/renew", "/v1/token/release"} {
			t.Run(name+" to "+path, func(t *testing.T) {
				res := d.ask(path, c.body, func(r *http.Request) {
					r.Host = "voice.example"
					for i := 0; i < len(c.header); i += 2 { // in place of what is there
						r.Header.Del(c.header[i])
					}
					fields(c.header...)(r)
				})
				if got := codeOf(t, res); got != c.want {
					t.Errorf("code is %s", got)
				}
				for field := range res.Header {
					if strings.HasPrefix(field, "Access-Control-Allow-") {
						t.Errorf("it may read the answer: %v", res.Header)
					}
				}
			})
		}
	}
	if *minted != 0 {
		t.Errorf("%d tokens were minted", *minted)
	}
	if strings.Contains(d.log.String(), "CANARY") {
		t.Errorf("the log holds a credential: %s", d.log)
	}
}

func TestWhatCameThroughAProxyIsForThoseWhoExpectOne(t *testing.T) {
	for _, field := range []string{"Forwarded", "Via", "X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "x-forwarded-anything"} {
		for _, c := range []struct {
			proxied bool
			change  func(*http.Request)
			minted  int
		}{
			{false, fields(field, "203.0.113.7"), 0},
			{false, fields(field, ""), 0},
			{true, fields(field, "203.0.113.7"), 1},
		} {
			d, minted := knocks(t, GuardConfig{Hosts: Loopback(), Proxied: c.proxied}, authn.Anonymous{})
			if res := d.ask("/v1/token", "", c.change); c.minted == 0 {
				if got := codeOf(t, res); got != proxiedAnonymous {
					t.Errorf("%s gives %s", field, got)
				}
			}
			if *minted != c.minted {
				t.Errorf("%s, proxied %v: %d tokens were minted", field, c.proxied, *minted)
			}
		}
	}
}

// Browsers show a page the status of an answer, its body and its header only if
// the answer lets them; also where it is a refusal.
func TestAListedPageCanReadWhyItWasRefused(t *testing.T) {
	refusing := func(err error) func(*Config) {
		return func(c *Config) {
			c.Minter = mint(func(context.Context, upstream.Request) (live.Secret, error) { return live.Secret{}, err })
		}
	}
	for name, c := range map[string]struct {
		config func(*Config)
		path   string
		body   string
		change func(*http.Request)
		want   code
	}{
		"400":              {path: "/v1/token", body: "{", want: invalidRequest},
		"401":              {config: func(c *Config) { c.Authenticator = says{authn.ErrNoCredential} }, path: "/v1/token", want: unauthenticated},
		"403":              {config: func(c *Config) { c.Authenticator = says{authn.ErrForbidden} }, path: "/v1/token", want: forbidden},
		"403 for a tunnel": {path: "/v1/token", change: fields("Via", "1.1 x"), want: proxiedAnonymous},
		"404":              {path: "/v1/token/renew", body: `{"leaseId":"x"}`, want: leaseNotFound},
		"405":              {path: "/v1/token", change: func(r *http.Request) { r.Method = "GET" }, want: methodNotAllowed},
		"413":              {path: "/v1/token", body: strings.Repeat(" ", maxBody+1), want: bodyTooLarge},
		"415":              {path: "/v1/token", body: "{}", change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, want: unsupportedMediaType},
		"500":              {config: refusing(errors.New("out of order")), path: "/v1/token", want: internalError},
		"502":              {config: refusing(&upstream.Error{Kind: upstream.ErrRefused}), path: "/v1/token", want: upstreamRefused},
		"503":              {config: refusing(&upstream.Error{Kind: upstream.ErrUnavailable}), path: "/v1/token", want: upstreamUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			res := open(t, c.config).ask(c.path, c.body, func(r *http.Request) {
				fields("Origin", "https://app.example", "Sec-Fetch-Site", "cross-site")(r)
				if c.change != nil {
					c.change(r)
				}
			})
			h := res.Header
			if h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
				t.Errorf("header is %v", h)
			}
			if got := codeOf(t, res); got != c.want {
				t.Errorf("code is %s", got)
			}
		})
	}
}

func TestAPreflightAllowsWhatIsListed(t *testing.T) {
	d, minted := knocks(t, GuardConfig{Hosts: Loopback(), Origins: []string{"https://app.example"}, Headers: []string{"X-Challenge"}}, authn.Anonymous{})
	for name, c := range map[string]struct {
		origin, method, headers string
		allowed                 bool
	}{
		"a POST":                                {"https://app.example", "POST", "", true},
		"with a credential and JSON":            {"https://app.example", "POST", "authorization,content-type", true},
		"with the challenge's header":           {"https://app.example", "POST", "content-type,x-challenge", true},
		"with a header that nobody named":       {"https://app.example", "POST", "x-other", false},
		"with one of a proxy":                   {"https://app.example", "POST", "x-forwarded-user", false},
		"a DELETE":                              {"https://app.example", "DELETE", "", false},
		"a PUT":                                 {"https://app.example", "PUT", "", false},
		"from elsewhere":                        {"https://evil.example", "POST", "", false},
		"from elsewhere with a credential":      {"https://evil.example", "POST", "authorization", false},
		"from nowhere":                          {"null", "POST", "", false},
		"from a listed name over another port":  {"https://app.example:8443", "POST", "", false},
		"from a listed name without encryption": {"http://app.example", "POST", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			res := d.ask("/v1/token", "", func(r *http.Request) {
				r.Method = http.MethodOptions
				fields("Origin", c.origin, "Access-Control-Request-Method", c.method)(r)
				if c.headers != "" {
					fields("Access-Control-Request-Headers", c.headers)(r)
				}
			})
			h := res.Header
			if c.allowed != (h.Get("Access-Control-Allow-Origin") == c.origin && h.Get("Access-Control-Allow-Credentials") == "true") {
				t.Errorf("header is %v", h)
			}
			for field := range h {
				if !c.allowed && strings.HasPrefix(field, "Access-Control-Allow-") {
					t.Errorf("%s: %v", field, h[field])
				}
			}
			if strings.Contains(h.Get("Access-Control-Allow-Origin")+h.Get("Access-Control-Allow-Headers"), "*") {
				t.Errorf("there is a star: %v", h)
			}
		})
	}
	if *minted != 0 {
		t.Errorf("%d tokens were minted", *minted)
	}
}

// What an embedder asks of anonymous callers goes in a header of its own, which
// pages elsewhere may send.
func TestAChallengeIsAnsweredFromAListedPage(t *testing.T) {
	solved := func(r *http.Request) error {
		if r.Header.Get("X-Challenge") != "solved" {
			return authn.ErrForbidden
		}
		return nil
	}
	d, minted := knocks(t, GuardConfig{Hosts: Loopback(), Origins: []string{"https://app.example"}, Headers: []string{"X-Challenge"}}, authn.Anonymous{Challenge: solved})
	if c := codeOf(t, d.ask("/v1/token", "", fields("Origin", "https://app.example"))); c != forbidden || *minted != 0 {
		t.Errorf("without an answer: %s, %d tokens", c, *minted)
	}
	if res := d.ask("/v1/token", "", fields("Origin", "https://app.example", "X-Challenge", "solved")); res.StatusCode != http.StatusOK || *minted != 1 {
		t.Errorf("with an answer: %d, %d tokens", res.StatusCode, *minted)
	}
}

// Other pages may read nothing behind WrapControl, not even blindly: a GET that
// changes nothing tells much by the time it takes.
func TestWhatIsForOperatorsIsNotEvenRead(t *testing.T) {
	guard, err := NewGuard(GuardConfig{Hosts: Loopback(), Origins: []string{"https://app.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
		for name, c := range map[string]struct {
			change func(*http.Request)
			want   int
		}{
			"a program":              {nil, 200},
			"our own page":           {fields("Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"), 200},
			"the address bar":        {fields("Sec-Fetch-Site", "none"), 200},
			"a listed page":          {fields("Origin", "https://app.example", "Sec-Fetch-Site", "cross-site"), 200},
			"a page elsewhere":       {fields("Origin", "https://evil.example"), 403},
			"an image elsewhere":     {fields("Sec-Fetch-Site", "cross-site"), 403},
			"a page of another port": {fields("Sec-Fetch-Site", "same-site"), 403},
			"a tunnel":               {fields("X-Forwarded-For", "203.0.113.7"), 403},
			"a rebound name":         {fields("Host", "evil.example"), 421},
		} {
			asked := 0
			d := desk{Handler: guard.WrapControl(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))}
			res := d.ask("/journal", "", func(r *http.Request) {
				r.Method = method
				if c.change != nil {
					c.change(r)
				}
			})
			if res.StatusCode != c.want || (asked == 1) != (c.want == 200) {
				t.Errorf("%s by %s gives %d, asked %d times", method, name, res.StatusCode, asked)
			}
		}
	}
}
