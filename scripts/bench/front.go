package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/coder/websocket"
	esbuild "github.com/evanw/esbuild/pkg/api"

	"github.com/livevalet/livevalet/scripts/child"
)

// mintTime is how long a token takes, at least.
const mintTime = 150 * time.Millisecond

var (
	//go:embed testdata/ours.js
	ourScript []byte
	//go:embed testdata/peer.js
	peerScript string
)

// A front stands before `livevalet dev` with two pages, ours and the peer's, at
// /ours and /peer. Both have the same token endpoint and the same socket behind it.
type front struct {
	url    string
	server *http.Server

	mu    sync.Mutex
	page  *websocket.Conn // the newest
	sound []byte          // the longest message with sound
}

// A line is the way to a front. The zero line takes no time.
type line struct {
	bits int           // each second
	rtt  time.Duration // a request takes one
}

func newFront(service, peer string, over line) (*front, error) {
	target, err := url.Parse(service)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{url: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the issuer names its socket by it
		},
		// Nothing is logged: pages that are left cancel what they asked for.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	mux.HandleFunc("POST /v1/token", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(mintTime)
		proxy.ServeHTTP(w, r)
	})
	for name, script := range map[string][]byte{"ours": ourScript, "peer": []byte(peer)} {
		mux.Handle("GET /"+name, compressed("text/html", fmt.Appendf(nil, `<!doctype html><title>%s</title><script type="module" src="/%s.js"></script>`, name, name)))
		mux.Handle("GET /"+name+".js", compressed("text/javascript", script))
	}
	f.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(over.rtt)
		if r.Header.Get("Upgrade") != "" { // the SDK's path begins with //, which a mux does not like
			f.relay(w, r, "ws://"+target.Host+r.URL.RequestURI())
			return
		}
		mux.ServeHTTP(w, r)
	})}
	if over.bits > 0 {
		l = &slowListener{Listener: l, bits: over.bits}
	}
	go f.server.Serve(l)
	return f, nil
}

func compressed(kind string, content []byte) http.Handler {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	_, _ = w.Write(content)
	_ = w.Close()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "br") {
			_, _ = w.Write(content)
			return
		}
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write(b.Bytes())
	})
}

// relay passes the messages of a conversation on.
func (f *front) relay(w http.ResponseWriter, r *http.Request, service string) {
	page, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer page.CloseNow()
	emulator, _, err := websocket.Dial(r.Context(), service, nil)
	if err != nil {
		return
	}
	defer emulator.CloseNow()
	f.mu.Lock()
	f.page = page
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		defer cancel()
		pass(ctx, page, emulator, func([]byte) {})
	}()
	pass(ctx, emulator, page, func(message []byte) {
		if !bytes.Contains(message, []byte("inlineData")) {
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(message) > len(f.sound) { // the last piece of a word is shorter
			f.sound = message
		}
	})
}

func pass(ctx context.Context, from, to *websocket.Conn, note func([]byte)) {
	from.SetReadLimit(-1)
	for {
		kind, message, err := from.Read(ctx)
		if err != nil {
			_ = to.Close(cmp.Or(max(websocket.CloseStatus(err), 0), websocket.StatusNormalClosure), "")
			return
		}
		note(message)
		if to.Write(ctx, kind, message) != nil {
			return
		}
	}
}

// flood sends the newest page the longest message with sound, so many times.
func (f *front) flood(ctx context.Context, times int) error {
	f.mu.Lock()
	page, sound := f.page, f.sound
	f.mu.Unlock()
	if sound == nil {
		return errors.New("no sound has come yet")
	}
	for range times {
		if err := page.Write(ctx, websocket.MessageBinary, sound); err != nil {
			return fmt.Errorf("flood the page: %w", err)
		}
	}
	return nil
}

// slowListener has all its connections share a line to the clients.
type slowListener struct {
	net.Listener
	bits int

	mu   sync.Mutex
	free time.Time // when what was written is through
}

func (l *slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return slowConn{c, l}, err
}

type slowConn struct {
	net.Conn
	line *slowListener
}

func (c slowConn) Write(p []byte) (n int, err error) {
	const packet = 1460
	for len(p) > 0 && err == nil {
		var written int
		c.line.wait(min(len(p), packet))
		written, err = c.Conn.Write(p[:min(len(p), packet)])
		n, p = n+written, p[written:]
	}
	return n, err
}

func (l *slowListener) wait(bytes int) {
	l.mu.Lock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Second * time.Duration(8*bytes) / time.Duration(l.bits))
	free := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(free))
}

// bundlePeer makes the peer's one script, with the SDK's build for browsers.
func bundlePeer(ctx context.Context, sdk string) (string, error) {
	modules, err := installSDK(ctx, sdk)
	if err != nil {
		return "", err
	}
	result := esbuild.Build(esbuild.BuildOptions{
		Stdin:             &esbuild.StdinOptions{Contents: peerScript, ResolveDir: filepath.Dir(modules), Sourcefile: "peer.js"},
		Bundle:            true,
		Format:            esbuild.FormatESModule,
		Platform:          esbuild.PlatformBrowser,
		Target:            esbuild.ES2022,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
	})
	if len(result.Errors) > 0 {
		return "", errors.New(strings.Join(esbuild.FormatMessages(result.Errors, esbuild.FormatMessagesOptions{}), ""))
	}
	return string(result.OutputFiles[0].Contents), nil
}

// installSDK gives the folder that has the SDK for JavaScript.
func installSDK(ctx context.Context, sdk string) (modules string, err error) {
	modules, err = filepath.Abs(filepath.Join(sdk, "node_modules"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(modules); err != nil {
		npm := child.Command(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		npm.Dir = sdk
		if err := child.Run(npm); err != nil {
			return "", fmt.Errorf("install the SDK in %s: %w", sdk, err)
		}
	}
	return modules, nil
}
