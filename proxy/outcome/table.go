package outcome

// entry is one row of the contract with clients.
type entry struct {
	details   string // Envoy's RESPONSE_CODE_DETAILS
	flag      string // Envoy's response flag
	status    uint16 // of the HTTP reply; 0: none
	body      string // of the HTTP reply
	memcached string // line of the memcached reply
}

const (
	before   = "upstream connect error or disconnect/reset before headers. reset reason: "
	upstream = "upstream_reset_before_response_started"
)

// entries are Envoy's statuses, bodies and flags (router/router.cc,
// http/utility.cc, http/conn_manager_impl.cc) and mcrouter's memcached strings
// (network/AsciiSerialized.cpp).
var entries = [count]entry{
	OK:               {details: "via_upstream"},
	NoRoute:          {"route_not_found", "NR", 404, "", "SERVER_ERROR no route"},
	NoCluster:        {"cluster_not_found", "NC", 503, "", "SERVER_ERROR unavailable"},
	NoHost:           {"no_healthy_upstream", "UH", 503, "no healthy upstream", "SERVER_ERROR unavailable"},
	ConnectRefused:   {upstream, "UF", 503, before + "remote connection failure, transport failure reason: delayed connect error: Connection refused", "SERVER_ERROR connection error"},
	ConnectFailed:    {upstream, "UF", 503, before + "remote connection failure", "SERVER_ERROR connection error"},
	ConnectTimeout:   {upstream, "UF", 503, before + "connection timeout", "SERVER_ERROR connection timeout"},
	ConnectionLost:   {upstream, "UC", 503, before + "connection termination", "SERVER_ERROR remote error"},
	LostMidway:       {"upstream_reset_after_response_started", "UC", 0, "", ""},
	UpstreamReset:    {upstream, "UR", 503, before + "remote reset", "SERVER_ERROR remote error"},
	ProtocolError:    {upstream, "UPE", 502, before + "protocol error", "SERVER_ERROR bad value"},
	Overflow:         {upstream, "UO", 503, before + "overflow", "SERVER_ERROR overloaded"},
	Timeout:          {"upstream_response_timeout", "UT", 504, "upstream request timeout", "SERVER_ERROR timeout"},
	IdleTimeout:      {"stream_idle_timeout", "SI", 504, "stream timeout", "SERVER_ERROR timeout"},
	RequestTimeout:   {"request_overall_timeout", "", 408, "request timeout", ""},
	HeaderTimeout:    {"request_header_timeout", "", 408, "request header timeout", ""},
	DurationTimeout:  {"max_duration_timeout", "", 504, "downstream duration timeout", "SERVER_ERROR timeout"},
	BadRequest:       {"http1.codec_error", "DPE", 400, "Bad Request", "CLIENT_ERROR bad command line format"},
	BodyTooLarge:     {"request_payload_too_large", "", 413, "Payload Too Large", "SERVER_ERROR object too large for cache"},
	UpgradeRefused:   {"upgrade_failed", "", 403, "", ""},
	VersionTooLow:    {"low_version", "DPE", 426, "Upgrade Required", ""},
	MissingHost:      {"missing_host_header", "", 400, "", ""},
	BadPath:          {"path_normalization_failed", "", 400, "", ""},
	AbsolutePath:     {"absolute_path_rejected", "", 404, "", ""},
	DownstreamGone:   {"downstream_remote_disconnect", "DC", 0, "", ""},
	Draining:         {"drain", "", 503, "", "SERVER_ERROR unavailable"},
	RetriesExhausted: {upstream, "URX", 503, "", "SERVER_ERROR remote error"},
	Overload:         {"overload", "OM", 503, "envoy overloaded", "SERVER_ERROR overloaded"},
}
