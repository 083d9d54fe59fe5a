package config

import "time"

// HealthCheckFilter is the health check filter
// (Envoy extensions.filters.http.health_check.v3.HealthCheck).
type HealthCheckFilter struct {
	// PassThrough lets checks go on to the host; else they are answered here.
	PassThrough bool
	// CacheTime, if not 0, is how long an answer stands for those after it.
	// PassThrough only.
	CacheTime time.Duration
	// MinHealthy are the shares of clusters, in percent, that must be healthy, in
	// the order of their names.
	MinHealthy []ClusterHealthy
	// Headers say which requests are checks.
	Headers []HeaderMatch
	// Cluster is the name that x-envoy-upstream-healthchecked-cluster says: this
	// node's own.
	Cluster string
}

// ClusterHealthy is how much of a cluster must be healthy.
type ClusterHealthy struct {
	Cluster string
	Percent float64
}
