package envoyv3

// Conditions on answers (config.common.matcher.v3.MatchPredicate).

import (
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

const answersOnly = "only the head of an answer is looked at: Envoy takes it for never true"

func answerTestTables() []table {
	return []table{
		{of: &upstreamv3.HttpProtocolOptions_OutlierDetection{}, honoured: "error_matcher"},
		{
			of: &matcherv3.MatchPredicate{}, honoured: "or_match and_match not_match any_match http_response_headers_match",
			never: notes{
				"http_request_headers_match": answersOnly, "http_request_trailers_match": answersOnly, "http_response_trailers_match": answersOnly,
				"http_request_generic_body_match": answersOnly, "http_response_generic_body_match": answersOnly,
			},
		},
		{of: &matcherv3.MatchPredicate_MatchSet{}, honoured: "rules"},
		{of: &matcherv3.HttpHeadersMatch{}, honoured: "headers"},
	}
}

func (d *decoder) answerTest(p path, m *matcherv3.MatchPredicate) (t config.AnswerTest) {
	set := func(p path, m *matcherv3.MatchPredicate_MatchSet) (all []config.AnswerTest) {
		for i, r := range m.GetRules() {
			all = append(all, d.answerTest(p.dot("rules").at(i), r))
		}
		if len(all) < 2 {
			d.refuse(p.dot("rules"), "value must contain at least 2 item(s)")
		}
		return all
	}
	switch r := m.GetRule().(type) {
	case *matcherv3.MatchPredicate_OrMatch:
		t.Any = set(p.dot("or_match"), r.OrMatch)
	case *matcherv3.MatchPredicate_AndMatch:
		t.All = set(p.dot("and_match"), r.AndMatch)
	case *matcherv3.MatchPredicate_NotMatch:
		not := d.answerTest(p.dot("not_match"), r.NotMatch)
		t.Not = &not
	case *matcherv3.MatchPredicate_AnyMatch:
		t.Always = true
	case *matcherv3.MatchPredicate_HttpResponseHeadersMatch:
		for i, h := range r.HttpResponseHeadersMatch.GetHeaders() {
			t.Headers = append(t.Headers, d.headerMatch(p.dot("http_response_headers_match").dot("headers").at(i), h))
		}
		t.Always = len(t.Headers) == 0
	case nil:
		d.refuse(p, "a rule is required")
	}
	return t
}
