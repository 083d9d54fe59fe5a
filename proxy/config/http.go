package config

import (
	"net/netip"
	"time"
)

// HTTP is the HTTP connection manager with its routes
// (Envoy http_connection_manager.v3.HttpConnectionManager). Defaults are
// Envoy's unless a field says otherwise.
type HTTP struct {
	StatPrefix string
	// Routes is the inline table; nil if the table comes by name.
	Routes *RouteTable
	// RouteTableName is the table's name, if Routes is nil: Snapshot.RouteTable
	// finds it. RouteSource is where it comes from (RDS).
	RouteTableName string
	RouteSource    Source
	// Scopes, unless it is nil, is in place of both: a request's key chooses its
	// table.
	Scopes *Scopes

	// ServerName is the value of the server header; "attache" if unset.
	ServerName string
	// ServerHeader says what happens to the upstream's own server header.
	ServerHeader ServerHeader

	UseRemoteAddress bool
	XffTrustedHops   uint32
	SkipXffAppend    bool
	InternalCIDRs    []netip.Prefix
	// InternalSockets makes a client of a Unix domain socket internal.
	InternalSockets bool
	// Detections find the client's address where UseRemoteAddress is off, one after
	// the other; none: x-forwarded-for as XffTrustedHops has it.
	Detections []Detection
	// EarlyMutations change a request's header before anything looks at it.
	EarlyMutations []HeaderMutation
	// AddUserAgent tells hosts ServiceCluster as the client's cluster, and as its
	// user-agent if it has none, and ServiceNode as its node.
	AddUserAgent                bool
	ServiceCluster, ServiceNode string
	Via                         string
	GenerateRequestID           bool // default true
	// PreserveExternalRequestID keeps a client's x-request-id on edge requests.
	PreserveExternalRequestID bool
	// PackTraceReason lets a request ID say why its request is traced: one that is
	// kept from outside says no more than that it is not. Default true.
	PackTraceReason     bool
	RequestIDInResponse bool
	// Proxy100Continue leaves expectations to the host and passes its interim
	// answers on: 100, 102, 103 and 104.
	Proxy100Continue     bool
	AppendXForwardedPort bool
	// HideClient keeps clients that came without a PROXY header out of the header that
	// hosts are sent (add_proxy_protocol_connection_state false).
	HideClient bool
	// Scheme replaces the scheme of every request, "" for none: "http" or "https". SchemeOfUpstream makes it that of the
	// connection to the host.
	Scheme           string
	SchemeOfUpstream bool

	NormalizePath  bool
	MergeSlashes   bool
	EscapedSlashes EscapedSlashes
	// StripMatchingPort and StripAnyPort remove the port of Host.
	StripMatchingPort bool
	StripAnyPort      bool
	// StripTrailingDot removes the dot at the end of Host's name.
	StripTrailingDot bool

	// Time limits; 0 is off. Defaults: idle 1 h, stream idle 5 min, drain 5 s,
	// delayed close 1 s, others off.
	IdleTimeout           time.Duration
	StreamIdleTimeout     time.Duration
	StreamFlushTimeout    *time.Duration // nil: as long as the stream may be idle
	RequestTimeout        time.Duration
	RequestHeadersTimeout time.Duration
	DrainTimeout          time.Duration
	DelayedCloseTimeout   time.Duration
	MaxConnectionDuration time.Duration
	MaxStreamDuration     time.Duration
	// SafeMaxConnectionDuration ends an HTTP/1.1 connection that is too old by the
	// answer to its next request, not between two.
	SafeMaxConnectionDuration bool

	// MaxRequestHeadersKB is in KiB, 1 to 8192, default 60; MaxHeaders counts
	// lines, default 100; MaxRequestsPerConnection 0 is unlimited.
	MaxRequestHeadersKB      uint32
	MaxHeaders               uint32
	MaxRequestsPerConnection uint32

	// HTTP/1 only.
	AllowAbsoluteURL bool // default true
	// CustomMethods takes methods of any name in HTTP/1, not only registered ones.
	CustomMethods bool
	// KeepAfterBadRequest leaves a connection open behind a local reply 400
	// (stream_error_on_invalid_http_message); what cannot be parsed ends it always.
	KeepAfterBadRequest bool
	AcceptHTTP10        bool
	DefaultHTTP10Host   string
	// EnableTrailers passes trailers on; otherwise they are read and dropped.
	EnableTrailers bool
	// ProperCase writes the names of an answer's header Like-This.
	ProperCase bool
	// IgnoreUpgrades are the protocols that Upgrade may name without being heard.
	IgnoreUpgrades []StringMatch

	// UnderscoreHeaders says what to do with a name that has an underscore.
	UnderscoreHeaders UnderscoreAction

	// Codec is AUTO by default. HTTP2 is read unless it is CodecHTTP1.
	Codec Codec
	HTTP2 H2Options
	// ClientCert says what x-forwarded-client-cert holds upstream.
	ClientCert ClientCert

	// Upgrades are the protocols that Upgrade may name, lower case.
	Upgrades []string

	// Filters are the chain without the router. UpgradeFilters take its place for
	// the protocols that they name.
	Filters        []HTTPFilter
	UpgradeFilters []UpgradeFilters
	// TryFilters are passed by each request to a host, once for each attempt, of clusters
	// that have none of their own (Router.upstream_http_filters).
	TryFilters []HTTPFilter
	// NoRouter: nothing is behind the chain, and a request stays there until its time
	// is over.
	NoRouter bool

	// AccessLogs are written when a request has ended, and as LogOptions say.
	AccessLogs []AccessLog
	LogOptions AccessLogOptions
	// LocalReplies changes answers of our own; nil: none.
	LocalReplies *LocalReplies

	// ProxyStatus adds proxy-status to answers that something is wrong with; nil: not.
	ProxyStatus *ProxyStatus
	// AppendLocalOverload marks the answers of a program that is short of something.
	AppendLocalOverload bool

	// The router filter's. StrictHeaders are refused if their value is none; of
	// those that config.StrictHeaders lists.
	SuppressEnvoyHeaders bool
	// UpstreamLogs are the router's: an entry for each attempt when it has ended, and
	// as UpstreamLogOptions say (OnConnected: when it has a connection).
	UpstreamLogs       []AccessLog
	UpstreamLogOptions AccessLogOptions
	// NoCodeStats counts no answers by their status (dynamic_stats: false);
	// NoGRPCCodeStats none of gRPC (suppress_grpc_request_failure_code_stats).
	NoCodeStats, NoGRPCCodeStats bool
	RespectExpectedTimeout       bool
	StrictHeaders                []string
}

