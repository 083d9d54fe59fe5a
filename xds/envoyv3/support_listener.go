package envoyv3

// What is honoured of listeners, filter chains and the TCP proxy.

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

func listenerTables() []table {
	return []table{
		{
			of: &listenerv3.Listener{},
			honoured: "use_original_dst name address additional_addresses stat_prefix filter_chains default_filter_chain " +
				"per_connection_buffer_limit_bytes freebind socket_options tcp_keepalive tcp_backlog_size " +
				"bind_to_port deprecated_v1 internal_listener listener_filters listener_filters_timeout continue_on_listener_filters_timeout metadata " +
				"filter_chain_matcher access_log traffic_direction drain_type transparent tcp_fast_open_queue_length enable_mptcp " +
				"enable_reuse_port max_connections_to_accept_per_socket_event",
			noEffect: notes{
				"reuse_port":               "Envoy does not read it any more: enable_reuse_port is",
				"ignore_global_conn_limit": "there is no global limit of connections",
				"bypass_overload_manager":  "there is no overload manager",
			},
			unbuilt: notes{"connection_balance_config": "the kernel spreads connections over the workers"},
			never: notes{
				"fcds_config":         "give filter_chains",
				"udp_listener_config": "only TCP and unix sockets are served",
				"api_listener":        "there is no API listener",
			},
		},
		{of: &originaldstv3.OriginalDst{}},
		{of: &listenerv3.Listener_InternalListenerConfig{}},
		{of: &listenerv3.Listener_DeprecatedV1{}, honoured: "bind_to_port"},
		{
			of:       &listenerv3.AdditionalAddress{},
			honoured: "address socket_options tcp_keepalive",
		},
		{
			of:       &listenerv3.FilterChain{},
			honoured: "name filter_chain_match filters transport_socket transport_socket_connect_timeout",
			partly:   notes{"use_proxy_proto": "not beside a listener filter by discovery that may be the PROXY filter or another one"},
			noEffect: notes{"metadata": labelOnly},
		},
		{
			of: &listenerv3.FilterChainMatch{},
			honoured: "destination_port prefix_ranges direct_source_prefix_ranges source_type source_prefix_ranges " +
				"source_ports server_names application_protocols transport_protocol",
			strict: true,
			never: notes{
				"address_suffix": "Envoy does not implement it either",
				"suffix_len":     "Envoy does not implement it either",
			},
		},
		{
			of:       &listenerv3.Filter{},
			honoured: "name typed_config",
			partly:   notes{"config_discovery": "a connection manager of which only the routes have changed gives them to open connections, too"},
		},
		{of: &tcpv3.TcpProxy_TcpAccessLogOptions{}, honoured: "access_log_flush_interval flush_access_log_on_connected"},
		{
			of: &tcpv3.TcpProxy{},
			honoured: "stat_prefix cluster weighted_clusters idle_timeout max_connect_attempts hash_policy " +
				"max_downstream_connection_duration metadata_match access_log access_log_flush_interval flush_access_log_on_connected access_log_options tunneling_config " +
				"backoff_options on_demand max_downstream_connection_duration_jitter_percentage proxy_protocol_tlvs",
			partly: notes{
				"upstream_connect_mode": "a host is connected to when the handshake is over in any case, so that ON_DOWNSTREAM_TLS_HANDSHAKE is IMMEDIATE",
				"max_early_data_bytes":  "for ON_DOWNSTREAM_DATA; early bytes wait in the socket, whose buffer is the kernel's",
			},
			refused: notes{
				"downstream_idle_timeout": "Envoy does not read it either: use idle_timeout",
				"upstream_idle_timeout":   "Envoy does not read it either: use idle_timeout",
			},
		},
		{
			of: &tcpv3.TcpProxy_OnDemand{}, honoured: "timeout",
			partly: notes{"odcds_config": "ads, or api_config_source of type DELTA_GRPC"},
			never:  notes{"resources_locator": hintXDSTP},
		},
		{
			of: &tcpv3.TcpProxy_TunnelingConfig{},
			honoured: "hostname post_path headers_to_add propagate_response_headers propagate_response_trailers " +
				"request_id_extension request_id_header request_id_metadata_key",
			partly: notes{"use_post": "to hosts that speak HTTP/2"},
		},
		{of: &tcpv3.TcpProxy_WeightedCluster{}, honoured: "clusters"},
		{
			of:       &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{},
			honoured: "name weight metadata_match",
		},
		{
			of:       &typev3.HashPolicy{},
			honoured: "source_ip filter_state",
		},
		{of: &typev3.HashPolicy_SourceIp{}},
		{of: &typev3.HashPolicy_FilterState{}, honoured: "key"},
	}
}
