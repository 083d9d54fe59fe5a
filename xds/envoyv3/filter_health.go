package envoyv3

// The health check filter.

import (
	"maps"
	"slices"

	healthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func healthFilterTables() []table {
	return []table{
		{of: &healthv3.HealthCheck{}, honoured: "pass_through_mode cache_time cluster_min_healthy_percentages headers"},
	}
}

func (d *decoder) healthFilter(p path, m *healthv3.HealthCheck) *config.HealthCheckFilter {
	h := &config.HealthCheckFilter{
		PassThrough: m.GetPassThroughMode().GetValue(),
		CacheTime:   d.duration(p.dot("cache_time"), m.GetCacheTime(), 0),
	}
	if m.GetPassThroughMode() == nil {
		d.refuse(p.dot("pass_through_mode"), "value is required")
	}
	if !h.PassThrough && h.CacheTime > 0 {
		d.refuse(p.dot("cache_time"), "cache_time_ms must not be set when path_through_mode is disabled")
	}
	for i, c := range m.GetHeaders() {
		h.Headers = append(h.Headers, d.headerMatch(p.dot("headers").at(i), c))
	}
	for _, name := range slices.Sorted(maps.Keys(m.GetClusterMinHealthyPercentages())) {
		h.MinHealthy = append(h.MinHealthy, config.ClusterHealthy{Cluster: name, Percent: m.GetClusterMinHealthyPercentages()[name].GetValue()})
	}
	return h
}
