package config

import "time"

// AdmissionControl is the filter that turns requests away where too few succeed
// (Envoy extensions.filters.http.admission_control.v3.AdmissionControl).
type AdmissionControl struct {
	Enabled bool
	// Window is what is looked back on, in whole seconds.
	Window time.Duration
	// Aggression is at least 1: the higher, the sooner requests are turned away.
	Aggression float64
	// SuccessRate is the share of requests, 0 to 1, that is well; MaxRejection is the
	// highest chance, 0 to 1, of a request to be turned away.
	SuccessRate, MaxRejection float64
	// MinRPS is the rate of requests a second below which none is.
	MinRPS uint32
	// HTTP are the statuses of success; GRPC has bit 1<<code for each grpc-status of it.
	HTTP []StatusRange
	GRPC uint32
}
