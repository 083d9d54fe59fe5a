package config

import (
	"net/netip"
	"time"
)

// HealthCheck is how a cluster's hosts are asked whether they are fit (Envoy
// core.v3.HealthCheck).
type HealthCheck struct {
	Kind    HealthCheckKind
	Timeout time.Duration // of one check, connection included
	// Unhealthy and Healthy are how many checks in a row change a host's state; the
	// first check alone decides.
	Unhealthy, Healthy uint32
	// Reuse keeps the connection from one check to the next; default true.
	Reuse bool

	// Interval is from the end of a check to the next: for a host that is fit, and
	// HealthyEdge for one that begins to fail; for one that is not, UnhealthyInterval,
	// and UnhealthyEdge if it begins to recover. While nothing was ever asked of the
	// cluster NoTraffic (default 60 s) and NoTrafficHealthy hold instead.
	Interval, HealthyEdge, UnhealthyInterval, UnhealthyEdge time.Duration
	NoTraffic, NoTrafficHealthy                             time.Duration
	// InitialJitter delays the first check, Jitter and JitterPercent the others, each
	// by a random part.
	InitialJitter, Jitter time.Duration
	JitterPercent         uint32

	HTTP    HTTPCheck    // CheckHTTP
	GRPC    GRPCCheck    // CheckGRPC
	Send    []byte       // CheckTCP: what is sent
	Receive [][]byte     // CheckTCP: what must come, in this order; nothing: to connect is enough
	Proxy   ProxyVersion // CheckTCP: a PROXY header goes first; 0: none
	Key     string       // CheckRedis: must not exist; "": PING

	// ALPN, if there is any, is what TLS offers instead of what the cluster's does.
	ALPN []string
	// Labels choose the transport among the cluster's matches, in place of those of
	// the endpoint; nil: the endpoint's.
	Labels map[string]string

	// Logs are files that get a line of JSON for each change of a host's state.
	Logs []string
	// LogFailures and LogSuccesses add those that change nothing.
	LogFailures, LogSuccesses bool
}

// HealthCheckKind is the protocol of a check.
type HealthCheckKind uint8

// The protocols. CheckMemcached is ours.
const (
	CheckTCP HealthCheckKind = iota
	CheckHTTP
	CheckGRPC
	CheckRedis
	CheckMemcached
)

// HTTPCheck is a request (Envoy HealthCheck.HttpHealthCheck).
type HTTPCheck struct {
	HTTP2  bool
	Method string // default GET
	// Host is the authority: "" for the cluster's name. An endpoint's own goes first.
	Host, Path string
	Headers    []HeaderValue // to add
	Remove     []string
	Body       []byte
	// Receive must be found in the first MaxBody bytes of the answer's body, in this
	// order; MaxBody 0 is all of it.
	Receive [][]byte
	MaxBody uint64
	// Expected statuses pass, default 200; Retriable ones fail only after as many as
	// a connection that is refused.
	Expected, Retriable []StatusRange
	// Service, if not nil, must match x-envoy-upstream-healthchecked-cluster.
	Service *StringMatch
}

// StatusRange is From ≤ status < To.
type StatusRange struct{ From, To int }

// Has reports whether the range has the status.
func (r StatusRange) Has(status int) bool { return r.From <= status && status < r.To }

// GRPCCheck asks grpc.health.v1.Health.
type GRPCCheck struct {
	Service string
	// Authority: "" for the cluster's name. An endpoint's own goes first.
	Authority string
	Headers   []HeaderValue
}

// EndpointCheck is how an endpoint differs (Envoy Endpoint.HealthCheckConfig).
type EndpointCheck struct {
	Disabled bool
	Hostname string
	Address  Address // valid: instead of the endpoint's
	Port     uint16  // not 0: instead of the endpoint's
}

// CheckAddress is where the endpoint's checks go.
func (e *Endpoint) CheckAddress() Address {
	a := e.Address
	if e.Check == nil {
		return a
	}
	if !e.Check.Address.IsZero() {
		a = e.Check.Address
	}
	if e.Check.Port != 0 && a.IP.IsValid() {
		a.IP = netip.AddrPortFrom(a.IP.Addr(), e.Check.Port)
	}
	return a
}