// ServerHeader is HttpConnectionManager.ServerHeaderTransformation.
type ServerHeader uint8

// The transformations.
const (
	ServerOverwrite ServerHeader = iota
	ServerAppendIfAbsent
	ServerPassThrough
)

// EscapedSlashes is HttpConnectionManager.PathWithEscapedSlashesAction.
type EscapedSlashes uint8

// The actions on %2F, %2f, %5C and %5c in a path.
const (
	EscapedSlashesKeep EscapedSlashes = iota
	EscapedSlashesReject
	EscapedSlashesRedirect
	EscapedSlashesForward
)

// UnderscoreAction is HeadersWithUnderscoresAction.
type UnderscoreAction uint8

// The actions on header names that contain an underscore.
const (
	UnderscoreAllow UnderscoreAction = iota
	UnderscoreReject
	UnderscoreDrop
)

// Detection is one way to find the client's address (original_ip_detection
// extensions): in the header Header, or in x-forwarded-for if that is "".
type Detection struct {
	// Header is in lower case. Trusted lets its address be an internal one. A request
	// without an address is refused with Reject, 0 for the next way.
	Header  string
	Trusted bool
	Reject  int
	// Hops at the end of x-forwarded-for are skipped, or all in Proxies, of which the
	// peer must be one. AppendXFF adds the peer.
	Hops      uint32
	Proxies   []netip.Prefix
	AppendXFF bool
}

// ProxyStatus is HttpConnectionManager.ProxyStatusConfig (RFC 9209).
type ProxyStatus struct {
	Name string
	// What is left out of details.
	NoDetails, NoTermination, NoFlags bool
	// Recommended replaces the status by that which RFC 9209 recommends.
	Recommended bool
}

// StrictHeaders are the headers that HTTP.StrictHeaders may name.
func StrictHeaders() []string {
	return []string{
		"x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-max-retries",
		"x-envoy-retry-grpc-on", "x-envoy-retry-on",
	}
}
