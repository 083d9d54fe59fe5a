package envoyv3

// What the bootstrap says of every cluster, those of a control plane too.

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// AllClusters is what a bootstrap's cluster_manager says of every cluster.
type AllClusters struct {
	// OutlierLog is the file of the event log of outlier detection; "": none.
	OutlierLog string
	// Local names the cluster of the programs like this one, "": there is none; Here is
	// where this one is.
	Local string
	Here  config.Place
	// Resolver is who is asked for the names of clusters; nil: as the system is
	// configured.
	Resolver *config.Resolver
	// Bind is where connections to the hosts of clusters come from that say nothing of it; nil: the
	// kernel chooses.
	Bind *corev3.BindConfig
}

// ReadAllClusters reads it from a bootstrap. What is wrong with it is for Bootstrap
// to say.
func ReadAllClusters(m *bootstrapv3.Bootstrap) AllClusters {
	d, here := &decoder{}, m.GetNode().GetLocality()
	return AllClusters{
		OutlierLog: m.GetClusterManager().GetOutlierDetection().GetEventLogPath(),
		Resolver:   d.allResolver(m),
		Bind:       m.GetClusterManager().GetUpstreamBindConfig(),
		Local:      m.GetClusterManager().GetLocalClusterName(),
		Here: config.Place{
			Region: here.GetRegion(), Zone: here.GetZone(), SubZone: here.GetSubZone(),
		},
	}
}
