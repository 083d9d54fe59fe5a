package config

import "time"

// ExtAuthz is the filter that asks a service whether a request may pass
// (Envoy extensions.filters.http.ext_authz.v3.ExtAuthz).
type ExtAuthz struct {
	// One of the two is set.
	GRPC *GRPCService
	HTTP *AuthzHTTP

	// FailureAllow lets requests pass while the service does not answer, with
	// x-envoy-auth-failure-mode-allowed if FailureHeader.
	FailureAllow, FailureHeader bool
	StatusOnError               int // default 403
	Body                        *AuthzBody
	ClearRoute                  bool // a request that was changed is matched again
	ValidateMutations           bool
	// Namespaces of the request's and of the route's metadata that are sent: those of
	// plain values, and of messages.
	Metadata, RouteMetadata []string
	Typed, RouteTyped       []string
	// Enabled is the share of requests that are checked; nil: all. The others are
	// refused if DenyAtDisable.
	Enabled *Fraction
	// EnabledIf, unless nil, is what the metadata of such a request must be, too.
	EnabledIf     *MetadataMatch
	DenyAtDisable bool
	// Certificate and TLSSession send what is known of the client's TLS.
	Certificate, TLSSession bool
	StatPrefix              string
	// Allowed, if HasAllowed, are the headers that are sent, Disallowed are not.
	Allowed, Disallowed []StringMatch
	HasAllowed          bool
	Raw                 bool // headers are sent as bytes, each line by itself
	IgnoreMetadata      bool // the service may not add metadata
	MaxDeniedBody       uint32
	// Labels are those of this program, which the service is told of.
	Labels []Metadata
	// Rules say which headers of the request the service may change; nil: all that do not
	// frame it.
	Rules *MutationRules
}

// AuthzBody says how much of the body is sent.
type AuthzBody struct {
	Max     uint32 // bytes
	Partial bool   // a longer one is sent in part; else it is refused with 413
	Bytes   bool   // as bytes, not as text
}

// AuthzHTTP is a service that is asked by HTTP.
type AuthzHTTP struct {
	Cluster    string
	Timeout    time.Duration
	PathPrefix string
	Retry      *ServiceRetry // nil: it is asked once
	Add        []HeaderValue // to the request to the service
	// What of its answer goes on: to the host, to the client, to the metadata.
	Upstream, UpstreamAppend, Client, ClientOnSuccess, Metadata []StringMatch
}

// GRPCService is a gRPC service behind a cluster (Envoy core.v3.GrpcService).
type GRPCService struct {
	Cluster, Authority string
	Timeout            time.Duration // 0: none
	MaxMessage         uint32        // bytes; 0: 4 MiB
	Metadata           []Metadata
}

// ServiceRetry says how a service is asked again that answered 500 and more, or was lost
// (Envoy core.v3.RetryPolicy). The longest back-off bounds one attempt, too.
type ServiceRetry struct {
	Times   int // beside the first
	Backoff Backoff
}

// ExtAuthzRoute is what a route says.
type ExtAuthzRoute struct {
	Disabled bool
	// Context is sent with each check; levels are joined.
	Context map[string]string
	NoBody  bool
	Body    *AuthzBody // in place of the filter's
	// One of them may take the place of the filter's service.
	GRPC *GRPCService
	HTTP *AuthzHTTP
}
