package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/upstream"
	"github.com/livevalet/livevalet/wasm/live"
)

// fileSuffix ends the variables that name a file with a key.
const fileSuffix = "_FILE"

// keyVariables in the order in which they win, which is the SDK's.
var keyVariables = []string{"GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY_FILE", "GEMINI_API_KEY_FILE"}

// apiKey reads the API key and says which variable it is from. Without any, the
// key is zero.
func apiKey(getenv func(string) string) (key live.Secret, from string, err error) {
	for _, name := range keyVariables {
		value := getenv(name)
		if value == "" {
			continue
		}
		if strings.HasSuffix(name, fileSuffix) {
			key, err = readKey(name, value)
			return key, name, err
		}
		if key = live.NewSecret(strings.TrimSpace(value)); key.IsZero() {
			return key, name, fmt.Errorf("%s holds no key", name)
		}
		return key, name, nil
	}
	return key, "", nil
}

// readKey reads the file that a variable names.
func readKey(variable, name string) (live.Secret, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return live.Secret{}, fmt.Errorf("%s: %w", variable, err)
	}
	key := live.NewSecret(strings.TrimSpace(string(text)))
	if key.IsZero() {
		return key, fmt.Errorf("%s holds no key", variable)
	}
	return key, nil
}

// lastFour tells one's own keys apart and nobody anything else.
func lastFour(key live.Secret) string {
	text := key.Reveal()
	if len(text) < 20 {
		return ""
	}
	return text[len(text)-4:]
}

// upstreamFlags choose the service.
type upstreamFlags struct {
	BaseURL   string `name:"base-url" placeholder:"URL" help:"Mint here instead of at Google."`
	SendKeyTo string `placeholder:"HOST" help:"Host, with or without port, that may get a real API key beside Google's."`
}

// service is where tokens come from and where they are good.
type service struct {
	client *upstream.Client
	name   string // as pages are told: "google", "emulator", or a host
	live   issuer.LiveOrigin
}

// open prepares minting with the key of the environment, and says what that is spent
// on. The caller closes the client.
func (f upstreamFlags) open(p *program) (s service, key live.Secret, from string, err error) {
	if key, from, err = apiKey(p.getenv); err != nil {
		return s, key, from, err
	}
	if s, err = f.connect(key, p.log); err == nil {
		announce(p.log, key, from, s.name)
	}
	return s, key, from, err
}

// connect prepares minting with a key at the service that the flags name. The
// logger is told when that has another time than we; see [upstream.Config].
func (f upstreamFlags) connect(key live.Secret, logger *slog.Logger) (service, error) {
	client, err := upstream.New(upstream.Config{APIKey: key, BaseURL: f.BaseURL, SendKeyTo: f.SendKeyTo, Logger: logger})
	if err != nil {
		return service{}, err
	}
	if f.BaseURL == "" || f.BaseURL == upstream.Google {
		return service{client, "google", issuer.GoogleLive}, nil
	}
	base, err := url.Parse(f.BaseURL)
	if err != nil {
		return service{}, errors.New("the base URL is not a URL")
	}
	s := service{client: client, name: base.Host}
	if !upstream.Real(key) {
		s.name = "emulator"
	}
	origin := strings.Replace(base.Scheme, "http", "ws", 1) + "://" + base.Host
	s.live = func(*http.Request) string { return origin }
	return s, nil
}

// announce says what the key is spent on, before anybody can spend it.
func announce(log *slog.Logger, key live.Secret, from, service string) {
	if upstream.Real(key) {
		log.Warn("spends on key …"+lastFour(key), "variable", from, "service", service)
		return
	}
	log.Info("no real key, nothing is spent", "variable", from, "service", service)
}
