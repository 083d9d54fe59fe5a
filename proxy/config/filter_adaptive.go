package config

import "time"

// AdaptiveConcurrency is the filter that bounds how many requests are in progress by
// how long they take (Envoy extensions.filters.http.adaptive_concurrency.v3.
// AdaptiveConcurrency). Runtime values have been looked up.
type AdaptiveConcurrency struct {
	Disabled bool
	// Status is what a request over the limit is answered, at least 400.
	Status   int
	Gradient GradientController
}

// GradientController is how the limit is found (GradientControllerConfig).
type GradientController struct {
	// Percentile is which of the latencies of a window stands for it, 0 to 1.
	Percentile float64
	// MaxLimit is the highest limit; MinLimit the lowest, and the one while the least
	// latency is measured.
	MaxLimit, MinLimit uint32
	// Window is how often the limit is found anew, over 0.
	Window time.Duration
	// Fixed, if not 0, is the least latency. Else it is measured every Interval, by
	// Requests of them, and up to Jitter, a share of Interval, later.
	Fixed, Interval time.Duration
	Requests        uint32
	Jitter          float64
	// Buffer is by what share latencies may be longer than the least.
	Buffer float64
}
