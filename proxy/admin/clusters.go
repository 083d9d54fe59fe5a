package admin

// /clusters as text (server/admin/clusters_handler.cc). A cluster that is
// warming is not shown, as in Envoy.

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/config"
)

func (s *Server) clusters(q *fasthttp.Args) answer {
	all := slices.Clone(s.views.Clusters())
	slices.SortFunc(all, func(a, b ClusterView) int { return strings.Compare(a.Name, b.Name) })
	if string(q.Peek("format")) == "json" {
		return clustersJSON(all)
	}
	var b bytes.Buffer
	for i := range all {
		writeCluster(&b, &all[i])
	}
	return answer{status: fasthttp.StatusOK, body: b.Bytes()}
}

func writeCluster(b *bytes.Buffer, c *ClusterView) {
	name := oneLine(c.Name)
	fmt.Fprintf(b, "%s::observability_name::%s\n", name, oneLine(cmp.Or(c.StatName, c.Name)))
	if o := c.Outlier; o != nil {
		fmt.Fprintf(b, "%s::outlier::success_rate_average::%g\n", name, o.Average)
		fmt.Fprintf(b, "%s::outlier::success_rate_ejection_threshold::%g\n", name, o.Threshold)
		fmt.Fprintf(b, "%s::outlier::local_origin_success_rate_average::%g\n", name, o.LocalAverage)
		fmt.Fprintf(b, "%s::outlier::local_origin_success_rate_ejection_threshold::%g\n", name, o.LocalThreshold)
	}
	for i, priority := range []string{"default", "high"} {
		l := &c.Limits[i]
		fmt.Fprintf(b, "%s::%s_priority::max_connections::%d\n", name, priority, l.MaxConnections)
		fmt.Fprintf(b, "%s::%s_priority::max_pending_requests::%d\n", name, priority, l.MaxPending)
		fmt.Fprintf(b, "%s::%s_priority::max_requests::%d\n", name, priority, l.MaxRequests)
		fmt.Fprintf(b, "%s::%s_priority::max_retries::%d\n", name, priority, l.MaxRetries)
	}
	fmt.Fprintf(b, "%s::added_via_api::%t\n", name, c.AddedViaAPI)
	for i := range c.Hosts {
		writeHost(b, name, &c.Hosts[i])
	}
}

func writeHost(b *bytes.Buffer, cluster string, h *HostView) {
	start := cluster + "::" + oneLine(h.Address.String()) + "::"
	for _, m := range h.Stats.all() {
		fmt.Fprintf(b, "%s%s::%d\n", start, m.name, m.value)
	}
	rates := [2]float64{-1, -1}
	if h.Rates != nil {
		rates = *h.Rates
	}
	for _, f := range []struct {
		name  string
		value any
	}{
		{"hostname", oneLine(h.Hostname)},
		{"health_flags", h.flags()},
		{"weight", h.Weight},
		{"region", oneLine(h.Region)},
		{"zone", oneLine(h.Zone)},
		{"sub_zone", oneLine(h.SubZone)},
		{"canary", h.Canary},
		{"priority", h.Priority},
		{"success_rate", rates[0]},
		{"local_origin_success_rate", rates[1]},
	} {
		fmt.Fprintf(b, "%s%s::%v\n", start, f.name, f.value)
	}
}

// oneLine keeps a configured name from making lines of its own.
func oneLine(s string) string { return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s) }

// metric is one figure of a host.
type metric struct {
	name  string
	value uint64
	gauge bool
}

// all gives the figures by name.
func (s *HostStats) all() [8]metric {
	return [...]metric{
		{"cx_active", s.CxActive, true},
		{"cx_connect_fail", s.CxConnectFail, false},
		{"cx_total", s.CxTotal, false},
		{"rq_active", s.RqActive, true},
		{"rq_error", s.RqError, false},
		{"rq_success", s.RqSuccess, false},
		{"rq_timeout", s.RqTimeout, false},
		{"rq_total", s.RqTotal, false},
	}
}

// flags are Envoy's (common/upstream/host_utility.cc), in its order.
func (h *HostView) flags() string {
	var flags string
	unhealthy := h.Health == config.HealthUnhealthy || h.Health == config.HealthTimeout
	for _, f := range []struct {
		on   bool
		name string
	}{
		{h.FailedCheck, "/failed_active_hc"},
		{h.Ejected, "/failed_outlier_check"},
		{unhealthy, "/failed_eds_health"},
		{h.DegradedCheck, "/degraded_active_hc"},
		{h.Health == config.HealthDegraded, "/degraded_eds_health"},
		{h.Leaving, "/pending_dynamic_removal"},
		{h.Pending, "/pending_active_hc"},
		{h.Excluded, "/excluded_via_immediate_hc_fail"},
		{h.LateCheck, "/active_hc_timeout"},
		{h.Health == config.HealthDraining, "/eds_status_draining"},
	} {
		if f.on {
			flags += f.name
		}
	}
	return cmp.Or(flags, "healthy")
}
