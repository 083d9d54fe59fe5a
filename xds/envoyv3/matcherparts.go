package envoyv3

// What matcher trees are made of: the extensions for their inputs, tests and actions, and what is honoured of them.

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	actionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	environmentv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/environment_variable/v3"
	networkinputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	sslinputv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/ssl/v3"
	hashtestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/consistent_hashing/v3"
	iptestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/ip/v3"
	metadatatestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/metadata/v3"
	fractiontestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func matcherExtensions() []extension {
	all := []extension{
		{requestInput, "envoy.matching.inputs.request_headers", func() proto.Message { return &matcherv3.HttpRequestHeaderMatchInput{} }},
		{requestInput, "envoy.matching.inputs.response_headers", func() proto.Message { return &matcherv3.HttpResponseHeaderMatchInput{} }},
		{requestInput, "query_params", func() proto.Message { return &matcherv3.HttpRequestQueryParamMatchInput{} }},
		{requestInput, "envoy.matching.inputs.status_code_input", func() proto.Message { return &matcherv3.HttpResponseStatusCodeMatchInput{} }},
		{requestInput, "envoy.matching.inputs.status_code_class_input", func() proto.Message { return &matcherv3.HttpResponseStatusCodeClassMatchInput{} }},
		{requestInput, "envoy.matching.inputs.dynamic_metadata", func() proto.Message { return &networkinputv3.DynamicMetadataInput{} }},
		{requestInput, "envoy.matching.inputs.cel_data_input", func() proto.Message { return &xdsmatcherv3.HttpAttributesCelMatchInput{} }},
		{inputTest, "envoy.matching.matchers.metadata_matcher", func() proto.Message { return &metadatatestv3.Metadata{} }},
		{inputTest, "envoy.matching.matchers.cel_matcher", func() proto.Message { return &xdsmatcherv3.CelMatcher{} }},
		{rbacAction, "envoy.filters.rbac.action", func() proto.Message { return &rbacconfigv3.Action{} }},
		{filterAction, "skip", func() proto.Message { return &actionv3.SkipFilter{} }},
		{filterAction, "composite-action", func() proto.Message { return &compositev3.ExecuteFilterAction{} }},
		{connInput, "envoy.matching.inputs.transport_protocol", func() proto.Message { return &networkinputv3.TransportProtocolInput{} }},
		{connInput, "envoy.matching.inputs.application_protocol", func() proto.Message { return &networkinputv3.ApplicationProtocolInput{} }},
		{commonInput, "envoy.matching.common_inputs.environment_variable", func() proto.Message { return &environmentv3.Config{} }},
		{inputTest, "envoy.matching.matchers.ip", func() proto.Message { return &iptestv3.Ip{} }},
		{inputTest, "envoy.matching.matchers.runtime_fraction", func() proto.Message { return &fractiontestv3.RuntimeFraction{} }},
		{inputTest, "envoy.matching.matchers.consistent_hashing", func() proto.Message { return &hashtestv3.ConsistentHashing{} }},
		{customTree, "envoy.matching.custom_matchers.ip_range_matcher", func() proto.Message { return &xdsmatcherv3.IPMatcher{} }},
		{customTree, "envoy.matching.custom_matchers.domain_matcher", func() proto.Message { return &xdsmatcherv3.ServerNameMatcher{} }},
		{routeAction, "route", func() proto.Message { return &routev3.Route{} }},
		{routeAction, "route_match_action", func() proto.Message { return &routev3.RouteList{} }},
		{chainAction, "filter-chain-name", func() proto.Message { return &wrapperspb.StringValue{} }},
	}
	for _, k := range []kind{requestInput, connInput} {
		all = append(all, []extension{
			{k, "envoy.matching.inputs.destination_ip", func() proto.Message { return &networkinputv3.DestinationIPInput{} }},
			{k, "envoy.matching.inputs.destination_port", func() proto.Message { return &networkinputv3.DestinationPortInput{} }},
			{k, "envoy.matching.inputs.source_ip", func() proto.Message { return &networkinputv3.SourceIPInput{} }},
			{k, "envoy.matching.inputs.source_port", func() proto.Message { return &networkinputv3.SourcePortInput{} }},
			{k, "envoy.matching.inputs.direct_source_ip", func() proto.Message { return &networkinputv3.DirectSourceIPInput{} }},
			{k, "envoy.matching.inputs.source_type", func() proto.Message { return &networkinputv3.SourceTypeInput{} }},
			{k, "envoy.matching.inputs.server_name", func() proto.Message { return &networkinputv3.ServerNameInput{} }},
			{k, "envoy.matching.inputs.network_namespace", func() proto.Message { return &networkinputv3.NetworkNamespaceInput{} }},
			{k, "envoy.matching.inputs.filter_state", func() proto.Message { return &networkinputv3.FilterStateInput{} }},
			{k, "envoy.matching.inputs.uri_san", func() proto.Message { return &sslinputv3.UriSanInput{} }},
			{k, "envoy.matching.inputs.dns_san", func() proto.Message { return &sslinputv3.DnsSanInput{} }},
			{k, "envoy.matching.inputs.subject", func() proto.Message { return &sslinputv3.SubjectInput{} }},
		}...)
	}
	return all
}

