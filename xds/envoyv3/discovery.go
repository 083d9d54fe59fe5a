package envoyv3

// Where a cluster's hosts come from.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"cmp"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	forwardclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultDNSRefresh is dns_refresh_rate.
const defaultDNSRefresh = 5 * time.Second

// refreshRate is what Cluster's and DnsCluster's message have in common.
type refreshRate interface {
	GetBaseInterval() *durationpb.Duration
	GetMaxInterval() *durationpb.Duration
}

// discovery reads the type of the cluster and its DNS settings. It answers
// false if the endpoints cannot be read then.
func (d *decoder) discovery(p path, m *clusterv3.Cluster, c *config.Cluster) bool {
	if m.GetEdsClusterConfig() != nil && m.GetType() != clusterv3.Cluster_EDS {
		d.refuse(p.dot("eds_cluster_config"), "eds_cluster_config set in a non-EDS cluster")
	}
	custom := m.GetClusterType()
	if custom != nil && custom.GetTypedConfig() != nil {
		reads := d.customCluster(p.dot("cluster_type").dot("typed_config"), m, c)
		if c.Discovery.Provides() && m.GetLoadAssignment() != nil {
			d.refuse(p.dot("load_assignment"), "this type of cluster finds its hosts itself")
		}
		return reads
	}
	name := "envoy.cluster.static"
	switch {
	case custom != nil:
		name = custom.GetName()
	case m.GetType() == clusterv3.Cluster_STATIC:
	case m.GetType() == clusterv3.Cluster_STRICT_DNS:
		name = "envoy.cluster.strict_dns"
	case m.GetType() == clusterv3.Cluster_LOGICAL_DNS:
		name = "envoy.cluster.logical_dns"
	case m.GetType() == clusterv3.Cluster_EDS:
		d.eds(p, m, c)
		return false
	case m.GetType() == clusterv3.Cluster_ORIGINAL_DST:
		d.originalDst(p, m, c)
		return false
	default:
		d.never(p.dot("type"), m.GetType().String()+": only STATIC, STRICT_DNS, LOGICAL_DNS and EDS")
		return false
	}
	switch name {
	case "envoy.cluster.static":
		c.Discovery = config.DiscoveryStatic
	case "envoy.cluster.strict_dns":
		c.Discovery = config.DiscoveryStrictDNS
	case "envoy.cluster.logical_dns":
		c.Discovery = config.DiscoveryLogicalDNS
	default:
		d.refuse(p.dot("cluster_type").dot("name"), "Didn't find a registered cluster factory implementation for name: '%s'", name)
		return false
	}
	d.legacyDNS(p, m, c)
	return true
}

// eds reads where the endpoints come from; Endpoints reads them when they come.
func (d *decoder) eds(p path, m *clusterv3.Cluster, c *config.Cluster) {
	c.Discovery = config.DiscoveryEDS
	if m.GetLoadAssignment() != nil {
		d.refuse(p.dot("load_assignment"), "an EDS cluster has its endpoints from eds_config")
	}
	e := m.GetEdsClusterConfig()
	if e == nil {
		d.refuse(p, "cannot create an EDS cluster without an EDS config")
		return
	}
	c.EDSName = cmp.Or(e.GetServiceName(), c.Name)
	c.EDSSource = d.source(p.dot("eds_cluster_config").dot("eds_config"), e.GetEdsConfig())
}

// legacyDNS reads the DNS fields that stand in the cluster itself.
func (d *decoder) legacyDNS(p path, m *clusterv3.Cluster, c *config.Cluster) {
	c.DNS = config.DNS{
		Refresh:       d.positive(p.dot("dns_refresh_rate"), m.GetDnsRefreshRate(), defaultDNSRefresh),
		RefreshJitter: d.duration(p.dot("dns_jitter"), m.GetDnsJitter(), 0),
		RespectTTL:    m.GetRespectDnsTtl(),
		Resolver:      d.clusterResolver(p, m),
	}
	if f := m.GetDnsFailureRefreshRate(); f != nil {
		d.dnsFailure(p.dot("dns_failure_refresh_rate"), f, c)
	}
	c.DNS.Family = lookupFamily(m.GetDnsLookupFamily())
}

// customCluster reads a cluster by the type of its configuration; false if there
// are no endpoints to be read.
func (d *decoder) customCluster(p path, of *clusterv3.Cluster, c *config.Cluster) bool {
	custom := of.GetClusterType()
	if typeName, _, bad := unwrap(custom.GetTypedConfig()); bad == "" && !implements(clusterKind, typeName) {
		d.foreign = true
		d.refuse(p, "Didn't find a registered cluster factory implementation for type: '%s'", typeName)
		return false
	}
	switch m := d.extension(p, clusterKind, custom.GetName(), custom.GetTypedConfig()).(type) {
	case *dnsv3.DnsCluster:
		d.dnsCluster(p, m, c)
		return true
	case *aggregatev3.ClusterConfig:
		c.Discovery, c.Aggregate = config.DiscoveryAggregate, m.GetClusters()
	case *forwardclusterv3.ClusterConfig:
		d.forwardCluster(p, m, of, c)
	}
	return false
}

// dnsCluster reads envoy.clusters.dns, the typed form of both DNS types.
func (d *decoder) dnsCluster(p path, m *dnsv3.DnsCluster, c *config.Cluster) {
	c.Discovery = config.DiscoveryStrictDNS
	if m.GetAllAddressesInSingleEndpoint() {
		c.Discovery = config.DiscoveryLogicalDNS
	}
	c.DNS = config.DNS{
		Refresh:       d.positive(p.dot("dns_refresh_rate"), m.GetDnsRefreshRate(), defaultDNSRefresh),
		RefreshJitter: d.duration(p.dot("dns_jitter"), m.GetDnsJitter(), 0),
		RespectTTL:    m.GetRespectDnsTtl(),
		Resolver:      d.opts.Clusters.Resolver,
	}
	if m.GetTypedDnsResolverConfig().GetTypedConfig() != nil {
		c.DNS.Resolver = d.dnsResolver(p.dot("typed_dns_resolver_config"), m.GetTypedDnsResolverConfig())
	}
	if f := m.GetDnsFailureRefreshRate(); f != nil {
		d.dnsFailure(p.dot("dns_failure_refresh_rate"), f, c)
	}
	switch m.GetDnsLookupFamily() {
	case commondnsv3.DnsLookupFamily_V4_ONLY:
		c.DNS.Family = config.DNSV4Only
	case commondnsv3.DnsLookupFamily_V6_ONLY:
		c.DNS.Family = config.DNSV6Only
	case commondnsv3.DnsLookupFamily_V4_PREFERRED:
		c.DNS.Family = config.DNSV4Preferred
	case commondnsv3.DnsLookupFamily_ALL:
		c.DNS.Family = config.DNSAll
	}
}

func (d *decoder) dnsFailure(p path, m refreshRate, c *config.Cluster) {
	c.DNS.FailureBase = d.positive(p.dot("base_interval"), m.GetBaseInterval(), 0)
	if c.DNS.FailureBase == 0 {
		d.refuse(p.dot("base_interval"), "value is required")
	}
	c.DNS.FailureMax = d.positive(p.dot("max_interval"), m.GetMaxInterval(), 10*c.DNS.FailureBase)
	if c.DNS.FailureMax < c.DNS.FailureBase {
		d.refuse(p, "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval")
	}
}
