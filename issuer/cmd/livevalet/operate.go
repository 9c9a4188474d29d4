package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/livevalet/livevalet/issuer"
	"github.com/livevalet/livevalet/issuer/audit"
	"github.com/livevalet/livevalet/wasm/live"
)

// auditStdout is the name of standard output among files.
const auditStdout = "-"

// operations is what serve has beside the tokens: evidence, metrics, and a
// listener for operators.
type operations struct {
	record  issuer.Record
	metrics *metrics
	needs   []need

	audit      *audit.Log   // nil: none is kept
	admin      net.Listener // nil: there is none
	adminToken live.Secret
}

// checkOperations notes what is wrong with audit and admin.
func (f *file) checkOperations(note func(err error, path ...string)) {
	switch {
	case f.Audit.File != "":
		_, err := readWord("audit.keyFile", f.Audit.KeyFile)
		note(err, "audit")
	case f.Audit.Required:
		note(errors.New("audit.required needs audit.file, which may be - for standard output"), "audit")
	case f.Audit.KeyFile != "":
		note(errors.New("audit.keyFile does nothing without audit.file"), "audit")
	}
	if f.Audit.File != "" && f.Audit.File != auditStdout {
		if err := checkPlace(f.Audit.File); err != nil {
			note(fmt.Errorf("audit.file: %w", err), "audit", "file")
		}
	}
	switch {
	case f.Admin.Listen != "":
		network, path, err := adminAddress(f.Admin.Listen)
		if err == nil && network == "unix" {
			if err = checkPlace(path); err != nil {
				err = fmt.Errorf("admin.listen: %w", err)
			}
		}
		note(err, "admin", "listen")
		_, err = readWord("admin.tokenFile", f.Admin.TokenFile)
		note(err, "admin")
	case f.Admin.TokenFile != "":
		note(errors.New("admin.tokenFile does nothing without admin.listen"), "admin")
	}
}

// openOperations opens all of it and serves nothing yet. What it opened ends with
// close. Now is the time by which tokens are dated.
func openOperations(p *program, f *file, now func() time.Time) (*operations, error) {
	o := &operations{metrics: newMetrics(now)}
	o.record = issuer.Record{Required: f.Audit.Required, Counted: o.metrics.decided, Untraced: o.metrics.untraced.Inc}
	if err := o.openAudit(p, f); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if f.Admin.Listen == "" {
		return o, nil
	}
	var err error
	if o.adminToken, err = readWord("admin.tokenFile", f.Admin.TokenFile); err == nil {
		o.admin, err = listenAdmin(f.Admin.Listen)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// openAudit begins the evidence of this process with a line, which shows that
// lines can be written.
func (o *operations) openAudit(p *program, f *file) (err error) {
	if f.Audit.File == "" {
		return nil
	}
	if o.record.TokenKey, err = readWord("keyFile", f.Audit.KeyFile); err != nil {
		return err
	}
	switch f.Audit.File {
	case auditStdout:
		o.audit = audit.New(p.stdout)
	default:
		if o.audit, err = audit.Open(f.Audit.File); err != nil {
			return err
		}
	}
	o.record.Audit = o.audit
	if err := o.audit.Write(audit.Entry{Time: time.Now(), Decision: audit.Started}); err != nil && f.Audit.Required {
		o.close()
		return err
	}
	if f.Audit.Required {
		o.needs = append(o.needs, need{name: "audit", check: func(context.Context) error { return o.audit.Ready() }})
	}
	return nil
}

// serveAdmin serves operators, if there is a listener for them, until stop is
// called.
func (o *operations) serveAdmin(p *program, access issuer.Access) (stop func(), err error) {
	if o.admin == nil {
		return func() {}, nil
	}
	hosts := issuer.Loopback()
	if host, _ := reachable(o.admin); host != "" { // as that of a socket is
		hosts = append(hosts, host)
	}
	guard, err := issuer.NewGuard(issuer.GuardConfig{Hosts: hosts})
	if err != nil {
		return nil, err
	}
	handler, err := issuer.NewAdmin(issuer.AdminConfig{
		Guard: guard, Token: o.adminToken, Access: access, Record: o.record, Metrics: o.metrics.handler(), Logger: p.log,
	})
	if err != nil {
		return nil, err
	}
	return p.serveAdmin(o.admin, handler), nil
}

// readiness is what /readyz tells: these needs and ours.
func (o *operations) readiness(log *slog.Logger, needs ...need) *readiness {
	return &readiness{log: log, needs: append(needs, o.needs...)}
}

// close ends what was opened.
func (o *operations) close() {
	if o.admin != nil {
		o.admin.Close() // if nothing was served on it
	}
	if o.audit != nil {
		o.audit.Close()
	}
}
