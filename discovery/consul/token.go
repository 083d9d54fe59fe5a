package consul

// The ACL token: where it comes from, and that it goes nowhere else.

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret is text that must not be seen: however it is printed, logged or
// encoded, it shows as "[secret]". The text is behind a pointer, so that not
// even a struct that hides a Secret in an unexported field prints it.
type Secret struct{ text *string }

func newSecret(text string) Secret { return Secret{&text} }

// Reveal is the text itself. Hand it only to what sends or stores it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const hidden = "[secret]"

func (s Secret) String() string { return hidden }

// Format is fmt.Formatter: every verb shows the same.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue is slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is encoding.TextMarshaler, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// token is where the ACL token of a query is taken from.
type token struct {
	file  string
	fixed Secret
}

// newToken keeps the order of Consul's clients: a file before the variable.
func newToken(file string) token {
	file = cmp.Or(file, os.Getenv("CONSUL_HTTP_TOKEN_FILE"))
	return token{file: file, fixed: newSecret(os.Getenv("CONSUL_HTTP_TOKEN"))}
}

// maxToken bounds what is read of a token file; Consul's are 36 bytes long,
// those of auth methods a few hundred.
const maxToken = 64 << 10

// read gives the token to use now; "" if none is configured. A file that is
// configured but has none is an error: without its token Consul would answer
// that every service is empty.
func (t token) read() (Secret, error) {
	if t.file == "" {
		return t.fixed, nil
	}
	info, err := os.Stat(t.file)
	if err != nil {
		return Secret{}, fmt.Errorf("token file: %w", err)
	}
	if info.Size() > maxToken {
		return Secret{}, fmt.Errorf("token file: %s: %d bytes, at most %d", t.file, info.Size(), maxToken)
	}
	text, err := os.ReadFile(t.file)
	if err != nil {
		return Secret{}, fmt.Errorf("token file: %w", err)
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return Secret{}, fmt.Errorf("token file: %s: %w", t.file, errNoToken)
	}
	return newSecret(trimmed), nil
}

var errNoToken = errors.New("holds no token")
