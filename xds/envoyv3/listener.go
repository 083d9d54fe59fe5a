package envoyv3

// Listeners and filter chains.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/attache-mesh/attache/proxy/config"
	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
)

// defaultBufferLimit is per_connection_buffer_limit_bytes of listeners and
// clusters, in bytes.
const defaultBufferLimit = 1 << 20

func (d *decoder) listener(p path, m *listenerv3.Listener) *config.Listener {
	l := &config.Listener{
		Name:        m.GetName(),
		BindToPort:  orBool(m.GetBindToPort(), orBool(m.GetDeprecatedV1().GetBindToPort(), true)),
		Backlog:     int(min(orUint32(m.GetTcpBacklogSize(), 0), 1<<31-1)),
		BufferLimit: orUint32(m.GetPerConnectionBufferLimitBytes(), defaultBufferLimit),
		Keepalive:   d.keepalive(p.dot("tcp_keepalive"), m.GetTcpKeepalive()),
		Freebind:    m.GetFreebind().GetValue(),
		StatPrefix:  m.GetStatPrefix(),
		Metadata:    filterMetadata(m.GetMetadata()),
	}
	if m.GetInternalListener() != nil || m.GetApiListener() != nil {
		return l // the walk has refused it, and it has no address
	}
	l.Address = d.ipOrPipe(p.dot("address"), m.GetAddress())
	if l.Name == "" && !l.Address.IsZero() {
		l.Name = l.Address.String()
	}
	for i, a := range m.GetAdditionalAddresses() {
		l.Additional = append(l.Additional, d.ipOrPipe(p.dot("additional_addresses").at(i).dot("address"), a.GetAddress()))
	}
	d.socketOptions(p.dot("socket_options"), m.GetSocketOptions(), &l.Keepalive)
	d.watched(p.dot("access_log"), m.GetAccessLog(), "give the log to the connection manager or the TCP proxy")
	d.chains(p, m, l)
	d.listenerFilters(p, m, l)
	return l
}

func (d *decoder) chains(p path, m *listenerv3.Listener, l *config.Listener) {
	if len(m.GetFilterChains()) == 0 && m.GetDefaultFilterChain() == nil && m.GetUdpListenerConfig() == nil {
		d.refuse(p.dot("filter_chains"), "error adding listener '%s': no filter chains specified", l.Name)
	}
	for i, c := range m.GetFilterChains() {
		l.Chains = append(l.Chains, d.chain(p.dot("filter_chains").at(i), c))
	}
	if c := m.GetDefaultFilterChain(); c != nil {
		chain := d.chain(p.dot("default_filter_chain"), c)
		l.DefaultChain = &chain
	}
}

func (d *decoder) chain(p path, m *listenerv3.FilterChain) config.FilterChain {
	c := config.FilterChain{
		Name:    m.GetName(),
		Match:   d.chainMatch(p.dot("filter_chain_match"), m.GetFilterChainMatch()),
		Handler: d.filters(p.dot("filters"), m.GetFilters()),
	}
	d.chainTransport(p, m, &c)
	return c
}

func (d *decoder) chainMatch(p path, m *listenerv3.FilterChainMatch) config.ChainMatch {
	c := config.ChainMatch{
		DestinationPort:      m.GetDestinationPort().GetValue(),
		DestinationPrefixes:  d.prefixes(p.dot("prefix_ranges"), m.GetPrefixRanges()),
		DirectSourcePrefixes: d.prefixes(p.dot("direct_source_prefix_ranges"), m.GetDirectSourcePrefixRanges()),
		SourcePrefixes:       d.prefixes(p.dot("source_prefix_ranges"), m.GetSourcePrefixRanges()),
		SourcePorts:          m.GetSourcePorts(),
		ServerNames:          d.serverNames(p.dot("server_names"), m.GetServerNames()),
		TransportProtocol:    d.transportProtocol(p.dot("transport_protocol"), m.GetTransportProtocol()),
		ApplicationProtocols: m.GetApplicationProtocols(),
	}
	switch m.GetSourceType() {
	case listenerv3.FilterChainMatch_SAME_IP_OR_LOOPBACK:
		c.SourceType = config.SourceSameIPOrLoopback
	case listenerv3.FilterChainMatch_EXTERNAL:
		c.SourceType = config.SourceExternal
	}
	return c
}

// filters reads a chain of network filters: all there are are terminal, so a
// chain has one. The texts are Envoy's (config/utility.cc,
// validateTerminalFilters).
func (d *decoder) filters(p path, filters []*listenerv3.Filter) config.Handler {
	if len(filters) == 0 {
		d.refuse(p, "a filter chain needs a terminal filter")
		return nil
	}
	var last config.Handler
	for i, f := range filters {
		if f.GetConfigDiscovery() != nil {
			continue // the walk has refused it
		}
		h, name := d.handler(p.at(i), f)
		if h != nil && i != len(filters)-1 {
			d.refuse(p.at(i), "Error: terminal filter named %s of type %s must be the last filter in a network filter chain.", f.GetName(), name)
		}
		last = h
	}
	return last
}

// handler reads one network filter; nil if it is refused.
func (d *decoder) handler(p path, f *listenerv3.Filter) (config.Handler, string) {
	p = p.dot("typed_config")
	switch m := d.extension(p, networkFilter, f.GetName(), f.GetTypedConfig()).(type) {
	case *hcmv3.HttpConnectionManager:
		return d.http(p, m), extensionName(m)
	case *tcpv3.TcpProxy:
		return d.tcp(p, m), extensionName(m)
	case *memcachedv1.MemcachedProxy:
		return d.memcached(p, m), extensionName(m)
	}
	return nil, ""
}
