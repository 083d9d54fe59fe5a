package envoyv3

// Clusters that choose their hosts themselves (lb_policy CLUSTER_PROVIDED).

import (
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

const (
	// defaultCleanup is cleanup_interval.
	defaultCleanup = 5 * time.Second
	// originalDstHeader is original_dst_lb_config.http_header_name.
	originalDstHeader = "x-envoy-original-dst-host"
)

// originalDst reads an ORIGINAL_DST cluster; the texts are Envoy's
// (original_dst_cluster.cc, createClusterImpl).
func (d *decoder) originalDst(p path, m *clusterv3.Cluster, c *config.Cluster) {
	c.Discovery = config.DiscoveryOriginalDst
	if m.GetLbPolicy() != clusterv3.Cluster_CLUSTER_PROVIDED && m.GetLoadBalancingPolicy() == nil {
		d.refuse(p.dot("lb_policy"), "cluster: LB policy %s is not valid for Cluster type ORIGINAL_DST. Only "+
			"'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'", m.GetLbPolicy())
	}
	if m.GetLoadAssignment() != nil {
		d.refuse(p.dot("load_assignment"), "ORIGINAL_DST clusters must have no load assignment configured")
	}
	o := m.GetOriginalDstLbConfig()
	at := p.dot("original_dst_lb_config")
	c.OriginalDst.Cleanup = d.positive(p.dot("cleanup_interval"), m.GetCleanupInterval(), defaultCleanup)
	switch {
	case o.GetUseHttpHeader() && o.GetHttpHeaderName() == "":
		c.OriginalDst.Header = originalDstHeader
	case o.GetUseHttpHeader():
		c.OriginalDst.Header = strings.ToLower(o.GetHttpHeaderName())
	case o.GetHttpHeaderName() != "":
		d.refuse(at.dot("http_header_name"), "ORIGINAL_DST cluster: invalid config http_header_name=%s and use_http_header is "+
			"false. Set use_http_header to true if http_header_name is desired.", o.GetHttpHeaderName())
	}
	if k := o.GetMetadataKey(); k != nil {
		c.OriginalDst.Metadata = d.metadataKey(at.dot("metadata_key"), k)
	}
	if port := o.GetUpstreamPortOverride(); port != nil {
		if v := port.GetValue(); v == 0 || v > 65535 {
			d.refuse(at.dot("upstream_port_override"), "value must be inside range [1, 65535]")
		}
		c.OriginalDst.Port = uint16(port.GetValue())
	}
}

// metadataKey is the namespace and the path in it.
func (d *decoder) metadataKey(p path, m *metadatav3.MetadataKey) []string {
	d.required(p.dot("key"), m.GetKey())
	all := []string{m.GetKey()}
	if len(m.GetPath()) == 0 {
		d.refuse(p.dot("path"), "value must contain at least 1 item(s)")
	}
	for i, s := range m.GetPath() {
		d.required(p.dot("path").at(i).dot("key"), s.GetKey())
		all = append(all, s.GetKey())
	}
	return all
}

// providedBalance checks that the policy is CLUSTER_PROVIDED where the cluster
// chooses its hosts, and nowhere else (cluster_manager_impl.cc, loadCluster).
func (d *decoder) providedBalance(p path, provided bool, c *config.Cluster) {
	switch {
	case d.foreign: // who knows
	case provided && !c.Discovery.Provides():
		d.refuse(p, "cluster manager: cluster provided LB specified but cluster '%s' did not provide one. Check cluster documentation.", c.Name)
	case !provided && c.Discovery.Provides():
		d.refuse(p, "cluster manager: cluster provided LB not specified but cluster '%s' provided one. Check cluster documentation.", c.Name)
	}
}
