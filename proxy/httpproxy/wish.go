package httpproxy

// What a request says of the host that it wants.

import (
	"net/netip"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// wish is what the balancer is told.
func (x *exchange) wish() upstream.Pick {
	p := upstream.Pick{Hash: x.hash.Sum, HasHash: x.hash.OK, High: x.route.High, Match: x.target.Match}
	c := x.cluster.Config()
	if c.HostsFrom != nil {
		p.Wanted = x.wanted(c.HostsFrom)
	}
	switch c.Discovery {
	case config.DiscoveryOriginalDst:
		p.To = x.destination(c)
	case config.DiscoveryDynamic:
		p.To = upstream.AppendName(x.text[:0], x.view.Host, c, &x.info)
	}
	return p
}

// wanted is what is left of the hosts that the request lists: those of the first pick
// are listed then (override_host/load_balancer.cc, getSelectedHosts).
func (x *exchange) wanted(from []config.HostSource) *upstream.Wanted {
	if x.lists != nil {
		return x.lists
	}
	x.lists = &upstream.Wanted{}
	for i := range from {
		text, ok := "", false
		if s := &from[i]; s.Header != "" {
			text, ok = x.headerText(s.Header)
		} else {
			text, ok = x.metadataText(s.Metadata)
		}
		if ok {
			x.lists.Left += text + ","
		}
	}
	return x.lists
}

// destination is the address that the request is for, where a cluster has a host
// for each; nil if there is none.
func (x *exchange) destination(c *config.Cluster) []byte {
	at := x.originalDst(&c.OriginalDst)
	if !at.IsValid() {
		return nil
	}
	if p := c.OriginalDst.Port; p != 0 {
		at = netip.AddrPortFrom(at.Addr(), p)
	}
	return at.AppendTo(x.text[:0])
}

// originalDst is where the request goes in an ORIGINAL_DST cluster: as filters say,
// as metadata or a header says, or where its connection was going
// (original_dst_cluster.cc, LoadBalancer::chooseHost).
func (x *exchange) originalDst(c *config.OriginalDst) netip.AddrPort {
	if o := x.info.Object(streaminfo.OriginalDst); o != nil {
		if at, ok := addrPort(o.Text); ok {
			return at
		}
	}
	if len(c.Metadata) > 0 {
		if text, ok := x.metadataText(c.Metadata); ok {
			if at, ok := addrPort(text); ok {
				return at
			}
			x.cluster.Count.OriginalDstInvalid++
		}
	}
	if c.Header != "" {
		if text, ok := x.headerText(c.Header); ok {
			if at, ok := addrPort(text); ok {
				return at
			}
			x.cluster.Count.OriginalDstInvalid++
		}
	}
	at := x.conn.c.Restored()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// metadataText is a text in the request's dynamic metadata, or the first of a list
// there.
func (x *exchange) metadataText(path []string) (string, bool) {
	v, ok := x.info.Metadata.At(path[0], path[1:]...)
	if ok && v.Kind == config.ValueList && len(v.List) > 0 {
		v = v.List[0]
	}
	return v.Text, ok && v.Kind == config.ValueText
}

// headerText is the first line of a header, or a pseudo-header.
func (x *exchange) headerText(name string) (string, bool) {
	if name == ":authority" || name == "host" {
		return string(x.view.Host), len(x.view.Host) > 0
	}
	i := (fields{&x.req.Headers}).find(name)
	if i < 0 {
		return "", false
	}
	return string(x.req.Headers[i].Value), true
}

// addrPort reads an IP address with a port.
func addrPort(text string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), err == nil && at.Addr().Zone() == ""
}
