package envoyv3

// Listeners and filter chains.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"slices"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	directv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
)

// maxAccepts bounds max_connections_to_accept_per_socket_event: more than that is all.
const maxAccepts = 1 << 16

// defaultBufferLimit is per_connection_buffer_limit_bytes of listeners and
// clusters, in bytes.
const defaultBufferLimit = 1 << 20

func (d *decoder) listener(p path, m *listenerv3.Listener) *config.Listener {
	l := &config.Listener{
		Name:        m.GetName(),
		BindToPort:  orBool(m.GetBindToPort(), orBool(m.GetDeprecatedV1().GetBindToPort(), true)),
		Backlog:     int(min(orUint32(m.GetTcpBacklogSize(), 0), 1<<31-1)),
		BufferLimit: orUint32(m.GetPerConnectionBufferLimitBytes(), defaultBufferLimit),
		Socket:      config.Socket{Keepalive: d.keepalive(p.dot("tcp_keepalive"), m.GetTcpKeepalive())},
		Freebind:    m.GetFreebind().GetValue(),
		StatPrefix:  m.GetStatPrefix(),
		Metadata:    filterMetadata(m.GetMetadata()),
		Inbound:     m.GetTrafficDirection() == corev3.TrafficDirection_INBOUND,
		OneSocket:   !orBool(m.GetEnableReusePort(), true),
		Multipath:   m.GetEnableMptcp(),
		ModifyOnly:  m.GetDrainType() == listenerv3.Listener_MODIFY_ONLY,

		AcceptsPerTurn: min(m.GetMaxConnectionsToAcceptPerSocketEvent().GetValue(), maxAccepts),
	}
	switch {
	case m.GetApiListener() != nil:
		return l // the walk has refused it, and it has no address
	case m.GetInternalListener() != nil:
		d.internalListener(p, m, l)
	case m.GetAddress().GetEnvoyInternalAddress() != nil:
		d.refuse(p.dot("address"), "error adding listener named '%s': use internal_listener field instead of address for internal listeners", l.Name)
	default:
		l.Address = d.toListen(p.dot("address"), m.GetAddress())
	}
	if l.Name == "" && !l.Address.IsZero() {
		l.Name = l.Address.Place()
	}
	d.additional(p, m, l)
	d.socketOptions(p.dot("socket_options"), m.GetSocketOptions(), &l.Socket)
	ownOptions(m, &l.Socket)
	if l.Multipath && (l.Address.Path != "" || slices.ContainsFunc(l.Additional, func(a config.Address) bool { return a.Path != "" })) {
		d.refuse(p.dot("enable_mptcp"), "listener %s: enable_mptcp can only be used with IP addresses", l.Name)
	}
	l.AccessLogs = d.accessLogs(p.dot("access_log"), m.GetAccessLog())
	d.chains(p, m, l)
	d.listenerFilters(p, m, l)
	return l
}

// additional reads the further addresses: what one says of its socket stands in place
// of what the listener says.
func (d *decoder) additional(p path, m *listenerv3.Listener, l *config.Listener) {
	for i, a := range m.GetAdditionalAddresses() {
		p := p.dot("additional_addresses").at(i)
		l.Additional = append(l.Additional, d.toListen(p.dot("address"), a.GetAddress()))
		s := l.Socket // of tcp_keepalive alone: socket_options are not read yet
		if a.GetTcpKeepalive() != nil {
			s.Keepalive = d.keepalive(p.dot("tcp_keepalive"), a.GetTcpKeepalive())
		}
		if own := a.GetSocketOptions(); own != nil {
			d.socketOptions(p.dot("socket_options").dot("socket_options"), own.GetSocketOptions(), &s)
		} else {
			(&decoder{}).socketOptions(p, m.GetSocketOptions(), &s) // what is wrong with them is said once
		}
		ownOptions(m, &s)
		l.AdditionalSockets = append(l.AdditionalSockets, s)
	}
}

// internalListener reads a listener that only this process reaches, by its name. The
// texts are Envoy's (listener_impl.cc, buildInternalListener).
func (d *decoder) internalListener(p path, m *listenerv3.Listener, l *config.Listener) {
	d.required(p.dot("name"), l.Name)
	l.Address = config.Address{Inside: l.Name}
	switch {
	case m.GetAddress() != nil || len(m.GetAdditionalAddresses()) > 0:
		d.refuse(p.dot("address"), "error adding listener '%s': address should not be used when an internal listener config is provided", l.Name)
	case m.GetConnectionBalanceConfig() != nil || m.GetEnableMptcp() || m.GetEnableReusePort() != nil || l.Freebind ||
		m.GetTcpBacklogSize() != nil || m.GetTcpFastOpenQueueLength() != nil || m.GetTransparent().GetValue():
		d.refuse(p.dot("internal_listener"), "error adding listener named '%s': has unsupported tcp listener feature", l.Name)
	case len(m.GetSocketOptions()) > 0:
		d.refuse(p.dot("socket_options"), "error adding listener named '%s': does not support socket option", l.Name)
	}
}

