package envoyv3

// The bandwidth limit filter.

import (
	"time"

	bandwidthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/bandwidth_limit/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func bandwidthTables() []table {
	return []table{{
		of:       &bandwidthv3.BandwidthLimit{},
		honoured: "stat_prefix enable_mode limit_kbps fill_interval runtime_enabled enable_response_trailers response_trailer_prefix",
	}}
}

// defaultFill is how often what waits is given some.
const defaultFill = 50 * time.Millisecond

func (d *decoder) bandwidthLimit(p path, m *bandwidthv3.BandwidthLimit) *config.BandwidthLimit {
	l := &config.BandwidthLimit{
		StatPrefix:    m.GetStatPrefix(),
		KBps:          m.GetLimitKbps().GetValue(),
		Interval:      d.duration(p.dot("fill_interval"), m.GetFillInterval(), defaultFill),
		Trailers:      m.GetEnableResponseTrailers(),
		TrailerPrefix: m.GetResponseTrailerPrefix(),
	}
	d.required(p.dot("stat_prefix"), l.StatPrefix)
	if l.Interval < 20*time.Millisecond || l.Interval > time.Second {
		d.refuse(p.dot("fill_interval"), "value must be inside range [20ms, 1s]")
	}
	switch m.GetEnableMode() {
	case bandwidthv3.BandwidthLimit_REQUEST:
		l.Request = true
	case bandwidthv3.BandwidthLimit_RESPONSE:
		l.Response = true
	case bandwidthv3.BandwidthLimit_REQUEST_AND_RESPONSE:
		l.Request, l.Response = true, true
	case bandwidthv3.BandwidthLimit_DISABLED:
	}
	if (l.Request || l.Response) && l.KBps == 0 {
		d.refuse(p.dot("limit_kbps"), "limit must be set")
	}
	if m.GetRuntimeEnabled() != nil {
		l.Disabled = !d.runtimeFlag(m.GetRuntimeEnabled())
	}
	return l
}
