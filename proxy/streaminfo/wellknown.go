package streaminfo

// Names of objects that the data plane itself looks for
// (Envoy docs, configuration/advanced/well_known_filter_state).
const (
	// TCPCluster is the cluster that the TCP proxy connects to.
	TCPCluster = "envoy.tcp_proxy.cluster"
	// TCPIdleTimeout is how long, in milliseconds, its connection may be idle.
	TCPIdleTimeout = "envoy.tcp_proxy.per_connection_idle_timeout_ms"
	// TCPNoTunnel keeps its bytes out of the tunnel that it has for others: "true".
	TCPNoTunnel = "envoy.tcp_proxy.disable_tunneling"
	// UpstreamServerName is the SNI that the host is sent, UpstreamNames are those that
	// its certificate must be for one of, UpstreamProtocols what is offered to it:
	// lists with commas between.
	UpstreamServerName = "envoy.network.upstream_server_name"
	UpstreamNames      = "envoy.network.upstream_subject_alt_names"
	UpstreamProtocols  = "envoy.network.application_protocols"
	// HitsAddend is what a request costs at a rate limit service.
	HitsAddend = "envoy.ratelimit.hits_addend"
)
