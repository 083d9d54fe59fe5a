package envoyv3

// The fault filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func faultTables() []table {
	return []table{
		{
			of: &faultv3.HTTPFault{},
			honoured: "delay abort upstream_cluster headers downstream_nodes max_active_faults response_rate_limit " +
				"delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime " +
				"max_active_faults_runtime response_rate_limit_percent_runtime abort_grpc_status_runtime " +
				"disable_downstream_cluster_stats filter_metadata",
		},
		{of: &faultv3.FaultAbort{}, honoured: "http_status grpc_status header_abort percentage"},
		{of: &faultv3.FaultAbort_HeaderAbort{}},
		{
			of: &commonfaultv3.FaultDelay{}, honoured: "fixed_delay header_delay percentage",
		},
		{of: &commonfaultv3.FaultDelay_HeaderDelay{}},
		{of: &commonfaultv3.FaultRateLimit{}, honoured: "fixed_limit header_limit percentage"},
		{of: &commonfaultv3.FaultRateLimit_FixedLimit{}, honoured: "limit_kbps"},
		{of: &commonfaultv3.FaultRateLimit_HeaderLimit{}},
	}
}

// Keys that are read where a configuration names none (fault_filter.cc).
const (
	faultDelayPercent = "fault.http.delay.fixed_delay_percent"
	faultDelayTime    = "fault.http.delay.fixed_duration_ms"
	faultAbortPercent = "fault.http.abort.abort_percent"
	faultAbortStatus  = "fault.http.abort.http_status"
	faultAbortGRPC    = "fault.http.abort.grpc_status"
	faultMaxActive    = "fault.http.max_active_faults"
	faultRatePercent  = "fault.http.rate_limit.response_percent"
)

func (d *decoder) fault(p path, m *faultv3.HTTPFault) *config.Fault {
	f := &config.Fault{
		Cluster:        m.GetUpstreamCluster(),
		Nodes:          m.GetDownstreamNodes(),
		NoClusterStats: m.GetDisableDownstreamClusterStats(),
		MaxActive:      uint64(m.GetMaxActiveFaults().GetValue()),
		HasMaxActive:   m.GetMaxActiveFaults() != nil,
		Delay:          d.faultDelay(p.dot("delay"), m),
		Abort:          d.faultAbort(m),
	}
	if n, ok := d.opts.Runtime.integer(orKey(m.GetMaxActiveFaultsRuntime(), faultMaxActive)); ok {
		f.MaxActive, f.HasMaxActive = n, true
	}
	for i, h := range m.GetHeaders() {
		f.Headers = append(f.Headers, d.headerMatch(p.dot("headers").at(i), h))
	}
	if l := m.GetResponseRateLimit(); l != nil {
		f.Rate = &config.FaultRate{
			Header: l.GetHeaderLimit() != nil, KBps: l.GetFixedLimit().GetLimitKbps(),
			Percent: d.faultShare(orKey(m.GetResponseRateLimitPercentRuntime(), faultRatePercent), l.GetPercentage()),
		}
	}
	if m.GetFilterMetadata() != nil {
		f.Metadata = fieldsOf(m.GetFilterMetadata())
	}
	return f
}

func orKey(key, def string) string {
	if key != "" {
		return key
	}
	return def
}

func (d *decoder) faultDelay(p path, m *faultv3.HTTPFault) *config.FaultDelay {
	l := m.GetDelay()
	if l == nil {
		return nil
	}
	t := &config.FaultDelay{
		Header:  l.GetHeaderDelay() != nil,
		Percent: d.faultShare(orKey(m.GetDelayPercentRuntime(), faultDelayPercent), l.GetPercentage()),
	}
	if l.GetFixedDelay() != nil {
		t.Fixed = d.positive(p.dot("fixed_delay"), l.GetFixedDelay(), 0)
		if n, ok := d.opts.Runtime.integer(orKey(m.GetDelayDurationRuntime(), faultDelayTime)); ok {
			t.Fixed = time.Duration(min(n, 1<<40)) * time.Millisecond
		}
	}
	return t
}

func (d *decoder) faultAbort(m *faultv3.HTTPFault) *config.FaultAbort {
	a := m.GetAbort()
	if a == nil {
		return nil
	}
	f := &config.FaultAbort{
		Percent: d.faultShare(orKey(m.GetAbortPercentRuntime(), faultAbortPercent), a.GetPercentage()),
	}
	switch e := a.GetErrorType().(type) {
	case *faultv3.FaultAbort_HttpStatus:
		f.Status = int(e.HttpStatus)
		if n, ok := d.opts.Runtime.integer(orKey(m.GetAbortHttpStatusRuntime(), faultAbortStatus)); ok && n >= 200 && n < 600 {
			f.Status = int(n)
		}
	case *faultv3.FaultAbort_GrpcStatus:
		f.GRPC, f.HasGRPC = int(e.GrpcStatus), true
		if n, ok := d.opts.Runtime.integer(orKey(m.GetAbortGrpcStatusRuntime(), faultAbortGRPC)); ok && n < 1<<31 {
			f.GRPC = int(n)
		}
	case *faultv3.FaultAbort_HeaderAbort_:
		f.Header = true
	}
	return f
}

// faultShare is the share that a fault is for; none given is none.
func (d *decoder) faultShare(key string, m *typev3.FractionalPercent) config.Fraction {
	return *d.fraction(&corev3.RuntimeFractionalPercent{RuntimeKey: key, DefaultValue: m})
}
