package live

import "fmt"

// redacted is what a [Secret] shows of itself, in every form.
const redacted = "[redacted]"

// Secret is a string that never shows itself: printing, formatting with any
// verb and marshalling to text or JSON all give "[redacted]". An ephemeral
// token's name, a resumption handle, a lease id and an API key are Secrets.
//
// The zero value is the absent secret. Compare with [Secret.Equal]: == compares
// identity, not values.
//
// There is deliberately no LogValue method: it would link log/slog, and with
// it encoding/json, into the wasm module. slog's handlers use MarshalJSON and
// MarshalText, which is enough.
type Secret struct {
	// A pointer, because fmt walks past methods when it prints a struct's
	// unexported fields: it then shows an address instead of the value.
	value *string
}

// NewSecret wraps value. The empty string gives the zero Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the value, "" for the zero Secret. Call it only where the
// value goes on the wire.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal reports whether both hold the same value. It is not constant-time:
// compare credentials that a caller sent with crypto/subtle.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

func (s Secret) String() string   { return redacted }
func (s Secret) GoString() string { return redacted }

// Format covers every verb, so that %x or %q cannot print the value either.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
