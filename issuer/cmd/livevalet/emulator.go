package main

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/livevalet/livevalet/issuer/emulator"
	"github.com/livevalet/livevalet/issuer/yamlfile"
)

// emulatorOptions are the emulator's, as flags and as keys of a file. What is
// zero is as the emulator has it by itself.
type emulatorOptions struct {
	Connection     span       `yaml:"connection" placeholder:"DURATION" help:"How long the emulator keeps a connection (10m); -1s is for ever."`
	GoAwayLead     span       `yaml:"goAwayLead" name:"goaway-lead" placeholder:"DURATION" help:"How long before that it sends goAway (50s); -1s sends none."`
	FinalClose     closeFrame `yaml:"finalClose" placeholder:"CODE REASON" help:"How it ends a connection whose time is over (1011 Deadline expired before operation could complete.)."`
	HandleLifetime span       `yaml:"handleLifetime" placeholder:"DURATION" help:"How long a session can be resumed (2h)."`
	Seed           uint64     `yaml:"seed" placeholder:"N" help:"Varies the emulator's voices and rudeness."`
	Rude           bool       `yaml:"rude" help:"Disturb and end connections at random, and refuse some mints."`

	GateResumption      bool          `yaml:"gateResumption" name:"u1-gate-resumption" help:"newSessionExpireTime refuses resumptions too."`
	HonourHandle        bool          `yaml:"honourHandle" name:"u2-honour-handle" help:"The client's handle counts under a full lock."`
	StrictMask          bool          `yaml:"strictMask" name:"u3-strict-mask" help:"Only mask paths that were seen to be accepted are."`
	MergeParents        bool          `yaml:"mergeParents" name:"u4-merge-parents" help:"A mask path that names a message keeps the client's other fields of it."`
	UnknownToken        closeFrame    `yaml:"unknownToken" name:"u5-unknown-token" placeholder:"CODE REASON" help:"How an unknown token is refused (1011 Token not found)."`
	JudgeOnOpen         bool          `yaml:"judgeOnOpen" name:"u6-judge-on-open" help:"A bad credential is refused before the setup."`
	SpendOnOpen         bool          `yaml:"spendOnOpen" name:"u7-spend-on-open" help:"A use is counted when the socket opens."`
	MintEchoes          bool          `yaml:"mintEchoes" name:"u8-mint-echoes" help:"A mint is answered with the whole token."`
	UnaskedUpdates      bool          `yaml:"unaskedUpdates" name:"u9-unasked-updates" help:"Resumption updates come unasked."`
	UpdateEvery         cadence       `yaml:"updateEvery" name:"u9-update-every" placeholder:"DURATION" help:"Handles come as often as this, not after turns alone; at least 100ms apart."`
	KeyOnConstrained    bool          `yaml:"keyOnConstrained" name:"u11-key-on-constrained" help:"The method for tokens accepts an API key."`
	AcceptLockedUpdate  bool          `yaml:"acceptLockedUpdate" name:"u12-accept-locked-update" help:"contextUpdate may change what the token locks."`
	DefaultText         bool          `yaml:"defaultText" name:"u13-default-text" help:"A setup without responseModalities asks for TEXT."`
	AcceptPastTimes     bool          `yaml:"acceptPastTimes" name:"u15-accept-past-times" help:"Tokens can be minted that have expired."`
	IgnoreLockedHistory bool          `yaml:"ignoreLockedHistory" name:"u16-ignore-locked-history" help:"historyConfig is the client's, never the token's."`
	UnknownHandle       handleRefusal `yaml:"unknownHandle" name:"u17-unknown-handle" placeholder:"not-found|invalid" help:"How an unknown handle is refused (by its form)."`
}

