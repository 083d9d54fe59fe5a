package envoyv3

// Outlier detection of a cluster.

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of outlier detection (outlier_detection_impl.h, DetectorConfig).
const (
	defaultOutlierInterval = 10 * time.Second
	defaultBaseEjection    = 30 * time.Second
	defaultMaxEjection     = 10 * defaultBaseEjection
)

func (d *decoder) outlier(p path, m *clusterv3.OutlierDetection) *config.Outlier {
	if m == nil {
		return nil
	}
	o := &config.Outlier{
		Interval:           d.positive(p.dot("interval"), m.GetInterval(), defaultOutlierInterval),
		BaseEjection:       d.positive(p.dot("base_ejection_time"), m.GetBaseEjectionTime(), defaultBaseEjection),
		Jitter:             d.duration(p.dot("max_ejection_time_jitter"), m.GetMaxEjectionTimeJitter(), 0),
		MaxEjectionPercent: d.percent(p.dot("max_ejection_percent"), m.GetMaxEjectionPercent(), 10),
		AlwaysEjectOne:     m.GetAlwaysEjectOneHost().GetValue(),
		Split:              m.GetSplitExternalLocalOriginErrors(),
		UnejectOnCheck:     orBool(m.GetSuccessfulActiveHealthCheckUnejectHost(), true),
		Consecutive5xx:     orUint32(m.GetConsecutive_5Xx(), 5),
		ConsecutiveGateway: orUint32(m.GetConsecutiveGatewayFailure(), 5),
		ConsecutiveLocal:   orUint32(m.GetConsecutiveLocalOriginFailure(), 5),
		StdevFactor:        orUint32(m.GetSuccessRateStdevFactor(), 1900),
		SuccessRateHosts:   orUint32(m.GetSuccessRateMinimumHosts(), 5),
		SuccessRateVolume:  orUint32(m.GetSuccessRateRequestVolume(), 100),
		FailureThreshold:   d.percent(p.dot("failure_percentage_threshold"), m.GetFailurePercentageThreshold(), 85),
		FailureHosts:       orUint32(m.GetFailurePercentageMinimumHosts(), 5),
		FailureVolume:      orUint32(m.GetFailurePercentageRequestVolume(), 50),
		Log:                d.opts.Clusters.OutlierLog,
	}
	o.MaxEjection = d.positive(p.dot("max_ejection_time"), m.GetMaxEjectionTime(), max(defaultMaxEjection, o.BaseEjection))
	if o.MaxEjection < o.BaseEjection {
		d.refuse(p.dot("max_ejection_time"), "outlier detector's max_ejection_time cannot be smaller than base_ejection_time")
	}
	o.Enforcing = [config.OutlierKinds]uint32{
		config.Outlier5xx:                    d.percent(p.dot("enforcing_consecutive_5xx"), m.GetEnforcingConsecutive_5Xx(), 100),
		config.OutlierGateway:                d.percent(p.dot("enforcing_consecutive_gateway_failure"), m.GetEnforcingConsecutiveGatewayFailure(), 0),
		config.OutlierSuccessRate:            d.percent(p.dot("enforcing_success_rate"), m.GetEnforcingSuccessRate(), 100),
		config.OutlierLocal:                  d.percent(p.dot("enforcing_consecutive_local_origin_failure"), m.GetEnforcingConsecutiveLocalOriginFailure(), 100),
		config.OutlierLocalSuccessRate:       d.percent(p.dot("enforcing_local_origin_success_rate"), m.GetEnforcingLocalOriginSuccessRate(), 100),
		config.OutlierFailurePercentage:      d.percent(p.dot("enforcing_failure_percentage"), m.GetEnforcingFailurePercentage(), 0),
		config.OutlierLocalFailurePercentage: d.percent(p.dot("enforcing_failure_percentage_local_origin"), m.GetEnforcingFailurePercentageLocalOrigin(), 0),
	}
	return o
}

func (d *decoder) percent(p path, m *wrapperspb.UInt32Value, def uint32) uint32 {
	return d.between(p, orUint32(m, def), 0, 100)
}
