package envoyv3

// The adaptive_concurrency filter.

import (
	"time"

	adaptivev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

func adaptiveExtensions() []extension {
	return []extension{
		{httpFilter, "envoy.filters.http.adaptive_concurrency", func() proto.Message { return &adaptivev3.AdaptiveConcurrency{} }},
	}
}

func adaptiveTables() []table {
	return []table{
		{of: &adaptivev3.AdaptiveConcurrency{}, honoured: "gradient_controller_config enabled concurrency_limit_exceeded_status"},
		{of: &adaptivev3.GradientControllerConfig{}, honoured: "sample_aggregate_percentile concurrency_limit_params min_rtt_calc_params"},
		{of: &adaptivev3.GradientControllerConfig_ConcurrencyLimitCalculationParams{}, honoured: "max_concurrency_limit concurrency_update_interval"},
		{
			of:       &adaptivev3.GradientControllerConfig_MinimumRTTCalculationParams{},
			honoured: "interval fixed_value request_count jitter min_concurrency buffer",
		},
	}
}

func (d *decoder) adaptive(p path, m *adaptivev3.AdaptiveConcurrency) *config.AdaptiveConcurrency {
	c := &config.AdaptiveConcurrency{Status: int(m.GetConcurrencyLimitExceededStatus().GetCode())}
	c.Disabled = m.GetEnabled() != nil && !d.runtimeFlag(m.GetEnabled())
	if c.Status < 400 {
		c.Status = 503
	}
	g, pg := m.GetGradientControllerConfig(), p.dot("gradient_controller_config")
	limit, least := g.GetConcurrencyLimitParams(), g.GetMinRttCalcParams()
	pl, pm := pg.dot("concurrency_limit_params"), pg.dot("min_rtt_calc_params")
	window := d.duration(pl.dot("concurrency_update_interval"), limit.GetConcurrencyUpdateInterval(), 0)
	every := d.duration(pm.dot("interval"), least.GetInterval(), 0)
	c.Gradient = config.GradientController{
		Percentile: d.adaptiveShare("sample_aggregate_percentile", g.GetSampleAggregatePercentile(), 50),
		MaxLimit:   d.adaptiveCount("max_concurrency_limit", orUint32(limit.GetMaxConcurrencyLimit(), 1000)),
		MinLimit:   d.adaptiveCount("min_concurrency", orUint32(least.GetMinConcurrency(), 3)),
		Window:     d.adaptiveTime("sample_rtt_calc_interval_ms", window),
		Fixed:      d.duration(pm.dot("fixed_value"), least.GetFixedValue(), 0).Truncate(time.Millisecond),
		Interval:   d.adaptiveTime("min_rtt_calc_interval_ms", every),
		Requests:   d.adaptiveCount("min_rtt_aggregate_request_count", orUint32(least.GetRequestCount(), 50)),
		Jitter:     d.adaptiveShare("jitter", least.GetJitter(), 15),
		Buffer:     d.adaptiveShare("min_rtt_buffer", least.GetBuffer(), 25),
	}
	if every < time.Millisecond && c.Gradient.Fixed <= 0 {
		d.refuse(p, "adaptive_concurrency: neither `concurrency_update_interval` nor `fixed_value` set")
	}
	c.Gradient.Window = max(c.Gradient.Window, time.Millisecond)
	return c
}

// Envoy's runtime has a key for each of the settings (gradient_controller.h).
const adaptiveKey = "adaptive_concurrency.gradient_controller."

func (d *decoder) adaptiveShare(key string, m *typev3.Percent, def float64) float64 {
	n, ok := d.opts.Runtime.number(adaptiveKey + key)
	switch {
	case ok:
	case m != nil:
		n = m.GetValue()
	default:
		n = def
	}
	return max(0, min(n, 100)) / 100
}

func (d *decoder) adaptiveCount(key string, n uint32) uint32 {
	if v, ok := d.opts.Runtime.integer(adaptiveKey + key); ok {
		return uint32(min(v, 1<<32-1))
	}
	return n
}

// adaptiveTime is in whole milliseconds.
func (d *decoder) adaptiveTime(key string, t time.Duration) time.Duration {
	if v, ok := d.opts.Runtime.integer(adaptiveKey + key); ok {
		return time.Duration(min(v, 1<<40)) * time.Millisecond
	}
	return t.Truncate(time.Millisecond)
}
