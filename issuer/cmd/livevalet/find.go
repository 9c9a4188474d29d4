package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/wasm/live"
)

// maxFound is the longest token, in bytes, that is looked for.
const maxFound = 4 << 10

type findCommand struct {
	Config string   `required:"" placeholder:"FILE" help:"The server's configuration, which says where its audit is and what keys it."`
	Audit  []string `arg:"" optional:"" help:"Where to look instead, such as files that were rotated away."`
}

// Run prints the lines of the audit about a token. It comes from standard input, as
// command lines are seen by others and kept.
func (c *findCommand) Run(_ context.Context, p *program) error {
	f, err := readFile(c.Config)
	if err != nil {
		return err
	}
	if err := f.override(p.getenv); err != nil {
		return err
	}
	key, err := readWord("audit.keyFile", f.Audit.KeyFile)
	if err != nil {
		return err
	}
	if c.Audit == nil && f.Audit.File != auditStdout && f.Audit.File != "" {
		c.Audit = []string{f.Audit.File}
	}
	if c.Audit == nil {
		return errors.New("the configuration names no file with an audit: name one behind the flags")
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, maxFound))
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return errors.New("write the token to standard input")
	}
	hash, _ := audit.HashOf(key, live.NewSecret(token)).MarshalText()
	found := false
	for _, name := range c.Audit {
		one, err := copyLines(p.stdout, name, hash)
		if err != nil {
			return err
		}
		found = found || one
	}
	if !found {
		return fmt.Errorf("no line is about that token, whose hash would be %s", hash)
	}
	return nil
}

// copyLines copies the lines of a file that hold a text, and says whether there were
// any.
func copyLines(to io.Writer, name string, text []byte) (found bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if bytes.Contains(line, text) {
			found = true
			if _, err := to.Write(line); err != nil {
				return found, err
			}
		}
		if errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return found, err
		}
	}
}
