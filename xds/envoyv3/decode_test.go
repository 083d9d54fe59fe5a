package envoyv3

import (
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

func TestRegexIsAnchoredAndBounded(t *testing.T) {
	for _, test := range []struct{ pattern, matches, not, refused string }{
		{pattern: "a|b", matches: "b", not: "ab"},
		{pattern: "a.c", matches: "abc", not: "a\nc"},
		{pattern: "(?i)x", matches: "X", not: "y"},
		{pattern: "a)(b", refused: "unexpected )"},
		{pattern: "(", refused: "missing closing )"},
		{pattern: strings.Repeat("a", 1025), refused: "regex of 1025 bytes: at most 1024 are allowed"},
		{pattern: strings.Repeat("(a{20}){20}", 40), refused: "RE2 program size"},
		{pattern: "(a{1000}){1000}", refused: "invalid repeat count"},
	} {
		d := &decoder{}
		re := d.fullMatch("p", &matcherv3.RegexMatcher{Regex: test.pattern})
		if test.refused != "" {
			if re != nil || len(d.problems) != 1 || !strings.Contains(d.problems[0].Text, test.refused) {
				t.Errorf("%.30q: %v", test.pattern, d.problems)
			}
			continue
		}
		if re == nil || !re.MatchString(test.matches) || re.MatchString(test.not) {
			t.Errorf("%q: want %q and not %q, got %v %v", test.pattern, test.matches, test.not, re, d.problems)
		}
	}
}

func TestSubstitutionIsChecked(t *testing.T) {
	for s, good := range map[string]bool{`\0`: true, `\1x`: true, `\\2`: true, `\2`: false, `\x`: false, `a\`: false} {
		d := &decoder{}
		d.substitution("p", s, 1)
		if (len(d.problems) == 0) != good {
			t.Errorf("%q: %v", s, d.problems)
		}
	}
}

func TestHeaderValuesAreFormats(t *testing.T) {
	for _, test := range []struct{ in, out, refused string }{
		{"plain", "plain", ""},
		{"100%%", "100%", ""},
		{"%%%%", "%%", ""},
		{"%NOBODY%", "", "Not supported field in StreamInfo: NOBODY"},
		{"50% of", "", "Couldn't find valid command at position 2"},
	} {
		d := &decoder{}
		got, _ := d.headerFormat("p", test.in)
		if test.refused == "" && (got != test.out || len(d.problems) != 0) {
			t.Errorf("%q: got %q %v", test.in, got, d.problems)
		}
		if test.refused != "" && (len(d.problems) != 1 || !strings.Contains(d.problems[0].Text, test.refused)) {
			t.Errorf("%q: %v", test.in, d.problems)
		}
	}
}

func TestRuntimeLayers(t *testing.T) {
	static := func(m map[string]any) *bootstrapv3.RuntimeLayer_StaticLayer {
		s, err := structpb.NewStruct(m)
		if err != nil {
			t.Fatal(err)
		}
		return &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: s}
	}
	r, problems := ReadRuntime("layered_runtime", &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{
		{Name: "a", LayerSpecifier: static(map[string]any{
			"n": 5, "text": "7.9", "word": "x", "neg": -1, "big": 500,
			"deep": map[string]any{"er": map[string]any{"k": 1}},
			"frac": map[string]any{"numerator": 3, "denominator": "MILLION"},
			"bad":  map[string]any{"numerator": 3, "denominator": "DOZEN"},
		})},
		{Name: "b", LayerSpecifier: static(map[string]any{"n": 6})},
	}}, nil)
	if load.Refused(problems) {
		t.Fatal(problems)
	}
	d := &decoder{opts: Options{Runtime: r}}
	for key, want := range map[string]config.Fraction{
		"n":         {Num: 6, Den: 100},
		"text":      {Num: 7, Den: 100},
		"deep.er.k": {Num: 1, Den: 100},
		"frac":      {Num: 3, Den: 1_000_000},
		"big":       {Num: 100, Den: 100},
		"word":      {Num: 42, Den: 10_000},
		"neg":       {Num: 42, Den: 10_000},
		"bad":       {Num: 42, Den: 10_000},
		"missing":   {Num: 42, Den: 10_000},
	} {
		got := d.fraction(&corev3.RuntimeFractionalPercent{
			RuntimeKey:   key,
			DefaultValue: &typev3.FractionalPercent{Numerator: 42, Denominator: typev3.FractionalPercent_TEN_THOUSAND},
		})
		if got == nil || *got != want {
			t.Errorf("%s: got %v, want %v", key, got, want)
		}
	}
}

// A table of RDS does not have to name known clusters; one that is written into
// the listener does.
func TestRouteTableOfRDSDoesNotValidateClusters(t *testing.T) {
	m := &routev3.RouteConfiguration{Name: "r"}
	table, problems := RouteTable("r", m, Options{})
	if load.Refused(problems) || table.ValidateClusters {
		t.Errorf("%v %v", table, problems)
	}
	if !(&decoder{}).routeTable("r", m, true).ValidateClusters {
		t.Errorf("an inline table is not validated")
	}
}

// Decoding what no validator has seen must not panic: all getters of an empty
// message are nil or zero.
func TestEmptyMessagesAreAnswered(t *testing.T) {
	for _, table := range tables() {
		d := &decoder{}
		d.check("x", table.of.ProtoReflect().New().Interface())
		if len(d.problems) > 0 {
			t.Errorf("%T: %v", table.of, d.problems)
		}
	}
	if _, problems := Listener("l", nil, Options{}); !load.Refused(problems) {
		t.Errorf("a listener of nothing stands")
	}
	if _, problems := Cluster("c", nil, Options{}); !load.Refused(problems) {
		t.Errorf("a cluster of nothing stands")
	}
	if _, problems := RouteTable("r", nil, Options{}); load.Refused(problems) {
		t.Errorf("an empty table does not stand: %v", problems)
	}
}

// What no network filter is configured by is not among what may come.
func TestForeignTypeUnderDiscovery(t *testing.T) {
	d := &decoder{}
	rbac := "envoy.extensions.filters.network.rbac.v3.RBAC"
	by := d.discoveredAt(place{kind: networkFilter, of: config.NetworkFilters}, "p", "f", &corev3.ExtensionConfigSource{
		ConfigSource: &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_Ads{}},
		TypeUrls:     []string{"type.googleapis.com/" + rbac, "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"},
	})
	if len(by.Types) != 1 || by.Types[0] != rbac {
		t.Errorf("these may come: %q", by.Types)
	}
	if len(d.problems) != 1 || !d.problems[0].Warning || !strings.Contains(d.problems[0].Text, "if it comes it is refused") {
		t.Errorf("it is said: %v", d.problems)
	}
}

// The longest refresh_delay can be doubled, which is what a poll does to it.
func TestLongestPoll(t *testing.T) {
	for _, seconds := range []int64{30, 4_611_686_018, 9_200_000_000, 315_576_000_000} {
		d := &decoder{}
		s := d.apiSource("p", &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_REST, TransportApiVersion: corev3.ApiVersion_V3, ClusterNames: []string{"control"},
			RefreshDelay: &durationpb.Duration{Seconds: seconds},
		})
		if len(d.problems) > 0 || s.Poll.Delay < min(time.Duration(seconds), 100*365*24*3600)*time.Second || s.Poll.Delay+s.Poll.Delay < s.Poll.Delay {
			t.Errorf("%d s: a pause of %s: %v", seconds, s.Poll.Delay, d.problems)
		}
	}
}
