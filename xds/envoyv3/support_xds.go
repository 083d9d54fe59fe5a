package envoyv3

// What is honoured of the messages that say where resources come from, and of
// a cluster that is a control plane's.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

func sourceTables() []table {
	return []table{
		{
			of:       &corev3.ConfigSource{},
			honoured: "path path_config_source api_config_source ads initial_fetch_timeout",
			partly: notes{
				"self":                 "the same as ads",
				"resource_api_version": "AUTO is V3; V2 is refused",
			},
			never: notes{"authorities": hintXDSTP},
		},
		{of: &corev3.PathConfigSource{}, honoured: "path watched_directory"},
		{of: &corev3.WatchedDirectory{}, honoured: "path"},
		{of: &corev3.AggregatedConfigSource{}},
		{of: &corev3.SelfConfigSource{}, noEffect: notes{"transport_api_version": "the stream that is open is used"}},
		{
			of:       &corev3.ApiConfigSource{},
			honoured: "grpc_services set_node_on_first_message_only refresh_delay request_timeout",
			partly: notes{
				"api_type":              "the AGGREGATED forms are the same as GRPC and DELTA_GRPC",
				"transport_api_version": "V3 only",
				"cluster_names":         "one, with REST; an answer has at most 4 MiB and at most 500,000 values",
			},
			refused: notes{
				"rate_limit_settings": "requests follow responses; there is nothing to limit",
				"config_validators":   "every resource is checked anyhow",
			},
		},
		{
			of:       &corev3.GrpcService{},
			honoured: "envoy_grpc google_grpc timeout initial_metadata",
			refused:  notes{"retry_policy": "a stream is opened again with full jitter, 500ms to 30s"},
		},
		{
			of:       &corev3.GrpcService_EnvoyGrpc{},
			honoured: "cluster_name authority max_receive_message_length",
			noEffect: notes{"skip_envoy_headers": "gRPC adds no x-envoy- headers"},
			refused:  notes{"retry_policy": "a stream is opened again with full jitter, 500ms to 30s"},
		},
		{
			of:       &corev3.GrpcService_GoogleGrpc{},
			honoured: "target_uri stat_prefix channel_credentials",
			noEffect: notes{"per_stream_buffer_limit_bytes": "tunes Envoy's buffer of a stream"},
			never: notes{
				"channel_credentials_plugin": "use channel_credentials",
				"call_credentials":           "use initial_metadata",
				"call_credentials_plugin":    "use initial_metadata",
				"credentials_factory_name":   "use channel_credentials",
				"config":                     "use channel_credentials",
			},
			refused: notes{"channel_args": "they are those of the C++ library"},
		},
		{
			of:       &corev3.GrpcService_GoogleGrpc_ChannelCredentials{},
			honoured: "ssl_credentials",
			never: notes{
				"google_default":    "use ssl_credentials",
				"local_credentials": "leave channel_credentials out for plaintext",
			},
		},
		{of: &corev3.GrpcService_GoogleGrpc_SslCredentials{}, honoured: "root_certs private_key cert_chain"},
		{of: &hcmv3.Rds{}, honoured: "config_source route_config_name"},
		{of: &corev3.ExtensionConfigSource{}, honoured: "config_source default_config apply_default_config_without_warming type_urls", strict: true},
		{of: &endpointv3.LedsClusterLocalityConfig{}, honoured: "leds_config", partly: notes{"leds_collection_name": "glob collections only, whose name ends in /*"}},
		{of: &clusterv3.Cluster_EdsClusterConfig{}, honoured: "eds_config service_name"},
	}
}

