package envoyv3

// Conditions of routes.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

func (d *decoder) routeMatch(p path, m *routev3.RouteMatch) config.RouteMatch {
	r := config.RouteMatch{
		Path:       d.pathMatch(p, m),
		GRPC:       m.GetGrpc() != nil,
		Runtime:    d.fraction(m.GetRuntimeFraction()),
		IgnoreCase: !orBool(m.GetCaseSensitive(), true),
	}
	for i, h := range m.GetHeaders() {
		r.Headers = append(r.Headers, d.headerMatch(p.dot("headers").at(i), h))
	}
	for i, q := range m.GetQueryParameters() {
		r.Query = append(r.Query, d.queryMatch(p.dot("query_parameters").at(i), q))
	}
	for i, c := range m.GetCookies() {
		pc := p.dot("cookies").at(i)
		d.required(pc.dot("name"), c.GetName())
		r.Cookies = append(r.Cookies, config.CookieMatch{
			Name: c.GetName(), String: d.stringMatch(pc.dot("string_match"), c.GetStringMatch()), Invert: c.GetInvertMatch(),
		})
	}
	if t := m.GetTlsContext(); t != nil {
		r.TLS = &config.TLSMatch{Presented: given(t.GetPresented()), Validated: given(t.GetValidated())}
	}
	for i, c := range m.GetDynamicMetadata() {
		r.Metadata = append(r.Metadata, *d.metadataMatch(p.dot("dynamic_metadata").at(i), c))
	}
	for i, c := range m.GetFilterState() {
		r.State = append(r.State, d.stateMatch(p.dot("filter_state").at(i), c))
	}
	return r
}

// given is the value of a field that may be left out; nil: it was.
func given(m *wrapperspb.BoolValue) *bool {
	if m == nil {
		return nil
	}
	v := m.GetValue()
	return &v
}

func (d *decoder) stateMatch(p path, m *matcherv3.FilterStateMatcher) config.StateMatch {
	d.required(p.dot("key"), m.GetKey())
	s := config.StateMatch{Key: m.GetKey()}
	switch x := m.GetMatcher().(type) {
	case *matcherv3.FilterStateMatcher_StringMatch:
		s.String = d.stringMatch(p.dot("string_match"), x.StringMatch)
	case *matcherv3.FilterStateMatcher_AddressMatch:
		pa := p.dot("address_match").dot("ranges")
		for i, c := range x.AddressMatch.GetRanges() {
			s.Ranges = append(s.Ranges, d.prefixes(pa, []*corev3.CidrRange{{AddressPrefix: c.GetAddressPrefix(), PrefixLen: c.GetPrefixLen()}})...)
			if i >= 1000 {
				d.refuse(pa, "at most 1000 ranges")
				break
			}
		}
		if len(s.Ranges) == 0 {
			d.refuse(pa, "value must contain at least 1 item(s)")
		}
	case nil:
		d.refuse(p, "one of string_match and address_match is required")
	}
	return s
}

// virtualClusters reads those of a virtual host.
func (d *decoder) virtualClusters(p path, all []*routev3.VirtualCluster) (out []config.VirtualCluster) {
	for i, m := range all {
		d.required(p.at(i).dot("name"), m.GetName())
		v := config.VirtualCluster{Name: m.GetName()}
		if len(m.GetHeaders()) == 0 {
			d.refuse(p.at(i), "virtual clusters must define 'headers'")
		}
		for j, h := range m.GetHeaders() {
			v.Headers = append(v.Headers, d.headerMatch(p.at(i).dot("headers").at(j), h))
		}
		out = append(out, v)
	}
	return out
}

func (d *decoder) pathMatch(p path, m *routev3.RouteMatch) config.PathMatch {
	switch s := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		return config.PathMatch{Kind: config.PathPrefix, Value: s.Prefix}
	case *routev3.RouteMatch_Path:
		return config.PathMatch{Kind: config.PathExact, Value: s.Path}
	case *routev3.RouteMatch_SafeRegex:
		return config.PathMatch{Kind: config.PathRegex, Regex: d.fullMatch(p.dot("safe_regex"), s.SafeRegex)}
	case *routev3.RouteMatch_PathSeparatedPrefix:
		if v := s.PathSeparatedPrefix; v == "" || strings.ContainsAny(v, "?#") || strings.HasSuffix(v, "/") {
			d.refuse(p.dot("path_separated_prefix"), "must not be empty, end with '/', or contain '?' or '#'")
		}
		return config.PathMatch{Kind: config.PathSeparatedPrefix, Value: s.PathSeparatedPrefix}
	case *routev3.RouteMatch_PathMatchPolicy:
		return d.pathPolicy(p, s)
	case *routev3.RouteMatch_ConnectMatcher_:
		return config.PathMatch{Kind: config.PathConnect}
	case nil:
		d.refuse(p, "one of prefix, path, safe_regex, path_separated_prefix and connect_matcher is required")
	}
	return config.PathMatch{}
}

