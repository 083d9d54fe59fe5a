package envoyv3

// What is honoured of clusters, endpoints and balancing policies.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	clientv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	providedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/cluster_provided/v3"
	lbcommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	wrrv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
)

// tryFilters is what is honoured of filters that each attempt passes.
const tryFilters = "admission_control, buffer, header_mutation and lua before upstream_codec; requests of filters, mirrors and health checks go past them"

func clusterTables() []table {
	return concat(clusterTable(), bindTables(), answerTestTables(), resolverTables(), overrideHostTables(), endpointTables(), balanceTables(), healthTables())
}

func clusterTable() []table {
	return []table{
		{
			of: &clusterv3.Cluster{},
			honoured: "name alt_stat_name type lb_policy cleanup_interval original_dst_lb_config cluster_type connect_timeout per_connection_buffer_limit_bytes " +
				"load_assignment max_requests_per_connection circuit_breakers common_http_protocol_options " +
				"http_protocol_options http2_protocol_options protocol_selection upstream_http_protocol_options " +
				"typed_extension_protocol_options upstream_bind_config connection_pool_per_downstream_connection dns_refresh_rate dns_jitter " +
				"dns_failure_refresh_rate respect_dns_ttl dns_lookup_family ring_hash_lb_config maglev_lb_config " +
				"least_request_lb_config round_robin_lb_config common_lb_config transport_socket " +
				"upstream_connection_options load_balancing_policy preconnect_policy eds_cluster_config lrs_server lrs_report_endpoint_metrics " +
				"transport_socket_matches outlier_detection metadata health_checks ignore_health_on_host_removal close_connections_on_host_health_failure wait_for_warm_on_init lb_subset_config " +
				"typed_dns_resolver_config dns_resolution_config dns_resolvers track_timeout_budgets track_cluster_stats",
			partly: notes{
				"use_tcp_for_dns_lookups": "only beside dns_resolvers, as in Envoy",
			},
			never: notes{
				"transport_socket_matcher": tooNew + ": use transport_socket_matches",
				"filters":                  "there are no upstream filters",
				"upstream_config":          "pools are attache's own",
			},
		},
		{
			of:       &clusterv3.TrackClusterStats{},
			honoured: "timeout_budgets",
			noEffect: notes{"request_response_sizes": "adds statistics that are not kept", "per_endpoint_stats": "adds statistics that are not kept"},
		},
		{of: &metadatav3.MetadataKey{}, honoured: "key path"},
		{of: &metadatav3.MetadataKey_PathSegment{}, honoured: "key"},
		{of: &providedv3.ClusterProvided{}},
		{of: &aggregatev3.ClusterConfig{}, partly: notes{"clusters": "those that list their hosts: one of ORIGINAL_DST has none for it"}},
		{of: &clusterv3.Cluster_OriginalDstLbConfig{}, honoured: "use_http_header http_header_name upstream_port_override metadata_key"},
		{of: &clusterv3.Cluster_CustomClusterType{}, honoured: "name typed_config"},
		{
			of: &dnsv3.DnsCluster{},
			honoured: "dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_jitter dns_lookup_family " +
				"all_addresses_in_single_endpoint typed_dns_resolver_config",
		},
		{of: &dnsv3.DnsCluster_RefreshRate{}, honoured: "base_interval max_interval"},
		{of: &clusterv3.Cluster_RefreshRate{}, honoured: "base_interval max_interval"},
		{
			of:       &clusterv3.CircuitBreakers{},
			honoured: "thresholds",
			partly:   notes{"per_host_thresholds": "max_connections only, as in Envoy; HTTP/2 has one connection anyway until its streams are used up"},
		},
		{
			of:       &clusterv3.CircuitBreakers_Thresholds{},
			honoured: "priority max_connections max_pending_requests max_requests max_retries retry_budget track_remaining",
			noEffect: notes{"max_connection_pools": "a host has one pool per worker"},
		},
		{
			of:       &clusterv3.UpstreamConnectionOptions{},
			honoured: "tcp_keepalive happy_eyeballs_config",
			noEffect: notes{"set_local_interface_name_on_upstream_connections": "only adds to an access log"},
		},
		{
			of:       &clusterv3.Cluster_PreconnectPolicy{},
			honoured: "per_upstream_preconnect_ratio predictive_preconnect_ratio",
		},
		{
			of: &upstreamv3.HttpProtocolOptions{},
			honoured: "common_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config " +
				"upstream_http_protocol_options retry_policy outlier_detection",
			refused: notes{
				"request_mirror_policies":  tooNew + ": give it in the route",
				"hash_policy":              tooNew + ": give it in the route",
				"header_validation_config": "headers are always checked as RFC 9110 says",
			},
			partly: notes{"http_filters": tryFilters},
		},
		{
			of:       &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{},
			honoured: "http_protocol_options http2_protocol_options",
			never:    notes{"http3_protocol_options": hintHTTP3},
		},
		{
			of:       &upstreamv3.HttpProtocolOptions_UseDownstreamHttpConfig{},
			honoured: "http_protocol_options http2_protocol_options",
			noEffect: notes{"http3_protocol_options": "no downstream connection is HTTP/3"},
		},
		{
			of:       &upstreamv3.HttpProtocolOptions_AutoHttpConfig{},
			honoured: "http_protocol_options http2_protocol_options",
			refused: notes{
				"http3_protocol_options":            hintHTTP3,
				"alternate_protocols_cache_options": hintHTTP3,
			},
		},
		{
			of: &clusterv3.OutlierDetection{},
			honoured: "consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx " +
				"enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor " +
				"consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors " +
				"consecutive_local_origin_failure enforcing_consecutive_local_origin_failure " +
				"enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage " +
				"enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts " +
				"failure_percentage_request_volume max_ejection_time max_ejection_time_jitter " +
				"successful_active_health_check_uneject_host always_eject_one_host",
			refused: notes{"monitors": "there are no others than those built in"},
		},
		{of: &corev3.UpstreamHttpProtocolOptions{}, honoured: "auto_sni auto_san_validation override_auto_sni_header"},
	}
}

