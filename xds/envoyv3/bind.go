package envoyv3

// Where connections to hosts come from (BindConfig), and in which order a host's addresses are tried.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"net/netip"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func bindTables() []table {
	return []table{
		{
			of:       &corev3.BindConfig{},
			honoured: "source_address freebind socket_options extra_source_addresses additional_source_addresses",
			never:    notes{"local_address_selector": "the address is of the family of the host's"},
		},
		{of: &corev3.ExtraSourceAddress{}, honoured: "address socket_options"},
		{of: &clusterv3.UpstreamConnectionOptions_HappyEyeballsConfig{}, honoured: "first_address_family_version first_address_family_count"},
	}
}

// bind reads where a cluster's connections come from: what it says itself, or else what the bootstrap
// says of all (upstream_impl.cc, createUpstreamLocalAddressSelector).
func (d *decoder) bind(p path, m *corev3.BindConfig, name string) *config.LocalAddresses {
	all := d.opts.Clusters.Bind
	if m == nil && all == nil {
		return nil
	}
	who := "Cluster " + name
	free, options := all.GetFreebind().GetValue(), all.GetSocketOptions()
	if m.GetFreebind() != nil {
		free = m.GetFreebind().GetValue()
	}
	if len(m.GetSocketOptions()) > 0 {
		options = m.GetSocketOptions()
	}
	if m == nil {
		m, who = all, "Bootstrap"
	}
	first := config.LocalAddress{Free: free, Options: rawOptions(options)}
	if m.GetSourceAddress() != nil {
		first.Address, first.Namespace = d.localAddress(p.dot("source_address"), m.GetSourceAddress())
	}
	from := config.LocalAddresses{first}
	for i, e := range m.GetExtraSourceAddresses() {
		x := config.LocalAddress{Free: free, Options: first.Options}
		x.Address, x.Namespace = d.localAddress(p.dot("extra_source_addresses").at(i).dot("address"), e.GetAddress())
		if e.GetSocketOptions() != nil {
			x.Options = rawOptions(e.GetSocketOptions().GetSocketOptions())
		}
		from = append(from, x)
	}
	for i, a := range m.GetAdditionalSourceAddresses() {
		x := config.LocalAddress{Free: free, Options: first.Options}
		x.Address, x.Namespace = d.localAddress(p.dot("additional_source_addresses").at(i), a)
		from = append(from, x)
	}
	d.checkBind(p, who, from)
	return &from
}

// checkBind has Envoy's texts (parseBindConfig; default_local_address_selector_factory.cc).
func (d *decoder) checkBind(p path, who string, from config.LocalAddresses) {
	switch {
	case len(from) > 1 && !from[0].Address.IsValid():
		d.refuse(p, "%s's upstream binding config has invalid IP addresses.", who)
	case len(from) > 2:
		d.refuse(p, "%s's upstream binding config has more than one extra/additional source addresses. Only one extra/additional source can be "+
			"supported in BindConfig's extra_source_addresses/additional_source_addresses field", who)
	case len(from) == 2 && from[0].Address.Addr().Is4() == from[1].Address.Addr().Is4():
		d.refuse(p, "%s's upstream binding config has two same IP version source addresses. Only two different IP version source addresses can be "+
			"supported in BindConfig's source_address and extra_source_addresses/additional_source_addresses fields", who)
	}
}

func (d *decoder) localAddress(p path, m *corev3.SocketAddress) (at netip.AddrPort, namespace string) {
	a := d.ipAlone(p, m).IP
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), d.namespace(p, m)
}

// rawOptions reads options as the kernel has them.
func rawOptions(options []*corev3.SocketOption) (all []config.SocketOption) {
	for _, o := range options {
		if !ofDatagrams(o) {
			all = append(all, rawOption(o))
		}
	}
	return all
}

// eyeballs reads in which order the addresses of a host are tried.
func eyeballs(m *clusterv3.UpstreamConnectionOptions_HappyEyeballsConfig) config.EyeballOrder {
	o := config.EyeballOrder{Count: m.GetFirstAddressFamilyCount().GetValue()}
	switch m.GetFirstAddressFamilyVersion() {
	case clusterv3.UpstreamConnectionOptions_V4:
		o.Family = config.FamilyV4
	case clusterv3.UpstreamConnectionOptions_V6:
		o.Family = config.FamilyV6
	}
	return o
}

// moreAddresses reads the other addresses of an endpoint.
func (d *decoder) moreAddresses(p path, m *endpointv3.Endpoint, from config.Discovery) (all []config.Address) {
	if len(m.GetAdditionalAddresses()) == 0 {
		return nil
	}
	switch {
	case from == config.DiscoveryStrictDNS || from == config.DiscoveryLogicalDNS:
		d.refuse(p, "an endpoint whose name is looked up has the addresses that DNS says")
		return nil
	case m.GetAddress().GetSocketAddress() == nil:
		d.refuse(p, "only endpoints of IP addresses have others")
		return nil
	}
	for i, a := range m.GetAdditionalAddresses() {
		p := p.at(i).dot("address")
		if a.GetAddress().GetSocketAddress() == nil {
			d.refuse(p, "additional_addresses only supports IP addresses.")
			continue
		}
		all = append(all, d.endpointAddress(p, a.GetAddress(), from))
	}
	return all
}