// headerMatch reads a header condition. Without a specifier, and with the
// deprecated empty exact_match, presence is enough (header_utility.cc).
func (d *decoder) headerMatch(p path, m *routev3.HeaderMatcher) config.HeaderMatch {
	d.headerName(p.dot("name"), m.GetName())
	h := config.HeaderMatch{
		Name:           strings.ToLower(m.GetName()),
		Kind:           config.HeaderString,
		Invert:         m.GetInvertMatch(),
		MissingAsEmpty: m.GetTreatMissingHeaderAsEmpty(),
	}
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_ExactMatch:
		h.String = config.StringMatch{Kind: config.StringExact, Value: s.ExactMatch}
		if s.ExactMatch == "" {
			h.Kind = config.HeaderPresent
		}
	case *routev3.HeaderMatcher_SafeRegexMatch:
		h.String = config.StringMatch{Kind: config.StringRegex, Regex: d.fullMatch(p.dot("safe_regex_match"), s.SafeRegexMatch)}
	case *routev3.HeaderMatcher_PrefixMatch:
		h.String = config.StringMatch{Kind: config.StringPrefix, Value: s.PrefixMatch}
	case *routev3.HeaderMatcher_SuffixMatch:
		h.String = config.StringMatch{Kind: config.StringSuffix, Value: s.SuffixMatch}
	case *routev3.HeaderMatcher_ContainsMatch:
		h.String = config.StringMatch{Kind: config.StringContains, Value: s.ContainsMatch}
	case *routev3.HeaderMatcher_StringMatch:
		h.String = d.stringMatch(p.dot("string_match"), s.StringMatch)
	case *routev3.HeaderMatcher_RangeMatch:
		h.Kind, h.From, h.To = config.HeaderRange, s.RangeMatch.GetStart(), s.RangeMatch.GetEnd()
	case *routev3.HeaderMatcher_PresentMatch:
		h.Kind = config.HeaderPresent
		if !s.PresentMatch {
			h.Kind = config.HeaderAbsent
		}
	case nil:
		h.Kind = config.HeaderPresent
	}
	return h
}

func (d *decoder) queryMatch(p path, m *routev3.QueryParameterMatcher) config.QueryMatch {
	d.required(p.dot("name"), m.GetName())
	q := config.QueryMatch{Name: m.GetName()}
	switch s := m.GetQueryParameterMatchSpecifier().(type) {
	case *routev3.QueryParameterMatcher_StringMatch:
		q.String = d.stringMatch(p.dot("string_match"), s.StringMatch)
	case *routev3.QueryParameterMatcher_PresentMatch:
		q.Present, q.Invert = true, !s.PresentMatch
	case nil:
		q.Present = true
	}
	return q
}

func (d *decoder) stringMatch(p path, m *matcherv3.StringMatcher) config.StringMatch {
	s := config.StringMatch{IgnoreCase: m.GetIgnoreCase()}
	switch x := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		s.Kind, s.Value = config.StringExact, x.Exact
	case *matcherv3.StringMatcher_Prefix:
		s.Kind, s.Value = config.StringPrefix, x.Prefix
	case *matcherv3.StringMatcher_Suffix:
		s.Kind, s.Value = config.StringSuffix, x.Suffix
	case *matcherv3.StringMatcher_Contains:
		s.Kind, s.Value = config.StringContains, x.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		s.Kind, s.Regex = config.StringRegex, d.fullMatch(p.dot("safe_regex"), x.SafeRegex)
		if s.IgnoreCase {
			d.refuse(p.dot("ignore_case"), "ignore_case has no effect for safe_regex.")
		}
	case nil:
		d.refuse(p, "one of exact, prefix, suffix, contains and safe_regex is required")
	}
	return s
}
