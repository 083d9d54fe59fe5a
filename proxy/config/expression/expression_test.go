package expression

import (
	"strings"
	"testing"
)

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"[1].all(x, x > 0)": "unknown function all",
		"string(1)":         "unknown function string",
		"a.b.c(":            "Syntax error",
		"request.path.matches(request.headers.a)":    "must be a literal",
		"request.path.matches('(')":                  "the pattern of matches",
		"request.path.matches(1)":                    "must be a text",
		"xds.node.id == ''":                          "not supported: xds.node",
		"upstream_filter_state.a == 'b'":             "not supported: upstream_filter_state",
		"google.protobuf.Duration{seconds: 1}":       "messages are not supported",
		strings.Repeat("a", MaxText+1):               "at most",
		strings.Repeat("(", 100) + "1":               "",
		strings.Repeat("a.matches('b')||", 11) + "x": "expression costs",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}
