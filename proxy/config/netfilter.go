package config

import "time"

// NetworkFilter is a filter that connections pass before what serves them (Envoy
// listener.v3.Filter).
type NetworkFilter struct {
	Name string
	// Config is a pointer to the value of its kind: *ConnectionLimit,
	// *ConnectionRateLimit, *SNICluster and so on, *NoFilterConfig if there is none.
	Config any
	// Discovery is where Config comes from; nil: it stands here.
	Discovery *FilterDiscovery
}

// ConnectionLimit bounds how many connections there are
// (filters.network.connection_limit.v3.ConnectionLimit).
type ConnectionLimit struct {
	StatPrefix string
	Max        uint64 // at least 1
	// Delay is how long one too many is kept before it is closed; 0: not at all.
	Delay time.Duration
	Off   bool // by runtime_enabled
}

// ConnectionRateLimit bounds how many connections come in a time
// (filters.network.local_ratelimit.v3.LocalRateLimit, and the listener filter of
// that name).
type ConnectionRateLimit struct {
	StatPrefix string
	Bucket     TokenBucket
	// ShareKey names the bucket, if others of the same name and size are to take from
	// it too; "" for a bucket of its own.
	ShareKey string
	Off      bool // by runtime_enabled
}

// AcceptLimit is a ConnectionRateLimit of a listener.
type AcceptLimit struct {
	ConnectionRateLimit
	Late bool // after the inspections, else before
}

// SNICluster has the TCP proxy connect to the cluster that the SNI names
// (filters.network.sni_cluster.v3.SniCluster).
type SNICluster struct{}

// Echo sends back what comes (filters.network.echo.v3.Echo).
type Echo struct{}

// DirectBytes answers each connection with a text and closes it
// (filters.network.direct_response.v3.Config).
type DirectBytes struct{ Text string }
