package envoyv3

// The dynamic forward proxy: its cluster, its HTTP filter and its network filter.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"net"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	forwardclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	dnscachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	sniforwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

const (
	hintSubClusters = "a name is one host: not supported: use dns_cache_config"
	noteFiltersDNS  = "checked: the names are looked up as the cluster says"
)

func forwardProxyExtensions() []extension {
	return []extension{
		{clusterKind, "envoy.clusters.dynamic_forward_proxy", func() proto.Message { return &forwardclusterv3.ClusterConfig{} }},
		{httpFilter, "envoy.filters.http.dynamic_forward_proxy", func() proto.Message { return &forwardv3.FilterConfig{} }},
		{routeFilter, "envoy.filters.http.dynamic_forward_proxy", func() proto.Message { return &forwardv3.PerRouteConfig{} }},
		{networkFilter, "envoy.filters.network.sni_dynamic_forward_proxy", func() proto.Message { return &sniforwardv3.FilterConfig{} }},
	}
}

func forwardProxyTables() []table {
	return []table{
		{
			of: &forwardclusterv3.ClusterConfig{}, honoured: "dns_cache_config allow_insecure_cluster_options",
			refused: notes{"allow_coalesced_connections": "a connection serves the name that it was made for"},
			never:   notes{"sub_clusters_config": hintSubClusters},
		},
		{
			of: &dnscachev3.DnsCacheConfig{},
			honoured: "name dns_lookup_family dns_refresh_rate dns_min_refresh_rate host_ttl max_hosts disable_dns_refresh_on_failure " +
				"dns_failure_refresh_rate dns_cache_circuit_breaker preresolve_hostnames dns_query_timeout " +
				"typed_dns_resolver_config dns_resolution_config use_tcp_for_dns_lookups",
			refused: notes{
				"key_value_config": "names are not kept beyond the process",
			},
		},
		{of: &dnscachev3.DnsCacheCircuitBreakers{}, honoured: "max_pending_requests"},
		{
			of: &forwardv3.FilterConfig{}, honoured: "save_upstream_address allow_dynamic_host_from_filter_state",
			partly: notes{"dns_cache_config": noteFiltersDNS},
			never:  notes{"sub_cluster_config": hintSubClusters},
		},
		{of: &forwardv3.PerRouteConfig{}, honoured: "host_rewrite_literal host_rewrite_header"},
		{
			of: &sniforwardv3.FilterConfig{}, honoured: "port_value",
			partly:  notes{"dns_cache_config": noteFiltersDNS},
			refused: notes{"save_upstream_address": "nothing reads it on a connection"},
		},
	}
}

// forwardCluster reads the cluster; the texts are Envoy's
// (clusters/dynamic_forward_proxy/cluster.cc, createClusterWithConfig).
func (d *decoder) forwardCluster(p path, m *forwardclusterv3.ClusterConfig, of *clusterv3.Cluster, c *config.Cluster) {
	c.Discovery = config.DiscoveryDynamic
	if m.GetDnsCacheConfig() == nil {
		d.refuse(p.dot("dns_cache_config"), "value is required")
		return
	}
	c.Names = d.nameCache(p.dot("dns_cache_config"), m.GetDnsCacheConfig())
	typed := len(of.GetTypedExtensionProtocolOptions()) > 0
	if of.GetUpstreamHttpProtocolOptions() == nil && !typed {
		c.HTTP.AutoSNI, c.HTTP.AutoSANValidation = true, true
	}
	if !m.GetAllowInsecureClusterOptions() && !(c.HTTP.AutoSNI && c.HTTP.AutoSANValidation) {
		d.refuse(p, "dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless allow_insecure_cluster_options is set.")
	}
}

