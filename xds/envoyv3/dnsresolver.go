package envoyv3

// Who resolves names: the system, as it is configured, or servers that are named
// (Envoy network/dns_resolver/dns_factory_util.h).

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"math"
	"net/netip"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dnscachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	getaddrinfov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/getaddrinfo/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// Defaults of c-ares in Envoy (cares/dns_impl.cc).
const (
	defaultDNSTimeout = 5
	defaultDNSTries   = 4
)

func resolverExtensions() []extension {
	return []extension{
		{dnsResolverKind, "envoy.network.dns_resolver.cares", func() proto.Message { return &caresv3.CaresDnsResolverConfig{} }},
		{dnsResolverKind, "envoy.network.dns_resolver.getaddrinfo", func() proto.Message { return &getaddrinfov3.GetAddrInfoDnsResolverConfig{} }},
	}
}

func resolverTables() []table {
	const ownSocket = "each question has a socket of its own"
	return []table{
		{
			of: &caresv3.CaresDnsResolverConfig{},
			honoured: "resolvers use_resolvers_as_fallback filter_unroutable_families dns_resolver_options query_timeout_seconds " +
				"query_tries rotate_nameservers edns0_max_payload_size",
			noEffect: notes{"udp_max_queries": ownSocket, "max_udp_channel_duration": ownSocket, "reinit_channel_on_timeout": ownSocket},
		},
		{of: &corev3.DnsResolverOptions{}, honoured: "use_tcp_for_dns_lookups no_default_search_domain"},
		{of: &corev3.DnsResolutionConfig{}, honoured: "resolvers dns_resolver_options"},
		{
			of: &getaddrinfov3.GetAddrInfoDnsResolverConfig{},
			noEffect: notes{
				"num_retries":          "the servers are asked as often as resolv.conf says",
				"num_resolver_threads": "look-ups take no thread",
			},
		},
	}
}

// dnsResolver reads a typed resolver; nil: the system's.
func (d *decoder) dnsResolver(p path, m *corev3.TypedExtensionConfig) *config.Resolver {
	if m == nil {
		return nil
	}
	p = p.dot("typed_config")
	if c, ok := d.extension(p, dnsResolverKind, m.GetName(), m.GetTypedConfig()).(*caresv3.CaresDnsResolverConfig); ok {
		return d.cares(p, c)
	}
	return nil
}

func (d *decoder) cares(p path, m *caresv3.CaresDnsResolverConfig) *config.Resolver {
	r := &config.Resolver{
		Servers:  d.nameServers(p.dot("resolvers"), m.GetResolvers()),
		Fallback: m.GetUseResolversAsFallback(),
		TCP:      m.GetDnsResolverOptions().GetUseTcpForDnsLookups(),
		NoSearch: m.GetDnsResolverOptions().GetNoDefaultSearchDomain(),
		Timeout:  time.Duration(min(orUint64(m.GetQueryTimeoutSeconds(), defaultDNSTimeout), math.MaxInt32)) * time.Second,
		Tries:    orUint32(m.GetQueryTries(), defaultDNSTries),
		Rotate:   m.GetRotateNameservers(),
		Routable: m.GetFilterUnroutableFamilies(),
	}
	if size := m.GetEdns0MaxPayloadSize(); size != nil {
		r.MaxUDP = uint16(d.between(p.dot("edns0_max_payload_size"), size.GetValue(), 512, 4096))
	}
	if r.Timeout == 0 {
		d.refuse(p.dot("query_timeout_seconds"), "value must be greater than or equal to 1")
	}
	if r.Tries == 0 {
		d.refuse(p.dot("query_tries"), "value must be greater than or equal to 1")
	}
	d.duration(p.dot("max_udp_channel_duration"), m.GetMaxUdpChannelDuration(), 0)
	return r
}

func (d *decoder) nameServers(p path, all []*corev3.Address) (servers []netip.AddrPort) {
	for i, a := range all {
		p := p.at(i)
		s := a.GetSocketAddress()
		ip, err := netip.ParseAddr(s.GetAddress())
		if s == nil || err != nil {
			d.refuse(p, "DNS resolver '%s' is not an IP address", s.GetAddress())
			continue
		}
		d.here(p.dot("socket_address"), s)
		servers = append(servers, netip.AddrPortFrom(ip, d.port(p.dot("socket_address"), s)))
	}
	return servers
}

func (d *decoder) oldResolver(p path, m *corev3.DnsResolutionConfig) *config.Resolver {
	return d.cares(p, &caresv3.CaresDnsResolverConfig{Resolvers: m.GetResolvers(), DnsResolverOptions: m.GetDnsResolverOptions()})
}

// allResolver is that of the bootstrap: of every cluster that says nothing itself.
func (d *decoder) allResolver(m *bootstrapv3.Bootstrap) *config.Resolver {
	switch {
	case m.GetTypedDnsResolverConfig() != nil:
		return d.dnsResolver(root("typed_dns_resolver_config"), m.GetTypedDnsResolverConfig())
	case m.GetDnsResolutionConfig() != nil:
		return d.oldResolver(root("dns_resolution_config"), m.GetDnsResolutionConfig())
	case m.GetUseTcpForDnsLookups():
		return d.cares("", &caresv3.CaresDnsResolverConfig{DnsResolverOptions: &corev3.DnsResolverOptions{UseTcpForDnsLookups: true}})
	}
	return nil
}

// clusterResolver is the cluster's own, or the bootstrap's. use_tcp_for_dns_lookups
// counts only beside dns_resolvers (cluster_factory_impl.cc, selectDnsResolver).
func (d *decoder) clusterResolver(p path, m *clusterv3.Cluster) *config.Resolver {
	switch {
	case m.GetTypedDnsResolverConfig().GetTypedConfig() != nil:
		return d.dnsResolver(p.dot("typed_dns_resolver_config"), m.GetTypedDnsResolverConfig())
	case len(m.GetDnsResolutionConfig().GetResolvers()) > 0:
		return d.oldResolver(p.dot("dns_resolution_config"), m.GetDnsResolutionConfig())
	case len(m.GetDnsResolvers()) > 0:
		return d.cares(p, &caresv3.CaresDnsResolverConfig{
			Resolvers:          m.GetDnsResolvers(),
			DnsResolverOptions: &corev3.DnsResolverOptions{UseTcpForDnsLookups: m.GetUseTcpForDnsLookups()},
		})
	}
	return d.opts.Clusters.Resolver
}

// cacheResolver is that of a cache of names (dns_cache_impl.cc, selectDnsResolver).
func (d *decoder) cacheResolver(p path, m *dnscachev3.DnsCacheConfig) *config.Resolver {
	switch {
	case m.GetTypedDnsResolverConfig() != nil:
		return d.dnsResolver(p.dot("typed_dns_resolver_config"), m.GetTypedDnsResolverConfig())
	case m.GetDnsResolutionConfig() != nil:
		return d.oldResolver(p.dot("dns_resolution_config"), m.GetDnsResolutionConfig())
	case m.GetUseTcpForDnsLookups():
		return d.cares(p, &caresv3.CaresDnsResolverConfig{DnsResolverOptions: &corev3.DnsResolverOptions{UseTcpForDnsLookups: true}})
	}
	return d.opts.Clusters.Resolver
}
