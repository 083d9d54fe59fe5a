package match

// Matching of strings, as Envoy's StringMatcher (source/common/common/matchers.h). Case is ASCII's.

import (
	"bytes"
	"regexp"

	"github.com/attache-mesh/attache/proxy/config"
)

// String is a compiled config.StringMatch.
type String struct {
	kind  config.StringKind
	fold  bool   // value is lower case and so is compared the input; not for regular expressions
	value string // what is looked for
	regex *regexp.Regexp
}

// NewString compiles a condition.
func NewString(m *config.StringMatch) String {
	t := String{kind: m.Kind, fold: m.IgnoreCase, value: m.Value, regex: m.Regex}
	if t.fold {
		t.value = Lower(t.value)
	}
	return t
}

// Match decides.
func (t *String) Match(b []byte) bool {
	if t.kind == config.StringRegex {
		return t.regex.Match(b)
	}
	return t.MatchPlain(b)
}

// IsRegex says that only Match decides, not MatchPlain.
func (t *String) IsRegex() bool { return t.kind == config.StringRegex }

// MatchPlain is Match for all that is no regular expression: it keeps nothing of b, which may so stand on the stack.
func (t *String) MatchPlain(b []byte) bool {
	n := len(t.value)
	switch t.kind {
	case config.StringExact:
		return len(b) == n && t.equal(b)
	case config.StringPrefix:
		return len(b) >= n && t.equal(b[:n])
	case config.StringSuffix:
		return len(b) >= n && t.equal(b[len(b)-n:])
	case config.StringContains:
		return t.contains(b)
	case config.StringRegex:
	}
	return false
}

// equal compares b with the value; they have one length.
func (t *String) equal(b []byte) bool {
	if t.fold {
		return EqualFold(b, t.value)
	}
	return string(b) == t.value
}

func (t *String) contains(b []byte) bool {
	if !t.fold {
		return bytes.Contains(b, []byte(t.value))
	}
	for ; len(b) >= len(t.value); b = b[1:] {
		if EqualFold(b[:len(t.value)], t.value) {
			return true
		}
		if len(b) == 0 {
			return false
		}
	}
	return false
}

// EqualFold reports whether b lowered is s, which is lower case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lowerByte(b[i]) != s[i] {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// AppendLower appends b in lower case.
func AppendLower(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, lowerByte(c))
	}
	return dst
}

// Lower is s in lower case, ASCII only.
func Lower(s string) string { return string(AppendLower(nil, []byte(s))) }
