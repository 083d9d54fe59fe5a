package format

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// FuzzFormat: whatever is parsed can be evaluated, as text and as JSON, which is
// JSON; and what has no operators is its own text.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{
		config.DefaultLogFormat, "%%", "%REQ(a?b):3%", "%START_TIME(%E*S %f %s %Ez)%", "%COMMON_DURATION(A:B:us)%",
		"%DYNAMIC_METADATA([\"a\", \"b\"])%", "%FILTER_STATE(obj:FIELD:f):1%", "%METADATA(ROUTE:r:k)%", "%PATH(NQ:ORIG)%", "%ENVIRONMENT(HOME):2%",
	} {
		f.Add(s)
	}
	v := aRequest()
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := config.ParseHeaderFormat(s)
		if err != nil {
			return
		}
		out := Compile(parsed, true, nil).Append(nil, v)
		if plain, ok := parsed.Literal(); ok && (plain != string(out) || plain != strings.ReplaceAll(s, "%%", "%")) {
			t.Errorf("%q makes %q", s, out)
		}
		if out := Compile(parsed, false, nil).appendJSON(nil, v); !json.Valid(out) {
			t.Errorf("%q makes %q, which is no JSON", s, out)
		}
	})
}
