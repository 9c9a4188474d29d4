package authn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func hashOf(key string) string {
	h := sha256.Sum256([]byte(key))
	return hex.EncodeToString(h[:])
}

func TestABearerKey(t *testing.T) {
	keys, err := ParseAPIKeys(strings.NewReader("# servers\n\nshop:" + hashOf("first") + "\r\n desk : " + strings.ToUpper(hashOf("second")) + "\nshop:" + hashOf("third")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		header string
		caller string
		err    error
	}{
		"that is listed names its caller":         {"Bearer first", "key:shop", nil},
		"may have its scheme in any case":         {"bearer second", "key:desk", nil},
		"that replaces another names the same":    {"Bearer third", "key:shop", nil},
		"that is not listed is refused":           {"Bearer fourth", "", ErrBadCredential},
		"that is a hash of the file is refused":   {"Bearer " + hashOf("first"), "", ErrBadCredential},
		"that is missing is asked for":            {"", "", ErrNoCredential},
		"that is empty is asked for":              {"Bearer ", "", ErrNoCredential},
		"under another scheme is no key to us":    {"Basic first", "", ErrNoCredential},
		"without a scheme is no key to us either": {"first", "", ErrNoCredential},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/token", nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			caller, err := keys.Authenticate(r)
			if caller.ID != c.caller || caller.NamesUsers != (c.caller != "") || !errors.Is(err, c.err) {
				t.Errorf("caller %q, error %v", caller.ID, err)
			}
		})
	}
}

func TestAServerNamesItsUsers(t *testing.T) {
	shop := Caller{ID: "key:shop", NamesUsers: true}
	for user, ok := range map[string]bool{
		"ada": true, "ada@mail.example": true, "team/ada": true, "Ada Lovelace": true, "ада": true, strings.Repeat("x", 255): true,
		"": false, "a\nb": false, "a\x00": false, "\xff": false, strings.Repeat("x", 256): false,
	} {
		caller, err := shop.For(user)
		switch {
		case !ok && !errors.Is(err, ErrBadUser):
			t.Errorf("%q gives %v", user, err)
		case ok && (err != nil || caller.ID != "key:shop/"+user || caller.Server != shop.ID || caller.NamesUsers):
			t.Errorf("%q is %+v, %v", user, caller, err)
		}
	}
}

func TestABadFileIsRefusedByLineAndNotQuoted(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"without any key":      {"# none\n", "no key"},
		"with a key in clear":  {"a:" + hashOf("x") + "\nshop:CANARY-key", "line 2"},
		"with a short hash":    {"shop:abcd", "line 1"},
		"without a name":       {":" + hashOf("x"), "line 1"},
		"with a user's name":   {"shop/ada:" + hashOf("x"), "line 1"},
		"with a name alone":    {"CANARY-key", "line 1"},
		"with too long a name": {strings.Repeat("x", 256) + ":" + hashOf("CANARY"), "line 1: write name:hash with a name of at most 255 bytes"},
		"with a name in parts": {"shop\tCANARY:" + hashOf("x"), "line 1: write name:hash"},
		"with too long a line": {strings.Repeat("x", 1<<20), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAPIKeys(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestAClaimHolds(t *testing.T) {
	var c Caller
	dec := json.NewDecoder(strings.NewReader(`{"plan":"gold","groups":["voice","desk"],"staff":true,"tenant":9007199254740993,"none":null,"deep":[["voice"]],"text":"true"}`))
	dec.UseNumber()
	if err := dec.Decode(&c.Claims); err != nil {
		t.Fatal(err)
	}
	c.Claims["native"], c.Claims["float"] = []string{"voice", "desk"}, 3.5
	for name, row := range map[string]struct {
		claim string
		value any
		want  bool
	}{
		"that is the text":                    {"plan", "gold", true},
		"that is a list with the text in it":  {"groups", "desk", true},
		"that is the truth":                   {"staff", true, true},
		"that is the number":                  {"tenant", uint64(9007199254740993), true},
		"not if it is another text":           {"plan", "silver", false},
		"not if it only begins like the text": {"plan", "go", false},
		"not if the list has another":         {"groups", "admin", false},
		"not if it is not there":              {"other", "gold", false},
		"not if it is null":                   {"none", nil, false},
		"not if nothing is asked for":         {"other", nil, false},
		"not if the number is the next one":   {"tenant", uint64(9007199254740992), false},
		"not if it is a text for the truth":   {"text", true, false},
		"not if it is the truth for a text":   {"staff", "true", false},
		"not if it is a number for a text":    {"tenant", "9007199254740993", false},
		"not if it is deeper":                 {"deep", "voice", false},
		"that is a list of texts":             {"native", "desk", true},
		"not if those are others":             {"native", "admin", false},
		"that is a native number":             {"float", 3.5, true},
		"not if that is a text":               {"float", "3.5", false},
		"not if it only looks like the list":  {"plan", "gold,silver", false},
		"not if the value is no scalar":       {"deep", []any{"voice"}, false},
		"not if no value is asked for":        {"none", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.Holds(row.claim, row.value); got != row.want {
				t.Errorf("%s holds %v: %t", row.claim, row.value, got)
			}
		})
	}
	if (Caller{}).Holds("plan", "gold") {
		t.Error("a caller without claims has one")
	}
}
