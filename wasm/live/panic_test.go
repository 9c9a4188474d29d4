package live_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/livevalet/livevalet/wasm/live"
)

func TestTryReturnsWhatItsFunctionReturns(t *testing.T) {
	want := errors.New("an error")
	if err := live.Try(func() error { return want }); err != want {
		t.Errorf("error %v", err)
	}
	if err := live.Try(func() error { return nil }); err != nil {
		t.Errorf("error %v", err)
	}
}

func TestAPanicKeepsItsTypeAndItsPlaceAndNothingThatWasSaid(t *testing.T) {
	const secret = "auth_tokens/of-somebody"
	var nobody *live.Token
	for _, tt := range []struct {
		name  string
		panic func(string)
		want  string
	}{
		{"the runtime's own", func(s string) { _ = s[len(s):][len(s)/9] }, "panic: runtime error: index out of range [2] with length 0"},
		{"no pointer", func(string) { _ = nobody.URL }, "panic: runtime error: invalid memory address or nil pointer dereference"},
		{"a string", func(s string) { panic(s) }, "panic of type string"},
		{"an error", func(s string) { panic(errors.New(s)) }, "panic of type *errors.errorString"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := live.Try(func() error { tt.panic(secret); return nil })
			p, ok := errors.AsType[*live.Panic](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if err.Error() != tt.want {
				t.Errorf("%q, want %q", err, tt.want)
			}
			if all := fmt.Sprintf("%+v %s", *p, err); strings.Contains(all, secret) {
				t.Errorf("tells %s", all)
			}
			lines := strings.Split(p.Stack, "\n")
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "live_test.TestAPanicKeeps") || !strings.Contains(lines[0], "(panic_test.go:") {
				t.Errorf("stack:\n%s", p.Stack)
			}
		})
	}
}
