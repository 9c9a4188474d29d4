package main

// What a command's --help teaches beside its flags.

// Help shows how to begin.
func (devCommand) Help() string {
	return `Without an API key the emulator stands in for Google, and nothing is spent:

  livevalet dev
  livevalet dev --config livevalet.yaml
  GEMINI_API_KEY_FILE=key livevalet dev --listen :9000

With --config pages get the tokens of its profiles, with their limits, and need no
account for them. A profile that only some callers may use gives none here.`
}

// Help shows the smallest file.
func (serveCommand) Help() string {
	return `The smallest file names the server and who may have tokens:

  hosts: [voice.example]
  auth: {apiKeysFile: /etc/livevalet/callers}

  GEMINI_API_KEY_FILE=/etc/livevalet/key livevalet serve --config /etc/livevalet.yaml

It ends with SIGTERM or SIGINT: requests may end, and a second signal cuts them.`
}

// Help shows both depths.
func (checkCommand) Help() string {
	return `Without --mint or --connect nobody is asked. A token that is minted goes to nobody
and costs nothing; a socket that is opened lasts until its session is ready:

  livevalet check --config /etc/livevalet.yaml
  GEMINI_API_KEY_FILE=/etc/livevalet/key livevalet check --config /etc/livevalet.yaml --connect`
}

// Help shows how an SDK gets there.
func (emulateCommand) Help() string {
	return `Any SDK reaches it by its base URL, with a key that begins with "emulator":

  livevalet emulate
  curl -X POST -H 'x-goog-api-key: emulator' -H 'content-type: application/json' -d '{}' http://127.0.0.1:8089/v1alpha/auth_tokens`
}

// Help shows both kinds of service.
func (probeCommand) Help() string {
	return `Of an emulator, then of Google, where only the checks that cost nothing run:

  livevalet probe --base-url http://127.0.0.1:8089
  GEMINI_API_KEY_FILE=key livevalet probe`
}

// Help says what such a token is not.
func (mintCommand) Help() string {
	return `It has no lease: nothing limits, renews or revokes it, and it ends by itself. If
the configuration has an audit file, it is on record there.

  GEMINI_API_KEY_FILE=key livevalet mint --config /etc/livevalet.yaml --profile support
  GEMINI_API_KEY=emulator livevalet mint --base-url http://127.0.0.1:8089 --url`
}

// Help says what becomes of what the user has.
func (revokeCommand) Help() string {
	return `There are no new tokens and no renewals from then on, also after a restart. What
the user holds ends with its token, within the profile's leash.

  livevalet revoke --config /etc/livevalet.yaml key:shop
  livevalet revoke --config /etc/livevalet.yaml --undo key:shop
  livevalet revoke --admin-listen unix:/run/livevalet.sock --admin-tokenfile /etc/livevalet/admin.token key:shop`
}

// Help says why the token is not on the command line.
func (findCommand) Help() string {
	return `The token is read from standard input: others see command lines, and shells keep
them. It must be whole, auth_tokens/ included.

  livevalet find --config /etc/livevalet.yaml < token
  livevalet find --config /etc/livevalet.yaml /var/log/livevalet/audit.jsonl* < token

It asks no server, and reads what the owner of the audit can read.`
}

// Help says what the first column is.
func (leasesCommand) Help() string {
	return `Those that ended a few minutes ago are listed, too. A lease is shown by the first
digits of its hash, which is the one in the audit.

  livevalet leases --config /etc/livevalet.yaml --user key:shop
  livevalet leases --config /etc/livevalet.yaml --revoked`
}