func endpointTables() []table {
	return []table{
		{
			of:       &endpointv3.ClusterLoadAssignment{},
			honoured: "cluster_name endpoints policy",
			never:    notes{"named_endpoints": "Envoy has not built it: give each endpoint in its locality"},
		},
		{
			of:       &endpointv3.ClusterLoadAssignment_Policy{},
			honoured: "overprovisioning_factor drop_overloads weighted_priority_health endpoint_stale_after",
		},
		{of: &endpointv3.ClusterLoadAssignment_Policy_DropOverload{}, honoured: "category drop_percentage"},
		{
			of:       &endpointv3.LocalityLbEndpoints{},
			honoured: "locality lb_endpoints load_balancing_weight priority leds_cluster_locality_config",
			noEffect: notes{"metadata": labelOnly, "proximity": "Envoy does not implement it either"},
			never: notes{
				"load_balancer_endpoints": "use lb_endpoints",
			},
		},
		{
			of:       &endpointv3.LbEndpoint{},
			honoured: "endpoint health_status metadata load_balancing_weight",
			never:    notes{"endpoint_name": "Envoy has not built it: give the endpoint"},
		},
		{
			of:       &endpointv3.Endpoint{},
			honoured: "address hostname health_check_config",
			partly:   notes{"additional_addresses": "of an endpoint that has an IP address; not where its name is looked up"},
		},
		{of: &endpointv3.Endpoint_AdditionalAddress{}, honoured: "address"},
		{of: &endpointv3.Endpoint_HealthCheckConfig{}, honoured: "port_value hostname address disable_active_health_check"},
	}
}