func (d *decoder) nameCache(p path, m *dnscachev3.DnsCacheConfig) config.NameCache {
	d.required(p.dot("name"), m.GetName())
	n := config.NameCache{
		Name:       m.GetName(),
		Refresh:    d.positive(p.dot("dns_refresh_rate"), m.GetDnsRefreshRate(), time.Minute),
		MinRefresh: d.positive(p.dot("dns_min_refresh_rate"), m.GetDnsMinRefreshRate(), 5*time.Second),
		Once:       m.GetDisableDnsRefreshOnFailure(),
		TTL:        d.positive(p.dot("host_ttl"), m.GetHostTtl(), 5*time.Minute),
		Timeout:    d.duration(p.dot("dns_query_timeout"), m.GetDnsQueryTimeout(), 5*time.Second),
		MaxNames:   orUint32(m.GetMaxHosts(), 1024),
		MaxPending: orUint32(m.GetDnsCacheCircuitBreaker().GetMaxPendingRequests(), 1024),
	}
	for _, x := range []struct {
		field string
		value time.Duration
	}{{"dns_refresh_rate", n.Refresh}, {"dns_min_refresh_rate", n.MinRefresh}} {
		if x.value < time.Second {
			d.refuse(p.dot(x.field), "value must be greater than or equal to 1s")
		}
	}
	if n.MaxNames == 0 {
		d.refuse(p.dot("max_hosts"), "value must be greater than 0")
	}
	n.Resolver = d.cacheResolver(p, m)
	if f := m.GetDnsFailureRefreshRate(); f != nil {
		var c config.Cluster
		d.dnsFailure(p.dot("dns_failure_refresh_rate"), f, &c)
		n.FailureBase, n.FailureMax = c.DNS.FailureBase, c.DNS.FailureMax
	}
	n.Family = lookupFamily(m.GetDnsLookupFamily())
	for i, a := range m.GetPreresolveHostnames() {
		d.tcpOnly(p.dot("preresolve_hostnames").at(i), a)
		d.here(p.dot("preresolve_hostnames").at(i), a)
		port := d.port(p.dot("preresolve_hostnames").at(i), a)
		n.Preresolve = append(n.Preresolve, net.JoinHostPort(a.GetAddress(), strconv.Itoa(int(port))))
	}
	if len(n.Preresolve) > int(n.MaxNames) {
		d.refuse(p.dot("preresolve_hostnames"), "DNS Cache [%s] configured with preresolve_hostnames=%d larger than max_hosts=%d", n.Name, len(n.Preresolve), n.MaxNames)
	}
	return n
}

func lookupFamily(f clusterv3.Cluster_DnsLookupFamily) config.DNSFamily {
	switch f {
	case clusterv3.Cluster_V4_ONLY:
		return config.DNSV4Only
	case clusterv3.Cluster_V6_ONLY:
		return config.DNSV6Only
	case clusterv3.Cluster_V4_PREFERRED:
		return config.DNSV4Preferred
	case clusterv3.Cluster_ALL:
		return config.DNSAll
	}
	return config.DNSAuto
}

func (d *decoder) forwardFilter(p path, m *forwardv3.FilterConfig) *config.DynamicForward {
	if m.GetImplementationSpecifier() == nil {
		d.refuse(p, "one of dns_cache_config, sub_cluster_config is required")
	}
	if c := m.GetDnsCacheConfig(); c != nil {
		d.nameCache(p.dot("dns_cache_config"), c)
	}
	return &config.DynamicForward{SaveAddress: m.GetSaveUpstreamAddress(), FromState: m.GetAllowDynamicHostFromFilterState()}
}

func (d *decoder) forwardRoute(m *forwardv3.PerRouteConfig) *config.DynamicForwardRoute {
	return &config.DynamicForwardRoute{Host: m.GetHostRewriteLiteral(), Header: strings.ToLower(m.GetHostRewriteHeader())}
}

func (d *decoder) sniForward(p path, m *sniforwardv3.FilterConfig) *config.SNIForward {
	if m.GetDnsCacheConfig() == nil {
		d.refuse(p.dot("dns_cache_config"), "value is required")
	} else {
		d.nameCache(p.dot("dns_cache_config"), m.GetDnsCacheConfig())
	}
	if m.GetPortValue() > 65535 {
		d.refuse(p.dot("port_value"), "value must be inside range (0, 65535]")
	}
	port := uint16(m.GetPortValue())
	if port == 0 {
		port = 443
	}
	return &config.SNIForward{Port: port}
}
