// Package keyring keeps secrets in the operating system's keychain or in sealed files, and holds the locks that go with them.
package keyring

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every way of printing a Secret shows. It is the same for
// an empty secret, so that output tells nothing at all.
const redacted = "[redacted]"

var errSecretInput = errors.New("a secret cannot be read from JSON or text")

// A Secret is a string that does not print: every fmt verb, JSON, text
// encoding and slog show "[redacted]". Reveal is the one way out.
//
// Secrets are immutable, safe for concurrent use, and their zero value is the
// empty secret. They are compared with Equal.
type Secret struct {
	_ [0]func() // forbids ==, which would compare addresses
	// A pointer, because fmt cannot call methods on unexported fields: a Secret
	// inside one prints as an address instead of as its text.
	value *string
}

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the text of the secret. It is to be called at the point of
// use only, never to carry the text further.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == nil }

// size is the length of the text in bytes.
func (s Secret) size() int {
	if s.value == nil {
		return 0
	}
	return len(*s.value)
}

// Equal reports whether two secrets hold the same text, in a time that
// depends on their lengths only.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// Format implements [fmt.Formatter] for every verb.
func (Secret) Format(f fmt.State, _ rune) {
	io.WriteString(f, redacted) // fmt.State has nowhere to report an error
}

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return redacted }

// MarshalJSON implements [encoding/json.Marshaler].
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText implements [encoding.TextMarshaler].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON refuses: records are decoded field by field where they are
// kept, and no other JSON may turn into a secret unnoticed.
func (*Secret) UnmarshalJSON([]byte) error { return errSecretInput }

// UnmarshalText refuses, like UnmarshalJSON.
func (*Secret) UnmarshalText([]byte) error { return errSecretInput }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
