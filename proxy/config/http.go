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

	UseRemoteAddress  bool
	XffTrustedHops    uint32
	SkipXffAppend     bool
	InternalCIDRs     []netip.Prefix
	Via               string
	GenerateRequestID bool // default true
	// PreserveExternalRequestID keeps a client's x-request-id on edge requests.
	PreserveExternalRequestID bool
	RequestIDInResponse       bool
	// Proxy100Continue leaves expectations to the host and passes its interim
	// answers on: 100, 102, 103 and 104.
	Proxy100Continue     bool
	AppendXForwardedPort bool
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

	// Time limits; 0 is off. Defaults: idle 1 h, stream idle 5 min, drain 5 s,
	// delayed close 1 s, others off.
	IdleTimeout           time.Duration
	StreamIdleTimeout     time.Duration
	RequestTimeout        time.Duration
	RequestHeadersTimeout time.Duration
	DrainTimeout          time.Duration
	DelayedCloseTimeout   time.Duration
	MaxConnectionDuration time.Duration
	MaxStreamDuration     time.Duration

	// MaxRequestHeadersKB is in KiB, 1 to 8192, default 60; MaxHeaders counts
	// lines, default 100; MaxRequestsPerConnection 0 is unlimited.
	MaxRequestHeadersKB      uint32
	MaxHeaders               uint32
	MaxRequestsPerConnection uint32

	// HTTP/1 only.
	AllowAbsoluteURL  bool // default true
	AcceptHTTP10      bool
	DefaultHTTP10Host string
	// EnableTrailers passes trailers on; otherwise they are read and dropped.
	EnableTrailers bool

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

	// AccessLogs are written when a request has ended, and as LogOptions say.
	AccessLogs []AccessLog
	LogOptions AccessLogOptions
	// LocalReplies changes answers of our own; nil: none.
	LocalReplies *LocalReplies

	// SuppressEnvoyHeaders is the router filter's switch.
	SuppressEnvoyHeaders bool
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
