package envoyv3

// What is honoured of active health checks.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filesinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
	redischeckv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_checkers/redis/v3"
)

func healthTables() []table {
	return []table{
		{
			of: &corev3.HealthCheck{},
			honoured: "timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold " +
				"healthy_threshold reuse_connection http_health_check tcp_health_check grpc_health_check " +
				"no_traffic_interval no_traffic_healthy_interval unhealthy_interval unhealthy_edge_interval " +
				"healthy_edge_interval event_log_path event_logger always_log_health_check_failures " +
				"always_log_health_check_success tls_options transport_socket_match_criteria",
			partly:   notes{"custom_health_check": "Redis' and, by the name attache.health_checkers.memcached alone, memcached's"},
			noEffect: notes{"alt_port": "Envoy does not read it: give the endpoint's health_check_config"},
			refused:  notes{"event_service": "events go to a file"},
		},
		{
			of: &corev3.HealthCheck_HttpHealthCheck{},
			honoured: "host path send receive response_buffer_size request_headers_to_add request_headers_to_remove " +
				"expected_statuses retriable_statuses service_name_matcher method",
			partly: notes{"codec_client_type": "HTTP1 and HTTP2 only"},
		},
		{of: &corev3.HealthCheck_TcpHealthCheck{}, honoured: "send receive proxy_protocol_config"},
		{of: &corev3.HealthCheck_GrpcHealthCheck{}, honoured: "service_name authority initial_metadata"},
		{of: &corev3.HealthCheck_CustomHealthCheck{}, honoured: "name typed_config"},
		{of: &corev3.HealthCheck_Payload{}, honoured: "text binary"},
		{of: &corev3.HealthCheck_TlsOptions{}, honoured: "alpn_protocols"},
		{of: &redischeckv3.Redis{}, honoured: "key", refused: notes{"aws_iam": "no credentials are fetched"}},
		{of: &filesinkv3.HealthCheckEventFileSink{}, honoured: "event_log_path"},
	}
}
