package envoyv3

// What is honoured of the HTTP connection manager and the router filter.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// tooNew is why a field is refused that the Envoy of the tables does not have.
const tooNew = "newer than the Envoy that is reproduced, 1.36"

func httpTables() []table {
	return []table{
		{
			of: &hcmv3.HttpConnectionManager{},
			honoured: "stat_prefix route_config rds scoped_routes http_filters common_http_protocol_options http_protocol_options " +
				"server_name server_header_transformation max_request_headers_kb stream_idle_timeout request_timeout " +
				"request_headers_timeout drain_timeout delayed_close_timeout use_remote_address xff_num_trusted_hops " +
				"internal_address_config skip_xff_append via generate_request_id preserve_external_request_id " +
				"always_set_request_id_in_response upgrade_configs normalize_path merge_slashes " +
				"path_with_escaped_slashes_action strip_matching_host_port strip_any_host_port append_x_forwarded_port add_proxy_protocol_connection_state " +
				"proxy_100_continue scheme_header_transformation " +
				"http2_protocol_options set_current_client_cert_details access_log access_log_flush_interval " +
				"flush_access_log_on_new_request access_log_options local_reply_config add_user_agent " +
				"original_ip_detection_extensions early_header_mutation_extensions request_id_extension strip_trailing_host_dot " +
				"proxy_status_config stream_flush_timeout http1_safe_max_connection_duration " +
				"stream_error_on_invalid_http_message forward_client_cert_details",
			partly: notes{
				"codec_type": "not HTTP3; HTTP2 when HTTP/2 is served",
			},
			noEffect: notes{
				"represent_ipv4_remote_address_as_ipv4_mapped_ipv6": "Envoy has not built it",
				"append_local_overload":                             "there is no overload manager that would refuse a request",
			},
			unbuilt: notes{"tracing": noSpans, "http3_protocol_options": "only listeners of UDP speak HTTP/3, and they are refused"},
			refused: notes{
				"path_normalization_options":  "Envoy has not built it: use normalize_path and merge_slashes",
				"forward_client_cert_matcher": tooNew + ": use forward_client_cert_details",
			},
			never: notes{
				"typed_header_validation_config": "headers are always checked as RFC 9110 says",
			},
		},
		{
			of:       &hcmv3.HttpConnectionManager_HcmAccessLogOptions{},
			honoured: "access_log_flush_interval flush_access_log_on_new_request flush_log_on_tunnel_successfully_established",
		},
		{of: &corev3.SchemeHeaderTransformation{}, honoured: "scheme_to_overwrite match_upstream"},
		{of: &hcmv3.LocalReplyConfig{}, honoured: "mappers body_format"},
		{of: &hcmv3.ResponseMapper{}, honoured: "filter status_code body body_format_override headers_to_add"},
		{of: &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{}, honoured: "subject cert chain dns uri"},
		{of: &hcmv3.HttpConnectionManager_InternalAddressConfig{}, honoured: "cidr_ranges unix_sockets"},
		{
			of:       &hcmv3.HttpConnectionManager_UpgradeConfig{},
			honoured: "upgrade_type enabled filters",
		},
		{
			of:       &hcmv3.HttpFilter{},
			honoured: "name typed_config is_optional",
			partly: notes{
				"disabled":         "not for the router",
				"config_discovery": "but for the router and the codec, and not of a cluster's filters",
			},
		},
		{of: &routerv3.Router_UpstreamAccessLogOptions{}, honoured: "flush_upstream_log_on_upstream_stream upstream_log_flush_interval"},
		{
			of:       &routerv3.Router{},
			honoured: "suppress_envoy_headers strict_check_headers respect_expected_rq_timeout dynamic_stats suppress_grpc_request_failure_code_stats upstream_log upstream_log_options",
			partly:   notes{"upstream_http_filters": tryFilters},
			unbuilt:  notes{"start_child_span": noSpans},
			refused:  notes{"reject_connect_request_early_data": tooNew},
		},
		{
			of:       &corev3.HttpProtocolOptions{},
			honoured: "idle_timeout max_stream_duration max_connection_duration max_headers_count max_requests_per_connection",
			partly: notes{
				"max_response_headers_kb":         "on clusters only",
				"headers_with_underscores_action": "on listeners only",
			},
		},
		{
			of:       &corev3.Http1ProtocolOptions{},
			honoured: "enable_trailers header_key_format",
			partly: notes{
				"allow_absolute_url":                            "on listeners only",
				"accept_http_10":                                "on listeners only",
				"default_host_for_http_10":                      "on listeners only",
				"send_fully_qualified_url":                      "on clusters only",
				"ignore_http_11_upgrade":                        "on listeners only",
				"allow_custom_methods":                          "on listeners only",
				"override_stream_error_on_invalid_http_message": "on listeners only; what cannot be parsed always ends its connection",
			},
			noEffect: notes{"use_balsa_parser": "attache has its own parser"},
			never:    notes{"allow_chunked_length": "a message with both lengths is always refused (RFC 9112 section 6.1)"},
		},
		{
			of: &corev3.Http2ProtocolOptions{},
			honoured: "max_concurrent_streams initial_stream_window_size initial_connection_window_size allow_connect " +
				"max_outbound_frames max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload " +
				"max_inbound_priority_frames_per_stream max_inbound_window_update_frames_per_data_frame_sent " +
				"stream_error_on_invalid_http_messaging override_stream_error_on_invalid_http_message connection_keepalive",
			partly: notes{
				"hpack_table_size":           "at most 1 MiB",
				"custom_settings_parameters": "at most 32, none that has a field of its own",
			},
			noEffect: notes{
				"max_metadata_size":       "METADATA frames are not passed on",
				"use_oghttp2_codec":       "attache has its own codec",
				"enable_huffman_encoding": "what is shorter is sent",
			},
			never: notes{"allow_metadata": "METADATA frames are not passed on"},
		},
		{of: &corev3.Http2ProtocolOptions_SettingsParameter{}, honoured: "identifier value"},
		{of: &corev3.KeepaliveSettings{}, honoured: "interval timeout interval_jitter connection_idle_interval"},
		{of: &corev3.Http1ProtocolOptions_HeaderKeyFormat_ProperCaseWords{}},
		{
			of: &corev3.Http1ProtocolOptions_HeaderKeyFormat{},
			partly: notes{
				"stateful_formatter": "preserve_case only, which is what always happens",
				"proper_case_words":  "trailers keep the case in which they came",
			},
		},
	}
}

// noSpans is what is said of tracing.
const noSpans = "no spans are made; headers of tracers are passed on as they come"
