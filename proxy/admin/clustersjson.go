package admin

// /clusters?format=json: admin.v3.Clusters.

import (
	"cmp"

	"github.com/attache-mesh/attache/proxy/config"
)

type clusterJSON struct {
	Name        string       `json:"name,omitempty"`
	AddedViaAPI bool         `json:"added_via_api,omitempty"`
	Hosts       []hostJSON   `json:"host_statuses,omitempty"`
	Breakers    breakersJSON `json:"circuit_breakers"`
	StatName    string       `json:"observability_name,omitempty"`
}

type breakersJSON struct {
	Thresholds []thresholdJSON `json:"thresholds"`
}

type thresholdJSON struct {
	Priority       string `json:"priority,omitempty"`
	MaxConnections uint32 `json:"max_connections"`
	MaxPending     uint32 `json:"max_pending_requests"`
	MaxRequests    uint32 `json:"max_requests"`
	MaxRetries     uint32 `json:"max_retries"`
}

type hostJSON struct {
	Address  addressJSON  `json:"address"`
	Stats    []metricJSON `json:"stats"`
	Health   healthJSON   `json:"health_status"`
	Weight   uint32       `json:"weight,omitempty"`
	Hostname string       `json:"hostname,omitempty"`
	Priority uint32       `json:"priority,omitempty"`
	Locality localityJSON `json:"locality"`
}

type metricJSON struct {
	Type  string     `json:"type,omitempty"` // COUNTER is the default
	Value uint64Text `json:"value,omitzero"`
	Name  string     `json:"name"`
}

type healthJSON struct {
	FailedCheck bool   `json:"failed_active_health_check,omitempty"`
	Ejected     bool   `json:"failed_outlier_check,omitempty"`
	Degraded    bool   `json:"failed_active_degraded_check,omitempty"`
	Leaving     bool   `json:"pending_dynamic_removal,omitempty"`
	Pending     bool   `json:"pending_active_hc,omitempty"`
	Excluded    bool   `json:"excluded_via_immediate_hc_fail,omitempty"`
	Late        bool   `json:"active_hc_timeout,omitempty"`
	Config      string `json:"eds_health_status"`
}

func clustersJSON(all []ClusterView) answer {
	var doc struct {
		Clusters []clusterJSON `json:"cluster_statuses,omitempty"`
	}
	for i := range all {
		doc.Clusters = append(doc.Clusters, clusterOf(&all[i]))
	}
	return render(doc)
}

func clusterOf(c *ClusterView) clusterJSON {
	j := clusterJSON{
		Name:        c.Name,
		AddedViaAPI: c.AddedViaAPI,
		Breakers:    breakersJSON{[]thresholdJSON{thresholdOf("", c.Limits[0]), thresholdOf("HIGH", c.Limits[1])}},
		StatName:    cmp.Or(c.StatName, c.Name),
	}
	for i := range c.Hosts {
		j.Hosts = append(j.Hosts, hostOf(&c.Hosts[i]))
	}
	return j
}

func thresholdOf(priority string, b config.Breakers) thresholdJSON {
	return thresholdJSON{priority, b.MaxConnections, b.MaxPending, b.MaxRequests, b.MaxRetries}
}

func hostOf(h *HostView) hostJSON {
	j := hostJSON{
		Address:  addressOf(h.Address),
		Health:   healthJSON{h.FailedCheck, h.Ejected, h.DegradedCheck, h.Leaving, h.Pending, h.Excluded, h.LateCheck, healthName(h.Health)},
		Weight:   h.Weight,
		Hostname: h.Hostname,
		Priority: h.Priority,
		Locality: localityJSON{h.Region, h.Zone, h.SubZone},
	}
	// Envoy shows counters before gauges.
	for _, gauge := range []bool{false, true} {
		for _, m := range h.Stats.all() {
			if m.gauge != gauge {
				continue
			}
			typ := ""
			if gauge {
				typ = "GAUGE"
			}
			j.Stats = append(j.Stats, metricJSON{typ, uint64Text(m.value), m.name})
		}
	}
	return j
}

// healthName is core.v3.HealthStatus as Envoy derives it from its flags: what
// is not known to be bad is HEALTHY.
func healthName(h config.Health) string {
	switch h {
	case config.HealthUnhealthy, config.HealthTimeout:
		return "UNHEALTHY"
	case config.HealthDraining:
		return "DRAINING"
	case config.HealthDegraded:
		return "DEGRADED"
	}
	return "HEALTHY"
}