func (d *decoder) chains(p path, m *listenerv3.Listener, l *config.Listener) {
	if len(m.GetFilterChains()) == 0 && m.GetDefaultFilterChain() == nil && !overUDP(m) {
		d.refuse(p.dot("filter_chains"), "error adding listener '%s': no filter chains specified", l.Name)
	}
	for i, c := range m.GetFilterChains() {
		l.Chains = append(l.Chains, d.chain(p.dot("filter_chains").at(i), c))
	}
	if c := m.GetDefaultFilterChain(); c != nil {
		chain := d.chain(p.dot("default_filter_chain"), c)
		l.DefaultChain = &chain
	}
	if m.GetFilterChainMatcher() != nil {
		d.chainMatcher(p, m, l)
	}
}

// overUDP reports a listener of datagrams, which is refused and needs no chain.
func overUDP(m *listenerv3.Listener) bool {
	return m.GetUdpListenerConfig() != nil || m.GetAddress().GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP
}

// chainMatcher reads the tree that chooses a chain by its name; the texts are Envoy's (filter_chain_manager_impl.cc).
func (d *decoder) chainMatcher(p path, m *listenerv3.Listener, l *config.Listener) {
	places := map[string]int{}
	for i := range l.Chains {
		pc, name := p.dot("filter_chains").at(i), l.Chains[i].Name
		_, again := places[name]
		switch {
		case name == "":
			d.refuse(pc, "error adding listener '%s': \"name\" field is required when using a listener matcher", l.Name)
		case again:
			d.refuse(pc, "error adding listener '%s': \"name\" field is duplicated with value '%s'", l.Name, name)
		}
		places[name] = i
		if m.GetFilterChains()[i].GetFilterChainMatch() != nil {
			d.warn(pc.dot("filter_chain_match"), "has no effect: filter_chain_matcher chooses")
			l.Chains[i].Match = config.ChainMatch{}
		}
	}
	at := &treePlace{input: connInput}
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		name, ok := d.extension(p, chainAction, a.GetName(), a.GetTypedConfig()).(*wrapperspb.StringValue)
		if !ok {
			return config.NoChain
		}
		i, ok := places[name.GetValue()]
		if !ok {
			d.warn(p, "no filter chain is called '%s': connections that come here are closed", name.GetValue())
			return config.NoChain
		}
		return i
	}
	l.Matcher = d.matcher(p.dot("filter_chain_matcher"), m.GetFilterChainMatcher(), at)
}

func (d *decoder) chain(p path, m *listenerv3.FilterChain) config.FilterChain {
	c := config.FilterChain{
		Name:  m.GetName(),
		Match: d.chainMatch(p.dot("filter_chain_match"), m.GetFilterChainMatch()),
	}
	d.filters(p.dot("filters"), m.GetFilters(), &c)
	d.chainTransport(p, m, &c)
	if len(m.GetFilters()) == 0 { // nobody reads what a handshake would give
		c.TLS, c.StartTLS = nil, false
	}
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

// filters reads a chain of network filters, of which the last one, and no other,
// serves the connection.
func (d *decoder) filters(p path, filters []*listenerv3.Filter, c *config.FilterChain) {
	if len(filters) == 0 { // active_stream_listener_base.cc, newConnection
		d.warn(p, "no filters: connections that come here are closed")
		c.Handler = &config.NoFilterConfig{}
	}
	for i, f := range filters {
		end := i == len(filters)-1
		if f.GetConfigDiscovery() != nil {
			at := place{kind: networkFilter, of: config.NetworkFilters, last: end}
			by := d.discoveredAt(at, p.at(i).dot("config_discovery"), f.GetName(), f.GetConfigDiscovery())
			if end {
				c.Discovery = by
			} else {
				c.Filters = append(c.Filters, config.NetworkFilter{Name: f.GetName(), Discovery: by})
			}
			continue
		}
		pc := p.at(i).dot("typed_config")
		m := d.extension(pc, networkFilter, f.GetName(), f.GetTypedConfig())
		if m == nil {
			continue
		}
		h := d.handler(pc, m)
		switch {
		case (h != nil) != end:
			d.refuse(p.at(i), "%s", config.Misplaced(f.GetName(), extensionName(m), h != nil))
		case end:
			c.Handler = h
		default:
			c.Filters = append(c.Filters, config.NetworkFilter{Name: f.GetName(), Config: d.networkFilter(pc, m)})
		}
	}
}

// handler reads what serves a connection; nil if m is another kind of filter.
func (d *decoder) handler(p path, m proto.Message) config.Handler {
	switch m := m.(type) {
	case *hcmv3.HttpConnectionManager:
		return d.http(p, m)
	case *tcpv3.TcpProxy:
		return d.tcp(p, m)
	case *memcachedv1.MemcachedProxy:
		return d.memcached(p, m)
	case *echov3.Echo:
		return &config.Echo{}
	case *directv3.Config:
		text, _ := d.fileText(p.dot("response"), m.GetResponse())
		return &config.DirectBytes{Text: text}
	}
	return nil
}
