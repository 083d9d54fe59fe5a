package envoyv3

// What is asked for when the first request wants it: the on_demand filter, VHDS and
// scopes on demand.

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	ondemandv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/on_demand/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func onDemandTables() []table {
	return []table{
		{of: &ondemandv3.OnDemand{}, honoured: "odcds"},
		{of: &ondemandv3.PerRouteConfig{}, honoured: "odcds"},
		{
			of: &ondemandv3.OnDemandCds{}, honoured: "timeout",
			partly: notes{"source": "ads, or api_config_source of type DELTA_GRPC"},
			never:  notes{"resources_locator": hintXDSTP},
		},
		{of: &routev3.Vhds{}, partly: notes{"config_source": "api_config_source of type DELTA_GRPC, as in Envoy"}},
	}
}

// defaultOnDemand is OnDemandCds.timeout.
const defaultOnDemand = 5 * time.Second

func (d *decoder) onDemand(p path, m *ondemandv3.OnDemandCds) *config.OnDemand {
	o := &config.OnDemand{}
	if m != nil {
		p = p.dot("odcds")
		o.Clusters = &config.ClusterDemand{
			Source:  d.demandSource(p.dot("source"), m.GetSource()),
			Timeout: d.positive(p.dot("timeout"), m.GetTimeout(), defaultOnDemand),
		}
	}
	return o
}

// demandSource reads where clusters are asked for: only the incremental protocol can
// ask for one more (od_cds_api_impl.cc).
func (d *decoder) demandSource(p path, m *corev3.ConfigSource) config.Source {
	s := d.source(p, m)
	if s.Kind == config.SourcePath || s.Kind == config.SourceAPI && !s.API.Delta {
		d.refuse(p, "clusters are asked for by ads or by api_config_source of type DELTA_GRPC")
	}
	return s
}

// vhds reads where virtual hosts are asked for (vhds.cc, createVhdsSubscription).
func (d *decoder) vhds(p path, m *routev3.Vhds) *config.Source {
	if m == nil {
		return nil
	}
	p = p.dot("config_source")
	s := d.source(p, m.GetConfigSource())
	if s.Kind != config.SourceAPI || !s.API.Delta {
		d.refuse(p, "vhds: only 'DELTA_GRPC' is supported as an api_type.")
	}
	return &s
}
