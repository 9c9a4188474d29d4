// Package live is the vocabulary that the session engine, its edges and the
// issuer share: secrets, tokens, the control fields of Live messages and the
// ways a connection ends. It holds no behaviour beyond that and imports only
// the standard library, so both builds (GOOS=js and native) can use it.
package live