// controlPlaneTables stand instead of, or beside, those of tables() when the
// cluster is a control plane's.
func controlPlaneTables() []table {
	const balancing = "the first address that answers is taken"
	const own = "the client has its own settings"
	const kept = "a stream, or a connection for polls, is kept"
	const asSystem = "names are looked up as the system is configured"
	const spoken = "polls speak HTTP/1.1, gRPC HTTP/2"
	const unfiltered = "what is said to a control plane passes no filters"
	const inPEM = "give certificate_chain and private_key in PEM, not locked"
	const checked = "a control plane's certificate is checked by trusted_ca and exact names alone"
	return []table{
		{
			of: &clusterv3.Cluster{},
			honoured: "name load_assignment connect_timeout transport_socket upstream_connection_options " +
				"http2_protocol_options typed_extension_protocol_options eds_cluster_config",
			partly: notes{"type": "STATIC, STRICT_DNS, LOGICAL_DNS, and EDS from a file"},
			noEffect: notes{
				"metadata":                          labelOnly,
				"alt_stat_name":                     "the client's statistics have the server's name",
				"per_connection_buffer_limit_bytes": "a message is bounded, see max_receive_message_length",
				"lb_policy":                         balancing,
				"load_balancing_policy":             balancing,
				"common_lb_config":                  balancing,
				"round_robin_lb_config":             balancing,
				"least_request_lb_config":           balancing,
				"circuit_breakers":                  "there is one stream, or one request, of a source at a time",
				"max_requests_per_connection":       kept,
				"common_http_protocol_options":      own,
				"http_protocol_options":             own,
				"upstream_http_protocol_options":    "see transport_socket",
				"dns_refresh_rate":                  "names are looked up at each attempt to connect",
				"dns_jitter":                        "names are looked up at each attempt to connect",
				"dns_failure_refresh_rate":          "names are looked up at each attempt to connect",
				"respect_dns_ttl":                   "names are looked up at each attempt to connect",
				"dns_lookup_family":                 "all addresses are tried in turn",
				"cleanup_interval":                  "only with ORIGINAL_DST",
				"wait_for_warm_on_init":             "nothing waits for it",
				"health_checks":                     "a connection that fails is made again",
				"outlier_detection":                 "a connection that fails is made again",
				"track_timeout_budgets":             "adds statistics that are not kept",
				"track_cluster_stats":               "adds statistics that are not kept",
				"preconnect_policy":                 kept,
				"ignore_health_on_host_removal":     "addresses are those of the file",
			},
			refused: notes{
				"transport_socket_matches":                  "all servers of a control plane are reached in one way: transport_socket",
				"transport_socket_matcher":                  "all servers of a control plane are reached in one way: transport_socket",
				"cluster_type":                              "give type",
				"dns_resolvers":                             asSystem,
				"use_tcp_for_dns_lookups":                   asSystem,
				"dns_resolution_config":                     asSystem,
				"typed_dns_resolver_config":                 asSystem,
				"upstream_bind_config":                      "the system chooses where the connection comes from",
				"lb_subset_config":                          balancing,
				"ring_hash_lb_config":                       balancing,
				"maglev_lb_config":                          balancing,
				"original_dst_lb_config":                    "only with ORIGINAL_DST",
				"protocol_selection":                        spoken,
				"close_connections_on_host_health_failure":  "the health of a control plane is not checked: a connection that fails is made again",
				"filters":                                   unfiltered,
				"lrs_server":                                "no load on a control plane is reported",
				"lrs_report_endpoint_metrics":               "no load on a control plane is reported",
				"upstream_config":                           "the connection is made by the client itself",
				"connection_pool_per_downstream_connection": kept,
			},
		},
		{of: &clusterv3.Cluster_EdsClusterConfig{}, honoured: "eds_config service_name"},
		{of: &corev3.PathConfigSource{}, honoured: "path", noEffect: notes{"watched_directory": "the file is read whenever a server is dialled"}},
		{of: &corev3.WatchedDirectory{}, noEffect: notes{"path": "the file is read whenever a server is dialled"}},
		{
			of:       &corev3.ConfigSource{},
			honoured: "path path_config_source",
			partly:   notes{"resource_api_version": "AUTO is V3; V2 is refused"},
			noEffect: notes{"initial_fetch_timeout": "the file is read whenever a server is dialled"},
			never: notes{
				"ads": fromFile, "self": fromFile, "api_config_source": fromFile, "authorities": fromFile,
			},
		},
		{
			of:       &upstreamv3.HttpProtocolOptions{},
			honoured: "explicit_http_config auto_config",
			noEffect: notes{
				"use_downstream_protocol_config": spoken,
				"common_http_protocol_options":   own, "upstream_http_protocol_options": "see transport_socket",
			},
			refused: notes{
				"http_filters":             unfiltered,
				"header_validation_config": own,
				"outlier_detection":        "a connection that fails is made again",
				"request_mirror_policies":  "one server is spoken to at a time",
				"hash_policy":              balancing,
				"retry_policy":             "a stream is opened again with full jitter, 500ms to 30s",
			},
		},
		{
			of: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{}, honoured: "http2_protocol_options",
			noEffect: notes{"http_protocol_options": spoken + "; " + own},
			refused:  notes{"http3_protocol_options": hintHTTP3},
		},
		{
			of: &upstreamv3.HttpProtocolOptions_AutoHttpConfig{}, honoured: "http2_protocol_options",
			noEffect: notes{"http_protocol_options": own},
			refused:  notes{"http3_protocol_options": hintHTTP3, "alternate_protocols_cache_options": hintHTTP3},
		},
		{
			of:       &corev3.Http2ProtocolOptions{},
			honoured: "connection_keepalive",
			noEffect: notes{
				"hpack_table_size":               "gRPC has its own",
				"max_concurrent_streams":         "gRPC has its own",
				"initial_stream_window_size":     "gRPC has its own",
				"initial_connection_window_size": "gRPC has its own",
				"max_outbound_frames":            "gRPC has its own",
				"max_outbound_control_frames":    "gRPC has its own",
				"max_metadata_size":              "gRPC has its own",
				"allow_connect":                  "gRPC makes no CONNECT requests",
				"allow_metadata":                 "gRPC sends no METADATA frames",
				"use_oghttp2_codec":              "gRPC has its own codec",
				"enable_huffman_encoding":        "gRPC has its own codec",
			},
			refused: notes{
				"max_consecutive_inbound_frames_with_empty_payload":    "gRPC has its own limits",
				"max_inbound_priority_frames_per_stream":               "gRPC has its own limits",
				"max_inbound_window_update_frames_per_data_frame_sent": "gRPC has its own limits",
				"stream_error_on_invalid_http_messaging":               "gRPC ends what it cannot read in its own way",
				"override_stream_error_on_invalid_http_message":        "gRPC ends what it cannot read in its own way",
				"custom_settings_parameters":                           "gRPC sends its own SETTINGS",
			},
		},
		{
			of:       &corev3.KeepaliveSettings{},
			honoured: "interval timeout",
			noEffect: notes{"interval_jitter": "gRPC has none", "connection_idle_interval": "gRPC pings when the connection was quiet for interval"},
		},
		{
			of:       &tlsv3.UpstreamTlsContext{},
			honoured: "common_tls_context sni",
			noEffect: notes{
				"allow_renegotiation":   "TLS 1.2 renegotiation is never allowed",
				"max_session_keys":      "sessions are not resumed",
				"enforce_rsa_key_usage": "the key usage is checked",
			},
			strict: true,
			never: notes{
				"auto_host_sni":           "give sni",
				"auto_sni_san_validation": "give match_typed_subject_alt_names",
			},
		},
		{
			of:       &tlsv3.CommonTlsContext{},
			honoured: "tls_certificates validation_context",
			noEffect: notes{"alpn_protocols": "gRPC offers h2"},
			strict:   true,
			never: notes{
				"tls_certificate_sds_secret_configs":      "give the files: they are read again when they are replaced",
				"validation_context_sds_secret_config":    "give the files: they are read again when they are replaced",
				"combined_validation_context":             "give the files: they are read again when they are replaced",
				"tls_certificate_provider_instance":       "give the files",
				"validation_context_certificate_provider": "give the files",

				"tls_certificate_certificate_provider":             "give the files",
				"tls_certificate_certificate_provider_instance":    "give the files",
				"validation_context_certificate_provider_instance": "give the files",
				"custom_tls_certificate_selector":                  "the client shows one certificate",
				"custom_handshaker":                                "the handshake is that of Go's crypto/tls",
				"tls_params":                                       "versions and ciphers are those of Go's crypto/tls",
				"key_log":                                          "keys of a control plane's connection are not written down",
			},
		},
		{
			of: &tlsv3.TlsCertificate{}, honoured: "certificate_chain private_key watched_directory", strict: true,
			never: notes{
				"pkcs12":                       inPEM,
				"password":                     inPEM,
				"private_key_provider":         inPEM,
				"ocsp_staple":                  "a client staples nothing",
				"signed_certificate_timestamp": "Envoy does not implement it either",
			},
		},
		{
			of:       &tlsv3.CertificateValidationContext{},
			honoured: "trusted_ca system_root_certs watched_directory",
			partly: notes{
				"match_typed_subject_alt_names": "exact names only",
				"match_subject_alt_names":       "exact names only",
			},
			strict: true,
			never: notes{
				"ca_certificate_provider_instance":     "give trusted_ca",
				"verify_certificate_spki":              checked,
				"verify_certificate_hash":              checked,
				"crl":                                  checked,
				"only_verify_leaf_cert_crl":            checked,
				"allow_expired_certificate":            checked,
				"trust_chain_verification":             checked,
				"custom_validator_config":              checked,
				"max_verify_depth":                     checked,
				"require_signed_certificate_timestamp": "Envoy does not implement it either",
			},
		},
		{of: &tlsv3.CertificateValidationContext_SystemRootCerts{}},
		{of: &tlsv3.SubjectAltNameMatcher{}, honoured: "matcher", partly: notes{"san_type": "not OTHER_NAME"}, never: notes{"oid": "only with OTHER_NAME"}, strict: true},
	}
}

const hintXDSTP = "xdstp:// names are not supported"

const fromFile = "the endpoints of a control plane stand in a file: path_config_source"
