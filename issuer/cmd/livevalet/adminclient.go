package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/livevalet/livevalet/issuer/authn"
	"github.com/livevalet/livevalet/wasm/live"
)

// adminPatience is how long a running server may take to answer.
const adminPatience = 10 * time.Second

// adminFlags find a running server's admin listener. They have the names of the
// file's keys.
type adminFlags struct {
	Config         string `placeholder:"FILE" help:"The server's configuration, which says where its admin listener is and where its token."`
	AdminListen    string `placeholder:"ADDRESS" help:"The admin listener, instead of what the file says: unix:/path or host:port."`
	AdminTokenfile string `placeholder:"FILE" help:"The file with its token, instead of what the file says."`
}

// adminClient asks a running server.
type adminClient struct {
	http  *http.Client
	base  string
	token live.Secret
}

func (c adminFlags) client(p *program) (*adminClient, error) {
	f := &file{}
	if c.Config != "" {
		var err error
		if f, err = readFile(c.Config); err != nil {
			return nil, err
		}
	}
	if err := f.override(p.getenv); err != nil {
		return nil, err
	}
	if c.AdminListen != "" {
		f.Admin.Listen = c.AdminListen
	}
	if c.AdminTokenfile != "" {
		f.Admin.TokenFile = c.AdminTokenfile
	}
	if f.Admin.Listen == "" {
		return nil, errors.New("nothing says where the server's admin listener is: name its configuration with --config, or the listener with --admin-listen and --admin-tokenfile")
	}
	network, addr, err := adminAddress(f.Admin.Listen)
	if err != nil {
		return nil, err
	}
	token, err := readWord("admin.tokenFile", f.Admin.TokenFile)
	if err != nil {
		return nil, err
	}
	a := &adminClient{base: "http://localhost", token: token, http: &http.Client{
		Timeout: adminPatience,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}},
	}}
	if network == "tcp" {
		a.base = "http://" + addr
	}
	return a, nil
}

// ask sends a request and reads the answer, if there is one to read.
func (a *adminClient) ask(ctx context.Context, method, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	res, err := a.http.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which names no host of theirs
		}
		return fmt.Errorf("the admin listener does not answer, is the server running? %w", err)
	}
	defer res.Body.Close()
	body := io.LimitReader(res.Body, 16<<20)
	if res.StatusCode >= 300 {
		var problem struct{ Code, Detail string }
		if err := json.NewDecoder(body).Decode(&problem); err != nil || problem.Code == "" {
			return fmt.Errorf("the admin listener answers %s", res.Status)
		}
		return fmt.Errorf("%s: %s", problem.Code, problem.Detail)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read the admin listener's answer: %w", err)
	}
	return nil
}

type revokeCommand struct {
	User string `arg:"" help:"Whose access, as the log and the audit name the caller: jwt:…, key:… or proxy:…"`
	Undo bool   `help:"Give it back."`
	adminFlags
}

// Run takes access away, or gives it back, and says of how much.
func (c *revokeCommand) Run(ctx context.Context, p *program) error {
	a, err := c.client(p)
	if err != nil {
		return err
	}
	switch c.User {
	case "", ".", "..": // which no path can hold
		return usageError{authn.CheckID(c.User)}
	}
	path := "/admin/users/" + url.PathEscape(c.User) + "/revocation"
	if c.Undo {
		if err := a.ask(ctx, http.MethodDelete, path, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.stdout, "%s may ask again\n", c.User)
		return err
	}
	if err := a.ask(ctx, http.MethodPost, path, nil); err != nil {
		return err
	}
	said := c.User + " has no access any more"
	held, err := a.holdings(ctx, c.User)
	if err != nil {
		return fmt.Errorf("%s; what ends with that cannot be listed: %w", said, err)
	}
	live, last := 0, time.Time{}
	for _, l := range held.Leases {
		if now := time.Now(); l.TokenExpires.After(now) || l.End.After(now) && !l.Released {
			live++
		}
		if l.TokenExpires.After(last) {
			last = l.TokenExpires
		}
	}
	if live == 0 {
		_, err = fmt.Fprintf(p.stdout, "%s; live leases: 0, so look at the name again if you know of one\n", said)
	} else {
		_, err = fmt.Fprintf(p.stdout, "%s; live leases: %d, the last token ends at %s\n", said, live, last.Format(time.RFC3339))
	}
	return err
}

// holdings is what a caller holds, as the admin listener tells it.
type holdings struct {
	Revoked bool
	Leases  []struct {
		Lease, Profile    string
		TokenExpires, End time.Time
		Released          bool
	}
}

func (a *adminClient) holdings(ctx context.Context, user string) (held holdings, err error) {
	err = a.ask(ctx, http.MethodGet, "/admin/leases?"+url.Values{"user": {user}}.Encode(), &held)
	return held, err
}

type leasesCommand struct {
	User    string `required:"" xor:"whose" placeholder:"NAME" help:"Whose, as the log and the audit name the caller."`
	Revoked bool   `required:"" xor:"whose" help:"List whose access was taken away, instead."`
	adminFlags
}

// Run prints a table, or a list of names.
func (c *leasesCommand) Run(ctx context.Context, p *program) error {
	a, err := c.client(p)
	if err != nil {
		return err
	}
	if c.Revoked {
		return a.printRevoked(ctx, p.stdout)
	}
	answer, err := a.holdings(ctx, c.User)
	if err != nil {
		return err
	}
	if answer.Revoked {
		fmt.Fprintf(p.stdout, "%s has no access: it was revoked\n", c.User)
	}
	if len(answer.Leases) == 0 {
		_, err := fmt.Fprintf(p.stdout, "%s holds no lease\n", c.User)
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LEASE\tPROFILE\tTOKEN EXPIRES\tENDS")
	for _, l := range answer.Leases {
		end := l.End.Format(time.RFC3339)
		if l.Released {
			end = "released"
		}
		fmt.Fprintf(table, "%.16s\t%s\t%s\t%s\n", l.Lease, l.Profile, l.TokenExpires.Format(time.RFC3339), end)
	}
	return table.Flush()
}

// printRevoked prints a name in each line.
func (a *adminClient) printRevoked(ctx context.Context, w io.Writer) error {
	for after := ""; ; {
		var answer struct{ Users []string }
		if err := a.ask(ctx, http.MethodGet, "/admin/revocations?"+url.Values{"after": {after}}.Encode(), &answer); err != nil {
			return err
		}
		if len(answer.Users) == 0 {
			return nil
		}
		for _, user := range answer.Users {
			if _, err := fmt.Fprintln(w, user); err != nil {
				return err
			}
			after = user
		}
	}
}
