package envoyv3

// Zone-aware routing, by the old field of a cluster and by a policy's.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	lbcommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultZoneHosts is min_cluster_size.
const defaultZoneHosts = 6

// zoneAware is what the messages of both places have in common.
type zoneAware interface {
	GetRoutingEnabled() *typev3.Percent
	GetMinClusterSize() *wrapperspb.UInt64Value
}

// nearby reads zone-aware routing: it is on wherever the bootstrap names the local
// cluster, even for clusters that say nothing of it. Runtime keys come first
// (load_balancer_impl.cc).
func (d *decoder) nearby(m zoneAware, c *config.Cluster) *config.ZoneAware {
	all := &d.opts.Clusters
	if all.Local == "" || all.Local == c.Name {
		return nil
	}
	z := &config.ZoneAware{Local: all.Local, Here: all.Here, Percent: 100}
	if e := m.GetRoutingEnabled(); e != nil {
		z.Percent = uint32(min(math.Round(max(e.GetValue(), 0)), 100))
	}
	z.MinHosts = uint32(min(orUint64(m.GetMinClusterSize(), defaultZoneHosts), math.MaxInt32))
	r := d.opts.Runtime
	if n, ok := r.integer("upstream.zone_routing.enabled"); ok {
		z.Percent = uint32(min(n, 100))
	}
	if n, ok := r.integer("upstream.zone_routing.min_cluster_size"); ok {
		z.MinHosts = uint32(min(n, math.MaxInt32))
	}
	if n, _ := r.integer("upstream.zone_routing.force_local_zone.min_size"); n > 0 {
		z.ForceHere = uint32(min(n, math.MaxInt32))
	}
	return z
}

func (d *decoder) oldZone(m *clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig, c *config.Cluster) {
	c.Zone = d.nearby(m, c)
}

func (d *decoder) zone(m *lbcommonv3.LocalityLbConfig_ZoneAwareLbConfig, c *config.Cluster) {
	z := d.nearby(m, c)
	c.Zone = z
	if z == nil {
		return
	}
	z.ByWeight = m.GetLocalityBasis() == lbcommonv3.LocalityLbConfig_ZoneAwareLbConfig_HEALTHY_HOSTS_WEIGHT
	switch f := m.GetForceLocalZone(); {
	case z.ForceHere > 0:
	case f != nil:
		z.ForceHere = orUint32(f.GetMinSize(), 1)
	case m.GetForceLocalityDirectRouting():
		z.ForceHere = 1
	}
}