// server is an emulator with these options.
func (o emulatorOptions) server(p *program) *emulator.Server {
	return &emulator.Server{
		Logger: p.log, Seed: o.Seed, Rude: o.Rude,
		ConnectionLifetime: time.Duration(o.Connection), GoAwayLead: time.Duration(o.GoAwayLead), FinalClose: emulator.CloseFrame(o.FinalClose),
		HandleLifetime: time.Duration(o.HandleLifetime),
		Switches: emulator.Switches{
			GateResumption: o.GateResumption, HonourHandle: o.HonourHandle, StrictMask: o.StrictMask, MergeParents: o.MergeParents,
			UnknownToken: emulator.CloseFrame(o.UnknownToken), JudgeOnOpen: o.JudgeOnOpen, SpendOnOpen: o.SpendOnOpen,
			MintEchoes: o.MintEchoes, UnaskedUpdates: o.UnaskedUpdates, UpdateEvery: time.Duration(o.UpdateEvery),
			KeyOnConstrained: o.KeyOnConstrained, AcceptLockedUpdate: o.AcceptLockedUpdate, DefaultText: o.DefaultText,
			AcceptPastTimes: o.AcceptPastTimes, IgnoreLockedHistory: o.IgnoreLockedHistory,
			UnknownHandle: emulator.UnknownHandle(o.UnknownHandle),
		},
	}
}

// fill takes options from a file, but for those that were given as flags. No file
// changes nothing.
func (o *emulatorOptions) fill(file string, given []*kong.Flag) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	flags := make([]reflect.Value, len(given))
	for i, flag := range given {
		flags[i] = reflect.ValueOf(flag.Target.Interface())
	}
	if err := yamlfile.Read(text, o); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for i, flag := range given {
		flag.Target.Set(flags[i])
	}
	return nil
}

// readScenario reads a scenario; no file is none.
func readScenario(file string) (*emulator.Scenario, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := emulator.ParseScenario(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// The values below are texts to flags and to files, where an error has a line.

func (d *span) UnmarshalYAML(node ast.Node) error          { return readText(node, d) }
func (d *cadence) UnmarshalYAML(node ast.Node) error       { return readText(node, d) }
func (f *closeFrame) UnmarshalYAML(node ast.Node) error    { return readText(node, f) }
func (h *handleRefusal) UnmarshalYAML(node ast.Node) error { return readText(node, h) }

func readText(node ast.Node, into encoding.TextUnmarshaler) error {
	var text string
	if yaml.NodeToValue(node, &text) != nil {
		return yamlfile.Wrong(node, "write one value")
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return yamlfile.Wrong(node, "%v", err)
	}
	return nil
}

// span is a duration. Zero is how an option says that it was left out.
type span time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *span) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("write a duration, such as 20s or 1h30m")
	}
	if v == 0 {
		return errors.New("write a duration that is not zero, or leave it out for the default")
	}
	*d = span(v)
	return nil
}

// cadence is how far apart updates are.
type cadence span

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *cadence) UnmarshalText(text []byte) error {
	var v span
	if err := v.UnmarshalText(text); err != nil {
		return err
	}
	if time.Duration(v) < emulator.MinUpdateEvery {
		return fmt.Errorf("write a duration of at least %v", emulator.MinUpdateEvery)
	}
	*d = cadence(v)
	return nil
}

// closeFrame is written as its code and, after a blank, its reason.
type closeFrame emulator.CloseFrame

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *closeFrame) UnmarshalText(text []byte) error {
	code, reason, _ := strings.Cut(string(text), " ")
	n, err := strconv.Atoi(code)
	if err != nil || !emulator.ValidCloseCode(n) {
		return errors.New("write a close code, such as 1011, and then the reason")
	}
	*f = closeFrame{Code: n, Reason: reason}
	return nil
}

// handleRefusal is an emulator.UnknownHandle.
type handleRefusal emulator.UnknownHandle

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *handleRefusal) UnmarshalText(text []byte) error {
	switch *h = handleRefusal(text); emulator.UnknownHandle(*h) {
	case emulator.HandleByForm, emulator.HandleNotFound, emulator.HandleInvalid:
		return nil
	}
	return fmt.Errorf("write %s or %s", emulator.HandleNotFound, emulator.HandleInvalid)
}
