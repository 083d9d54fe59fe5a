package envoyv3

// What matcher trees look at, and what they ask of it.

import (
	"os"
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	environmentv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/environment_variable/v3"
	networkinputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	sslinputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/ssl/v3"
	hashtestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/consistent_hashing/v3"
	iptestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/ip/v3"
	metadatatestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/metadata/v3"
	fractiontestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// matchInput reads what a tree looks at.
func (d *decoder) matchInput(p path, m *xdscorev3.TypedExtensionConfig, at *treePlace) (in config.MatchInput) {
	p = p.dot("typed_config")
	typeName, _, _ := unwrap(m.GetTypedConfig())
	k := at.input
	if implements(commonInput, typeName) {
		k = commonInput
	}
	if implements(k, typeName) && k != commonInput && !at.permitted(typeName) {
		d.refuse(p, at.refusal, "type.googleapis.com/"+typeName)
		return in
	}
	header := func(kind config.InputKind, name string) {
		d.headerName(p.dot("header_name"), name)
		in.Kind, in.Name = kind, strings.ToLower(name)
	}
	switch m := d.extension(p, k, m.GetName(), m.GetTypedConfig()).(type) {
	case *matcherv3.HttpRequestHeaderMatchInput:
		header(config.InputRequestHeader, m.GetHeaderName())
	case *matcherv3.HttpResponseHeaderMatchInput:
		header(config.InputResponseHeader, m.GetHeaderName())
	case *matcherv3.HttpRequestQueryParamMatchInput:
		d.required(p.dot("query_param"), m.GetQueryParam())
		in.Kind, in.Name = config.InputQuery, m.GetQueryParam()
	case *matcherv3.HttpResponseStatusCodeMatchInput:
		in.Kind = config.InputStatus
	case *matcherv3.HttpResponseStatusCodeClassMatchInput:
		in.Kind = config.InputStatusClass
	case *networkinputv3.FilterStateInput:
		d.required(p.dot("key"), m.GetKey())
		in.Kind, in.Name = config.InputFilterState, m.GetKey()
	case *xdsmatcherv3.HttpAttributesCelMatchInput:
		in.Kind = config.InputCEL
	case *networkinputv3.DynamicMetadataInput:
		d.required(p.dot("filter"), m.GetFilter())
		in.Kind, in.Namespace = config.InputMetadata, m.GetFilter()
		for _, s := range m.GetPath() {
			in.Path = append(in.Path, s.GetKey())
		}
	case *environmentv3.Config:
		in = d.environmentInput(p, m)
	default:
		in.Kind = connInputKind(m)
	}
	if at.answersOnly && (in.Kind == config.InputRequestHeader || in.Kind == config.InputQuery) {
		d.warn(p, "answers are matched by themselves: what is asked of the request never holds")
	}
	return in
}

// connInputKind is the kind of an input without settings.
func connInputKind(m any) config.InputKind {
	switch m.(type) {
	case *networkinputv3.DestinationIPInput:
		return config.InputDestinationIP
	case *networkinputv3.DestinationPortInput:
		return config.InputDestinationPort
	case *networkinputv3.SourceIPInput:
		return config.InputSourceIP
	case *networkinputv3.SourcePortInput:
		return config.InputSourcePort
	case *networkinputv3.DirectSourceIPInput:
		return config.InputDirectSourceIP
	case *networkinputv3.SourceTypeInput:
		return config.InputSourceType
	case *networkinputv3.ServerNameInput:
		return config.InputServerName
	case *networkinputv3.NetworkNamespaceInput:
		return config.InputNamespace
	case *networkinputv3.TransportProtocolInput:
		return config.InputTransportProtocol
	case *networkinputv3.ApplicationProtocolInput:
		return config.InputApplicationProtocols
	case *sslinputv3.UriSanInput:
		return config.InputURISAN
	case *sslinputv3.DnsSanInput:
		return config.InputDNSSAN
	case *sslinputv3.SubjectInput:
		return config.InputSubject
	}
	return config.InputRequestHeader // it was refused
}

// environmentInput is read once: a variable that is not there is an input that never has a value.
func (d *decoder) environmentInput(p path, m *environmentv3.Config) config.MatchInput {
	d.required(p.dot("name"), m.GetName())
	text, ok := os.LookupEnv(m.GetName())
	if !ok {
		return config.MatchInput{Kind: config.InputNothing}
	}
	return config.MatchInput{Kind: config.InputText, Text: text}
}

func (d *decoder) singlePredicate(p path, m *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate, at *treePlace, c *config.Predicate) {
	c.Input = d.matchInput(p.dot("input"), m.GetInput(), at)
	switch x := m.GetMatcher().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch:
		c.Test.String = d.xdsString(p.dot("value_match"), x.ValueMatch)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch:
		c.Test = d.inputTest(p.dot("custom_match").dot("typed_config"), x.CustomMatch)
	case nil:
		d.refuse(p, "one of value_match and custom_match is required")
	}
	d.suits(p.dot("input"), c)
}

// suits refuses a test that is not meant for the input.
func (d *decoder) suits(p path, c *config.Predicate) {
	wants := map[config.InputTestKind]config.InputKind{config.TestCEL: config.InputCEL, config.TestValue: config.InputMetadata}
	want, special := wants[c.Test.Kind]
	switch {
	case special && c.Input.Kind != want:
		d.refuse(p, "Unsupported data input type: string. The matcher supports input type: %s", inputType(want))
	case !special && (c.Input.Kind == config.InputCEL || c.Input.Kind == config.InputMetadata):
		d.refuse(p, "Unsupported data input type: %s. The matcher supports input type: string", inputType(c.Input.Kind))
	}
}

// inputTest reads a custom_match.
func (d *decoder) inputTest(p path, m *xdscorev3.TypedExtensionConfig) (t config.InputTest) {
	switch m := d.extension(p, inputTest, m.GetName(), m.GetTypedConfig()).(type) {
	case *iptestv3.Ip:
		t.Kind, t.Ranges = config.TestIP, d.prefixes(p.dot("cidr_ranges"), m.GetCidrRanges())
		if len(m.GetCidrRanges()) == 0 {
			d.refuse(p.dot("cidr_ranges"), "value must contain at least 1 item(s)")
		}
	case *xdsmatcherv3.CelMatcher:
		t.Kind, t.CEL = config.TestCEL, d.celExpression(p.dot("expr_match"), m.GetExprMatch())
	case *metadatatestv3.Metadata:
		t.Kind, t.Value, t.Invert = config.TestValue, d.valueMatch(p.dot("value"), m.GetValue()), m.GetInvert()
	case *fractiontestv3.RuntimeFraction:
		t.Kind, t.Seed = config.TestFraction, m.GetSeed()
		if f := d.fraction(m.GetRuntimeFraction()); f != nil {
			t.Fraction = *f
		} else {
			d.refuse(p.dot("runtime_fraction"), "value is required")
		}
	case *hashtestv3.ConsistentHashing:
		t.Kind, t.From, t.Modulo, t.Seed = config.TestHash, m.GetThreshold(), m.GetModulo(), m.GetSeed()
		if t.Modulo == 0 {
			d.refuse(p.dot("modulo"), "value must be greater than 0")
		}
	}
	return t
}
