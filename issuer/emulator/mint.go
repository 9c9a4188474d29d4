package emulator

import (
	"errors"
	"io"
	"net/http"
)

const maxMintBody = 1 << 20

// serveMint answers POST /{version}/auth_tokens. The body is judged before the
// key (observed).
func (w *world) serveMint(rw http.ResponseWriter, r *http.Request) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		w.answer(rw, refuse(invalidArgument, "Content-Encoding is not supported here, send the body as it is.")) // house rule
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxMintBody))
	if err == nil {
		w.noticeMint(r.Context())
		if w.failMint(rw, r) {
			return
		}
	}
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		w.answer(rw, refuse(invalidArgument, "Request payload size exceeds the limit: 1048576 bytes."))
		return
	} else if err != nil {
		w.answer(rw, refuse(invalidArgument, "The request body ended early.")) // house rule
		return
	}
	request := tree{}
	if len(body) > 0 {
		var no *refusal
		if request, no = read(authTokenMessage, body, "auth_token"); no != nil {
			w.answer(rw, no)
			return
		}
	}
	key := requestKey(r)
	if key == "" {
		w.answer(rw, errUnregistered())
		return
	}
	p, ok := w.tokens.project(key)
	if !ok {
		w.answer(rw, errBadKey())
		return
	}
	name, t, no := w.tokens.mint(p, request)
	if no != nil {
		w.answer(rw, no)
		return
	}
	w.journal.add(entry{Token: t.id.String(), Dir: "in", Kind: "mint", Bytes: len(body)}, request)
	w.log.Info("minted a token", "token", t.id.String(), "project", p.String(), "lock", t.lock.form())
	minted := tree{"name": name}
	if w.options.Switches.MintEchoes {
		minted = t.echo(name, request)
	}
	w.write(rw, http.StatusOK, minted)
}

// answer refuses over HTTP.
func (w *world) answer(rw http.ResponseWriter, no *refusal) {
	w.journal.add(entry{Dir: "out", Kind: "mint"}, tree{"code": no.status.http, "reason": no.message})
	w.log.Info("refused to mint", "status", no.status.http, "reason", redactText(no.message))
	w.write(rw, no.status.http, no.body())
}

func (w *world) write(rw http.ResponseWriter, code int, body tree) {
	rw.Header().Set("Content-Type", "application/json; charset=UTF-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(code)
	rw.Write(pretty(body))
}
