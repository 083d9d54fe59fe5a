package config

import "time"

// Fault is the fault filter, and what a route says of it
// (Envoy extensions.filters.http.fault.v3.HTTPFault). Runtime values have been
// looked up.
type Fault struct {
	Delay *FaultDelay // nil: none
	Abort *FaultAbort // nil: none
	Rate  *FaultRate  // nil: none

	// Cluster, if not empty, is the only cluster that it is for, Headers are
	// conditions that must hold, Nodes are the x-envoy-downstream-service-node that
	// it is for (none: all).
	Cluster string
	Headers []HeaderMatch
	Nodes   []string
	// MaxActive bounds the requests that are being faulted, of all workers, if
	// HasMaxActive.
	MaxActive    uint64
	HasMaxActive bool
	// NoClusterStats leaves out the counters by x-envoy-downstream-service-cluster.
	NoClusterStats bool
	// Metadata is noted under the filter's name for requests that are faulted; nil:
	// none.
	Metadata map[string]Value
}

// FaultDelay holds requests up.
type FaultDelay struct {
	// Header takes the delay from x-envoy-fault-delay-request, else it is Fixed,
	// over 0.
	Header  bool
	Fixed   time.Duration
	Percent Fraction
}

// FaultAbort answers requests.
type FaultAbort struct {
	// Header takes the status from x-envoy-fault-abort-request or
	// x-envoy-fault-abort-grpc-request; else one of Status and HasGRPC is given.
	Header  bool
	Status  int
	GRPC    int
	HasGRPC bool
	Percent Fraction
}

// FaultRate makes answers slow.
type FaultRate struct {
	// Header takes it from x-envoy-fault-throughput-response, else it is KBps, in
	// KiB per second, at least 1.
	Header  bool
	KBps    uint64
	Percent Fraction
}
