package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/livevalet/livevalet/wasm/live"
)

const (
	googleHost = "generativelanguage.googleapis.com"

	// emulatorPrefix marks keys that are worth nothing.
	emulatorPrefix = "emulator"

	maxAnswer = 1 << 20
)

var errKeyTarget = errors.New("this key is sent only to " + googleHost + ", or to the host named by --send-key-to, and over TLS unless that is this machine")

// Real reports whether a key is worth money. It is a rule of ours that keys of
// the emulator begin with "emulator"; all others are taken for real.
func Real(key live.Secret) bool { return !strings.HasPrefix(key.Reveal(), emulatorPrefix) }

// keyRule says where a key may go.
type keyRule struct {
	real   bool
	sendTo string // host, or host:port, beside Google's
}

// allows reports whether the key may go to that URL.
func (k keyRule) allows(u *url.URL) bool {
	switch {
	case !k.real:
		return true
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return false
	case u.Scheme == "https" && u.Hostname() == googleHost && (u.Port() == "" || u.Port() == "443"):
		return true
	default:
		return k.sendTo != "" && (u.Host == k.sendTo || u.Hostname() == k.sendTo)
	}
}

// isLoopback reports whether what is sent to the host stays on this machine,
// where clear text does no harm.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// transport is the last thing between the key and the network: it holds the key
// rule whatever the SDK was configured with, bounds the answer and notes what
// the SDK's errors leave out.
type transport struct {
	rule  keyRule
	next  http.RoundTripper
	clock *serviceClock
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.rule.allows(r.URL) {
		return nil, errKeyTarget
	}
	sent := time.Now()
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t.clock.note(res.Header.Get("Date"), sent)
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		*n = note{res.StatusCode, retryAfter(res.Header.Get("Retry-After"), t.clock.now())}
	}
	if res.StatusCode != http.StatusSwitchingProtocols { // what follows that is no answer, and it is written to
		res.Body = &limited{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, nil
}

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (t transport) CloseIdleConnections() {
	if next, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// note is what an answer said beside its body.
type note struct {
	status     int // 0: nothing answered
	retryAfter time.Duration
}

type noteKey struct{}

type limited struct {
	io.Reader
	io.Closer
}

// newTransport keeps so many idle connections. Mints come in bursts, and the
// default of 2 would dial for each.
func newTransport(idle int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = idle
	t.MaxIdleConns = max(t.MaxIdleConns, idle)
	return t
}

// newHTTPClient follows no redirect: the key would go along.
func newHTTPClient(rule keyRule, next http.RoundTripper, clock *serviceClock) *http.Client {
	return &http.Client{Transport: transport{rule, next, clock}, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
