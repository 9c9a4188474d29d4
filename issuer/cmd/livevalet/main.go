// Command livevalet hands web pages short-lived keys for the Gemini Live API.
//
// See "livevalet --help". The program ends with status 0 when it was told to
// stop or had nothing left to do, with 2 when it does not understand the command
// line or a variable of its own, and with 1 and a reason otherwise.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "livevalet: %v\n", err)
		os.Exit(statusOf(err))
	}
}

// usageError is a command line, or a variable of ours, that means nothing.
type usageError struct{ error }

// Unwrap gives what is wrong with it.
func (e usageError) Unwrap() error { return e.error }

// statusOf is the exit status of a program that ends with err.
func statusOf(err error) int {
	if err == nil {
		return 0
	} else if _, usage := errors.AsType[usageError](err); usage {
		return 2
	}
	return 1
}

// program is the world as a command sees it. Nothing else of this package
// reads flags, environment or standard streams.
type program struct {
	getenv func(string) string
	given  []*kong.Flag // what the command line or the environment sets
	stdin  io.Reader
	stdout io.Writer
	log    *slog.Logger
}

// run is the program. It returns when the command is done, or soon after ctx
// ends. environ has the form of [os.Environ].
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	settings := settings(environ)
	var cli struct {
		Dev     devCommand     `cmd:"" help:"The demo on this machine: page, token endpoint and, without an API key, the emulator, on one address."`
		Serve   serveCommand   `cmd:"" help:"The token endpoint for real pages, configured by a file. Refuses unsafe set-ups."`
		Check   checkCommand   `cmd:"" help:"Find all mistakes in serve's file, and tell what its tokens leave open."`
		Emulate emulateCommand `cmd:"" help:"The emulator of Google's service alone, for any SDK in any language."`
		Probe   probeCommand   `cmd:"" help:"Ask a service which of the known facts about Google's hold there."`
		Mint    mintCommand    `cmd:"" help:"Make one token with your key and print it, to try a profile by hand."`
		Revoke  revokeCommand  `cmd:"" help:"Take away a user's access at a running server, or give it back."`
		Leases  leasesCommand  `cmd:"" help:"List what a user holds at a running server."`
		Find    findCommand    `cmd:"" help:"Tell whose a token was that somebody found, from the audit."`
		Version versionCommand `cmd:"" help:"Print the version."`

		LogLevel  slog.Level `placeholder:"LEVEL" default:"info" help:"What the log on standard error begins with: debug, info, warn or error (info)."`
		LogFormat string     `enum:"json,text" default:"json" help:"How it is written: json or text (json)."`
	}
	parser, err := kong.New(&cli,
		kong.Name("livevalet"),
		kong.Description("Hands web pages short-lived keys for the Gemini Live API.\n\n"+
			"To begin: livevalet dev, and open the address it prints. It needs no API key. "+
			"Each command tells more, with examples: livevalet serve --help.\n\n"+
			"Every flag --some-name can be set as LIVEVALET_SOME_NAME instead. The API key comes from GEMINI_API_KEY or GOOGLE_API_KEY, "+
			"or from a file that GEMINI_API_KEY_FILE or GOOGLE_API_KEY_FILE names; never from a flag.\n\n"+
			"Exit status: 0 it is done, 1 it failed, and the last line says why, 2 the command line or a variable LIVEVALET_… means nothing."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { panic(exit(status)) }),
		kong.Resolvers(kong.ResolverFunc(settings.flag)),
	)
	if err != nil {
		return err
	}
	if err := settings.check(parser.Model); err != nil {
		return usageError{err}
	}
	command, flags, err := parse(parser, args)
	if command == nil {
		return err
	}
	log := slog.Handler(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cli.LogLevel}))
	if cli.LogFormat == "text" {
		log = slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: cli.LogLevel})
	}
	return command.Run(ctx, &program{settings.get, flags, stdin, stdout, slog.New(log)})
}

// exit is how kong ends a program that was asked for help.
type exit int

// parse gives no command and no error when help was printed.
func parse(parser *kong.Kong, args []string) (command interface {
	Run(context.Context, *program) error
}, flags []*kong.Flag, err error) {
	defer func() {
		if v := recover(); v != nil {
			if status, ok := v.(exit); !ok || status != 0 {
				panic(v)
			}
		}
	}()
	parsed, err := parser.Parse(args)
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok && len(args) == 0 {
		if err := wrong.Context.PrintUsage(false); err != nil {
			return nil, nil, err
		}
		return nil, nil, usageError{errors.New("name a command, such as dev")}
	}
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("%w (see livevalet --help)", err)}
	}
	command, ok := parsed.Selected().Target.Addr().Interface().(interface {
		Run(context.Context, *program) error
	})
	if !ok {
		return nil, nil, errors.New("this command cannot be run")
	}
	return command, given(parsed), nil
}

// given lists the flags that are set, to whatever value.
func given(parsed *kong.Context) (flags []*kong.Flag) {
	for _, step := range parsed.Path {
		if step.Flag != nil {
			flags = append(flags, step.Flag)
		}
	}
	return flags
}