func matcherTables() []table {
	strict := func(of proto.Message, honoured string) table { return table{of: of, honoured: honoured, strict: true} }
	extension := notes{"name": "an extension is found by its type"}
	return []table{
		strict(&xdsmatcherv3.Matcher{}, "matcher_list matcher_tree on_no_match"),
		strict(&xdsmatcherv3.Matcher_OnMatch{}, "matcher action keep_matching"),
		strict(&xdsmatcherv3.Matcher_MatcherList{}, "matchers"),
		strict(&xdsmatcherv3.Matcher_MatcherList_FieldMatcher{}, "predicate on_match"),
		strict(&xdsmatcherv3.Matcher_MatcherList_Predicate{}, "single_predicate or_matcher and_matcher not_matcher"),
		strict(&xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{}, "input value_match custom_match"),
		strict(&xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{}, "predicate"),
		strict(&xdsmatcherv3.Matcher_MatcherTree{}, "input exact_match_map prefix_match_map custom_match"),
		strict(&xdsmatcherv3.Matcher_MatcherTree_MatchMap{}, "map"),
		{of: &xdsmatcherv3.StringMatcher{}, honoured: "exact prefix suffix safe_regex contains ignore_case", never: notes{"custom": noMatchers}, strict: true},
		{of: &xdsmatcherv3.RegexMatcher{}, partly: notes{"regex": noteRegex}, noEffect: notes{"google_re2": noteRE2}, strict: true},
		{of: &xdscorev3.TypedExtensionConfig{}, honoured: "typed_config", noEffect: extension},

		strict(&xdsmatcherv3.IPMatcher{}, "range_matchers"),
		strict(&xdsmatcherv3.IPMatcher_IPRangeMatcher{}, "ranges on_match exclusive"),
		strict(&xdsmatcherv3.ServerNameMatcher{}, "domain_matchers"),
		strict(&xdsmatcherv3.ServerNameMatcher_DomainMatcher{}, "domains on_match"),
		{of: &iptestv3.Ip{}, honoured: "cidr_ranges", noEffect: notes{"stat_prefix": "what is no address is not counted"}, strict: true},
		strict(&metadatatestv3.Metadata{}, "value invert"),
		{of: &xdsmatcherv3.HttpAttributesCelMatchInput{}},
		{of: &xdsmatcherv3.CelMatcher{}, honoured: "expr_match", noEffect: notes{"description": labelOnly}, strict: true},
		{of: &xdstypev3.CelExpression{}, honoured: "cel_expr_string", partly: notes{
			"cel_expr_parsed": noteCEL, "cel_expr_checked": noteCEL, "parsed_expr": noteCEL, "checked_expr": noteCEL,
		}, strict: true},
		strict(&matcherv3.HttpResponseHeaderMatchInput{}, "header_name"),
		strict(&matcherv3.HttpRequestQueryParamMatchInput{}, "query_param"),
		{of: &matcherv3.HttpResponseStatusCodeMatchInput{}},
		{of: &matcherv3.HttpResponseStatusCodeClassMatchInput{}},
		strict(&networkinputv3.DynamicMetadataInput{}, "filter path"),
		strict(&networkinputv3.DynamicMetadataInput_PathSegment{}, "key"),
		strict(&fractiontestv3.RuntimeFraction{}, "runtime_fraction seed"),
		strict(&hashtestv3.ConsistentHashing{}, "threshold modulo seed"),
		{of: &wrapperspb.StringValue{}, honoured: "value"},

		strict(&matcherv3.HttpRequestHeaderMatchInput{}, "header_name"),
		strict(&environmentv3.Config{}, "name"),
		{of: &networkinputv3.DestinationIPInput{}},
		{of: &networkinputv3.DestinationPortInput{}},
		{of: &networkinputv3.SourceIPInput{}},
		{of: &networkinputv3.SourcePortInput{}},
		{of: &networkinputv3.DirectSourceIPInput{}},
		{of: &networkinputv3.SourceTypeInput{}},
		{of: &networkinputv3.ServerNameInput{}},
		{of: &networkinputv3.NetworkNamespaceInput{}},
		{of: &networkinputv3.TransportProtocolInput{}},
		{of: &networkinputv3.ApplicationProtocolInput{}},
		strict(&networkinputv3.FilterStateInput{}, "key"),
		{of: &sslinputv3.UriSanInput{}},
		{of: &sslinputv3.DnsSanInput{}},
		{of: &sslinputv3.SubjectInput{}},
	}
}

// Notes on regular expressions.
const (
	noteRegex = "at most 1024 bytes; Go's regexp, which is RE2 without \\C"
	noteRE2   = "the engine is RE2's language anyhow"
)
