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
				"cluster_names":         "one, with REST; an answer has at most 4 MiB",
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
				"use_downstream_protocol_config": "polls speak HTTP/1.1, gRPC HTTP/2",
				"common_http_protocol_options":   own, "upstream_http_protocol_options": "see transport_socket",
			},
		},
		{
			of: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{}, honoured: "http2_protocol_options",
			noEffect: notes{"http_protocol_options": "polls speak HTTP/1.1, gRPC HTTP/2; " + own},
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
			},
		},
		{of: &tlsv3.TlsCertificate{}, honoured: "certificate_chain private_key watched_directory", strict: true},
		{
			of:       &tlsv3.CertificateValidationContext{},
			honoured: "trusted_ca system_root_certs watched_directory",
			partly: notes{
				"match_typed_subject_alt_names": "exact names only",
				"match_subject_alt_names":       "exact names only",
			},
			strict: true,
		},
		{of: &tlsv3.CertificateValidationContext_SystemRootCerts{}},
		{of: &tlsv3.SubjectAltNameMatcher{}, honoured: "matcher", partly: notes{"san_type": "not OTHER_NAME"}, strict: true},
	}
}

const hintXDSTP = "xdstp:// names are not supported"

const fromFile = "the endpoints of a control plane stand in a file: path_config_source"
