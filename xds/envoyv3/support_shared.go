package envoyv3

// What is honoured of messages that several kinds of resource use.

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	celfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	streamlogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	formatcelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/cel/v3"
	formatmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/metadata/v3"
	reqwithoutqueryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/req_without_query/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

func sharedTables() []table {
	return []table{
		{
			of:       &corev3.Address{},
			honoured: "socket_address pipe",
			partly:   notes{"envoy_internal_address": "of endpoints"},
			strict:   true,
		},
		{of: &corev3.EnvoyInternalAddress{}, honoured: "server_listener_name endpoint_id"},
		{
			of:       &corev3.SocketAddress{},
			honoured: "address port_value",
			partly:   notes{"network_namespace_filepath": ofSockets},
			strict:   true,
			never: notes{
				"protocol":      "TCP only",
				"named_port":    "give port_value",
				"resolver_name": "there are no custom resolvers; use a cluster of type STRICT_DNS or LOGICAL_DNS",
				"ipv4_compat":   "list an IPv4 address under additional_addresses",
			},
		},
		{of: &corev3.Pipe{}, honoured: "path mode"},
		{of: &typev3.HttpStatus{}, honoured: "code"},
		{of: &corev3.CidrRange{}, honoured: "address_prefix prefix_len"},
		{
			of:       &corev3.SocketOption{},
			partly:   notes{"level": ofListeners, "name": ofListeners},
			honoured: "int_value buf_value state type",
			noEffect: notes{"description": "a comment"},
		},
		{of: &corev3.SocketOption_SocketType{}, honoured: "stream datagram"},
		{of: &corev3.SocketOption_SocketType_Stream{}},
		{of: &corev3.SocketOption_SocketType_Datagram{}},
		{of: &corev3.SocketOptionsOverride{}, honoured: "socket_options"},
		{of: &corev3.TcpKeepalive{}, honoured: "keepalive_probes keepalive_time keepalive_interval"},
		{
			of:       &corev3.TransportSocket{},
			honoured: "typed_config",
			noEffect: notes{"name": "an extension is found by its type"},
			strict:   true,
		},
		{
			of:       &corev3.TypedExtensionConfig{},
			honoured: "typed_config",
			noEffect: notes{"name": "an extension is found by its type"},
		},
		{of: &rawbufferv3.RawBuffer{}},
		{of: &preservecasev3.PreserveCaseFormatterConfig{}, noEffect: notes{
			"forward_reason_phrase":           "the reason phrase is always passed on",
			"formatter_type_on_envoy_headers": "headers that are added have lower-case names",
		}},
		{
			of:       &accesslogv3.AccessLog{},
			honoured: "typed_config filter",
			noEffect: notes{"name": "an extension is found by its type"},
		},
		{
			of:       &grpclogv3.HttpGrpcAccessLogConfig{},
			honoured: "common_config additional_request_headers_to_log additional_response_headers_to_log additional_response_trailers_to_log",
		},
		{of: &grpclogv3.TcpGrpcAccessLogConfig{}, honoured: "common_config"},
		{
			of:       &grpclogv3.CommonGrpcAccessLogConfig{},
			honoured: "log_name grpc_service buffer_flush_interval buffer_size_bytes filter_state_objects_to_log",
			noEffect: notes{"transport_api_version": "messages are v3"},
			unbuilt: notes{
				"grpc_stream_retry_policy": "a stream that is lost is opened again with the next batch",
				"custom_tags":              "entries have none",
			},
		},
		{of: &filelogv3.FileAccessLog{}, honoured: "path format json_format typed_json_format log_format"},
		{of: &streamlogv3.StdoutAccessLog{}, honoured: "log_format"},
		{of: &streamlogv3.StderrAccessLog{}, honoured: "log_format"},
		{
			of: &accesslogv3.AccessLogFilter{},
			honoured: "status_code_filter duration_filter not_health_check_filter runtime_filter and_filter or_filter header_filter " +
				"response_flag_filter grpc_status_filter metadata_filter log_type_filter extension_filter",
			partly: notes{"traceable_filter": "holds for nothing: no request is traced"},
			strict: true,
		},
		{of: &accesslogv3.ComparisonFilter{}, honoured: "op value"},
		{of: &accesslogv3.StatusCodeFilter{}, honoured: "comparison"},
		{of: &accesslogv3.DurationFilter{}, honoured: "comparison"},
		{of: &accesslogv3.NotHealthCheckFilter{}},
		{of: &accesslogv3.TraceableFilter{}},
		{of: &accesslogv3.RuntimeFilter{}, honoured: "runtime_key percent_sampled use_independent_randomness"},
		{of: &accesslogv3.AndFilter{}, honoured: "filters"},
		{of: &accesslogv3.OrFilter{}, honoured: "filters"},
		{of: &accesslogv3.HeaderFilter{}, honoured: "header"},
		{of: &accesslogv3.ResponseFlagFilter{}, honoured: "flags"},
		{of: &accesslogv3.GrpcStatusFilter{}, honoured: "statuses exclude"},
		{of: &accesslogv3.MetadataFilter{}, honoured: "matcher match_if_key_not_found"},
		{of: &accesslogv3.LogTypeFilter{}, honoured: "types exclude"},
		{of: &accesslogv3.ExtensionFilter{}, honoured: "typed_config", noEffect: notes{"name": "an extension is found by its type"}},
		{of: &celfilterv3.ExpressionFilter{}, partly: notes{"expression": noteCEL}, never: notes{"cel_config": "expressions have the functions that they have without it"}, strict: true},
		{of: &corev3.RuntimeUInt32{}, honoured: "default_value runtime_key"},
		{of: &matcherv3.MetadataMatcher{}, honoured: "filter path value invert", strict: true},
		{of: &matcherv3.MetadataMatcher_PathSegment{}, honoured: "key", strict: true},
		{of: &matcherv3.ValueMatcher{}, honoured: "null_match double_match string_match bool_match present_match list_match or_match", strict: true},
		{of: &matcherv3.ValueMatcher_NullMatch{}},
		{of: &matcherv3.DoubleMatcher{}, honoured: "range exact"},
		{of: &typev3.DoubleRange{}, honoured: "start end"},
		{of: &matcherv3.ListMatcher{}, honoured: "one_of", strict: true},
		{of: &matcherv3.OrMatcher{}, honoured: "value_matchers", strict: true},
		{of: &corev3.Metadata{}, honoured: "filter_metadata", partly: notes{
			"typed_filter_metadata": "envoy.transport_sockets.proxy_protocol of endpoints, and all of routes; nothing reads the others",
		}},
		{of: &corev3.DataSource{}, honoured: "inline_bytes inline_string filename environment_variable", strict: true, partly: notes{
			"watched_directory": "secrets only; other files are read when the configuration is",
		}},
		{
			of:       &corev3.SubstitutionFormatString{},
			honoured: "text_format text_format_source json_format omit_empty_values content_type",
			partly:   notes{"formatters": "metadata, req_without_query and cel, which are always there"},
			noEffect: notes{"json_format_options": "keys are always in order"},
		},
		{of: &formatmetadatav3.Metadata{}},
		{of: &reqwithoutqueryv3.ReqWithoutQuery{}},
		{of: &formatcelv3.Cel{}},
		{of: &corev3.RuntimeFractionalPercent{}, honoured: "default_value runtime_key"},
		{of: &corev3.RuntimeDouble{}, honoured: "default_value runtime_key"},
		{
			of:       &corev3.HeaderValueOption{},
			honoured: "header append append_action keep_empty_value",
		},
		{
			of:       &corev3.HeaderValue{},
			honoured: "key value",
			noEffect: notes{"raw_value": "Envoy reads value alone"},
		},
		{of: &typev3.FractionalPercent{}, honoured: "numerator denominator"},
		{of: &typev3.Percent{}, honoured: "value"},
		{of: &typev3.Int64Range{}, honoured: "start end"},
		{
			of:       &matcherv3.RegexMatcher{},
			partly:   notes{"regex": "at most 1024 bytes; Go's regexp, which is RE2 without \\C"},
			noEffect: notes{"google_re2": "the engine is RE2's language anyhow"},
			strict:   true,
		},
		{of: &matcherv3.RegexMatchAndSubstitute{}, honoured: "pattern substitution", strict: true},
		{of: &matcherv3.StringMatcher{}, honoured: "exact prefix suffix safe_regex contains ignore_case", never: notes{"custom": noMatchers}, strict: true},
	}
}

// noMatchers is what is said of an extension that matches texts.
const noMatchers = "no extension that matches texts is built"
