package config

import "time"

// Outlier says when a host is left out for a while because of how it answered
// (Envoy cluster.v3.OutlierDetection). Percentages are 0 to 100.
type Outlier struct {
	Interval time.Duration // between sweeps; default 10 s
	// A host is left out for BaseEjection times how often it was, at most for
	// MaxEjection, and for a random part of Jitter more; defaults 30 s, 300 s (or
	// BaseEjection), 0.
	BaseEjection, MaxEjection, Jitter time.Duration
	MaxEjectionPercent                uint32 // of the hosts that may be out at once; default 10
	AlwaysEjectOne                    bool   // one may be out whatever that says
	// Split counts failures on this side (no connection, no answer in time) apart
	// from what hosts answer.
	Split bool
	// UnejectOnCheck ends an ejection at the first active check that succeeds;
	// default true.
	UnejectOnCheck bool
	// How many failures in a row are too many; defaults 5.
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal uint32
	// A host whose rate of successes is StdevFactor/1000 standard deviations below
	// the average of all is an outlier; defaults 1900, 5 hosts, 100 requests.
	StdevFactor, SuccessRateHosts, SuccessRateVolume uint32
	// So is one of which FailureThreshold percent of the requests fail; defaults
	// 85, 5 hosts, 50 requests.
	FailureThreshold, FailureHosts, FailureVolume uint32
	// Enforcing is the percentage of the cases, by kind, in which a host that is
	// found to be an outlier is left out indeed.
	Enforcing [OutlierKinds]uint32
	// Log is the file to which a line is written for each host that is found to be an
	// outlier, and for each that is back; "": none.
	Log string
}

// OutlierKind is a reason to leave a host out (Envoy
// data.cluster.v3.OutlierEjectionType).
type OutlierKind uint8

// The reasons.
const (
	Outlier5xx OutlierKind = iota
	OutlierGateway
	OutlierSuccessRate
	OutlierLocal
	OutlierLocalSuccessRate
	OutlierFailurePercentage
	OutlierLocalFailurePercentage
	OutlierKinds = iota
)
