package main

import (
	"strings"
	"testing"
)

func TestRefer(t *testing.T) {
	hashed := map[string]string{`href="/style.css"`: `href="/style-1.css"`, `src="/demo.js"`: `src="/demo-2.js"`}
	tests := []struct{ name, html, want, wantErr string }{
		{"both references are replaced",
			`<link href="/style.css"><script src="/demo.js">`, `<link href="/style-1.css"><script src="/demo-2.js">`, ""},
		{"one that comes twice is replaced twice",
			`<link href="/style.css"><script src="/demo.js"><noscript><link href="/style.css">`,
			`<link href="/style-1.css"><script src="/demo-2.js"><noscript><link href="/style-1.css">`, ""},
		{"the same words in the text are left alone",
			`<link href="/style.css"><script src="/demo.js"><p>/demo.js`, `<link href="/style-1.css"><script src="/demo-2.js"><p>/demo.js`, ""},
		{"a missing script is an error", `<link href="/style.css">`, "", `src="/demo.js"`},
		{"a relative reference is an error, as it would break below a path",
			`<link href="style.css"><script src="/demo.js">`, "", `href="/style.css"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := refer(tt.html, hashed)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
		})
	}
}
