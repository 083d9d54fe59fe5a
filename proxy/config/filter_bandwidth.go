package config

import "time"

// BandwidthLimit is the bandwidth limit filter, and what a route says of it
// (Envoy extensions.filters.http.bandwidth_limit.v3.BandwidthLimit).
type BandwidthLimit struct {
	StatPrefix string
	// Request and Response say what is limited.
	Request, Response bool
	// KBps is how much flows, in KiB per second, of all workers together, at least 1.
	KBps uint64
	// Interval is how often what waits is given some, 20 ms to 1 s.
	Interval time.Duration
	// Disabled is runtime_enabled's value.
	Disabled bool
	// Trailers tells in trailers, whose names begin with TrailerPrefix, how long it
	// took.
	Trailers      bool
	TrailerPrefix string
}
