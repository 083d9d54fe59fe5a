package envoyv3

// What is honoured of route tables.

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	templatematchv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	templaterewritev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/rewrite/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

func routeTables() []table {
	const (
		headers    = "request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove "
		retries    = "retry_policy hedge_policy request_mirror_policies "
		bodyLimits = "per_request_buffer_limit_bytes request_body_buffer_limit"
	)
	return []table{
		{
			of: &routev3.RouteConfiguration{},
			honoured: headers + "name virtual_hosts most_specific_header_mutations_wins validate_clusters " +
				"max_direct_response_body_size_bytes ignore_port_in_host_matching " +
				"ignore_path_parameters_in_path_matching typed_per_filter_config request_mirror_policies vhds " +
				"internal_only_headers cluster_specifier_plugins",
			noEffect: notes{"metadata": labelOnly},
			never: notes{
				"vhost_header": tooNew + ": it chooses the virtual host",
			},
		},
		{
			of:     &routev3.VirtualHost{},
			partly: notes{"cors": hintOldCORS},
			honoured: headers + "name domains routes require_tls virtual_clusters metadata typed_per_filter_config " + retries + "include_request_attempt_count " +
				"include_attempt_count_in_response include_is_timeout_retry_header matcher rate_limits " + bodyLimits,
			refused: notes{
				"retry_policy_typed_config": hintTypedRetry,
			},
		},
		{
			of:       &routev3.Route{},
			honoured: headers + "name match route redirect direct_response metadata stat_prefix typed_per_filter_config " + bodyLimits,
			noEffect: notes{
				"decorator": "names the span of a trace; there are no traces yet",
			},
			unbuilt: notes{"tracing": noSpans},
			never: notes{
				"filter_action":         "Envoy has not built it",
				"non_forwarding_action": "Envoy's router does not build it either: it is for gRPC servers",
			},
		},
		{of: &routev3.RouteList{}, honoured: "routes", strict: true},
		{
			of: &routev3.RouteMatch{},
			honoured: "prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction " +
				"headers query_parameters grpc path_match_policy cookies tls_context dynamic_metadata filter_state",
			strict: true,
		},
		{of: &templatematchv3.UriTemplateMatchConfig{}, honoured: "path_template", strict: true},
		{of: &templaterewritev3.UriTemplateRewriteConfig{}, honoured: "path_template_rewrite", strict: true},
		{of: &routev3.CookieMatcher{}, honoured: "name string_match invert_match", strict: true},
		{of: &routev3.RouteMatch_TlsContextMatchOptions{}, honoured: "presented validated", strict: true},
		{of: &routev3.VirtualCluster{}, honoured: "name headers"},
		{of: &matcherv3.AddressMatcher{}, honoured: "ranges", strict: true},
		{of: &xdscorev3.CidrRange{}, honoured: "address_prefix prefix_len", strict: true},
		{of: &routev3.RouteMatch_ConnectMatcher{}},
		{of: &routev3.RouteMatch_GrpcRouteMatchOptions{}},
		{
			of: &routev3.HeaderMatcher{},
			honoured: "name exact_match safe_regex_match range_match present_match prefix_match suffix_match " +
				"contains_match string_match invert_match treat_missing_header_as_empty",
			strict: true,
		},
		{of: &routev3.QueryParameterMatcher{}, honoured: "name string_match present_match", strict: true},
		{
			of: &routev3.RouteAction{},
			honoured: "cluster cluster_header weighted_clusters metadata_match cluster_not_found_response_code prefix_rewrite " +
				"regex_rewrite path_rewrite_policy host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex " +
				"append_x_forwarded_host timeout idle_timeout flush_timeout max_stream_duration priority hash_policy upgrade_configs " +
				retries + "max_grpc_timeout grpc_timeout_offset internal_redirect_policy " +
				"internal_redirect_action max_internal_redirects rate_limits include_vh_rate_limits " +
				"cluster_specifier_plugin inline_cluster_specifier_plugin",
			partly:   notes{"cors": hintOldCORS},
			noEffect: notes{"early_data_policy": "no early data is accepted"},
			refused:  notes{"retry_policy_typed_config": hintTypedRetry},
			never: notes{
				"path_rewrite": tooNew + ": use prefix_rewrite or regex_rewrite",
				"host_rewrite": tooNew + ": use host_rewrite_literal or host_rewrite_header",
			},
		},
		{
			of:       &routev3.RouteAction_RequestMirrorPolicy{},
			honoured: "cluster cluster_header runtime_fraction disable_shadow_host_suffix_append host_rewrite_literal request_headers_mutations",
			noEffect: notes{"trace_sampled": "there are no traces yet"},
		},
		{
			of:       &mutationv3.HeaderMutation{},
			honoured: "remove append",
			partly:   notes{"remove_on_match": "not of request_mirror_policies"},
		},
		{
			of:       &routev3.RouteAction_MaxStreamDuration{},
			honoured: "max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset",
		},
		{
			of:       &routev3.RouteAction_UpgradeConfig{},
			honoured: "upgrade_type enabled",
			partly:   notes{"connect_config": "not of CONNECT-UDP"},
		},
		{
			of:       &routev3.RouteAction_UpgradeConfig_ConnectConfig{},
			honoured: "proxy_protocol_config allow_post",
		},
		{
			of:       &routev3.WeightedCluster{},
			honoured: "clusters runtime_key_prefix header_name use_hash_policy",
			noEffect: notes{"total_weight": "the sum of the weights counts, in Envoy too"},
		},
		{
			of:       &routev3.WeightedCluster_ClusterWeight{},
			honoured: headers + "name cluster_header weight host_rewrite_literal typed_per_filter_config metadata_match",
		},
		{
			of:       &routev3.RouteAction_HashPolicy{},
			honoured: "header cookie connection_properties query_parameter terminal filter_state",
		},
		{of: &routev3.RouteAction_HashPolicy_Header{}, honoured: "header_name regex_rewrite"},
		{
			of:       &routev3.RouteAction_HashPolicy_Cookie{},
			honoured: "name ttl path attributes",
		},
		{of: &routev3.RouteAction_HashPolicy_CookieAttribute{}, honoured: "name value"},
		{of: &routev3.RouteAction_HashPolicy_ConnectionProperties{}, honoured: "source_ip"},
		{of: &routev3.RouteAction_HashPolicy_QueryParameter{}, honoured: "name"},
		{of: &routev3.RouteAction_HashPolicy_FilterState{}, honoured: "key"},
		{
			of: &routev3.RedirectAction{},
			honoured: "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite " +
				"regex_rewrite response_code strip_query",
			strict: true,
		},
		{
			of:       &routev3.DirectResponseAction{},
			honoured: "status body body_format",
		},
	}
}

// hintOldCORS is whose policy cors is.
const hintOldCORS = "for the filter named envoy.filters.http.cors"
