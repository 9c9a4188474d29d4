package main

import (
	"context"
	"path/filepath"
)

// sdkTests run the suites of @google/genai, against emulator and issuer, in Node.
func (p *project) sdkTests(ctx context.Context) (tally, report) {
	dir := filepath.Join(p.root, "issuer", "emulator", "sdktest")
	if err := p.npmInstall(ctx, dir); err != nil {
		return tally{failed: 1}, report(err.Error())
	}
	authority := p.cache("tls")
	services := []service{
		p.livevalet("TEST_EMULATOR_URL", "emulate", "--listen", "127.0.0.1:0"),
		p.livevalet("TEST_EMULATOR_TLS_URL", "emulate", "--listen", "127.0.0.1:0", "--tls", "--tls-dir", authority),
		p.livevalet("TEST_ISSUER_URL", "dev", "--listen", "127.0.0.1:0"),
	}
	return p.with(ctx, services, func(settings []string) (tally, report) {
		node := p.in(ctx, "", "node", "--test", "--test-reporter="+filepath.Join(p.root, "scripts", "test", "reporter.mjs"))
		node.Dir = dir
		node.Env = append(append(node.Environ(), settings...), "NODE_EXTRA_CA_CERTS="+filepath.Join(authority, "ca.pem"))
		result, why := events(node)
		if result == (tally{}) {
			return tally{failed: 1}, "no test was found in " + report(dir)
		}
		return result, why
	})
}
