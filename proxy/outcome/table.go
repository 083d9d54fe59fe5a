package outcome

// The contract with clients, a row for each outcome. docs/errors.md is printed
// from it.

import "strings"

// entry is one row of the contract with clients.
type entry struct {
	details   string // Envoy's RESPONSE_CODE_DETAILS
	flag      string // Envoy's response flag
	status    uint16 // of the HTTP reply; 0: none
	body      string // of the HTTP reply
	memcached string // line of the memcached reply
}

// lostPrefix begins the body of a lost row.
const lostPrefix = "upstream connect error or disconnect/reset before headers. "

// lost is a row of those that Envoy words alike: the upstream stream was reset
// before an answer began, for a reason and perhaps a transport's reason
// (router/router.cc, Filter::onUpstreamReset; http/utility.cc,
// resetReasonToString).
func lost(flag string, status uint16, reason, transport, memcached string) entry {
	body := lostPrefix + "reset reason: " + reason
	why := reason
	if transport != "" {
		body += ", transport failure reason: " + transport
		why += "|" + transport
	}
	details := "upstream_reset_before_response_started{" + strings.ReplaceAll(why, " ", "_") + "}"
	return entry{details, flag, status, body, memcached}
}

// remoteFailure is why a stream is reset whose connection could not be made.
const remoteFailure = "remote connection failure"

// entries are Envoy's statuses, bodies, flags and details (router/router.cc,
// http/conn_manager_impl.cc, http/filter_manager.cc,
// envoy/stream_info/stream_info.h), mcrouter's memcached strings
// (network/AsciiSerialized.cpp) and, for what the client did wrong, memcached's
// own. memcached speaks of times and requests only where a command can meet them.
var entries = [count]entry{
	OK:              {details: "via_upstream"},
	NoRoute:         {"route_not_found", "NR", 404, "", "SERVER_ERROR no route"},
	NoCluster:       {"cluster_not_found", "NC", 503, "", "SERVER_ERROR unavailable"},
	NoHost:          {"no_healthy_upstream", "UH", 503, "no healthy upstream", "SERVER_ERROR unavailable"},
	ConnectRefused:  lost("UF", 503, remoteFailure, "delayed connect error: Connection refused", "SERVER_ERROR connection error"),
	ConnectFailed:   lost("UF", 503, remoteFailure, "", "SERVER_ERROR connection error"),
	ConnectTimeout:  lost("UF", 503, "connection timeout", "", "SERVER_ERROR connection timeout"),
	TLSRefused:      lost("UF", 503, remoteFailure, "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end", "SERVER_ERROR connection error"),
	TLSFailed:       lost("UF", 503, remoteFailure, "TLS_error", "SERVER_ERROR connection error"),
	ConnectionLost:  lost("UC", 503, "connection termination", "", "SERVER_ERROR remote error"),
	LostMidway:      {"upstream_reset_after_response_started{connection_termination}", "UC", 0, "", ""},
	UpstreamReset:   lost("UR", 503, "remote reset", "", "SERVER_ERROR remote error"),
	ProtocolError:   lost("UPE", 502, "protocol error", "", "SERVER_ERROR bad value"),
	Overflow:        lost("UO", 503, "overflow", "", "SERVER_ERROR overloaded"),
	Timeout:         {"response_timeout", "UT", 504, "upstream request timeout", "SERVER_ERROR timeout"},
	IdleTimeout:     {"stream_idle_timeout", "SI", 504, "stream timeout", "SERVER_ERROR timeout"},
	RequestTimeout:  {"request_overall_timeout", "", 408, "request timeout", ""},
	HeaderTimeout:   {"request_header_timeout", "", 408, "request header timeout", ""},
	DurationTimeout: {"max_duration_timeout", "", 504, "downstream duration timeout", "SERVER_ERROR timeout"},
	BadRequest:      {"http1.codec_error", "DPE", 400, "Bad Request", "CLIENT_ERROR bad command line format"},
	BodyTooLarge:    {"request_payload_too_large", "", 413, "Payload Too Large", "SERVER_ERROR object too large for cache"},
	UpgradeRefused:  {"upgrade_failed", "", 403, "", ""},
	VersionTooLow:   {"low_version", "DPE", 426, "Upgrade Required", ""},
	MissingHost:     {"missing_host_header", "", 400, "", ""},
	BadPath:         {"path_normalization_failed", "", 400, "", ""},
	AbsolutePath:    {"absolute_path_rejected", "", 404, "", ""},
	DownstreamGone:  {"downstream_remote_disconnect", "DC", 0, "", ""},
	Draining:        {"drain", "", 503, "", "SERVER_ERROR unavailable"}, // ours: Envoy refuses nothing while it drains
	// The last answer is the upstream's own, or that of the outcome it ended with.
	RetriesExhausted: {"via_upstream", "URX", 0, "", "SERVER_ERROR remote error"},
	Overload:         {"overload", "OM", 503, "envoy overloaded", "SERVER_ERROR overloaded"},
	// What filters answer with: each says its own status, body and details where
	// Envoy's does.
	AnswerTooLarge:        {"response_payload_too_large", "", 500, "Internal Server Error", ""},
	RateLimited:           {"request_rate_limited", "RL", 429, "", ""},
	Denied:                {"filter_denied", "", 403, "", ""},
	Unauthenticated:       {"filter_unauthenticated", "", 401, "", ""},
	FaultAbort:            {"fault_filter_abort", "FI", 503, "fault filter abort", ""},
	FilterFailed:          {"filter_error", "", 500, "Internal Server Error", ""},
	PerTryTimeout:         {"upstream_per_try_timeout", "UT", 504, "upstream request timeout", "SERVER_ERROR timeout"},
	PerTryIdleTimeout:     {"upstream_per_try_idle_timeout", "UT", 504, "upstream request timeout", "SERVER_ERROR timeout"},
	RetryBufferFull:       {"request_payload_exceeded_retry_buffer_limit", "", 507, "exceeded request buffer limit while retrying upstream", "SERVER_ERROR object too large for cache"},
	NameFailure:           {"dns_resolution_failure", "DF", 503, "DNS resolution failure", ""},
	NamesOverflow:         {"dns_cache_overflow", "", 503, "DNS cache overflow", ""},
	NamesPending:          {"dynamic_forward_proxy_pending_request_overflow", "", 503, "Dynamic forward proxy pending request overflow", ""},
	OriginUnknown:         {"rejecting_because_detection_failed", "", 403, "", ""},
	InvalidHeader:         {"request_headers_failed_strict_check", "IH", 400, "", ""},
	Dropped:               {"drop_overload", "DO", 503, "drop overload", ""},
	NoFilterConfig:        {"filter_config_missing", "NFCF", 500, "", ""}, // Envoy gives no details
	DropAll:               {"unconditional_drop_overload", "UDO", 503, "unconditional drop overload", ""},
	UpstreamStreamTooLong: {"upstream_max_stream_duration_reached", "UMSDR", 504, "upstream max stream duration reached", "SERVER_ERROR timeout"},
}