func balanceTables() []table {
	return []table{
		{of: &clusterv3.LoadBalancingPolicy{}, honoured: "policies"},
		{of: &clusterv3.LoadBalancingPolicy_Policy{}, honoured: "typed_extension_config"},
		{of: &clusterv3.Cluster_RingHashLbConfig{}, honoured: "minimum_ring_size hash_function maximum_ring_size"},
		{of: &clusterv3.Cluster_MaglevLbConfig{}, honoured: "table_size"},
		{
			of:       &clusterv3.Cluster_LeastRequestLbConfig{},
			honoured: "choice_count active_request_bias slow_start_config",
		},
		{of: &clusterv3.Cluster_RoundRobinLbConfig{}, honoured: "slow_start_config"},
		{of: &clusterv3.Cluster_SlowStartConfig{}, honoured: "slow_start_window aggression min_weight_percent"},
		{of: &lbcommonv3.SlowStartConfig{}, honoured: "slow_start_window aggression min_weight_percent"},
		{of: &wrrv3.WrrLocality{}, honoured: "endpoint_picking_policy"},
		{
			of: &subsetv3.Subset{},
			honoured: "fallback_policy default_subset subset_selectors locality_weight_aware scale_locality_weight " +
				"panic_mode_any list_as_any metadata_fallback_policy allow_redundant_keys subset_lb_policy",
		},
		{
			of:       &subsetv3.Subset_LbSubsetSelector{},
			honoured: "keys fallback_policy fallback_keys_subset single_host_per_subset",
		},
		{
			of: &clusterv3.Cluster_CommonLbConfig{},
			honoured: "healthy_panic_threshold zone_aware_lb_config locality_weighted_lb_config " +
				"consistent_hashing_lb_config ignore_new_hosts_until_first_hc override_host_status close_connections_on_host_set_change",
			noEffect: notes{
				"update_merge_window": "an update is applied when it comes",
			},
		},
		{
			of:       &clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig{},
			honoured: "fail_traffic_on_panic routing_enabled min_cluster_size",
		},
		{of: &corev3.HealthStatusSet{}, honoured: "statuses"},
		{of: &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig{}},
		{
			of: &clusterv3.Cluster_LbSubsetConfig{},
			honoured: "fallback_policy default_subset subset_selectors locality_weight_aware scale_locality_weight " +
				"panic_mode_any list_as_any metadata_fallback_policy",
		},
		{
			of:       &clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector{},
			honoured: "keys fallback_policy fallback_keys_subset single_host_per_subset",
		},
		{
			of:       &clusterv3.Cluster_CommonLbConfig_ConsistentHashingLbConfig{},
			honoured: "use_hostname_for_hashing hash_balance_factor",
		},
		{
			of:       &roundv3.RoundRobin{},
			honoured: "locality_lb_config slow_start_config",
		},
		{
			of:       &leastv3.LeastRequest{},
			honoured: "choice_count active_request_bias locality_lb_config slow_start_config enable_full_scan selection_method",
		},
		{of: &randomv3.Random{}, honoured: "locality_lb_config"},
		{
			of: &clientv3.ClientSideWeightedRoundRobin{},
			honoured: "blackout_period weight_expiration_period weight_update_period error_utilization_penalty " +
				"metric_names_for_computing_utilization",
			partly:   notes{"enable_oob_load_report": "only false: Envoy does not ask hosts for reports either, they come beside answers"},
			noEffect: notes{"oob_reporting_period": "only with enable_oob_load_report", "slow_start_config": "Envoy has not built it"},
		},
		{
			of: &ringv3.RingHash{},
			honoured: "hash_function minimum_ring_size maximum_ring_size use_hostname_for_hashing " +
				"hash_balance_factor consistent_hashing_lb_config locality_weighted_lb_config",
		},
		{of: &maglevv3.Maglev{}, honoured: "table_size consistent_hashing_lb_config locality_weighted_lb_config"},
		{of: &lbcommonv3.LocalityLbConfig{}, honoured: "zone_aware_lb_config locality_weighted_lb_config"},
		{of: &lbcommonv3.LocalityLbConfig_LocalityWeightedLbConfig{}},
		{
			of:       &lbcommonv3.LocalityLbConfig_ZoneAwareLbConfig{},
			honoured: "fail_traffic_on_panic routing_enabled min_cluster_size force_local_zone force_locality_direct_routing locality_basis",
		},
		{of: &lbcommonv3.LocalityLbConfig_ZoneAwareLbConfig_ForceLocalZone{}, honoured: "min_size"},
		{
			of:       &lbcommonv3.ConsistentHashingLbConfig{},
			honoured: "use_hostname_for_hashing hash_balance_factor",
			refused:  notes{"hash_policy": "give it in the route"},
		},
	}
}
