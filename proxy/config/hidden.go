package config

// What must be shown nowhere: private keys, passwords, ticket keys.

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Redacted is what stands for a hidden text wherever something is printed.
const Redacted = "[redacted]"

// Hidden is a text that no way of printing shows: none of fmt's verbs, not JSON,
// not a dump by reflection of what it stands in, as only an address is there to
// follow. The zero value is empty. Two of the same text are equal by Equal and by
// reflect.DeepEqual, never by ==.
type Hidden struct{ at *string }

// Hide makes a hidden text; an empty one is the zero value.
func Hide(text string) Hidden {
	if text == "" {
		return Hidden{}
	}
	return Hidden{&text}
}

// Reveal gives the text to whoever has to work with it. It must not be printed.
func (h Hidden) Reveal() string {
	if h.at == nil {
		return ""
	}
	return *h.at
}

// IsZero reports whether there is no text.
func (h Hidden) IsZero() bool { return h.at == nil }

// Equal compares the texts.
func (h Hidden) Equal(other Hidden) bool { return h.Reveal() == other.Reveal() }

// Sum is the SHA-256 of the text: what may be compared or shown instead of it.
func (h Hidden) Sum() [sha256.Size]byte { return sha256.Sum256([]byte(h.Reveal())) }

// String is "" for an empty text, and Redacted for any other.
func (h Hidden) String() string {
	if h.at == nil {
		return ""
	}
	return Redacted
}

// GoString is String.
func (h Hidden) GoString() string { return h.String() }

// Format prints String, whatever the verb.
func (h Hidden) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, h.String()) // a fmt.State takes everything
}

// MarshalText gives String.
func (h Hidden) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// MarshalJSON gives String, quoted.
func (h Hidden) MarshalJSON() ([]byte, error) { return []byte(`"` + h.String() + `"`), nil }
